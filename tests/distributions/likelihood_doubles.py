"""What the tests of likelihoods share: small ones, decoder outputs, images, and NumPy's soft clips."""

import numpy as np

from tfvae.distributions.likelihoods import LIKELIHOODS
from tfvae.runtime.parts import build_part

SHAPE = (3, 2, 2)


def make_likelihood(spec, shape=SHAPE):
    return build_part("likelihood", LIKELIHOODS, spec, image_shape=shape)


def make_outputs(likelihood, lead, seed=0, size=1.0):
    """Return normal decoder outputs of standard deviation `size`, [*lead, H, W, P]."""
    rng = np.random.default_rng(seed)
    shape = (*lead, *likelihood.image_shape[:2], likelihood.output_channels)
    return (size * rng.standard_normal(shape)).astype("float32")


def make_images(batch, seed=1, shape=SHAPE):
    """Return pixels in [0, 1] that are whole bytes, [batch, *shape]."""
    return (np.random.default_rng(seed).integers(0, 256, (batch, *shape)) / 255).astype("float32")


def soft_clip(s, low):
    return low + np.logaddexp(0, s - low)


def soft_clip_both_sides(s, low, high):
    return high - np.logaddexp(0, high - soft_clip(s, low))
