"""Holes and blur of the latent space, as the posteriors q(z|x_i) of n training images show them. NumPy, float64.

With w_i(z) = q(z|x_i) / sum_j q(z|x_j) the decoder with the least squared error is g*(z) = sum_i w_i(z) x_i, the fixed
point of Rezende & Viola (2018, arXiv:1810.00597). Hence two failures. Where several posteriors overlap, g* is a mean of
several images: blur. Where no posterior has density, w is decided by tails and the decoder was never trained: holes,
harmful where the prior sends samples.

n is part of each definition: fewer posteriors leave more holes and overlap less.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from tfvae.errors import UsageError
from tfvae.evaluation import marginal_kl
from tfvae.evaluation.confidence_intervals import Estimate, estimate_share

DRAWS = 2000
HOLE_THRESHOLD = -np.log(100.0)  # of log q(z) / p(z)
# Of log w: all weights below together are less than n * 3e-20; they are most, and slow as denormals.
MIN_LOG_WEIGHT = -45.0
MIN_DENSE_SHARE = 0.03  # share of weights that are not 0 from which a dense product is the faster one


class PosteriorWeights(NamedTuple):
    """What the weights w(z) give at S points z.

    Attributes:
        log_q: log q(z), [S].
        overlap: exp(H(w(z))), the effective number of posteriors that reach z, [S].
        optimum: the best decoder's images g*(z), [S, D]; None without images.
    """

    log_q: np.ndarray
    overlap: np.ndarray
    optimum: np.ndarray | None


def compute_posterior_weights(
    z: np.ndarray, mean: np.ndarray, log_stddev: np.ndarray, x: np.ndarray | None = None
) -> PosteriorWeights:
    """Return log q(z), the overlap of posteriors and the best decoder's images at each z.

    The overlap exp(H(w)) is 1 where one posterior has z for itself, n where all n are equal. Products with x are made
    in the type of x: float32 weights of sum 1 err by 1e-7 of a pixel.

    Args:
        z: points [S, L].
        mean, log_stddev: of the n posteriors, [n, L].
        x: their images [n, D]; None: no `optimum`.
    """
    z, log_posteriors, parts = np.asarray(z, np.float64), marginal_kl.make_log_posteriors(mean, log_stddev), []
    size, optimum = max(1, marginal_kl.MAX_NUMBERS_IN_MEMORY // len(mean)), []
    for start in range(0, len(z), size):
        logs = log_posteriors(z[start : start + size])
        highest = logs.max(1, keepdims=True)
        logs -= highest
        row, column = np.nonzero(logs > MIN_LOG_WEIGHT)
        log_w = logs[row, column]
        w = np.exp(log_w)
        total = np.bincount(row, w)
        w /= total[row]
        entropy = np.log(total) - np.bincount(row, w * log_w)  # -sum w log w of the normalised weights
        parts.append((highest[:, 0] + np.log(total / len(mean)), np.exp(np.maximum(entropy, 0.0))))
        if x is not None:
            optimum.append(average_images(w, row, column, logs.shape, x))
    log_q, overlap = zip(*parts)
    return PosteriorWeights(
        np.concatenate(log_q), np.concatenate(overlap), np.concatenate(optimum) if optimum else None
    )


def average_images(
    w: np.ndarray, row: np.ndarray, column: np.ndarray, shape: tuple[int, ...], x: np.ndarray
) -> np.ndarray:
    """Return the weighted means sum_i w_si x_i of images, [S, D].

    Args:
        w: the weights at (row, column) of a matrix of `shape` [S, n]; the others are 0.
        row, column: s and i of each weight.
        shape: (S, n).
        x: images [n, D].
    """
    table = sparse.csr_matrix((w.astype(x.dtype), (row, column)), shape)
    return table.toarray() @ x if len(w) > MIN_DENSE_SHARE * shape[0] * shape[1] else table @ x


def estimate_hole_mass(log_ratio: np.ndarray, *, threshold: float = HOLE_THRESHOLD) -> Estimate:
    """Return the share of draws z ~ p(z) with log q(z) / p(z) < threshold, and its 95% interval.

    A hole is where the aggregate q(z) of the n posteriors has less than exp(threshold) of the prior's density, so that
    the prior sends samples where hardly any image was encoded; at most exp(threshold) of the codes lie in all holes.

    Args:
        log_ratio: log q(z) - log p(z) at S draws of the prior, [S].
        threshold: nats, <= 0 (at 0 a matching q(z) would have holes by mere rounding); default: a hundredth of p(z).

    Raises:
        UsageError: threshold > 0.
    """
    if not threshold <= 0:
        raise UsageError(f"Expected threshold <= 0. Received: {threshold}.")
    log_ratio = np.asarray(log_ratio)
    return estimate_share(int((log_ratio < threshold).sum()), len(log_ratio))


def compute_decoder_gap(g: Any, optimum: Any) -> np.ndarray:
    """Return |g(z) - g*(z)|^2 summed over pixels, [S].

    On z ~ q(z) it is what a decoder with free choice would gain in squared error: g* is the mean of x given z, so that
    E|x - g|^2 = E|x - g*|^2 + E|g - g*|^2 over the n images and their posteriors.

    Args:
        g: decoded images, [S, D].
        optimum: the best decoder's images g*(z), [S, D], see `compute_posterior_weights`.
    """
    return np.square(np.asarray(g, np.float64) - optimum).sum(1)
