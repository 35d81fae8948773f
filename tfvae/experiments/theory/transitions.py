"""Phase transitions: u(beta) = E|x - g(z)|^2 while beta falls, and where its second derivative jumps.

The Lagrangian is 1/2 E|x - g(z)|^2 + beta KL(q(z|x) || pi(z)); C is the covariance of the data (divided by n).

A free decoder. Around the collapsed state g = mean, a small dg_s with sum_s pi_s dg_s = 0 becomes C dg_s / beta in one
iteration: log q_is changes by (x_i - mean) . dg_s / beta, and the weighted mean of the data by C dg_s / beta. So the
first transition is at beta_c = lambda_max(C), for any data and any prior. It is Rose's T_c = 2 lambda_max (Rose, 1998),
whose temperature weighs |x - g|^2 without the 1/2, T = 2 beta. Cells far apart split later in the same way, each at the
lambda_max of its own data.

A linear decoder g = W z + mean, pi = N(0, I). For given W the best q is the posterior of probabilistic PCA with
sigma^2 = beta, and the Lagrangian is then -beta E log p(x; W, beta) up to a constant, least at the W of Tipping &
Bishop (1999): W = U (Lambda - beta I)^(1/2) R, with columns 0 where lambda_j < beta. So latent dimension j dies where
beta crosses lambda_j, and u(beta) = sum_j min(lambda_j, beta): Shannon's reverse water-filling.
"""

from typing import NamedTuple

import numpy as np
from scipy.signal import find_peaks

from tfvae.errors import UsageError
from tfvae.experiments.theory.fixed_point import find_fixed_point


class Annealed(NamedTuple):
    """At each beta [T]: u = E|x - g(z)|^2 [T], rate in nats [T], and the decoder [T, S, D] (or W [T, D, L])."""

    beta: np.ndarray
    u: np.ndarray
    rate: np.ndarray
    g: np.ndarray


def check_falling(betas):
    """Return betas as float64; refuse those that are not positive and falling."""
    betas = np.asarray(betas, np.float64)
    if betas.ndim != 1 or len(betas) < 1 or not (betas > 0).all() or not (np.diff(betas) < 0).all():
        raise UsageError("Expected betas > 0 in falling order. Received others.")
    return betas


def anneal_free_decoder(x, log_prior, betas, *, jitter=1e-4, iterations=3000, tolerance=1e-8, seed=0):
    """Follow the fixed point of a free decoder from large to small beta (deterministic annealing), and return it.

    Args:
        x: data [n, D]; log_prior: log weights of the latent points [S].
        betas: [T], > 0, falling; begin above `find_first_critical_beta`, where all g are the mean.
        jitter: the push given to g before each beta, in units of sqrt(beta): without it an unstable state stays.
        iterations, tolerance: of `find_fixed_point` at each beta.
    """
    x, betas, draw = np.asarray(x, np.float64), check_falling(betas), np.random.default_rng(seed)
    g, states = np.tile(x.mean(0), (len(log_prior), 1)), []
    for beta in betas:
        start = g + jitter * np.sqrt(beta) * draw.standard_normal(g.shape)
        at = find_fixed_point(x, log_prior, start, sigma2=beta, iterations=iterations, tolerance=tolerance)
        g = at.g
        states.append((at.trace.sq_err[-1], at.trace.rate[-1], g))
    u, rate, decoders = zip(*states)
    return Annealed(betas, np.array(u), np.array(rate), np.array(decoders))


