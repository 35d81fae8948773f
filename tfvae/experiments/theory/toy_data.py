"""The toy data of the theory's pictures, and the latent grid they share."""

import numpy as np

SEED = 10165  # of nine data that lie well apart
SIDE, REACH = 160, 3.2  # of the latent grid: points along each side, standard deviations to each edge


def draw_normal_clusters(centres, spread, count, seed):
    """Return `count` draws around each centre [k, D], [k count, D]."""
    draw, centres = np.random.default_rng(seed), np.asarray(centres, np.float64)
    return np.concatenate([c + spread * draw.normal(size=(count, centres.shape[1])) for c in centres])


def draw_plane_points():
    """Return nine data in the plane, in no order, [9, 2]."""
    return 1.3 * np.random.default_rng(SEED).normal(size=(9, 2))


def draw_tiles(ax, values, colours, **options):
    """Draw values [SIDE, SIDE] on the latent grid, z_1 to the right."""
    edges = (-REACH, REACH, -REACH, REACH)
    ax.imshow(values.T, origin="lower", extent=edges, cmap=colours, interpolation="nearest", **options)
    ax.grid(False)
