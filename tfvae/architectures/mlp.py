"""Fully connected networks, down to linear ones, for which the exact posterior is known."""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tfvae.architectures.base import GaussianArchitecture, check_activation, parse_widths
from tfvae.architectures.conditioning import ConditionedNetwork


class MLP(GaussianArchitecture):
    """Fully connected encoder and its mirror image.

    Args:
        widths: hidden layers of the encoder, '512-256'. None: a linear model.
        latent: L, the number of latent dimensions.
        activation: of the hidden layers, a Keras name.

    Example:
        >>> tfvae.build("elbo", arch="mlp:widths=512-256,latent=200")
    """

    preferred_mode = "loop"
    legacy_off = {"widths": ""}
    option_ineffective_with = {"activation": {"widths": (None,)}}

    def __init__(
        self, *, widths: str | int | None = "512-256", latent: int = 32, activation: str = "relu", **common: Any
    ) -> None:
        super().__init__(latent=latent, **common)
        hidden, activation = parse_widths(widths), check_activation(activation)
        height, width, _ = self.image_shape
        self.encoder = self.make_network(
            (math.prod(self.image_shape),) if self.context_width else self.image_shape,
            [
                keras.layers.Flatten(),
                *(self.make_dense(n, activation) for n in hidden),
                self.make_dense(2 * self.latent),
            ],
        )
        self.decoder = self.make_network(
            (self.latent,),
            [
                *(self.make_dense(n, activation) for n in reversed(hidden)),
                self.make_dense(height * width * self.output_channels),
                keras.layers.Reshape((height, width, self.output_channels)),
            ],
        )

    def apply_network(
        self, network: keras.Sequential | ConditionedNetwork, x: tf.Tensor, context: tf.Tensor | None
    ) -> tf.Tensor:
        """Return the float32 output of `network`; a context [N, D] is joined to the flat image."""
        flat = x if context is None else tf.reshape(x, [-1, math.prod(x.shape[1:])])
        return super().apply_network(network, flat, context)
