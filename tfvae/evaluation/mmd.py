"""MMD of samples, and two cheap lower bounds of KL(q(z) || N(0, I)). NumPy, float64."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tfvae.errors import UsageError, describe_unknown
from tfvae.evaluation.feature_distances import compute_squared_distances, validate_features
from tfvae.evaluation.marginal_kl import compute_log_aggregate, stratified_indices

MAX_NUMBERS_IN_MEMORY = 4_000_000
# Kernels of t = |u - v|^2 / (2 width^2), both 1 - t + O(t^2).
KERNELS = {
    "rbf": lambda t: np.exp(-t),
    "imq": lambda t: 1.0 / (1.0 + t),  # C / (C + |u - v|^2) with C = 2 width^2 (Tolstikhin et al., 2018)
}


class DimensionKL(NamedTuple):
    """KL(q(z_d) || N(0, 1)) of each dimension, nats, [L], and its standard errors over the draws, [L]."""

    kl: np.ndarray
    standard_error: np.ndarray


def estimate_mmd2(a: Any, b: Any, *, kernel: str = "rbf", width: float = 0.0) -> float:
    """Return the unbiased MMD^2 of two samples (Gretton et al., 2012, eq. 3); it may be slightly negative.

    Args:
        a, b: the samples, [N, L] and [M, L], at least 2 of each.
        kernel: "rbf", exp(-|u - v|^2 / (2 width^2)), or "imq", 1 / (1 + |u - v|^2 / (2 width^2)), whose tails are
            longer.
        width: > 0; 0 takes sqrt(L), the scale of distances under N(0, I), as the objective `info` does.

    Raises:
        UsageError: an unknown kernel, width < 0, or samples that do not fit.

    Example:
        >>> estimate_mmd2([[0.0], [1.0]], [[0.0], [1.0]]) < 0
        True
    """
    if kernel not in KERNELS:
        raise UsageError(describe_unknown("kernel", kernel, KERNELS))
    if not width >= 0:
        raise UsageError(f"Expected width >= 0. Received: {width}.")
    a, b = validate_features(a, b)
    scale = 2.0 * width**2 or 2.0 * a.shape[1]

    def sum_kernel(u: np.ndarray, v: np.ndarray) -> float:
        size = max(1, MAX_NUMBERS_IN_MEMORY // len(v))
        parts = (compute_squared_distances(u[i : i + size], v) for i in range(0, len(u), size))
        return sum(KERNELS[kernel](part / scale).sum() for part in parts)

    within = sum((sum_kernel(u, u) - len(u)) / (len(u) * (len(u) - 1)) for u in (a, b))  # k(u, u) = 1 left out
    return float(within - 2.0 * sum_kernel(a, b) / (len(a) * len(b)))


def compute_moment_kl(mean: Any, log_stddev: Any) -> float:
    """Return KL(N(m, S) || N(0, I)) = 1/2 (tr S + |m|^2 - L - log det S), m and S the exact moments of q(z), nats.

    q(z) = 1/n sum_i N(mean_i, diag stddev_i^2), so that S = cov(mean) + the mean of the variances. It is never above
    KL(q(z) || N(0, I)): the difference is KL(q(z) || N(m, S)), what q(z) has beyond its moments.

    Args:
        mean, log_stddev: of the n posteriors, [n, L].
    """
    mean, variance = np.asarray(mean, np.float64), np.exp(2.0 * np.asarray(log_stddev, np.float64))
    m = mean.mean(0)
    s = (mean - m).T @ (mean - m) / len(mean) + np.diag(variance.mean(0))
    return float(0.5 * (np.trace(s) + m @ m - len(m) - np.linalg.slogdet(s)[1]))


def estimate_dimension_kl(mean: Any, log_stddev: Any, *, draws: int = 2000, seed: int = 0) -> DimensionKL:
    """Return an unbiased estimate of KL(q(z_d) || N(0, 1)) of each dimension, against all n posteriors.

    The sum is never above KL(q(z) || N(0, I)): the difference is the total correlation of q(z).

    Args:
        mean, log_stddev: of the n posteriors, [n, L].
        draws: from each q(z_d), >= 2.
        seed: of the draws.

    Raises:
        UsageError: draws < 2.
    """
    mean, log_stddev = np.asarray(mean, np.float64), np.asarray(log_stddev, np.float64)
    if not draws >= 2:
        raise UsageError(f"Expected draws >= 2. Received: {draws}.")
    indices = stratified_indices(len(mean), draws)
    noise = np.random.default_rng(seed).standard_normal((draws, mean.shape[1]))
    z = mean[indices] + np.exp(log_stddev[indices]) * noise
    columns = [compute_log_aggregate(z[:, [d]], mean[:, [d]], log_stddev[:, [d]]) for d in range(z.shape[1])]
    values = np.stack(columns, axis=1) + 0.5 * (z**2 + np.log(2.0 * np.pi))
    return DimensionKL(values.mean(0), values.std(0, ddof=1) / np.sqrt(draws))
