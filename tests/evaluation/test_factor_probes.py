"""The scores of one run's codes: names, intervals, known answers."""

import itertools

import numpy as np
import pytest

from tfvae import datasets
from tfvae.evaluation import factor_probes

VALUES = np.array(list(itertools.product(range(4), range(5), range(3))) * 10)  # [600, 3]
NAMES = ("a", "b", "c")


def test_perfect_codes_have_the_best_scores():
    codes = VALUES + np.random.default_rng(0).normal(0, 0.02, VALUES.shape)
    results = factor_probes.score_factors(codes, NAMES, VALUES)
    for name in ("mig", "dci_disentanglement", "dci_completeness", "dci_informativeness", "factor_vae", "beta_vae"):
        assert results[name][0] > 0.97, name
    assert results["sap"][0] > 0.6 and {f"probe[{name}]" for name in NAMES} <= set(results)
    assert all(low <= value + 1e-12 and value <= high + 1e-12 for value, low, high in results.values())


def test_one_factor_has_no_score_that_asks_which():
    factors = np.stack([VALUES[:, 0], np.zeros(600, int)], axis=1)
    results = factor_probes.score_factors(VALUES * 1.0, ("a", "b"), factors)
    assert (
        "factor_vae" not in results
        and "beta_vae" not in results
        and "probe[b]" not in results
        and "probe[a]" in results
    )


def test_factors_of_a_data_set_by_its_labels():
    names, values = factor_probes.load_factors("sprites:size=16", np.array([0, 9215]))
    assert names == datasets.factors("sprites").names and values.tolist() == [[0] * 5, [2, 3, 11, 7, 7]]
    assert factor_probes.load_factors("mnist", np.array([3])) is None


def test_label_probe_of_classes_that_are_known():
    """N(0, 1) beside N(2, 1) on a line: Phi(1) = 0.8413 at best; 4.5 sigma of 2,500 (7e-6) and what is not learnt."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 2, 6000)
    (accuracy, low, high), *more = factor_probes.probe_labels(
        (2 * labels + draw.normal(size=6000))[:, None], labels
    ).values()
    assert abs(accuracy - 0.8413) < 4.5 * np.sqrt(0.84 * 0.16 / 2500) + 0.005 and low < accuracy < high and not more
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / 2500), rel=0.01)
    assert factor_probes.probe_labels(np.zeros((50, 2)), np.zeros(50, int)) == {}
    assert factor_probes.probe_labels(np.zeros((500, 2)), np.arange(500)) == {}
