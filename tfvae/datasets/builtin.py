"""Data sets that need no file: digits, square, gaussians, sprites."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tfvae.datasets.source import Arrays, Source, parse_options
from tfvae.datasets.sprites import make_sprites
from tfvae.errors import UsageError

SEED = 425
# Five sigma must fit between the ring and the border; ten images are the least that three splits can share.
RANGES: dict[str, tuple[float, float]] = {
    "images": (10, 10**7),
    "modes": (1, 1000),
    "sigma": (1e-6, 0.099),
    "size": (16, 256),
}


def make_digits() -> Arrays:
    """Return the 1797 real 8x8 digits of scikit-learn (Alpaydin and Kaynak, 1998): uint8 [N,8,8,1], labels [N]."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    # Grey levels 0..16 counted the dark pixels of a 4x4 field.
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)
    return images[..., None], bunch.target.astype(np.int64)


def make_square(*, images: int = 10000) -> Arrays:
    """Draw uniform points of [0,1)^2 and return float32 [N,1,2,1]; labels are quadrants, (x >= 1/2) + 2 (y >= 1/2)."""
    points = np.random.default_rng(SEED).random((images, 2), dtype=np.float32)
    return points.reshape(-1, 1, 2, 1), ((points >= 0.5) @ [1, 2]).astype(np.int64)


def make_gaussians(*, modes: int = 8, sigma: float = 0.03, images: int = 10000) -> Arrays:
    """Draw points of a ring of equal round Gaussians and return float32 [N,1,2,1] in [0,1]; labels are components.

    Mode j sits at 1/2 + r (cos, sin)(2 pi j / modes) with r = 1/2 - 5 sigma, so that clipping to [0,1]
    touches fewer than one point in a million.
    """
    rng = np.random.default_rng((SEED, modes))
    labels = rng.integers(modes, size=images)
    angle = 2 * np.pi * labels / modes
    centre = 0.5 + (0.5 - 5 * sigma) * np.stack([np.cos(angle), np.sin(angle)], -1)
    points = np.clip(centre + sigma * rng.standard_normal((images, 2)), 0, 1).astype(np.float32)
    return points.reshape(-1, 1, 2, 1), labels


MAKERS: dict[str, Callable[..., Arrays]] = {
    "digits": make_digits,
    "square": make_square,
    "gaussians": make_gaussians,
    "sprites": make_sprites,
}


def make_builtin_source(name: str, items: list[str]) -> Source:
    """Make the source of built-in data set `name` with options such as ['modes=8'].

    Raises:
        UsageError: an unknown option, or a value out of its range.
    """
    make: Any = MAKERS[name]
    options = parse_options(name, items, make.__kwdefaults__ or {})
    for key, value in options.items():
        low, high = RANGES[key]
        if not low <= value <= high:
            raise UsageError(f"Data set {name!r}: expected {low} <= {key} <= {high}. Received: {value}.")
    return Source(("all",), lambda part: make(**options), "made by tfvae itself")
