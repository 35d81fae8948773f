"""Procedural sprites: soft-edged white shapes with five known factors (after dSprites, Matthey et al., 2017).

None of the three shapes has a rotational symmetry, so that no two labels share a picture: dSprites' square
and ellipse look alike at several orientations, which makes its orientation factor ambiguous.
"""

import numpy as np

from tfvae.datasets.catalogue import FACTORS

SUBPIXELS = 8
RADII = (0.12, 0.155, 0.19, 0.225)  # of the circle around a shape, in picture widths
MARGIN = 0.25  # centres stay this far, in picture widths, from the border: nothing is cut off
ORDER_SEED = 77


def _heart(u, v):
    u, v = 1.25 * u, 1.25 * v + 0.1
    return (u * u + v * v - 1) ** 3 < u * u * v**3


def _arrow(u, v):
    head = (v > 0) & (np.abs(u) < 0.95 * (1 - v))
    return head | (v <= 0) & (v > -0.9) & (np.abs(u) < 0.35)


def _moon(u, v):
    return (u * u + v * v < 1) & ((u - 0.5) ** 2 + v * v > 0.7)


SHAPES = (_heart, _arrow, _moon)


def _patch(shape, radius, angle, half):
    """One shape around the middle of a square of 2*half pixels: coverage of each pixel as a byte."""
    grid = (np.arange(2 * half * SUBPIXELS) + 0.5) / SUBPIXELS - half
    x, y = grid[None, :], -grid[:, None]  # rows run down, the shapes' v axis up
    u = (np.cos(angle) * x + np.sin(angle) * y) / radius
    v = (np.cos(angle) * y - np.sin(angle) * x) / radius
    cover = SHAPES[shape](u, v).reshape(2 * half, SUBPIXELS, 2 * half, SUBPIXELS).mean((1, 3))
    return np.rint(255 * cover).astype(np.uint8)


def sprites(*, size=32):
    """All 9216 pictures, uint8 [N,size,size,1], in a fixed random order; labels: flattened factor index."""
    shapes, scales, turns, columns, rows = FACTORS["sprites"].values()
    half = int(np.ceil(max(RADII) * size)) + 1
    xs, ys = (np.rint(np.linspace(MARGIN, 1 - MARGIN, n) * size).astype(int) for n in (columns, rows))
    # Padded, then cropped: at small sizes an empty corner of the patch may leave the picture.
    images = np.zeros((shapes, scales, turns, columns, rows, size + 2 * half, size + 2 * half), np.uint8)
    for a, b, c in np.ndindex(shapes, scales, turns):
        patch = _patch(a, RADII[b] * size, 2 * np.pi * c / turns, half)
        for i, j in np.ndindex(columns, rows):
            images[a, b, c, i, j, ys[j] : ys[j] + 2 * half, xs[i] : xs[i] + 2 * half] = patch
    images = images[..., half:-half, half:-half].reshape(-1, size, size, 1)
    order = np.random.default_rng(ORDER_SEED).permutation(len(images))
    return images[order], order
