"""Cells of a latent space as soft clusters, and how far that is kernel PCA with a normalised Gaussian kernel.

When g(z) is constant, psi_b, on cells of prior mass pi_b, the fixed point of `theory.fixed_point` reads

    m_ib  = exp(-|x_i - psi_b|^2 / 2 beta) / sum_c pi_c exp(-|x_i - psi_c|^2 / 2 beta)
    psi_b = sum_i m_ib x_i / sum_j m_jb

Rezende & Viola (2018) call this kernel PCA with a normalised Gaussian kernel of standard deviation sqrt(beta).

What agrees exactly:
- With one cell for each datum at psi_b = x_b and equal pi_b, m is the Gaussian kernel matrix divided by its row means.
- Each psi_b is a pre-image of kernel PCA's kind (Mika et al., 1999): a stationary point of
  sum_i a_i exp(-|x_i - psi|^2 / 2 beta), with a_i = 1 / sum_c pi_c exp(-|x_i - psi_c|^2 / 2 beta).
What agrees in a limit: for clusters much narrower than sqrt(beta) and much further apart, the columns of m and the
leading components of kernel PCA both span the clusters' indicators, and psi and kernel PCA's pre-images are the means.
What does not: m is the outcome of a nonlinear iteration for a chosen number of cells, kernel PCA an eigenproblem with
as many components as data and no cells. Between the limits they differ, by what `measure_agreement` measures.
"""

import numpy as np
from scipy.linalg import subspace_angles
from scipy.spatial.distance import cdist
from scipy.special import softmax
from sklearn.decomposition import KernelPCA

from tfvae.errors import UsageError
from tfvae.experiments.theory.fixed_point import find_fixed_point


def compute_gaussian_kernel(a, b, beta):
    """Return exp(-|a_i - b_j|^2 / (2 beta)), [N, M]: a kernel of standard deviation sqrt(beta)."""
    return np.exp(-cdist(a, b, "sqeuclidean") / (2.0 * beta))


def compute_responsibilities(x, psi, log_prior, beta):
    """Return m_ib of the module's docstring; x [n, D], psi [k, D], log_prior [k] -> [n, k]. sum_b pi_b m_ib = 1."""
    prior = softmax(log_prior)
    kernel = compute_gaussian_kernel(x, psi, beta)
    return kernel / (kernel @ prior)[:, None]


def find_soft_clusters(x, psi, log_prior, beta, **options):
    """m [n, k] and psi [k, D] at the fixed point reached from `psi`; options as of `find_fixed_point`."""
    at = find_fixed_point(x, log_prior, psi, sigma2=beta, **options)
    return at.q / softmax(log_prior), at.g


def normalise_kernel(x, beta, *, iterations=1000, tolerance=1e-12):
    """Return d_i k(x_i, x_j) d_j [n, n] with unit row sums, and d [n] (Sinkhorn, 1964, for a symmetric matrix).

    Its leading eigenvector is constant, so that the centring of kernel PCA takes away that one and leaves the others.
    """
    if not beta > 0:
        raise UsageError(f"Expected beta > 0. Received: {beta}.")
    kernel, d = compute_gaussian_kernel(x, x, beta), np.ones(len(x))
    for _ in range(iterations):
        sums = d * (kernel @ d)
        if np.abs(sums - 1.0).max() < tolerance:
            break
        d = d / np.sqrt(sums)
    return d[:, None] * kernel * d, d


def compute_kernel_pca(kernel, components):
    """Return orthonormal coordinates of the data on kernel PCA's leading components, [n, components]."""
    fitted = KernelPCA(components, kernel="precomputed", eigen_solver="dense").fit(kernel)
    return fitted.eigenvectors_


def compute_cluster_components(m, components):
    """Return the leading left singular vectors of the centred m, [n, components]."""
    return np.linalg.svd(m - m.mean(0), full_matrices=False)[0][:, :components]


def measure_agreement(a, b):
    """Return the cosines of the principal angles between the spans of a and b [n, r], largest first."""
    return np.sort(np.cos(subspace_angles(a, b)))[::-1]


def find_pre_images(x, coordinates, scale, beta, *, iterations=500, tolerance=1e-9):
    """Return kernel PCA's reconstruction of each datum in data space, [n, D] (Mika et al., 1999).

    Datum j is projected to sum_i c_ij d_i phi(x_i), c = 1/n + V V'; its pre-image psi maximises
    sum_i c_ij d_i k(x_i, psi), found from psi = x_j by psi <- sum_i c_ij d_i k(x_i, psi) x_i / (sum of these weights).

    Args:
        coordinates: V [n, r], orthonormal and centred, of `compute_kernel_pca`.
        scale: d [n] of `normalise_kernel`; ones for the plain Gaussian kernel.
    """
    weights = scale[:, None] * (1.0 / len(x) + coordinates @ coordinates.T)
    psi = np.array(x, np.float64)
    rest = tolerance * np.sqrt(((x - x.mean(0)) ** 2).sum(1).mean())
    for _ in range(iterations):
        attractions = weights * compute_gaussian_kernel(x, psi, beta)
        before, psi = psi, (attractions.T @ x) / attractions.sum(0)[:, None]
        if np.abs(psi - before).max() <= rest:
            break
    return psi
