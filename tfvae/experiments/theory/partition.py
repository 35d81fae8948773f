"""The limit sigma -> 0 of the fixed point: posteriors that divide the latent space (Rezende & Viola, 2018).

Cells Omega_i with prior mass pi_i make the encoders q(z|x_i) = pi(z) 1[z in Omega_i] / pi_i and the decoder
g(z) = x_i on Omega_i. Every partition is a fixed point; they differ in the rate.
"""

import numpy as np
from scipy.optimize import minimize
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, logsumexp, softmax, xlogy

from tfvae.errors import UsageError


def compute_masses(labels, log_prior, count):
    """Return pi_i, the prior mass of the cell of each datum; labels [S] in 0 ... count - 1 -> [count]."""
    return np.bincount(labels, softmax(log_prior), minlength=count)


def build_posteriors(labels, log_prior, count):
    """Return q(z_s|x_i) = pi_s 1[z_s in Omega_i] / pi_i, [count, S]; every cell must hold a point."""
    mass = compute_masses(labels, log_prior, count)
    if not mass.min() > 0:
        raise UsageError(f"Expected a latent point in each of {count} cells. Received: cell {mass.argmin()} is empty.")
    inside = np.asarray(labels) == np.arange(count)[:, None]
    return inside * softmax(log_prior) / mass[:, None]


def compute_partition_rate(mass):
    """Return KL(q(z|x) || pi(z)) = -1/n sum_i log pi_i, nats, for mass [n]; least, log n, at pi_i = 1/n."""
    return float(-np.log(mass).mean())


def compute_marginal_kl(q, log_prior):
    """Return KL(1/n sum_i q_i || pi) on the latent points, nats; q [n, S].

    For a partition it is `compute_partition_rate` - log n: disjoint posteriors reveal the datum, log n nats.
    """
    q_z = np.asarray(q).mean(0)
    return float((xlogy(q_z, q_z) - q_z * log_softmax(log_prior)).sum())


def assign_cells(q):
    """Return the datum with the largest q(z|x_i) at each latent point, [S]; q [n, S]."""
    return np.asarray(q).argmax(0)


def build_equal_cells(z, log_prior, sites, *, smoothing=1e-3):
    """Return labels [S] of cells of equal prior mass, one around each site, by optimal transport to equal weights.

    Omega_i = {z: h_i - |z - site_i|^2 is largest}, with the heights h that solve the dual of the transport (Aurenhammer
    et al., 1998), smoothed by an entropy that is lowered step by step. Masses are 1/n up to the latent points on the
    borders, which are whole rows of a grid where a border runs along it.

    Args:
        z: latent points [S, L].
        sites: [n, L], where in the latent space the cells should lie.
        smoothing: the last temperature, > 0, in units of the mean squared distance of z from the sites.
    """
    if not smoothing > 0:
        raise UsageError(f"Expected smoothing > 0. Received: {smoothing}.")
    cost, weights, count = cdist(z, sites, "sqeuclidean"), softmax(log_prior), len(sites)
    cost, heights = cost / cost.mean(), np.zeros(count)

    def dual(h, heat):
        """Return the dual at one temperature, and its gradient."""
        logits = (h - cost) / heat
        return heat * weights @ logsumexp(logits, axis=1) - h.mean(), weights @ softmax(logits, axis=1) - 1.0 / count

    for heat in np.geomspace(1.0, smoothing, 8) if smoothing < 1 else [smoothing]:
        heights = minimize(dual, heights, heat, jac=True, method="L-BFGS-B", options={"maxiter": 500, "gtol": 1e-7}).x
    return (heights - cost).argmax(1)
