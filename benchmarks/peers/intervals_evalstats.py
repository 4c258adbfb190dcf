"""evalstats: its score interval of paired answers (it knows no clusters), its nested bootstrap of seeds, its judge correction."""

import evalstats
import numpy as np
from intervals import measured


def clustered(differences, clusters):
    answers = np.stack([differences > 0, differences < 0]).astype(float)
    found = evalstats.pairwise_differences(answers, 0, 1, method="tango")
    return found.ci_low, found.ci_high


def seeds(scores):
    pair = np.stack([scores.T, np.zeros_like(scores.T)])
    found = evalstats.pairwise_differences(pair, 0, 1, rng=np.random.default_rng(0))
    return found.ci_low, found.ci_high


def judge(gold, judged, rest):
    labels = np.concatenate([gold, np.full(len(rest), np.nan)])
    found = evalstats.judge_debias_mean_ci(np.concatenate([judged, rest]), labels, rng=0)
    return found.ci_low, found.ci_high


measured(clustered=clustered, seeds=seeds, judge=judge)
