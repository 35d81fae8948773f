"""Does q(z) match the prior? MMD of samples, and two cheap bounds from below of KL(q(z) || N(0, I)). NumPy, float64."""

from typing import NamedTuple

import numpy as np

from tfvae.errors import UsageError, describe_unknown
from tfvae.evaluation.feature_distances import checked, squared_distances
from tfvae.evaluation.marginal_kl import in_turn, log_aggregate

ROOM = 4_000_000  # numbers held at once
# Kernels of t = |u - v|^2 / (2 width^2), both 1 - t + O(t^2).
KERNELS = {
    "rbf": lambda t: np.exp(-t),
    "imq": lambda t: 1.0 / (1.0 + t),  # C / (C + |u - v|^2) with C = 2 width^2 (Tolstikhin et al., 2018)
}


class Dimensions(NamedTuple):
    """KL(q(z_d) || N(0, 1)) of each dimension, nats, [L], and the standard errors over the draws, [L]."""

    kl: np.ndarray
    standard_error: np.ndarray


def mmd2(a, b, *, kernel="rbf", width=0.0):
    """Unbiased MMD^2 of two samples [N, L], [M, L] (Gretton et al., 2012, eq. 3); it may be slightly negative.

    Args:
        kernel: "rbf", exp(-|u - v|^2 / (2 width^2)), or "imq", 1 / (1 + |u - v|^2 / (2 width^2)), which sees further.
        width: > 0; 0 takes sqrt(L), the scale of distances under N(0, I), as the objective `info` does.
    """
    if kernel not in KERNELS:
        raise UsageError(describe_unknown("kernel", kernel, KERNELS))
    if not width >= 0:
        raise UsageError(f"Expected width >= 0. Received: {width}.")
    a, b = checked(a, b)
    scale = 2.0 * width**2 or 2.0 * a.shape[1]

    def total(u, v):
        size = max(1, ROOM // len(v))
        parts = (squared_distances(u[i : i + size], v) for i in range(0, len(u), size))
        return sum(KERNELS[kernel](part / scale).sum() for part in parts)

    within = sum((total(u, u) - len(u)) / (len(u) * (len(u) - 1)) for u in (a, b))  # k(u, u) = 1 left out
    return float(within - 2.0 * total(a, b) / (len(a) * len(b)))


def moment_kl(mean, log_stddev):
    """KL(N(m, S) || N(0, I)) = 1/2 (tr S + |m|^2 - L - log det S), m and S the exact moments of q(z), nats.

    q(z) = 1/n sum_i N(mean_i, diag stddev_i^2), [n, L] each: S = cov(mean) + the mean of the variances. Never above
    KL(q(z) || N(0, I)): the difference is KL(q(z) || N(m, S)), what q(z) has beyond its moments.
    """
    mean, variance = np.asarray(mean, np.float64), np.exp(2.0 * np.asarray(log_stddev, np.float64))
    m = mean.mean(0)
    s = (mean - m).T @ (mean - m) / len(mean) + np.diag(variance.mean(0))
    return float(0.5 * (np.trace(s) + m @ m - len(m) - np.linalg.slogdet(s)[1]))


def marginal_kl_dims(mean, log_stddev, *, draws=2000, seed=0):
    """KL(q(z_d) || N(0, 1)) of each dimension by itself, against all n posteriors [n, L]: -> `Dimensions`.

    Their sum is never above KL(q(z) || N(0, I)): the difference is the total correlation of q(z).

    Args:
        draws: from each q(z_d), >= 2; an estimate without bias, like `marginal.marginal_kl`.
    """
    mean, log_stddev = np.asarray(mean, np.float64), np.asarray(log_stddev, np.float64)
    if not draws >= 2:
        raise UsageError(f"Expected draws >= 2. Received: {draws}.")
    which = in_turn(len(mean), draws)
    noise = np.random.default_rng(seed).standard_normal((draws, mean.shape[1]))
    z = mean[which] + np.exp(log_stddev[which]) * noise
    log_q = np.stack([log_aggregate(z[:, [d]], mean[:, [d]], log_stddev[:, [d]]) for d in range(z.shape[1])], axis=1)
    values = log_q + 0.5 * (z**2 + np.log(2.0 * np.pi))
    return Dimensions(values.mean(0), values.std(0, ddof=1) / np.sqrt(draws))
