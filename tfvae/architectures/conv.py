"""Strided convolutions for images of any size, and a residual variant."""

import keras

from tfvae.architectures.base import GaussianArchitecture
from tfvae.architectures.base import parse_widths


class Conv(GaussianArchitecture):
    """Convolutions of stride 2 down, transposed convolutions up; any H, W and C.

    Args:
        widths: channels of each halving, '32-64'.
        hidden: units of the dense layer between the convolutions and z.
        kernel: side of the filters.
    """

    def __init__(self, *, widths="32-64", latent=32, hidden=256, kernel=4, activation="relu", **context):
        super().__init__(latent=latent, **context)
        self.kernel, self.activation = int(kernel), activation
        channels = parse_widths(widths)
        sides = [self.image_shape[:2]]
        for _ in channels:
            sides.append(tuple(-(-side // 2) for side in sides[-1]))  # stride 2, 'same': half, rounded up
        down = [layer for n in channels for layer in self.down(n)]
        up = [layer for n in reversed(channels) for layer in self.up(n)]
        top = tuple(2 ** len(channels) * side for side in sides[-1])
        self.encoder = self.network(
            self.image_shape,
            [*down, keras.layers.Flatten(), self.dense(hidden, activation), self.dense(2 * self.latent)],
        )
        self.decoder = self.network(
            (self.latent,),
            [
                self.dense(hidden, activation),
                self.dense(sides[-1][0] * sides[-1][1] * channels[-1], activation),
                keras.layers.Reshape((*sides[-1], channels[-1])),
                *up,
                self.conv(self.output_channels, kernel=3, activation=None),
                keras.layers.Cropping2D([(0, big - side) for big, side in zip(top, self.image_shape)]),
            ],
        )

    def conv(self, channels, kernel=None, strides=1, activation="own", kind=keras.layers.Conv2D):
        return kind(
            channels,
            kernel or self.kernel,
            strides=strides,
            padding="same",
            activation=self.activation if activation == "own" else activation,
            kernel_initializer=self.init(),
            dtype=self.dtype_policy,
        )

    def down(self, channels):
        """Layers that halve the image."""
        return [self.conv(channels, strides=2)]

    def up(self, channels):
        """Layers that double the image."""
        return [self.conv(channels, strides=2, kind=keras.layers.Conv2DTranspose)]


class Residual(keras.layers.Layer):
    """x + conv(act(conv(act(x)))), without normalisation, so that samples of a batch do not meet."""

    def __init__(self, convs, activation, **kwargs):
        super().__init__(**kwargs)
        self.convs, self.activation = convs, keras.activations.get(activation)

    def build(self, input_shape):
        for conv in self.convs:
            if not conv.built:
                conv.build(input_shape)
        self.built = True

    def call(self, x):
        h = x
        for conv in self.convs:
            h = conv(self.activation(h))
        return x + h


class ResNet(Conv):
    """`Conv` with residual blocks at every resolution.

    Args:
        blocks: residual blocks after each halving and before each doubling.
    """

    def __init__(self, *, widths="32-64", latent=32, hidden=256, blocks=1, activation="silu", **context):
        self.blocks = int(blocks)
        super().__init__(widths=widths, latent=latent, hidden=hidden, activation=activation, **context)

    def residuals(self, channels):
        return [
            Residual(
                [self.conv(channels, kernel=3, activation=None) for _ in range(2)],
                self.activation,
                dtype=self.dtype_policy,
            )
            for _ in range(self.blocks)
        ]

    def down(self, channels):
        return [self.conv(channels, strides=2), *self.residuals(channels)]

    def up(self, channels):
        return [self.conv(channels, strides=2, kind=keras.layers.Conv2DTranspose), *self.residuals(channels)]
