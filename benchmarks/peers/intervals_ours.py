"""potstill's intervals."""

from intervals import measured

from potstill import stats


def clustered(differences, clusters):
    found = stats.clustered_difference(differences > 0, differences < 0, clusters)
    return found.low, found.high


def seeds(scores):
    found = stats.crossed_interval(scores)
    return found.low, found.high


def judge(gold, judged, rest):
    found = stats.ppi_mean(gold, judged, rest)
    return found.low, found.high


measured(clustered=clustered, seeds=seeds, judge=judge)
