"""A data set of your own: images that a function makes.

    tfvae train sigma --dataset examples.own_dataset.stripes:size=16,count=2000

A data set is a function that returns images and labels. tfvae cuts off a tenth for tests and, of the rest, the share
that `--validation` asks for, the same images in every run. Files on a disk need no code: folder:PATH or npz:PATH.
"""

from __future__ import annotations

import numpy as np


def stripes(*, size: int = 16, count: int = 1000, seed: int = 0) -> dict[str, np.ndarray]:
    """Return grey stripes of random direction, width and phase; the same arguments give the same images.

    Args:
        size: side of the images, in pixels.
        count: how many images, N.
        seed: of the random numbers.

    Returns:
        images uint8 [N, H, W, C] (floats in [0, 1] are possible, too); labels int64 [N], here the quarter of the half
        circle that the direction lies in. Labels serve --condition labels and probes; zeros will do.
    """
    generator = np.random.default_rng(seed)
    direction = generator.uniform(0.0, np.pi, count)
    wavelength = generator.uniform(4.0, size, count)
    phase = generator.uniform(0.0, 2.0 * np.pi, count)
    y, x = np.mgrid[:size, :size]
    along = np.cos(direction)[:, None, None] * x + np.sin(direction)[:, None, None] * y
    grey = 0.5 + 0.5 * np.cos(2.0 * np.pi * along / wavelength[:, None, None] + phase[:, None, None])
    images = np.rint(255.0 * grey).astype(np.uint8)[..., None]
    labels = (4.0 * direction / np.pi).astype(np.int64)
    return {"images": images, "labels": labels}