def iterate_linear_model(w, covariance, beta):
    """Iterate a linear model once by moments, w [D, L], C [D, D]; return the next w, and u and rate after it.

    q(z|x) = N(A x, beta M^-1), M = W'W + beta I, A = M^-1 W'; then W = C A' (E zz')^-1 (Tipping & Bishop, 1999).
    """
    m = w.T @ w + beta * np.eye(w.shape[1])
    a, spread = np.linalg.solve(m, w.T), beta * np.linalg.inv(m)
    second = spread + a @ covariance @ a.T  # E zz'
    w = np.linalg.solve(second, a @ covariance).T
    u = np.trace(covariance) - 2.0 * np.trace(w @ a @ covariance) + np.trace(w @ second @ w.T)
    rate = 0.5 * (np.trace(second) - len(second) - np.linalg.slogdet(spread)[1])
    return w, u, rate


def anneal_linear_decoder(covariance, latent, betas, *, jitter=1e-4, iterations=5000, tolerance=1e-9, seed=0):
    """Follow a linear decoder of `latent` dimensions as `anneal_free_decoder` does; the data's covariance is [D, D]."""
    covariance, betas, draw = np.asarray(covariance, np.float64), check_falling(betas), np.random.default_rng(seed)
    w, states = np.zeros((len(covariance), latent)), []
    rest = tolerance * np.sqrt(np.trace(covariance))
    for beta in betas:
        w = w + jitter * np.sqrt(beta) * draw.standard_normal(w.shape)
        for _ in range(iterations):
            before, (w, u, rate) = w, iterate_linear_model(w, covariance, beta)
            if np.abs(w - before).max() <= rest:
                break
        states.append((u, rate, w))
    u, rate, weights = zip(*states)
    return Annealed(betas, np.array(u), np.array(rate), np.array(weights))


def compute_linear_error(eigenvalues, betas, latent=None):
    """Return u(beta) [T]: sum_j min(lambda_j, beta) of the `latent` largest eigenvalues (None: all), and the rest."""
    values = np.sort(eigenvalues)[::-1]
    cut = len(values) if latent is None else latent
    return np.minimum(values[:cut], np.asarray(betas)[:, None]).sum(1) + values[cut:].sum()


def compute_linear_rate(eigenvalues, betas, latent=None):
    """Return KL(q(z|x) || N(0, I)) = 1/2 sum_j max(0, log(lambda_j / beta)), nats; [T]."""
    values = np.sort(eigenvalues)[::-1][:latent]
    return 0.5 * np.maximum(0.0, np.log(values / np.asarray(betas)[:, None])).sum(1)


def find_first_critical_beta(x):
    """Return beta_c = lambda_max of the data's covariance; above it a free decoder collapses to the mean."""
    return float(np.linalg.eigvalsh(np.atleast_2d(np.cov(np.asarray(x, np.float64).T, bias=True)))[-1])


def compute_curvature(betas, u):
    """Return d^2 u / d beta^2 at the inner betas [T - 2], by second differences on steps that need not be equal."""
    slopes = np.diff(u) / np.diff(betas)
    return 2.0 * np.diff(slopes) / (np.asarray(betas)[2:] - np.asarray(betas)[:-2])


def find_critical_betas(betas, u, *, least=0.3):
    """Return the betas, falling, where |d^2 u / d beta^2| peaks so sharply that du/dbeta changes by more than `least`.

    du/dbeta has no unit. In the linear case it is the number of dimensions alive, so each transition is a jump of 1.
    A transition smeared over neighbouring betas counts once: the jump is taken over three second differences.
    """
    if not least > 0:
        raise UsageError(f"Expected least > 0. Received: {least}.")
    betas = check_falling(betas)
    steps = (
        np.abs(compute_curvature(betas, u)) * (betas[:-2] - betas[2:]) / 2.0
    )  # the change of slope at each inner beta
    jumps = np.convolve(steps, np.ones(3), mode="same")
    peaks = find_peaks(np.pad(jumps, 1), height=least, prominence=0.5 * least)[0] - 1
    # of three equal sums the middle one is at the kink: take the sharpest second difference near the peak
    kinks = [max(range(max(p - 1, 0), min(p + 2, len(steps))), key=steps.__getitem__) for p in peaks]
    return betas[1:-1][sorted(set(kinks))]
