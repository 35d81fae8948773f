"""Disentanglement scores of synthetic codes whose scores are known, beside slow loops and other libraries."""

import itertools

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from tfvae.errors import UsageError
from tfvae.evaluation import disentanglement as d
from tfvae.evaluation import fixed_factor_scores

VALUES = (4, 5, 3)
FACTORS = np.array(list(itertools.product(*map(range, VALUES))) * 50)  # [3000, 3], every combination equally often
TURN = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2.0)


def noise(count=len(FACTORS), latent=4, seed=0):
    return np.random.default_rng(seed).normal(size=(count, latent))


def perfect():
    """One code for each factor, in another order and scale, falling for one, and a constant code."""
    return np.stack([3.0 * FACTORS[:, 2], -FACTORS[:, 0], np.full(len(FACTORS), 7.0), 0.1 * FACTORS[:, 1]], axis=1)


SQUARE = np.array(list(itertools.product(range(6), range(6))) * 80)  # two alike factors, to be turned into each other


def test_perfect_codes_have_the_best_scores():
    """1, and 1 - 1/V for SAP of unordered factors: its runner-up is at chance, 1.5% for the half that tests it."""
    codes = perfect()
    assert d.estimate_mig(codes, FACTORS) == pytest.approx(1.0, abs=1e-12)
    assert d.estimate_dci(codes, FACTORS) == pytest.approx((1.0, 1.0, 1.0), abs=1e-12)
    best = np.mean([1 - 1 / v for v in VALUES])
    assert d.estimate_sap(codes, FACTORS) == pytest.approx(best, abs=0.015)
    assert d.estimate_sap(codes, FACTORS, ordinal=True) == pytest.approx(1.0, abs=1e-12)
    assert d.estimate_sap(codes, FACTORS, ordinal=[True, True, False]) == pytest.approx((1 + 1 + 2 / 3) / 3, abs=0.015)
    assert fixed_factor_scores.estimate_factor_vae_score(codes, FACTORS) == 1.0
    assert fixed_factor_scores.estimate_beta_vae_score(codes, FACTORS, points=1500) > 0.99


def test_codes_turned_by_45_degrees_score_low_although_they_know_as_much():
    """By symmetry both codes tell as much of either factor: gaps 0, choices at chance; 5 sigma of 800 or 750 votes."""
    turned = SQUARE @ TURN
    assert d.estimate_mig(SQUARE * 1.0, SQUARE) == pytest.approx(1.0) and d.estimate_mig(turned, SQUARE) < 0.03
    assert d.estimate_sap(turned, SQUARE, ordinal=True) == pytest.approx(0.0, abs=1e-12)
    assert d.estimate_dci(SQUARE * 1.0, SQUARE).disentanglement == pytest.approx(1.0)
    assert (
        d.estimate_dci(turned, SQUARE).disentanglement < 0.05 and d.estimate_dci(turned, SQUARE).informativeness == 1.0
    )
    assert abs(fixed_factor_scores.estimate_factor_vae_score(turned, SQUARE) - 0.5) < 5 * 0.5 / np.sqrt(800)
    assert abs(fixed_factor_scores.estimate_beta_vae_score(turned, SQUARE, points=1500) - 0.5) < 5 * 0.5 / np.sqrt(750)
    np.testing.assert_allclose(
        d.measure_probe_accuracy(turned, SQUARE), d.measure_probe_accuracy(SQUARE * 1.0, SQUARE), atol=0.05
    )


