"""The best linear VAE of given images: where a multiplier starts, and what an error costs at least in a linear model.

A linear decoder under KL + lambda |x - g(z)|^2 leaves of each principal component's variance s_i the part
d_i = min(s_i, 1 / (2 lambda)), and pays 1/2 log(s_i / d_i) nats for it: reverse water-filling (Cover & Thomas, 2006,
theorem 10.3.3; Lucas et al., 2019, arXiv 1911.02469). The d_i add up to the squared error, so an error tells lambda.
"""

from __future__ import annotations

import math

import numpy as np

MAX_IMAGES = 1000  # from which the variances are computed
SMALLEST_SHARE = 1e-12  # of the largest variance: less is rounding
BISECTIONS = 100
LEAST_ERROR_SHARE = 0.05  # of the mean image's error: where the curve ends whose knee is looked for
CURVE_POINTS = 400


def compute_spectrum(images: np.ndarray) -> np.ndarray:
    """Return the variances of the principal components of images, descending, pixels in [0, 1].

    Args:
        images: [N, ...] bytes, or floats in [0, 1]; of more than 1,000 a sample is taken.
    """
    x = _take_pixels(images)
    x -= x.mean(axis=0)
    products = x @ x.T if x.shape[0] < x.shape[1] else x.T @ x  # the same eigenvalues but for zeros
    spectrum = np.linalg.eigvalsh(products)[::-1] / len(x)
    return spectrum[spectrum > SMALLEST_SHARE * spectrum[0]]


def compute_contrast(images: np.ndarray) -> float:
    """Return the mean squared deviation of images from their own mean pixels, summed over pixels; see above."""
    return float(_take_pixels(images).var(axis=1).mean() * math.prod(images.shape[1:]))


def _take_pixels(images: np.ndarray) -> np.ndarray:
    """Return a sample of images as float64 [n, pixels] in [0, 1]."""
    rows = np.random.default_rng(0).permutation(len(images))[:MAX_IMAGES]
    x = images[np.sort(rows)].reshape(len(rows), -1)
    return x / 255.0 if x.dtype == np.uint8 else x.astype(np.float64)


def find_linear_optimum(spectrum: np.ndarray, squared_error: float) -> tuple[float, float]:
    """Return lambda, and KL in nats per image, of the best linear VAE with this squared error.

    Args:
        spectrum: variances of the principal components, > 0, descending; not empty.
        squared_error: sum over pixels, > 0; one that the mean image meets has the lambda at which codes begin to pay.
    """
    low, high = 0.0, float(spectrum[0])
    for _ in range(BISECTIONS):
        level = 0.5 * (low + high)
        low, high = (level, high) if np.minimum(spectrum, level).sum() < squared_error else (low, level)
    return 0.5 / high, 0.5 * float(np.log(np.maximum(spectrum / high, 1.0)).sum())


def find_knee(spectrum: np.ndarray) -> float:
    """Return the squared error at the knee of the best linear VAE's KL over its error.

    The curve goes from the mean image, which costs nothing, to a twentieth of its error. Its knee is where it is
    farthest below the straight line between its ends, both axes as shares of their range (Satopaa et al., 2011,
    "Finding a 'kneedle' in a haystack").

    Args:
        spectrum: variances of the principal components, > 0, descending; not empty.
    """
    errors = np.linspace(LEAST_ERROR_SHARE, 1.0, CURVE_POINTS) * spectrum.sum()
    kls = np.array([*(find_linear_optimum(spectrum, error)[1] for error in errors[:-1]), 0.0])
    return float(errors[np.argmin(np.linspace(0.0, 1.0, CURVE_POINTS) + kls / kls[0])])
