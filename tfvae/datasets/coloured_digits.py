"""color_mnist: MNIST's digits in colours, after that of Rezende and Viola (2018), whose recipe is unpublished."""

from __future__ import annotations

import numpy as np

from tfvae.datasets.source import Arrays, Source

COLOUR_SEED = 1810  # one sequence of hues for each part
COLOURS = 10


def convert_hue_to_rgb(hue: np.ndarray) -> np.ndarray:
    """Convert hues [N] in [0, 1) to fully saturated colours [N, 3] in [0, 1], of which one channel is 1 and one 0."""
    angle = 6.0 * (hue[:, None] + np.array([0.0, 2.0 / 3.0, 1.0 / 3.0])) % 6.0
    return np.clip(np.abs(angle - 3.0) - 1.0, 0.0, 1.0)


def colour_digits(images: np.ndarray, labels: np.ndarray, part: str) -> Arrays:
    """Colour grey digits and return RGB images with labels that hold digit and colour.

    The hue is uniform; the tenth of the colour circle that it lies in is the colour. Black stays black.

    Args:
        images: grey bytes [N, H, W, 1].
        labels: digits, int64 [N].
        part: 'train' or 'test'; each has its own sequence of hues.

    Returns:
        RGB bytes [N, H, W, 3] and labels 10 * digit + colour, int64 [N].
    """
    hue = np.random.default_rng((COLOUR_SEED, part == "test")).random(len(images))
    coloured_images = np.rint(images * convert_hue_to_rgb(hue)[:, None, None, :]).astype(np.uint8)
    return coloured_images, labels * COLOURS + (hue * COLOURS).astype(np.int64)


def make_color_mnist_source(mnist: Source) -> Source:
    """Make the source of color_mnist from that of MNIST."""

    def read(part: str) -> Arrays:
        return colour_digits(*mnist.read(part), part)

    return mnist._replace(read=read, origin=f"{mnist.origin}, coloured", is_slow_to_read=False)
