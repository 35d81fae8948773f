"""The fixed-point iteration of the ELBO when encoder and decoder are free functions (Rezende & Viola, 2018).

Latent points z_s, s = 1 ... S, carry prior weights pi_s: a grid, or draws from the prior with equal weights. With n
data x_i in D dimensions the free energy, nats per datum, is

    F(q, g, sigma^2) = 1/n sum_i [ KL(q_i || pi) + sum_s q_is |x_i - g_s|^2 / (2 sigma^2) ] + D/2 log(2 pi sigma^2)

Each update below minimises F over one argument with the others held, so F never rises.

The weights q_is / sum_j q_js of the decoder sum to 1 however small all q_is are: at the fixed point g(z) is always a
weighted mean of data, also in a hole, where it is decided by posteriors that are tiny there.
"""

from typing import NamedTuple

import numpy as np
from scipy.spatial.distance import cdist
from scipy.special import log_softmax, softmax

from tfvae.distributions.densities import compute_gaussian_distortion
from tfvae.errors import UsageError


class Trace(NamedTuple):
    """One number per iteration, [T]: nats per datum; sq_err = E|x - g(z)|^2 and sigma2 in squared data units."""

    rate: np.ndarray
    distortion: np.ndarray
    free_energy: np.ndarray
    sq_err: np.ndarray
    sigma2: np.ndarray


class FixedPoint(NamedTuple):
    """Decoder g [S, D], encoder q [n, S] (rows sum to 1), sigma2, the `Trace`, and whether g has converged."""

    g: np.ndarray
    q: np.ndarray
    sigma2: float
    trace: Trace
    converged: bool


def build_normal_grid(side, dims=2, *, reach=4.0):
    """Return a grid of equal steps over N(0, I): points [side^dims, dims] and log prior weights [side^dims].

    The first dimension changes slowest.

    Args:
        reach: standard deviations from the middle to each edge, > 0.
    """
    if not (side >= 2 and dims >= 1 and reach > 0):
        received = f"side={side}, dims={dims}, reach={reach}"
        raise UsageError(f"Expected side >= 2, dims >= 1, reach > 0. Received: {received}.")
    axes = np.meshgrid(*[np.linspace(-reach, reach, side)] * dims, indexing="ij")
    z = np.stack([axis.ravel() for axis in axes], axis=1)
    return z, log_softmax(-0.5 * (z**2).sum(1))


def update_encoder(sq_err, log_prior, sigma2):
    """Return log q(z_s|x_i) = log pi_s - |x_i - g_s|^2 / (2 sigma^2) - log Z_i, [n, S], as sq_err; log_prior [S]."""
    return log_softmax(log_prior - sq_err / (2.0 * sigma2), axis=1)


def update_decoder(log_q, x):
    """Return g(z_s) = sum_i q_is x_i / sum_i q_is, [S, D]; log_q [n, S], x [n, D]."""
    return softmax(log_q, axis=0).T @ x


def compute_optimal_sigma2(sq_err, dims):
    """Return the sigma^2 where d/d sigma^2 [sq_err / (2 sigma^2) + D/2 log sigma^2] = 0: sq_err / D.

    The 1/D matters: "g = mean of the data" is stable under the iteration exactly where sigma^2 exceeds the largest
    eigenvalue of the covariance. There the error per dimension is the mean of the eigenvalues, which never does; the
    error summed over dimensions is their sum, which does for all data that do not lie on a line.
    """
    return sq_err / dims


def check_arguments(x, log_prior, g):
    """Return the arguments as float64, log_prior normalised; refuse shapes that do not fit."""
    x, g = np.asarray(x, np.float64), np.asarray(g, np.float64)
    log_prior = log_softmax(np.asarray(log_prior, np.float64))
    if x.ndim != 2 or g.shape != (*log_prior.shape, *x.shape[1:]) or not len(x):
        shapes = f"{list(x.shape)}, {list(log_prior.shape)}, {list(g.shape)}"
        raise UsageError(f"Expected x [n, D], log_prior [S], g [S, D]. Received: {shapes}.")
    return x, log_prior, g


def find_fixed_point(x, log_prior, g, *, sigma2=None, least_sigma2=1e-12, iterations=1000, tolerance=1e-9):
    """Iterate encoder, decoder and, unless given, sigma^2 to their fixed point, and return it.

    Args:
        x: data [n, D].
        log_prior: log prior weights of the latent points [S]; normalised here.
        g: where the decoder starts [S, D]. Equal rows stay equal: that state is fixed, stable or not.
        sigma2: > 0, held fixed (then it is beta); None: `compute_optimal_sigma2` after each step.
        least_sigma2: > 0, the bound from below of the optimal one, which is 0 when every x_i has a z of its own.
        iterations: the most there may be, >= 1.
        tolerance: stop when no g moves further than this times the data's root mean square distance from their mean.
    """
    x, log_prior, g = check_arguments(x, log_prior, g)
    if not (sigma2 is None or sigma2 > 0) or not least_sigma2 > 0 or not iterations >= 1:
        received = f"sigma2={sigma2}, least_sigma2={least_sigma2}, iterations={iterations}"
        raise UsageError(f"Expected sigma2 > 0 or None, least_sigma2 > 0, iterations >= 1. Received: {received}.")
    dims, rows = x.shape[1], []
    errors = cdist(x, g, "sqeuclidean")
    rest = tolerance * np.sqrt(((x - x.mean(0)) ** 2).sum(1).mean())
    s2 = sigma2 or max(compute_optimal_sigma2(errors.mean(), dims), least_sigma2)
    for _ in range(iterations):
        log_q = update_encoder(errors, log_prior, s2)
        before, g = g, update_decoder(log_q, x)
        errors, q = cdist(x, g, "sqeuclidean"), np.exp(log_q)
        sq_err, rate = (q * errors).sum(1).mean(), (q * (log_q - log_prior)).sum(1).mean()
        s2 = sigma2 or max(compute_optimal_sigma2(sq_err, dims), least_sigma2)
        distortion = compute_gaussian_distortion(sq_err, s2, dims)
        rows.append((rate, distortion, rate + distortion, sq_err, s2))
        converged = np.abs(g - before).max() <= rest
        if converged:
            break
    return FixedPoint(g, q, float(s2), Trace(*np.array(rows).T), bool(converged))
