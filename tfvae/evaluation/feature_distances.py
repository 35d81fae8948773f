"""Distances between two sets of images by their features [N, D]: pure functions of NumPy arrays, float64 inside."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfvae.errors import UsageError

PRDC = {"precision": 1.0, "recall": 1.0, "density": np.inf, "coverage": 1.0}  # and the highest each can be


def validate_features(a: Any, b: Any, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Return both sets of features as float64 [N, D] and [M, D].

    Args:
        a, b: the sets.
        least: how many rows each must have.

    Raises:
        UsageError: they are not of this form, or have different D.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < least:
        raise UsageError(
            f"Expected features [N, D] twice, N >= {least}. Received: {list(a.shape)} and {list(b.shape)}."
        )
    return a, b


def compute_frechet_distance(a: Any, b: Any) -> float:
    """Return |m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of two normals fitted to features.

    Dowson & Landau (1982); Heusel et al. (2017, eq. 6). With Inception's features it would be the FID; it is biased
    upwards by small N.

    Args:
        a, b: features [N, D] and [M, D].

    Example:
        >>> compute_frechet_distance([[0.0], [2.0]], [[1.0], [3.0]])
        1.0
    """
    a, b = validate_features(a, b)
    cov_a, cov_b = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    # the eigenvalues of S_a S_b are those of the symmetric root S_b root, where rounding cannot make them complex
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0.0)).sum()
    shift = a.mean(0) - b.mean(0)
    return float(shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross)


def estimate_kid(a: Any, b: Any) -> float:
    """Return the unbiased MMD^2 with the kernel (u.v / D + 1)^3 (Binkowski et al., 2018).

    Args:
        a, b: features [N, D] and [M, D].

    Returns:
        A number that may be slightly negative.
    """
    a, b = validate_features(a, b)

    def apply_kernel(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return (u @ v.T / u.shape[1] + 1.0) ** 3

    kernels = apply_kernel(a, a), apply_kernel(b, b)
    within = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in kernels)
    return float(within - 2.0 * apply_kernel(a, b).mean())


def compute_squared_distances(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return |u_i - v_j|^2, [N, M], of points u [N, D] and v [M, D]."""
    distances = (u**2).sum(1)[:, None] + (v**2).sum(1) - 2.0 * u @ v.T
    return np.maximum(distances, 0.0)


def compute_prdc(real: Any, fake: Any, neighbours: int = 5) -> dict[str, float]:
    """Return {precision, recall, density, coverage} by k-nearest-neighbour balls.

    Precision and recall as Kynkaanniemi et al. (2019), density and coverage as Naeem et al. (2020).

    Args:
        real, fake: features of images [N, D] and of samples [M, D].
        neighbours: k; a ball around a point reaches to its k-th nearest of the same set, itself not counted.
    """
    real, fake = validate_features(real, fake, least=neighbours + 1)
    real_radii, fake_radii = (
        np.partition(compute_squared_distances(u, u), neighbours, axis=1)[:, neighbours] for u in (real, fake)
    )
    between = compute_squared_distances(real, fake)
    in_real = between < real_radii[:, None]
    return {
        "precision": float(in_real.any(0).mean()),
        "recall": float((between < fake_radii).any(1).mean()),
        "density": float(in_real.sum(0).mean() / neighbours),
        "coverage": float((between.min(1) < real_radii).mean()),
    }