def test_noise_scores_nothing():
    """Gaps within the noise of their estimates, accuracies at chance: 5 sigma of their counts."""
    codes, chance = noise(), np.mean([1 / v for v in VALUES])
    assert 0 <= d.estimate_mig(codes, FACTORS) < 0.01
    assert 0 <= d.estimate_sap(codes, FACTORS) < 0.04 and 0 <= d.estimate_sap(codes, FACTORS, ordinal=True) < 0.01
    results = d.estimate_dci(codes, FACTORS)
    assert results.disentanglement < 0.15 and results.completeness < 0.15  # few splits in large leaves are uneven
    assert abs(results.informativeness - chance) < 5 * 0.5 / np.sqrt(3 * 1500)
    assert abs(d.measure_probe_accuracy(codes, FACTORS).mean() - chance) < 5 * 0.5 / np.sqrt(3 * 1500)
    assert abs(fixed_factor_scores.estimate_factor_vae_score(codes, FACTORS) - 1 / 3) < 5 * np.sqrt(2 / 9 / 798)
    assert abs(fixed_factor_scores.estimate_beta_vae_score(codes, FACTORS, points=1500) - 1 / 3) < 5 * np.sqrt(
        2 / 9 / 750
    )


def test_constant_codes_have_their_defined_values():
    """No information: 0 for the gaps, D and C; chance or the commonest value for the accuracies."""
    factors = np.repeat([[0, 0], [0, 1], [0, 2], [1, 0]], 100, axis=0)
    codes = np.ones((400, 3))
    assert (
        d.estimate_mig(codes, factors)
        == d.estimate_sap(codes, factors)
        == d.estimate_sap(codes, factors, ordinal=True)
        == 0.0
    )
    results, (_, test) = d.estimate_dci(codes, factors), d.split_in_halves(400, 0)
    commonest = [(factors[test, k] == 0).mean() for k in (0, 1)]
    assert results[:2] == (0.0, 0.0) and results.informativeness == pytest.approx(np.mean(commonest))
    np.testing.assert_allclose(d.measure_probe_accuracy(codes, factors), commonest)
    assert (
        fixed_factor_scores.estimate_beta_vae_score(codes, factors)
        == fixed_factor_scores.estimate_factor_vae_score(codes, factors)
        == 0.5
    )


def test_constant_factors_are_left_out():
    extra = np.insert(FACTORS, 1, 9, axis=1)
    codes = noise() + FACTORS[:, [0, 1, 2, 0]]
    assert d.estimate_mig(codes, extra) == d.estimate_mig(codes, FACTORS)
    flags = np.array([True, False, False])
    assert d.estimate_sap(codes, extra, ordinal=np.insert(flags, 1, True)) == d.estimate_sap(
        codes, FACTORS, ordinal=flags
    )
    assert d.estimate_dci(codes, extra, trees=2) == d.estimate_dci(codes, FACTORS, trees=2)
    assert len(d.measure_probe_accuracy(codes, extra)) == 3
    assert fixed_factor_scores.estimate_factor_vae_score(codes, extra) == fixed_factor_scores.estimate_factor_vae_score(
        codes, FACTORS
    )
    for score in (d.estimate_mig, d.estimate_sap, d.estimate_dci, d.measure_probe_accuracy):
        with pytest.raises(UsageError, match="at least 1 factor"):
            score(codes, np.zeros_like(FACTORS))
    for score in (fixed_factor_scores.estimate_beta_vae_score, fixed_factor_scores.estimate_factor_vae_score):
        with pytest.raises(UsageError, match="at least 2 factor"):
            score(codes, extra[:, :2])


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(UsageError, match="integer factors"):
        d.estimate_mig(noise(), FACTORS * 0.5)
    with pytest.raises(UsageError, match="finite codes"):
        d.estimate_mig(np.full((3000, 2), np.nan), FACTORS)
    with pytest.raises(UsageError, match="codes .N, L."):
        d.estimate_mig(noise(10), FACTORS)
    with pytest.raises(UsageError, match="bins >= 2"):
        d.estimate_mig(noise(), FACTORS, bins=1)
    with pytest.raises(UsageError, match="points >= 24"):
        fixed_factor_scores.estimate_beta_vae_score(noise(), FACTORS, points=20)


# --- the parts


