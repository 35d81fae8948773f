"""Holes and blur of the latent space, seen from the posteriors q(z|x_i) of n training images. NumPy, float64.

With w_i(z) = q(z|x_i) / sum_j q(z|x_j) the decoder that errs least is g*(z) = sum_i w_i(z) x_i: the fixed point of
Rezende & Viola (2018), see `tfvae.experiments.theory.fixed_point`. Hence two ways to fail. Where several posteriors overlap, g* is
a mean of several images: blur. Where no posterior reaches, w is decided by tails and nothing ever taught the decoder:
holes, harmful where the prior sends samples.

n is part of each definition: fewer posteriors leave more holes and overlap less.
"""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from tfvae.errors import UsageError
from tfvae.evaluation import marginal_kl
from tfvae.evaluation.confidence_intervals import agreement

DRAWS = 2000
THRESHOLD = -np.log(100.0)  # of log q(z) / p(z)
FLOOR = -45.0  # of log w: all weights below together are less than n * 3e-20; they are most, and slow as denormals
DENSE = 0.03  # share of weights that are not 0 from which a dense product is the faster one


class Weights(NamedTuple):
    """Of each z: log q(z) [S], the overlap exp(H(w(z))) [S], and g*(z) [S, D], or None without images."""

    log_q: np.ndarray
    overlap: np.ndarray
    optimum: np.ndarray | None


def weights_at(z, mean, log_stddev, x=None):
    """What w(z) says at z [S, L], against the posteriors mean, log_stddev [n, L] of images x [n, D]: -> `Weights`.

    exp(H(w)) is the effective number of posteriors that reach z: 1 where one has it for itself, n where all are alike.
    Products with x are made in the type of x: float32 weights of sum 1 err by 1e-7 of a pixel.
    """
    z, logs_at, parts = np.asarray(z, np.float64), marginal_kl.log_posteriors(mean, log_stddev), []
    size = max(1, marginal_kl.ROOM // len(mean))
    for start in range(0, len(z), size):
        logs = logs_at(z[start : start + size])
        highest = logs.max(1, keepdims=True)
        logs -= highest
        row, column = np.nonzero(logs > FLOOR)
        kept = logs[row, column]
        w = np.exp(kept)
        total = np.bincount(row, w)
        w /= total[row]
        entropy = np.log(total) - np.bincount(row, w * kept)  # -sum w log w, log w = kept - log total
        optimum = None if x is None else mixed(w, row, column, logs.shape, x)
        parts.append((highest[:, 0] + np.log(total / len(mean)), np.exp(np.maximum(entropy, 0.0)), optimum))
    log_q, overlap, optimum = zip(*parts)
    return Weights(np.concatenate(log_q), np.concatenate(overlap), None if x is None else np.concatenate(optimum))


def mixed(w, row, column, shape, x):
    """sum_i w_si x_i for weights w at (row, column) of a matrix of `shape` [S, n], else 0: x [n, D] -> [S, D]."""
    table = sparse.csr_matrix((w.astype(x.dtype), (row, column)), shape)
    return table.toarray() @ x if len(w) > DENSE * shape[0] * shape[1] else table @ x


def hole_mass(log_ratio, *, threshold=THRESHOLD):
    """The share of draws z ~ p(z) with log q(z) / p(z) < threshold, and its 95% interval: (share, low, high).

    A hole is where the aggregate q(z) of the n posteriors has less than exp(threshold) of the prior's density (default:
    a hundredth), so that the prior sends samples where hardly any code of an image was seen; at most exp(threshold) of
    the codes lie in all the holes.

    Args:
        log_ratio: log q(z) - log p(z) at draws of the prior [S].
        threshold: nats, <= 0: at 0 a matching q(z) would have holes by mere rounding.
    """
    if not threshold <= 0:
        raise UsageError(f"Expected threshold <= 0. Received: {threshold}.")
    log_ratio = np.asarray(log_ratio)
    return agreement(int((log_ratio < threshold).sum()), len(log_ratio))


def decoder_gap(g, optimum):
    """|g(z) - g*(z)|^2 summed over pixels: g and optimum [S, D] -> [S].

    On z ~ q(z) it is what a decoder with free choice would gain in squared error: g* is the mean of x given z, so that
    E|x - g|^2 = E|x - g*|^2 + E|g - g*|^2 over the n images and their posteriors.
    """
    return np.square(np.asarray(g, np.float64) - optimum).sum(1)
