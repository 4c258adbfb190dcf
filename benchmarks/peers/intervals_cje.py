"""cje-eval: the mean of paired differences on its scale from 0 to 1, by cluster (questions, where there are seeds), and its
calibrated mean."""

import numpy as np
from cje import calibrated_mean_ci
from intervals import measured


def of_differences(differences, clusters):
    least, span = differences.min() - 1e-9, np.ptp(differences) + 2e-9
    scaled = (differences - least) / span
    low, high = calibrated_mean_ci(scaled, scaled, cluster_ids=clusters).ci
    return least + span * low, least + span * high


def seeds(scores):
    return of_differences(scores.ravel(), np.tile(np.arange(scores.shape[1]), len(scores)))


def judge(gold, judged, rest):
    labels = np.concatenate([gold, np.full(len(rest), np.nan)])
    return calibrated_mean_ci(np.concatenate([judged, rest]), labels).ci


measured(clustered=of_differences, seeds=seeds, judge=judge)
