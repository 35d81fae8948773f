"""The best linear VAE: against a minimisation of its own loss, and against PCA done by an SVD."""

import numpy as np
import pytest
from scipy import optimize

from tfvae.objectives.geco.water_filling import (
    CURVE_POINTS,
    LEAST_ERROR_SHARE,
    MAX_IMAGES,
    compute_contrast,
    compute_spectrum,
    find_knee,
    find_linear_optimum,
)


@pytest.mark.parametrize("squared_error", [0.05, 0.7, 2.4])
def test_multiplier_is_that_of_the_least_kl(squared_error):
    """min KL subject to the error, minimised numerically over all d_i; lambda is the slope -dKL / d error."""
    spectrum = np.array([1.5, 0.7, 0.3, 0.1, 0.01])

    def least_kl(error):
        shares = optimize.minimize(
            lambda d: -0.5 * np.log(d).sum(),
            np.minimum(spectrum, error / 5) * 0.99,
            bounds=[(1e-9, s) for s in spectrum],
            constraints={"type": "eq", "fun": lambda d: d.sum() - error},
            options={"ftol": 1e-13, "maxiter": 500},
        ).x
        return 0.5 * np.log(spectrum / shares).sum()

    multiplier, kl = find_linear_optimum(spectrum, squared_error)
    np.testing.assert_allclose(kl, least_kl(squared_error), rtol=1e-4)
    slope = (least_kl(squared_error * 0.99) - least_kl(squared_error * 1.01)) / (0.02 * squared_error)
    np.testing.assert_allclose(multiplier, slope, rtol=0.01)


def test_an_error_beyond_the_mean_image_costs_nothing():
    multiplier, kl = find_linear_optimum(np.array([2.0, 1.0]), 3.5)
    assert kl == 0 and np.isclose(multiplier, 0.25)  # 1 / (2 s_1): there the first code begins to pay


@pytest.mark.parametrize("shape", [(50, 4, 5, 1), (12, 6, 6, 1)])
def test_spectrum_is_that_of_pca(shape):
    images = np.random.default_rng(3).integers(0, 256, shape).astype(np.uint8)
    x = images.reshape(shape[0], -1) / 255.0
    expected = np.linalg.svd(x - x.mean(0), compute_uv=False) ** 2 / shape[0]
    found = compute_spectrum(images)
    np.testing.assert_allclose(found, expected[: len(found)], rtol=1e-8)
    np.testing.assert_allclose(found.sum(), x.var(axis=0).sum(), rtol=1e-8)


def test_contrast_is_about_each_image():
    """Bytes and floats alike; a constant image has none, however bright."""
    images = np.random.default_rng(3).integers(0, 256, (30, 4, 5, 3)).astype(np.uint8)
    expected = np.mean([np.sum((x / 255.0 - (x / 255.0).mean()) ** 2) for x in images])
    np.testing.assert_allclose([compute_contrast(images), compute_contrast(images / 255.0)], expected, rtol=1e-12)
    assert compute_contrast(np.full((3, 4, 4, 1), 200, np.uint8)) == 0


def test_many_images_are_sampled_from_all_over():
    """Sorted by class, as folders are: the first thousand would be one class."""
    images = np.repeat(np.array([0.0, 1.0], np.float32), MAX_IMAGES)[:, None]
    np.testing.assert_allclose(compute_spectrum(images), [0.25], rtol=0.02)


@pytest.mark.parametrize("variance, count", [(0.3, 4), (2.0, 30)])
def test_the_knee_of_equal_variances(variance, count):
    """KL = n/2 log(n s / D): below the chord by most where the slopes agree, D = n s (1 - least) / log(1 / least)."""
    expected = count * variance * (1 - LEAST_ERROR_SHARE) / -np.log(LEAST_ERROR_SHARE)
    np.testing.assert_allclose(find_knee(np.full(count, variance)), expected, atol=count * variance / CURVE_POINTS)