def test_mutual_information_gap_of_coarse_and_double_codes():
    """v // 2 of four values tells log 2 of log 4: 1/2. The same code twice has no gap: 0. One code alone: its share."""
    v = FACTORS[:, :1]
    assert d.estimate_mig(np.stack([v[:, 0] // 2, FACTORS[:, 1]], axis=1), v) == pytest.approx(0.5)
    assert d.estimate_mig(np.concatenate([v, v], axis=1), v) == pytest.approx(0.0, abs=1e-12)
    assert d.estimate_mig(v // 2, v) == pytest.approx(0.5)


def test_mutual_information_gap_is_that_of_a_slow_loop():
    """Histograms by NumPy, p log p by loops over all bins."""
    codes = noise(600, 3) + FACTORS[:600]
    gaps = []
    for v in FACTORS[:600].T:
        shared = []
        for code in codes.T:
            edges = np.histogram_bin_edges(code, 20)
            joint = np.histogram2d(code, v, [edges, np.arange(v.max() + 2) - 0.5])[0] / 600
            p, q = joint.sum(1), joint.sum(0)
            cells = itertools.product(range(len(p)), range(len(q)))
            shared.append(sum(joint[i, j] * np.log(joint[i, j] / p[i] / q[j]) for i, j in cells if joint[i, j]))
        first, second = sorted(shared)[:-3:-1]
        gaps.append((first - second) / -np.sum(q * np.log(q)))
    assert d.estimate_mig(codes, FACTORS[:600]) == pytest.approx(np.mean(gaps), rel=1e-9)


def test_thresholds_reach_the_accuracy_of_known_overlaps():
    """v = 0: U(0, 2), v = 1: U(1, 3): 3/4 is the best there is; with values 1 : 4 too. 4.5 sigma of 10,000 (7e-6)."""
    draw = np.random.default_rng(3)
    for share in (0.5, 0.8):
        v = (draw.random(20_000) < share).astype(int)
        code = v + 2 * draw.random(20_000)
        sigma = np.sqrt(0.25 * 0.75 / (10_000 * min(share, 1 - share))) / np.sqrt(2)
        assert abs(d.measure_threshold_accuracy(code, v, 0) - 0.75) < 4.5 * sigma + 0.003  # thresholds are learnt, too
        useless = draw.random(20_000)
        assert d.estimate_sap(np.stack([code, useless], axis=1), v[:, None]) == pytest.approx(0.25, abs=0.03)


def test_squared_correlation_is_the_r2_of_a_line():
    codes, v = noise(500) + FACTORS[:500, :1], FACTORS[:500, 0].astype(float)
    truth = [LinearRegression().fit(c[:, None], v).score(c[:, None], v) for c in codes.T]
    np.testing.assert_allclose(d.compute_squared_correlations(codes, v), truth, rtol=1e-9)


def test_disentanglement_and_completeness_of_matrices_by_hand():
    """Rows 1 and 0 weighted by 1/2 each; columns (2/3, 1/3) and (0, 1): 1 - 0.9183 bits and 1."""
    results = d.compute_dci_from_importance([[1.0, 0.0], [0.5, 0.5]])
    bits = -(2 / 3 * np.log2(2 / 3) + 1 / 3 * np.log2(1 / 3))
    assert results == pytest.approx((0.5, (1 - bits + 1) / 2))
    assert d.compute_dci_from_importance(np.eye(3)) == pytest.approx((1.0, 1.0))
    assert d.compute_dci_from_importance(np.ones((3, 4))) == pytest.approx((0.0, 0.0), abs=1e-12)
    assert d.compute_dci_from_importance(np.zeros((3, 2))) == (0.0, 0.0)
    assert d.compute_dci_from_importance([[0.2, 0.8]])[1] == 1.0 and d.compute_dci_from_importance([[0.2], [0.8]])[
        0
    ] == pytest.approx(1.0)


def test_forests_that_learn_noise_by_heart_do_not_hide_disentangled_codes():
    """Each code knows its factor alone, with noise of its own: D = C = 1 but for useless splits, which leaf=1 makes."""
    factors = np.random.default_rng(0).integers(0, [8, 12], size=(4000, 2))
    codes = noise(4000, 5, seed=1)
    codes[:, 1:3] += 2 * factors
    chosen, by_heart = d.estimate_dci(codes, factors), d.estimate_dci(codes, factors, leaf=1)
    assert chosen.disentanglement > 0.85 and chosen.completeness > 0.85
    assert by_heart.disentanglement < 0.8 and chosen.informativeness > by_heart.informativeness


def test_a_factor_without_a_code_costs_the_factor_vae_score_its_share():
    """Three factors, codes for two: the third is never named, and 2/3 remain. One code for all: 1/3."""
    assert fixed_factor_scores.estimate_factor_vae_score(FACTORS[:, :2] * 1.0, FACTORS) == pytest.approx(
        2 / 3, abs=1e-12
    )
    assert fixed_factor_scores.estimate_factor_vae_score(FACTORS[:, :1] * 1.0, FACTORS) == pytest.approx(
        1 / 3, abs=1e-12
    )


def test_collapsed_codes_can_be_left_out_of_the_factor_vae_score():
    """A code of tiny variance that one factor moves takes votes only while it is in."""
    codes = np.concatenate([SQUARE @ TURN, 1e-3 * SQUARE], axis=1)
    assert fixed_factor_scores.estimate_factor_vae_score(codes, SQUARE) == 1.0
    assert fixed_factor_scores.estimate_factor_vae_score(codes, SQUARE, least_variance=0.05) < 0.6


def test_the_beta_vae_score_forgives_a_factor_spread_over_codes():
    codes = np.stack([FACTORS[:, 0], np.sin(FACTORS[:, 0]), FACTORS[:, 1], FACTORS[:, 2], FACTORS[:, 2] ** 2], axis=1)
    assert fixed_factor_scores.estimate_beta_vae_score(codes, FACTORS, points=1500) > 0.99


def test_batches_are_alike_in_their_factor_and_fair():
    """Rows share a value; values come as often as in the data, data of a value equally often: 5 sigma of counts."""
    values = np.array([0] * 10 + [1] * 30 + [2] * 60)
    rows = fixed_factor_scores.draw_with_shared_factor(values, 4000, 5, np.random.default_rng(0))
    assert (values[rows] == values[rows[:, :1]]).all()
    share = np.bincount(values[rows[:, 0]]) / 4000
    assert (np.abs(share - [0.1, 0.3, 0.6]) < 5 * np.sqrt(0.25 / 4000)).all()
    counts = np.bincount(rows[:, 0], minlength=100)
    assert counts.min() > 40 - 5 * np.sqrt(40) and counts.max() < 40 + 5 * np.sqrt(40)
    assert np.array_equal(rows, fixed_factor_scores.draw_with_shared_factor(values, 4000, 5, np.random.default_rng(0)))


def test_the_linear_probe_of_separable_and_of_overlapping_classes():
    """N(0, 1) beside N(2, 1): the best accuracy is Phi(1) = 0.8413; 4.5 sigma (7e-6) and what is not learnt."""
    draw = np.random.default_rng(1)
    v = draw.integers(0, 2, 20_000)
    codes = np.stack([draw.normal(size=20_000) + 2 * v, draw.normal(size=20_000)], axis=1)
    assert abs(d.measure_probe_accuracy(codes, v[:, None])[0] - 0.8413) < 4.5 * np.sqrt(0.84 * 0.16 / 10_000) + 0.002
    np.testing.assert_allclose(d.measure_probe_accuracy(np.eye(4)[FACTORS[:, 0]], FACTORS[:, :1]), 1.0)
    assert (
        d.measure_probe_accuracy(np.eye(4)[FACTORS[:, 0]], np.eye(3000, dtype=int)[:, :1])[0] > 0.99
    )  # a value seen once
