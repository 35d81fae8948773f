"""How well the aggregated posterior q(z) = 1/n sum_i q(z|x_i) fits the prior: KL(q(z) || p(z)) and its parts."""

import math
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import normal_log_prob
from tfvae.errors import UsageError
from tfvae.runtime import random_streams

DRAWS = 2000
ROOM = 4_000_000  # numbers held at once


class Marginal(NamedTuple):
    """KL(q(z) || p(z)) in nats, its standard error over the draws, and the number of posteriors in q(z)."""

    kl: float
    standard_error: float
    posteriors: int


def log_posteriors(mean, log_stddev):
    """z [S, L] -> log N(z_s; mean_i, diag stddev_i^2), [S, n], float64, for mean and log_stddev [n, L].

    The square is multiplied out, so that all pairs are two products of matrices.
    """
    mean, log_stddev = np.asarray(mean, np.float64), np.asarray(log_stddev, np.float64)
    precision = np.exp(-2.0 * log_stddev)
    of_square, of_z = -0.5 * precision.T, (mean * precision).T
    constant = -log_stddev.sum(1) - 0.5 * mean.shape[1] * math.log(2 * math.pi) - 0.5 * (mean**2 * precision).sum(1)
    return lambda z: constant + z**2 @ of_square + z @ of_z


def log_aggregate(z, mean, log_stddev):
    """log 1/n sum_i N(z; mean_i, diag stddev_i^2): z [S, L], mean and log_stddev [n, L] -> [S], float64."""
    z, logs_at, found = np.asarray(z, np.float64), log_posteriors(mean, log_stddev), []
    size = max(1, ROOM // len(mean))
    for start in range(0, len(z), size):
        logs = logs_at(z[start : start + size])
        highest = logs.max(1, keepdims=True)
        # what is below exp(-60) of the largest counts as that: nothing beside 1, and no slow denormals
        found.append(highest[:, 0] + np.log(np.exp(np.maximum(logs - highest, -60.0)).mean(1)))
    return np.concatenate(found)


def in_turn(count, draws):
    """Which of `count` posteriors each draw is from, [draws]: each has its share, which lowers the variance."""
    return np.arange(draws) % count if draws >= count else np.linspace(0, count - 1, draws).astype(int)


def aggregate_draws(mean, log_stddev, draws, seed):
    """Draws of q(z) = 1/n sum_i N(mean_i, diag stddev_i^2): -> which i each is from [draws], z [draws, L], float64."""
    which = in_turn(len(mean), draws)
    noise = random_streams.normal([draws, mean.shape[1]], seed).numpy().astype(np.float64)
    return which, mean[which] + np.exp(np.asarray(log_stddev, np.float64)[which]) * noise


def marginal_kl(mean, log_stddev, log_prior, draws=DRAWS, seed=0, rate=None):
    """KL(q(z) || p(z)) of the posteriors N(mean_i, diag stddev_i^2), [n, L] each: -> `Marginal`.

    Unbiased for the aggregate of just these n posteriors: each draw z ~ q(z) is scored under all of them, its own
    included. Against the aggregate of all data it is too high, by less than the mutual information that log n allows.

    Args:
        log_prior: z [S, L] -> log p(z), [S].
        draws: S.
        rate: the mean of KL(q(z|x_i) || p(z)) over the n posteriors, if known. Then only the difference, the mutual
            information I = E log q(z|x_i) / q(z), is left to the draws: KL = rate - I. Where posteriors hardly overlap
            I is log n for every draw, and the standard error a hundredth.
    """
    if not draws >= 2:
        raise UsageError(f"Expected draws >= 2. Received: {draws}.")
    which, z = aggregate_draws(mean, log_stddev, draws, random_streams.fold_in((seed, 0), 11))
    values = log_aggregate(z, mean, log_stddev)
    if rate is None:
        values -= np.asarray(log_prior(tf.constant(z, tf.float32)), np.float64)
    else:
        own = normal_log_prob(z, np.asarray(mean, np.float64)[which], np.asarray(log_stddev, np.float64)[which])
        values += rate - own.numpy()
    return Marginal(float(values.mean()), float(values.std(ddof=1) / math.sqrt(draws)), len(mean))
