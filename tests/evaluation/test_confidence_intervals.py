"""Intervals hold the truth as often as they say: known normals, many times, with the false-alarm rate of the test."""

import numpy as np
import pytest

from tfvae.evaluation import confidence_intervals, feature_distances, mmd, sample_distances

TIMES = 200
OFF = 4.5 * np.sqrt(0.95 * 0.05 / TIMES)  # 4.5 standard deviations of a share of 0.95: false alarms 7e-6


def normals(n, d=2, seed=0, shift=0.0):
    return shift + np.random.default_rng(seed).normal(size=(n, d))


def measure_coverage(estimates, truth):
    """The share of intervals [(value, low, high)] with truth inside."""
    return np.mean([low <= truth <= high for _, low, high in estimates])


def test_means_of_normals():
    estimates = [confidence_intervals.estimate_mean(normals(100, 1, i)[:, 0]) for i in range(TIMES)]
    assert abs(measure_coverage(estimates, 0.0) - 0.947) < OFF  # 1.96 instead of Student's 1.98


def test_wilsons_interval_has_its_published_values():
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611."""
    assert confidence_intervals.estimate_share(81, 263) == pytest.approx((81 / 263, 0.2553, 0.3662), abs=5e-5)
    assert confidence_intervals.estimate_share(0, 20)[1:] == pytest.approx((0.0, 0.1611), abs=5e-5)


def test_the_bootstrap_of_a_difference_of_means():
    def difference(a, b):
        return float(a.mean() - b.mean())

    estimates = [
        confidence_intervals.estimate_by_bootstrap(difference, normals(80, 1, i), normals(80, 1, 500 + i), seed=i)
        for i in range(TIMES)
    ]
    assert abs(measure_coverage(estimates, 0.0) - 0.945) < OFF


def test_halves_have_the_spread_of_the_whole_mean():
    """For a mean the mean square of half the difference is s^2 / n in expectation; 0.8 to 1.25 over 200 data sets."""
    ratios = []
    for i in range(TIMES):
        a = normals(60, 1, i)
        ((value, low, high),) = confidence_intervals.estimate_by_half_splits(lambda u: [u.mean()], (a,), seed=i)
        assert value == pytest.approx(a.mean()) and high - value == pytest.approx(value - low)
        ratios.append(((high - low) / 2 / 2.228) ** 2 / (a.var(ddof=1) / 60))  # 2.228: Student, 10 splits
    assert 0.8 < np.mean(ratios) < 1.25


def test_halves_split_what_belongs_together_alike():
    a = np.arange(20.0)

    def same(both, other):
        assert np.array_equal(both[0], -both[1]) and len(other) in (3, 4, 7)
        return [0.0]

    assert confidence_intervals.estimate_by_half_splits(same, ((a, -a), np.arange(7)))[0].high == 0.0


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_mmd_of_normals(shift):
    """u - v ~ N(shift, 2) on a line: E k = sqrt(w^2 / (w^2 + 2)) exp(-shift^2 / 2 (w^2 + 2)), here with w = 1.

    Where the laws are alike the interval is on the safe side.
    """
    truth = 2 * np.sqrt(1 / 3) * (1 - np.exp(-(shift**2) / 6))
    estimates = []
    for i in range(TIMES):
        both = normals(60, 1, i), normals(60, 1, 500 + i, shift)
        estimates += confidence_intervals.estimate_by_half_splits(
            lambda u, v: [mmd.estimate_mmd2(u, v, width=1.0)], both, seed=i
        )
    assert measure_coverage(estimates, truth) > 0.95 - OFF


def test_precision_and_its_kin_of_normals():
    """Their expectation at this size is the mean over all data sets; the interval is some percent short of 95."""

    def scores(u, v):
        return list(feature_distances.compute_prdc(u, v).values())

    pairs = [(normals(60, 2, i), normals(60, 2, 500 + i, 0.5)) for i in range(TIMES)]
    estimates = np.array(
        [confidence_intervals.estimate_by_half_splits(scores, pair, seed=i) for i, pair in enumerate(pairs)]
    )  # [TIMES, scores, 3]
    truth = estimates[:, :, 0].mean(0)
    shares = ((estimates[:, :, 1] <= truth) & (truth <= estimates[:, :, 2])).mean(0)
    assert (shares > 0.90 - OFF).all()


def test_the_bootstrap_would_be_wrong_for_neighbours():
    """What the module's docstring claims: doubled points shrink the balls; the bootstrap's coverage lies far off."""
    a, b = normals(100, seed=1), normals(100, seed=2)
    draw = np.random.default_rng(0)
    again = [
        feature_distances.compute_prdc(*(u[draw.integers(0, 100, 100)] for u in (a, b)))["coverage"] for _ in range(50)
    ]
    fresh = [
        feature_distances.compute_prdc(normals(100, seed=2 * i), normals(100, seed=2 * i + 1))["coverage"]
        for i in range(50)
    ]
    assert np.quantile(again, 0.9) < np.quantile(fresh, 0.1)


def test_compared_gives_all_with_intervals_and_bounds():
    real, fake = normals(60, 4), normals(50, 4, 1)
    estimates = sample_distances.compare_features(real, fake)
    assert set(estimates) == {"frechet", "kid", *feature_distances.PRDC}
    assert estimates["kid"][1] < estimates["kid"][0] < estimates["kid"][2]
    for name, highest in feature_distances.PRDC.items():
        value, low, high = estimates[name]
        assert 0 <= low <= value <= high <= highest
    wide = sample_distances.compare_features(normals(60, 300), normals(50, 300, 1))  # too many features for a bootstrap
    assert wide["frechet"][0] == pytest.approx(
        feature_distances.compute_frechet_distance(normals(60, 300), normals(50, 300, 1))
    )
    assert wide["frechet"][1] < wide["frechet"][0] < wide["frechet"][2]
