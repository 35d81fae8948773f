"""AUROC and average precision against slow counts; their intervals against draws and a solution by hand."""

import numpy as np
import pytest
from scipy import stats

from tfvae.errors import UsageError
from tfvae.evaluation.confidence_intervals import Z
from tfvae.evaluation.detection_quality import (
    compute_average_precision,
    estimate_auroc,
    measure_detection,
)


def count_auroc(normal, anomalous):
    """The share of pairs in the right order, ties half, one by one."""
    return np.mean([(a > n) + 0.5 * (a == n) for n in normal for a in anomalous])


def count_average_precision(normal, anomalous):
    """Down the list of thresholds: how much recall each adds, times the precision there."""
    total, before = 0.0, 0.0
    for threshold in sorted({*normal, *anomalous}, reverse=True):
        found, false = np.sum(anomalous >= threshold), np.sum(normal >= threshold)
        total += (found / len(anomalous) - before) * found / (found + false)
        before = found / len(anomalous)
    return total


@pytest.mark.parametrize("ties", [False, True])
def test_values_against_slow_counts(generator, ties):
    normal, anomalous = generator.normal(0, 2, 60), generator.normal(1, 2, 25)
    if ties:
        normal, anomalous = np.rint(normal), np.rint(anomalous)
    scores, truth = np.concatenate([anomalous, normal]), np.arange(85) < 25
    found = measure_detection(scores, truth)
    assert found.auroc.value == pytest.approx(count_auroc(normal, anomalous), abs=1e-12)
    assert found.average_precision.value == pytest.approx(count_average_precision(normal, anomalous), abs=1e-12)
    assert (found.normal, found.anomalous) == (60, 25)
    for estimate in found[:2]:
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1


@pytest.mark.parametrize("shift, counts", [(0.5, (200, 40)), (2.0, (80, 80)), (3.0, (60, 30))])
def test_the_interval_of_auroc_covers_the_truth(generator, shift, counts):
    """Of normal scores AUROC is Phi(shift / sqrt 2); of 600 intervals 92.5% to 99.5% cover it.

    The method is approximate, and near 1 on the safe side; 2.5 points below 95% are 2.8 sd of 600 draws.
    """
    truth, hits = stats.norm.cdf(shift / np.sqrt(2)), 0
    for _ in range(600):
        found = estimate_auroc(generator.normal(size=counts[0]), generator.normal(shift, size=counts[1]))
        hits += found.low <= truth <= found.high
    assert 0.925 <= hits / 600 <= 0.995


def test_a_perfect_score_has_an_interval_too():
    """At area 1 the equation is (1 - t) = Z^2 t (1 + others ((1 - t) / (2 - t) + t / (1 + t))) / pairs; bisected."""
    low, high = 0.0, 1.0
    for _ in range(60):
        t = (low + high) / 2
        spread = 1 + 19 * ((1 - t) / (2 - t) + t / (1 + t))
        low, high = (t, high) if (1 - t) > Z**2 * t * spread / 400 else (low, t)
    found = estimate_auroc(np.zeros(20), np.ones(20))
    assert found.value == found.high == 1 and found.low == pytest.approx(low, abs=1e-9)
    mirrored = estimate_auroc(np.ones(20), np.zeros(20))
    assert mirrored.value == mirrored.low == 0 and mirrored.high == pytest.approx(1 - low, abs=1e-9)
    assert compute_average_precision(np.zeros(20), np.ones(20)) == 1


@pytest.mark.parametrize("truth", [[True, True], [False, False]])
def test_one_kind_alone_is_refused(truth):
    with pytest.raises(UsageError, match="normal and anomalous"):
        measure_detection(np.arange(2.0), np.array(truth))
