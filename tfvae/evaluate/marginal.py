"""How well the aggregated posterior q(z) = 1/n sum_i q(z|x_i) fits the prior: KL(q(z) || p(z)) and its parts."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae import rng
from tfvae.errors import UsageError

DRAWS = 2000
ROOM = 20_000_000  # numbers held at once


class Marginal(NamedTuple):
    """KL(q(z) || p(z)) in nats, its standard error over the draws, and the number of posteriors in q(z)."""

    kl: float
    standard_error: float
    posteriors: int


def log_aggregate(z, mean, log_stddev):
    """log 1/n sum_i N(z; mean_i, diag stddev_i^2): z [S, L], mean and log_stddev [n, L] -> [S], float64."""
    z, mean, log_stddev = (np.asarray(values, np.float64) for values in (z, mean, log_stddev))
    precision = np.exp(-2.0 * log_stddev)
    constant = -log_stddev.sum(1) - 0.5 * z.shape[1] * math.log(2 * math.pi) - 0.5 * (mean**2 * precision).sum(1)
    found, size = [], max(1, ROOM // len(mean))
    for start in range(0, len(z), size):
        part = z[start : start + size]
        logs = constant - 0.5 * part**2 @ precision.T + part @ (mean * precision).T
        highest = logs.max(1, keepdims=True)
        found.append(highest[:, 0] + np.log(np.exp(logs - highest).mean(1)))
    return np.concatenate(found)


def in_turn(count, draws):
    """Which of `count` posteriors each draw is from, [draws]: each has its share, which lowers the variance."""
    return np.arange(draws) % count if draws >= count else np.linspace(0, count - 1, draws).astype(int)


def marginal_kl(mean, log_stddev, log_prior, draws=DRAWS, seed=0):
    """KL(q(z) || p(z)) of the posteriors N(mean_i, diag stddev_i^2), [n, L] each: -> `Marginal`.

    Unbiased for the aggregate of just these n posteriors: each draw z ~ q(z) is scored under all of them, its own
    included. Against the aggregate of all data it is too high, by less than the mutual information that log n allows.

    Args:
        log_prior: z [S, L] -> log p(z), [S].
        draws: S.
    """
    count, latent = mean.shape
    if not draws >= 2:
        raise UsageError(f"Expected draws >= 2. Received: {draws}.")
    which = in_turn(count, draws)
    noise = rng.normal([draws, latent], rng.fold((seed, 0), 11)).numpy().astype(np.float64)
    z = mean[which] + np.exp(np.asarray(log_stddev, np.float64)[which]) * noise
    log_p = np.asarray(log_prior(tf.constant(z, tf.float32)), np.float64)
    values = log_aggregate(z, mean, log_stddev) - log_p
    return Marginal(float(values.mean()), float(values.std(ddof=1) / math.sqrt(draws)), count)
