"""How a context vector [N, D] (a label, log beta, kappa) enters hidden activations [N, ..., M].

`concat` joins it to inputs; the others act on what hidden layers yield. The last layer of each starts at zero, so
that the network starts as the one without a context.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import keras
import tensorflow as tf

from tfvae.architectures.legacy_names import make_legacy_name
from tfvae.errors import UsageError, describe_unknown

CONDITIONINGS = ("concat", "film", "mr")

# Makes a weight initializer with the next seed of a model.
InitializerFactory = Callable[..., keras.initializers.Initializer]


def make_built_dense(
    units: int, inputs: int, initializer: keras.initializers.Initializer | str, activation: str | None = None
) -> keras.layers.Dense:
    """Return a float32 dense layer of `inputs` numbers that has its weights already."""
    layer = keras.layers.Dense(units, activation, kernel_initializer=initializer, dtype="float32")
    layer.build((None, inputs))
    return layer


class ConditioningLayer(keras.layers.Layer):
    """Changes activations by the context; a subclass says how.

    Args:
        units: M, channels of the activations.
        context_width: D, of the context.
        make_initializer: makes a seeded weight initializer.
    """

    def __init__(self, units: int, context_width: int, make_initializer: InitializerFactory) -> None:
        super().__init__(dtype="float32")
        self.units = units
        self.make_layers(context_width, make_initializer)
        self.built = True

    def make_layers(self, context_width: int, make_initializer: InitializerFactory) -> None:
        """Create the layers with their weights; the one that is applied last is `last`."""
        self.last = make_built_dense(self.units, context_width, "zeros")

    def apply(self, h: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Return the changed activations: h [N, ..., M], context [N, D] -> [N, ..., M]."""
        raise NotImplementedError

    def apply_last(self, h: tf.Tensor, inputs: tf.Tensor) -> tf.Tensor:
        """Return what `last` makes of its inputs [N, n], in h's dtype and [N, 1, ..., m], to broadcast against h."""
        outputs = tf.cast(self.last(inputs), h.dtype)
        return tf.reshape(outputs, [-1, *[1] * (h.shape.rank - 2), outputs.shape[-1]])


class Shift(ConditioningLayer):
    """h + W c: what constant maps of c, joined to the input of a convolution, add to its output."""

    def make_layers(self, context_width: int, make_initializer: InitializerFactory) -> None:
        """Create W."""
        self.last = make_built_dense(self.units, context_width, make_initializer())

    def apply(self, h: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Return h + W c: h [N, ..., M], context [N, D] -> [N, ..., M]."""
        return h + self.apply_last(h, context)


class ShiftMaps(ConditioningLayer):
    """h + W c for a context that is an image [H, W, C]: each grid cell sees its own patch of it.

    Args:
        units: M, channels of the activations.
        map_shape: (H, W, C) of the context.
        stride: pixels of a grid cell, along each side.
        make_initializer: makes a seeded weight initializer.
    """

    def __init__(
        self, units: int, map_shape: tuple[int, ...], stride: int, make_initializer: InitializerFactory
    ) -> None:
        self.map_shape, self.stride = map_shape, stride
        super().__init__(units, stride**2 * map_shape[-1], make_initializer)

    def make_layers(self, context_width: int, make_initializer: InitializerFactory) -> None:
        """Create W, which takes one patch."""
        self.last = make_built_dense(self.units, context_width, make_initializer())

    def apply(self, h: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Return h plus W times each cell's patch: h [N, H/s, W/s, M], context [N, H W C] -> [N, H/s, W/s, M]."""
        patches = tf.nn.space_to_depth(tf.reshape(context, [-1, *self.map_shape]), self.stride)
        return h + tf.cast(self.last(patches), h.dtype)


class FiLM(ConditioningLayer):
    """(1 + scale(c)) * h + shift(c), both from a small MLP (Dosovitskiy & Djolonga, 2020, "You only train once").

    Theirs has one MLP for scales and one for shifts; here they share the hidden layer.
    """

    hidden = 64

    def make_layers(self, context_width: int, make_initializer: InitializerFactory) -> None:
        """Create the MLP."""
        self.first = make_built_dense(self.hidden, context_width, make_initializer(), "silu")
        self.last = make_built_dense(2 * self.units, self.hidden, "zeros")

    def apply(self, h: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Return h scaled and shifted: h [N, ..., M], context [N, D] -> [N, ..., M]."""
        scale, shift = tf.split(self.apply_last(h, self.first(context)), 2, axis=-1)
        return (1.0 + scale) * h + shift


class Gate(ConditioningLayer):
    """g(U c) * h, a gate per unit; g = softplus, moved so that g(0) = 1 (after Bae et al., 2023, Multi-Rate VAE)."""

    def apply(self, h: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Return h times its gates: h [N, ..., M], context [N, D] -> [N, ..., M]."""
        return tf.math.softplus(self.apply_last(h, context) + math.log(math.e - 1.0)) * h


CONDITIONING_LAYERS = {"concat": Shift, "film": FiLM, "mr": Gate}


class ConditionedNetwork(keras.layers.Layer):
    """A `keras.Sequential` with a conditioning layer after each hidden layer.

    Args:
        network: the built network.
        conditioning: the kind, a name of `CONDITIONING_LAYERS`.
        context_width: D, of the context.
        make_initializer: makes a seeded weight initializer.
    """

    sites = make_legacy_name("conditioning_layers")

    def __init__(
        self, network: keras.Sequential, conditioning: str, context_width: int, make_initializer: InitializerFactory
    ) -> None:
        super().__init__(dtype=network.dtype_policy)
        self.network = network
        is_hidden = [
            getattr(layer, "activation", None) not in (None, keras.activations.linear) for layer in network.layers
        ]
        if not any(is_hidden):
            raise UsageError(f"Expected hidden layers, which conditioning={conditioning} acts on. Received: none.")
        kind = CONDITIONING_LAYERS[conditioning]
        self.conditioning_layers = [
            kind(layer.output.shape[-1], context_width, make_initializer) if hidden else None
            for layer, hidden in zip(network.layers, is_hidden)
        ]
        self.built = True

    def apply(self, x: tf.Tensor, context: tf.Tensor) -> tf.Tensor:
        """Return the network's output for x [N, ...] and context [N, D]."""
        for layer, conditioning_layer in zip(self.network.layers, self.conditioning_layers):
            x = layer(x)
            x = x if conditioning_layer is None else conditioning_layer.apply(x, context)
        return x


def check_conditioning(context_width: int, conditioning: str) -> None:
    """Refuse a negative width and an unknown way of conditioning.

    Raises:
        UsageError: one of them.
    """
    if not context_width >= 0:
        raise UsageError(f"Expected context_width >= 0. Received: {context_width}.")
    if conditioning not in CONDITIONINGS:
        raise UsageError(describe_unknown("conditioning", conditioning, CONDITIONINGS))
