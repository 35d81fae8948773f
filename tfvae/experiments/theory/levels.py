"""Energy levels in a latent space: H(x, z) = |x - g(z)|^2 as a Hamiltonian (Rezende & Viola, 2018)."""

import numpy as np
from scipy import ndimage
from scipy.special import softmax

from tfvae.errors import UsageError


def compute_energy(x, g):
    """Return H(x, z) = |x - g(z)|^2; x [D], g [..., D], say a decoded grid [R, R, D] -> [...]."""
    return np.square(np.asarray(g, np.float64) - x).sum(-1)


def check_width(width):
    """Return the width; refuse one that is not > 0."""
    if not width > 0:
        raise UsageError(f"Expected an energy width > 0. Received: {width}.")
    return width


def find_level_set(h, at, epsilon):
    """Return Omega(x, z0) = {z: |H(x, z) - H(x, z0)| <= epsilon} on a grid: 0 outside, 1, 2, ... its pieces.

    Args:
        h: energies on a grid [R, R] (or of any other number of axes).
        at: index of z0 in h.
        epsilon: > 0, in units of h.
    """
    return ndimage.label(np.abs(h - h[at]) <= check_width(epsilon))[0]


def label_levels(h, epsilon):
    """Return the level k of each grid point, H in min H + [2 k, 2 k + 2) epsilon. Each level is an Omega(x, z0)."""
    return np.floor((h - h.min()) / (2.0 * check_width(epsilon))).astype(int)


def compute_level_masses(labels, log_prior):
    """Return the prior mass of each level, [levels]; labels and log_prior of the same shape.

    Equal levels of energy are equally probable only where g is constant on cells of equal prior mass (`partition`),
    and each cell has an energy of its own; a smooth decoder has levels of any mass.
    """
    weights = softmax(np.ravel(log_prior))
    return np.bincount(np.ravel(labels), weights)
