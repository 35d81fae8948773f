"""How well the aggregate posterior q(z) = 1/n sum_i q(z|x_i) fits the prior: KL(q(z) || p(z)). NumPy, float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import compute_normal_log_prob
from tfvae.errors import UsageError
from tfvae.runtime import random_streams
from tfvae.runtime.random_streams import SeedStream

DRAWS = 2000
MAX_NUMBERS_IN_MEMORY = 4_000_000
MIN_LOG_WEIGHT = -60.0  # densities below exp(-60) of the largest count as that


class MarginalKL(NamedTuple):
    """KL(q(z) || p(z)) in nats, its standard error over the draws, and the number of posteriors in q(z)."""

    kl: float
    standard_error: float
    posteriors: int


def make_log_posteriors(mean: np.ndarray, log_stddev: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function z [S, L] -> log N(z_s; mean_i, diag stddev_i^2), [S, n], float64.

    The square is multiplied out, so that all pairs are two products of matrices.

    Args:
        mean, log_stddev: of the n posteriors, [n, L].
    """
    mean, log_stddev = np.asarray(mean, np.float64), np.asarray(log_stddev, np.float64)
    precision = np.exp(-2.0 * log_stddev)
    square_weights, linear_weights = -0.5 * precision.T, (mean * precision).T
    constant = -log_stddev.sum(1) - 0.5 * mean.shape[1] * math.log(2 * math.pi) - 0.5 * (mean**2 * precision).sum(1)
    return lambda z: constant + z**2 @ square_weights + z @ linear_weights


def compute_log_aggregate(z: np.ndarray, mean: np.ndarray, log_stddev: np.ndarray) -> np.ndarray:
    """Return log 1/n sum_i N(z; mean_i, diag stddev_i^2), [S], float64.

    Args:
        z: points [S, L].
        mean, log_stddev: of the n posteriors, [n, L].
    """
    z, log_posteriors, parts = np.asarray(z, np.float64), make_log_posteriors(mean, log_stddev), []
    size = max(1, MAX_NUMBERS_IN_MEMORY // len(mean))
    for start in range(0, len(z), size):
        logs = log_posteriors(z[start : start + size])
        highest = logs.max(1, keepdims=True)
        # the floor adds nothing beside 1, and avoids slow denormals
        weights = np.exp(np.maximum(logs - highest, MIN_LOG_WEIGHT))
        parts.append(highest[:, 0] + np.log(weights.mean(1)))
    return np.concatenate(parts)


def stratified_indices(count: int, draws: int) -> np.ndarray:
    """Return which of `count` posteriors each draw is from, [draws]: equal shares, which lower the variance."""
    return np.arange(draws) % count if draws >= count else np.linspace(0, count - 1, draws).astype(int)


def sample_aggregate(mean: np.ndarray, log_stddev: np.ndarray, draws: int, seed: Any) -> tuple[np.ndarray, np.ndarray]:
    """Draw from q(z) = 1/n sum_i N(mean_i, diag stddev_i^2) and return each draw's i [draws] and z [draws, L], float64.

    Args:
        mean, log_stddev: of the n posteriors, [n, L].
        draws: how many.
        seed: see `random_streams.as_seed`.
    """
    indices = stratified_indices(len(mean), draws)
    noise = random_streams.normal([draws, mean.shape[1]], seed).numpy().astype(np.float64)
    return indices, mean[indices] + np.exp(np.asarray(log_stddev, np.float64)[indices]) * noise


def estimate_marginal_kl(
    mean: np.ndarray,
    log_stddev: np.ndarray,
    log_prior: Callable[[tf.Tensor], tf.Tensor] | None,
    draws: int = DRAWS,
    seed: int = 0,
    rate: float | None = None,
) -> MarginalKL:
    """Return an estimate of KL(q(z) || p(z)) for the aggregate q(z) of the posteriors N(mean_i, diag stddev_i^2).

    It is unbiased for the aggregate of just these n posteriors: each draw z ~ q(z) is scored under all of them, its own
    included. Against the aggregate of all data it is too high, by less than the mutual information that log n allows.

    Args:
        mean, log_stddev: of the n posteriors, [n, L].
        log_prior: z [S, L] -> log p(z) [S]; not called where `rate` is given.
        draws: S >= 2.
        seed: of the draws.
        rate: the mean of KL(q(z|x_i) || p(z)) over the n posteriors, nats; None: not known. With it only the
            difference, the mutual information I = E log q(z|x_i) / q(z), is left to the draws: KL = rate - I. Where
            posteriors hardly overlap I is log n for every draw, and the standard error a hundredth.

    Raises:
        UsageError: draws < 2.

    Example:
        >>> estimate_marginal_kl(mean, log_stddev, None, rate=12.3).kl  # doctest: +SKIP
    """
    if not draws >= 2:
        raise UsageError(f"Expected draws >= 2. Received: {draws}.")
    draws_seed = random_streams.fold_in((seed, 0), SeedStream.MARGINAL_KL)
    indices, z = sample_aggregate(mean, log_stddev, draws, draws_seed)
    values = compute_log_aggregate(z, mean, log_stddev)
    if rate is not None:
        own = compute_normal_log_prob(
            z, np.asarray(mean, np.float64)[indices], np.asarray(log_stddev, np.float64)[indices]
        )
        values += rate - own.numpy()
    elif log_prior is not None:
        values -= np.asarray(log_prior(tf.constant(z, tf.float32)), np.float64)
    else:
        raise UsageError("Expected log_prior or rate. Received: neither.")
    return MarginalKL(float(values.mean()), float(values.std(ddof=1) / math.sqrt(draws)), len(mean))
