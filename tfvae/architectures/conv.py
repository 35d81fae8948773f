"""Strided convolutions for images of any size, and a residual variant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvae.architectures.base import GaussianArchitecture, check_activation, parse_widths
from tfvae.option_values import check_counts


class Conv(GaussianArchitecture):
    """Convolutions of stride 2 down, transposed convolutions up; any H, W and C.

    Args:
        widths: channels of each halving, '32-64'.
        latent: L, the number of latent dimensions.
        hidden: units of the dense layer between the convolutions and z.
        kernel: side of the filters.
        activation: of the hidden layers, a Keras name.

    Example:
        >>> tfvae.build("elbo", arch="conv:widths=32-64-64,latent=64", image_shape=(32, 32, 3))
    """

    def __init__(
        self,
        *,
        widths: str = "32-64",
        latent: int = 32,
        hidden: int = 256,
        kernel: int = 4,
        activation: str = "relu",
        **common: Any,
    ) -> None:
        check_counts(hidden=hidden, kernel=kernel)
        hidden = int(hidden)
        super().__init__(latent=latent, **common)
        self.kernel, self.activation = int(kernel), check_activation(activation)
        channels = parse_widths(widths)
        sides = [self.image_shape[:2]]
        for _ in channels:
            sides.append(tuple(-(-side // 2) for side in sides[-1]))  # stride 2, 'same': half, rounded up
        down = [layer for n in channels for layer in self.make_downsampling(n)]
        up = [layer for n in reversed(channels) for layer in self.make_upsampling(n)]
        full_sides = tuple(2 ** len(channels) * side for side in sides[-1])
        self.encoder = self.make_network(
            self.image_shape,
            [*down, keras.layers.Flatten(), self.make_dense(hidden, activation), self.make_dense(2 * self.latent)],
        )
        self.decoder = self.make_network(
            (self.latent,),
            [
                self.make_dense(hidden, activation),
                self.make_dense(sides[-1][0] * sides[-1][1] * channels[-1], activation),
                keras.layers.Reshape((*sides[-1], channels[-1])),
                *up,
                self.make_conv(self.output_channels, kernel=3, activation=None),
                keras.layers.Cropping2D([(0, big - side) for big, side in zip(full_sides, self.image_shape)]),
            ],
        )

    def make_conv(
        self,
        channels: int,
        kernel: int | None = None,
        strides: int = 1,
        activation: str | None = "default",
        kind: type[keras.layers.Layer] = keras.layers.Conv2D,
    ) -> keras.layers.Layer:
        """Return a convolution with the next seed of this model.

        Args:
            channels: that it yields.
            kernel: side of the filters; None: the architecture's.
            strides: pixels from one output to the next.
            activation: a Keras name, None for none, or "default" for the architecture's.
            kind: the class, `Conv2D` or `Conv2DTranspose`.
        """
        return kind(
            channels,
            kernel or self.kernel,
            strides=strides,
            padding="same",
            activation=self.activation if activation == "default" else activation,
            kernel_initializer=self.make_initializer(),
            dtype=self.dtype_policy,
        )

    def make_downsampling(self, channels: int) -> list[keras.layers.Layer]:
        """Return layers that halve the image."""
        return [self.make_conv(channels, strides=2)]

    def make_upsampling(self, channels: int) -> list[keras.layers.Layer]:
        """Return layers that double the image."""
        return [self.make_conv(channels, strides=2, kind=keras.layers.Conv2DTranspose)]


class Residual(keras.layers.Layer):
    """x + conv(act(conv(act(x)))), without normalisation, so that samples of a batch do not meet.

    Args:
        convs: the convolutions, which keep the channels.
        activation: a Keras name.
    """

    def __init__(self, convs: Sequence[keras.layers.Layer], activation: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.convs, self.activation = convs, keras.activations.get(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights."""
        for conv in self.convs:
            if not conv.built:
                conv.build(input_shape)
        self.built = True

    def call(self, x: tf.Tensor) -> tf.Tensor:
        """Return x plus what the convolutions make of it, [N, h, w, c]."""
        h = x
        for conv in self.convs:
            h = conv(self.activation(h))
        return x + h


class ResNet(Conv):
    """`Conv` with residual blocks at every resolution.

    Args:
        blocks: residual blocks after each halving and before each doubling.

    Example:
        >>> tfvae.build("elbo", arch="resnet:widths=32-64,blocks=2,latent=64")
    """

    def __init__(
        self,
        *,
        widths: str = "32-64",
        latent: int = 32,
        hidden: int = 256,
        blocks: int = 1,
        activation: str = "silu",
        **common: Any,
    ) -> None:
        check_counts(least=0, blocks=blocks)
        self.blocks = int(blocks)
        super().__init__(widths=widths, latent=latent, hidden=hidden, activation=activation, **common)

    def make_residuals(self, channels: int) -> list[keras.layers.Layer]:
        """Return the residual blocks of one resolution."""
        return [
            Residual(
                [self.make_conv(channels, kernel=3, activation=None) for _ in range(2)],
                self.activation,
                dtype=self.dtype_policy,
            )
            for _ in range(self.blocks)
        ]

    def make_downsampling(self, channels: int) -> list[keras.layers.Layer]:
        """Return layers that halve the image, and residual blocks."""
        return [self.make_conv(channels, strides=2), *self.make_residuals(channels)]

    def make_upsampling(self, channels: int) -> list[keras.layers.Layer]:
        """Return layers that double the image, and residual blocks."""
        double = self.make_conv(channels, strides=2, kind=keras.layers.Conv2DTranspose)
        return [double, *self.make_residuals(channels)]
