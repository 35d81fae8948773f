"""Fully connected networks: 784-512-256-200 of seed 001, 2x30 of seed 002, linear ones for the exact model."""

import math

import keras
import tensorflow as tf

from tfvae.architectures.base import GaussianArchitecture
from tfvae.architectures.base import parse_widths


class MLP(GaussianArchitecture):
    """Fully connected encoder and its mirror image.

    Args:
        widths: hidden layers of the encoder, '512-256'; '' is a linear model.
        activation: of the hidden layers, a Keras name.
    """

    preferred_mode = "loop"

    def __init__(self, *, widths="512-256", latent=32, activation="relu", **context):
        super().__init__(latent=latent, **context)
        hidden = parse_widths(widths)
        height, width, _ = self.image_shape
        self.encoder = self.network(
            (math.prod(self.image_shape),) if self.context else self.image_shape,
            [
                keras.layers.Flatten(),
                *(self.dense(n, activation) for n in hidden),
                self.dense(2 * self.latent),
            ],
        )
        self.decoder = self.network(
            (self.latent,),
            [
                *(self.dense(n, activation) for n in reversed(hidden)),
                self.dense(height * width * self.output_channels),
                keras.layers.Reshape((height, width, self.output_channels)),
            ],
        )

    def run(self, network, x, context):
        """As in the base; a context joins the flat image."""
        return super().run(network, x if context is None else tf.reshape(x, [-1, math.prod(x.shape[1:])]), context)
