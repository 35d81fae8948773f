"""Distances between two sets of pictures by their features [N, D]: pure functions of NumPy arrays, float64 inside."""

import numpy as np

from tfvae.errors import UsageError

PRDC = {"precision": 1.0, "recall": 1.0, "density": np.inf, "coverage": 1.0}  # and the highest each can be


def checked(a, b, least=2):
    """Both as float64 [N, D], of the same D."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < least:
        raise UsageError(
            f"Expected features [N, D] twice, N >= {least}. Received: {list(a.shape)} and {list(b.shape)}."
        )
    return a, b


def frechet(a, b):
    """|m_a - m_b|^2 + tr(S_a + S_b - 2 (S_a S_b)^(1/2)) of two normals fitted to features (Heusel et al., 2017, eq. 6).

    Dowson & Landau (1982). With Inception's features it would be the FID; it is biased upwards by small N.
    """
    a, b = checked(a, b)
    cov_a, cov_b = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    # the eigenvalues of S_a S_b are those of the symmetric root S_b root, where rounding cannot make them complex
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0.0)).sum()
    shift = a.mean(0) - b.mean(0)
    return float(shift @ shift + np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross)


def kid(a, b):
    """Unbiased MMD^2 with the kernel (u.v / D + 1)^3 (Binkowski et al., 2018); it may be slightly negative."""
    a, b = checked(a, b)

    def kernel(u, v):
        return (u @ v.T / u.shape[1] + 1.0) ** 3

    within = sum((k.sum() - np.trace(k)) / (len(k) * (len(k) - 1)) for k in (kernel(a, a), kernel(b, b)))
    return float(within - 2.0 * kernel(a, b).mean())


def squared_distances(u, v):
    """|u_i - v_j|^2, [N, M]."""
    found = (u**2).sum(1)[:, None] + (v**2).sum(1) - 2.0 * u @ v.T
    return np.maximum(found, 0.0)


def prdc(real, fake, neighbours=5):
    """{precision, recall, density, coverage} by k-nearest-neighbour balls.

    Precision and recall as Kynkaanniemi et al. (2019), density and coverage as Naeem et al. (2020).

    Args:
        neighbours: k; a ball around a point reaches to its k-th nearest of the same set, itself not counted.
    """
    real, fake = checked(real, fake, least=neighbours + 1)
    of_real, of_fake = (np.partition(squared_distances(u, u), neighbours, axis=1)[:, neighbours] for u in (real, fake))
    between = squared_distances(real, fake)
    in_real = between < of_real[:, None]
    return {
        "precision": float(in_real.any(0).mean()),
        "recall": float((between < of_fake).any(1).mean()),
        "density": float(in_real.sum(0).mean() / neighbours),
        "coverage": float((between.min(1) < of_real).mean()),
    }
