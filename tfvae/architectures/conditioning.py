"""How a context vector [N, D] (a label, log beta, kappa) enters hidden activations [N, ..., M].

`concat` joins it to inputs; the others act on what hidden layers yield. The last layer of each starts at zero, so
that the network starts as the one without a context.
"""

import math

import keras
import tensorflow as tf

from tfvae.errors import UsageError, describe_unknown

MODES = ("concat", "film", "mr")


class Site(keras.layers.Layer):
    """One place where the context enters; a subclass says how.

    Args:
        units: M, channels of the activations.
        width: D, of the context.
        init: makes a seeded weight initializer.
    """

    def __init__(self, units, width, init):
        super().__init__(dtype="float32")
        self.units = units
        self.prepare(width, init)
        self.built = True

    def prepare(self, width, init):
        """Make the layers."""
        self.last = make_dense(self.units, width, "zeros")

    def parameters(self, h, context):
        """[N, D] -> what `last` makes of it, in h's dtype and [N, 1, ..., n], to broadcast against h."""
        found = tf.cast(self.last(context), h.dtype)
        return tf.reshape(found, [-1, *[1] * (h.shape.rank - 2), found.shape[-1]])


def make_dense(units, inputs, init, activation=None):
    layer = keras.layers.Dense(units, activation, kernel_initializer=init, dtype="float32")
    layer.build((None, inputs))
    return layer


class Shift(Site):
    """h + W c: what constant maps of c, joined to the input of a convolution, add to its output."""

    def prepare(self, width, init):
        self.last = make_dense(self.units, width, init())

    def apply(self, h, context):
        return h + self.parameters(h, context)


class ShiftMaps(Site):
    """h + W c for a context that is an image [H, W, C]: each place sees its own patch of it.

    Args:
        maps: (H, W, C).
        stride: pixels of a place, along each side.
    """

    def __init__(self, units, maps, stride, init):
        self.maps, self.stride = maps, stride
        super().__init__(units, stride**2 * maps[-1], init)

    def prepare(self, width, init):
        self.last = make_dense(self.units, width, init())

    def apply(self, h, context):
        patches = tf.nn.space_to_depth(tf.reshape(context, [-1, *self.maps]), self.stride)
        return h + tf.cast(self.last(patches), h.dtype)


class FiLM(Site):
    """(1 + scale(c)) * h + shift(c), both from a small MLP (Dosovitskiy & Djolonga, 2020, "You only train once").

    Theirs has one MLP for scales and one for shifts; here they share the hidden layer.
    """

    hidden = 64

    def prepare(self, width, init):
        self.first = make_dense(self.hidden, width, init(), "silu")
        self.last = make_dense(2 * self.units, self.hidden, "zeros")

    def apply(self, h, context):
        scale, shift = tf.split(self.parameters(h, self.first(context)), 2, axis=-1)
        return (1.0 + scale) * h + shift


class Gate(Site):
    """g(U c) * h, a gate per unit; g = softplus, moved so that g(0) = 1 (after Bae et al., 2023, Multi-Rate VAE)."""

    def apply(self, h, context):
        return tf.math.softplus(self.parameters(h, context) + math.log(math.e - 1.0)) * h


SITES = {"concat": Shift, "film": FiLM, "mr": Gate}


class Conditioned(keras.layers.Layer):
    """A `keras.Sequential` whose hidden layers yield what `kind` makes of their activations and the context."""

    def __init__(self, network, kind, width, init):
        super().__init__(dtype=network.dtype_policy)
        self.network = network
        hidden = [
            getattr(layer, "activation", None) not in (None, keras.activations.linear) for layer in network.layers
        ]
        if not any(hidden):
            raise UsageError(f"Expected hidden layers, which conditioning={kind} acts on. Received: none.")
        outputs = [layer.output.shape[-1] for layer in network.layers]
        self.sites = [SITES[kind](units, width, init) if on else None for units, on in zip(outputs, hidden)]
        self.built = True

    def run(self, x, context):
        for layer, site in zip(self.network.layers, self.sites):
            x = layer(x)
            x = x if site is None else site.apply(x, context)
        return x


def check_conditioning(context, conditioning):
    if not context >= 0:
        raise UsageError(f"Expected context >= 0. Received: context={context}.")
    if conditioning not in MODES:
        raise UsageError(describe_unknown("conditioning", conditioning, MODES))
