"""Frechet, KID, precision/recall/density/coverage, beside closed forms and slow loops."""

import numpy as np
import pytest
from scipy import linalg

from tfvae.errors import UsageError
from tfvae.evaluation import feature_distances


def features(n, d=5, seed=0, scale=1.0, shift=0.0):
    return shift + scale * np.random.default_rng(seed).normal(size=(n, d))


def test_frechet_is_its_formula_with_scipys_matrix_root():
    a, b = features(400) @ np.random.default_rng(1).normal(size=(5, 5)), features(300, seed=2, shift=1.0)
    root = linalg.sqrtm(np.cov(a.T) @ np.cov(b.T)).real
    shift = a.mean(0) - b.mean(0)
    truth = shift @ shift + np.trace(np.cov(a.T) + np.cov(b.T) - 2 * root)
    assert feature_distances.compute_frechet_distance(a, b) == pytest.approx(truth, rel=1e-8)
    assert feature_distances.compute_frechet_distance(a, a) == pytest.approx(0.0, abs=1e-9)


def test_frechet_of_known_normals():
    """Axis-aligned normals in 2-D: |m|^2 + sum (s - t)^2, exactly, for samples whitened to those moments."""
    raw = features(1000, d=2)
    white = (raw - raw.mean(0)) @ np.linalg.inv(linalg.cholesky(np.cov(raw.T)))
    a, b = white * [1.0, 2.0], white * [3.0, 0.5] + [4.0, 0.0]
    assert feature_distances.compute_frechet_distance(a, b) == pytest.approx(16 + 4 + 2.25, rel=1e-9)


def test_frechet_with_fewer_samples_than_features():
    """Singular covariances give a finite, non-negative number."""
    results = feature_distances.compute_frechet_distance(features(4, d=20), features(6, d=20, seed=3))
    assert np.isfinite(results) and results > 0


def test_kid_is_the_unbiased_mmd_of_its_kernel():
    """A double loop; and over 300 pairs of equal distributions its mean is 0 within 4.5 standard errors (7e-6)."""
    a, b = features(12), features(9, seed=2, shift=0.3)

    def k(u, v):
        return (u @ v / 5 + 1) ** 3

    aa = np.mean([k(u, v) for i, u in enumerate(a) for j, v in enumerate(a) if i != j])
    bb = np.mean([k(u, v) for i, u in enumerate(b) for j, v in enumerate(b) if i != j])
    ab = np.mean([k(u, v) for u in a for v in b])
    assert feature_distances.estimate_kid(a, b) == pytest.approx(aa + bb - 2 * ab, rel=1e-10)
    values = [feature_distances.estimate_kid(features(20, seed=i), features(20, seed=1000 + i)) for i in range(300)]
    assert abs(np.mean(values)) < 4.5 * np.std(values) / np.sqrt(300)


def test_prdc_of_a_slow_loop():
    real, fake, k = features(30, d=2), features(25, d=2, seed=1, scale=0.5), 3

    def radius(points, i):
        return np.sort(np.linalg.norm(points - points[i], axis=1))[k]

    inside = np.array([[np.linalg.norm(r - f) < radius(real, i) for f in fake] for i, r in enumerate(real)])
    near = np.array([[np.linalg.norm(r - f) < radius(fake, j) for j, f in enumerate(fake)] for r in real])
    truth = {"precision": inside.any(0).mean(), "recall": near.any(1).mean(), "density": inside.sum() / k / len(fake)}
    truth["coverage"] = inside.any(1).mean()
    assert feature_distances.compute_prdc(real, fake, k) == pytest.approx(truth)


def test_prdc_of_known_overlaps():
    """The same points overlap wholly, far ones not at all; half of the modes left out halves the coverage."""
    a = features(200, d=2)
    same, far = feature_distances.compute_prdc(a, a), feature_distances.compute_prdc(a, a + 100.0)
    assert same["precision"] == same["recall"] == same["coverage"] == 1.0
    assert set(far.values()) == {0.0}
    modes = np.concatenate([a[:100], a[:100] + 50.0])
    half = feature_distances.compute_prdc(modes, a[:100] + 0.0)
    assert half["coverage"] == half["recall"] == 0.5 and half["precision"] == 1.0


def test_features_must_fit():
    with pytest.raises(UsageError, match=r"\[3, 5\] and \[3, 4\]"):
        feature_distances.compute_frechet_distance(features(3), features(3, 4))
    with pytest.raises(UsageError, match="N >= 6"):
        feature_distances.compute_prdc(features(5), features(50))
