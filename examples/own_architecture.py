"""An architecture of your own: convolutions with pooling going down and nearest-neighbour upsampling going up.

    tfvae train geco --kappa 1.5 --arch examples.own_architecture.PooledConv:widths=16-32,latent=8 --dataset digits

An architecture gives two networks, `encoder` and `decoder`. The base class makes a normal posterior of the encoder's
outputs, draws z, decodes it, and lets both networks see a condition (labels, beta, kappa) where there is one.
"""

from __future__ import annotations

import math
from typing import Any

import keras

from tfvae.architectures.base import GaussianArchitecture, parse_widths
from tfvae.errors import UsageError


class PooledConv(GaussianArchitecture):
    """Convolutions of stride 1 with pooling: no checkerboard patterns (Odena et al., 2016). Sides divisible by 2^depth.

    Args:
        widths: channels before each halving of the image, '16-32'.
        activation: of the convolutions, a Keras name.
    """

    # `latent` is an option of every architecture; what the base class needs beside it comes in `context`.
    def __init__(self, *, widths: str = "16-32", latent: int = 32, activation: str = "relu", **context: Any) -> None:
        super().__init__(latent=latent, **context)
        channels = parse_widths(widths)
        height, width, _ = self.image_shape
        factor = 2 ** len(channels)
        if height % factor or width % factor:
            sides = f"{height} x {width}"
            raise UsageError(f"Expected sides divisible by {factor} with widths={widths}. Received: {sides}.")
        smallest = (height // factor, width // factor, channels[-1])

        def convolve(filters: int, own_activation: str | None = activation) -> keras.layers.Layer:
            # `make_initializer` gives the next seed of this model; `dtype_policy` carries --precision.
            return keras.layers.Conv2D(
                filters,
                3,
                padding="same",
                activation=own_activation,
                kernel_initializer=self.make_initializer(),
                dtype=self.dtype_policy,
            )

        down = [layer for n in channels for layer in (convolve(n), keras.layers.AveragePooling2D(2))]
        up = [layer for n in reversed(channels) for layer in (keras.layers.UpSampling2D(), convolve(n))]
        # The encoder ends in 2 L numbers, mean and log standard deviation; the decoder in [H, W, output_channels].
        self.encoder = self.make_network(
            self.image_shape, [*down, keras.layers.Flatten(), self.make_dense(2 * self.latent)]
        )
        self.decoder = self.make_network(
            (self.latent,),
            [
                self.make_dense(math.prod(smallest), activation),
                keras.layers.Reshape(smallest),
                *up,
                convolve(self.output_channels, None),
            ],
        )
