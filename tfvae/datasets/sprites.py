"""Procedural sprites: soft-edged white shapes with five known factors (after dSprites, Matthey et al., 2017).

None of the three shapes has a rotational symmetry, so that no two labels share a picture: dSprites' square
and ellipse look alike at several orientations, which makes its orientation factor ambiguous.
"""

from __future__ import annotations

import numpy as np

from tfvae.datasets.catalogue import FACTORS
from tfvae.datasets.source import Arrays

SUBPIXELS = 8
RADII = (0.12, 0.155, 0.19, 0.225)  # radius of the circle around a shape, in picture widths
MARGIN = 0.25  # centres stay this far, in picture widths, from the border: nothing is cut off
ORDER_SEED = 77


def _is_in_heart(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Tell which points (u, v) lie in a heart that fits the unit circle."""
    u, v = 1.25 * u, 1.25 * v + 0.1
    return (u * u + v * v - 1) ** 3 < u * u * v**3


def _is_in_arrow(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Tell which points (u, v) lie in an arrow that fits the unit circle."""
    head = (v > 0) & (np.abs(u) < 0.95 * (1 - v))
    return head | (v <= 0) & (v > -0.9) & (np.abs(u) < 0.35)


def _is_in_moon(u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Tell which points (u, v) lie in a moon that fits the unit circle."""
    return (u * u + v * v < 1) & ((u - 0.5) ** 2 + v * v > 0.7)


SHAPE_TESTS = (_is_in_heart, _is_in_arrow, _is_in_moon)


def _draw_patch(shape: int, radius: float, angle: float, half: int) -> np.ndarray:
    """Draw one shape around the middle of a square of 2*half pixels; return the coverage of each pixel as a byte."""
    grid = (np.arange(2 * half * SUBPIXELS) + 0.5) / SUBPIXELS - half
    x, y = grid[None, :], -grid[:, None]  # rows run down, the shapes' v axis up
    u = (np.cos(angle) * x + np.sin(angle) * y) / radius
    v = (np.cos(angle) * y - np.sin(angle) * x) / radius
    cover = SHAPE_TESTS[shape](u, v).reshape(2 * half, SUBPIXELS, 2 * half, SUBPIXELS).mean((1, 3))
    return np.rint(255 * cover).astype(np.uint8)


def make_sprites(*, size: int = 32) -> Arrays:
    """Draw all 9216 pictures, uint8 [N,size,size,1], in a fixed random order; labels are flattened factor indices.

    Args:
        size: height and width of a picture, in pixels.
    """
    shapes, scales, turns, columns, rows = FACTORS["sprites"].values()
    half = int(np.ceil(max(RADII) * size)) + 1
    xs, ys = (np.rint(np.linspace(MARGIN, 1 - MARGIN, n) * size).astype(int) for n in (columns, rows))
    # Padded, then cropped: at small sizes an empty corner of the patch may leave the picture.
    canvas = np.zeros((shapes, scales, turns, columns, rows, size + 2 * half, size + 2 * half), np.uint8)
    for a, b, c in np.ndindex(shapes, scales, turns):
        patch = _draw_patch(a, RADII[b] * size, 2 * np.pi * c / turns, half)
        for i, j in np.ndindex(columns, rows):
            canvas[a, b, c, i, j, ys[j] : ys[j] + 2 * half, xs[i] : xs[i] + 2 * half] = patch
    images = canvas[..., half:-half, half:-half].reshape(-1, size, size, 1)
    order = np.random.default_rng(ORDER_SEED).permutation(len(images))
    return images[order], order
