"""How well scores tell anomalous images from normal ones: AUROC and average precision, with 95% intervals."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize, stats
from sklearn.metrics import average_precision_score

from tfvae.errors import UsageError
from tfvae.evaluation.confidence_intervals import Estimate, Z, estimate_by_bootstrap

TINY = 1e-12


class DetectionQuality(NamedTuple):
    """How well scores tell anomalous images from normal ones.

    Attributes:
        auroc: the probability that an anomalous image has the higher score; ties count half.
        average_precision: the mean precision over the anomalous images, in the order of their scores.
        normal: how many normal images there were.
        anomalous: how many anomalous ones.
    """

    auroc: Estimate
    average_precision: Estimate
    normal: int
    anomalous: int


def measure_detection(scores: np.ndarray, is_anomalous: np.ndarray, seed: int = 0) -> DetectionQuality:
    """Return AUROC and average precision of scores.

    Args:
        scores: [N], higher is more anomalous.
        is_anomalous: [N] bool.
        seed: of the bootstrap samples of average precision's interval.

    Raises:
        UsageError: all images are normal, or all anomalous.
    """
    normal, anomalous = scores[~is_anomalous], scores[is_anomalous]
    if not len(normal) or not len(anomalous):
        raise UsageError(
            f"Expected normal and anomalous images. Received: {len(normal)} normal, {len(anomalous)} anomalous ones."
        )
    return DetectionQuality(
        estimate_auroc(normal, anomalous),
        _clip(estimate_by_bootstrap(compute_average_precision, normal, anomalous, seed=seed)),
        len(normal),
        len(anomalous),
    )


def estimate_auroc(normal: np.ndarray, anomalous: np.ndarray) -> Estimate:
    """Return the area under the ROC curve and its 95% interval.

    The area is the Mann-Whitney statistic divided by the number of pairs. Its variance is that of Hanley & McNeil
    (1982), taken at the ends of the interval as in a score interval, with both numbers of images replaced by their
    mean (Newcombe, 2006, method 5): an area of 1 has an interval, too.

    Args:
        normal: scores [N].
        anomalous: scores [M].
    """
    pairs = len(normal) * len(anomalous)
    area = float(stats.mannwhitneyu(anomalous, normal, method="asymptotic").statistic / pairs)
    others = (len(normal) + len(anomalous)) / 2 - 1

    def compute_excess(theta: float) -> float:
        spread = 1 + others * ((1 - theta) / (2 - theta) + theta / (1 + theta))
        return (area - theta) ** 2 - Z**2 * theta * (1 - theta) * spread / pairs

    # At 0 and 1 the variance is 0, which is a second root.
    low = optimize.brentq(compute_excess, 0.0, min(area, 1 - TINY)) if area > 0 else 0.0
    high = optimize.brentq(compute_excess, max(area, TINY), 1.0) if area < 1 else 1.0
    return Estimate(area, float(low), float(high))


def compute_average_precision(normal: np.ndarray, anomalous: np.ndarray) -> float:
    """Return sum_n (R_n - R_n-1) P_n over the thresholds from high to low, of recall R and precision P."""
    truth = np.repeat([0, 1], [len(normal), len(anomalous)])
    return float(average_precision_score(truth, np.concatenate([normal, anomalous])))


def _clip(estimate: Estimate) -> Estimate:
    """Return an estimate whose interval is within [0, 1]."""
    return Estimate(estimate.value, max(0.0, estimate.low), min(1.0, estimate.high))
