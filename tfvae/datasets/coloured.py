"""color_mnist: MNIST's digits in colours, after that of Rezende & Viola (2018), whose recipe is unpublished."""

import numpy as np

SEED = 1810  # of the colours, one sequence for each part
COLOURS = 10


def rgb_of(hue):
    """Fully saturated colours of hues in [0, 1): [N] -> [N, 3] in [0, 1], one channel 1 and one 0."""
    place = 6.0 * (hue[:, None] + np.array([0.0, 2.0 / 3.0, 1.0 / 3.0])) % 6.0
    return np.clip(np.abs(place - 3.0) - 1.0, 0.0, 1.0)


def colour(images, labels, part):
    """Grey bytes [N, H, W, 1] and digits [N] -> RGB bytes [N, H, W, 3] and labels 10 digit + colour.

    The hue is uniform; its tenth of the circle is the label's colour. Black stays black.
    """
    hue = np.random.default_rng((SEED, part == "test")).random(len(images))
    coloured = np.rint(images * rgb_of(hue)[:, None, None, :]).astype(np.uint8)
    return coloured, labels * COLOURS + (hue * COLOURS).astype(np.int64)


def of(mnist):
    """The `Source` of color_mnist, made from MNIST's."""

    def read(part):
        return colour(*mnist.read(part), part)

    return mnist._replace(read=read, origin=f"{mnist.origin}, coloured", keep=False)
