"""The contract of an architecture, and all that diagonal-Gaussian ones share."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tfvae.architectures import conditioning as conditions
from tfvae.distributions.terms import normal_log_prob
from tfvae.errors import UsageError
from tfvae.runtime import random_streams

# stddev lies in [exp(-8), exp(8)]: the KL stays finite in float32 whatever the encoder says (variances of 1e-7 to 1e7),
# and tanh's slope never vanishes as a hard clip's would.
LOG_STDDEV_BOUND = 8.0


class Inference(NamedTuple):
    """What `infer` returns for B images and K samples."""

    mean: tf.Tensor  # [B, L], or [K, B, L] where it depends on earlier draws (`is_hierarchical`)
    log_stddev: tf.Tensor  # as mean
    z: tf.Tensor  # [K, B, L]
    log_qz: tf.Tensor  # [K, B]
    decoder_outputs: tf.Tensor  # [K, B, H, W, P]


class GaussianArchitecture(keras.layers.Layer):
    """q(z|x) = N(mean(x), diag stddev(x)^2) and a decoder of z; a subclass gives the two networks.

    Args:
        latent: L, the number of latent dimensions.
        context: D, the width of the context vector that encoder and decoder see too; 0: none.
        context_maps: (H, W, C) if that vector is an image, which convolutions see as one.
        conditioning: how they see it: ``concat`` joins it to x and z, ``film`` scales and shifts hidden activations,
            ``mr`` gates them.
        image_shape: (H, W, C).
        output_channels: P, decoder outputs per pixel position, as the likelihood asks.
        seed: of the initial weights.
        dtype: the Keras dtype policy of the networks; what they return is float32.
    """

    preferred_mode = "kernels"  # on a CPU, where XLA's convolutions are slower than TensorFlow's
    is_hierarchical = False  # whether q(z|x) is a product of conditionals, each of which depends on the draws before
    has_normal_posterior = True  # whether q(z|x) is one normal: of a product, where it has one factor
    draws_in_steps = False  # whether `decode_canvases` gives the picture after each step

    def __init__(self, *, latent=32, context=0, context_maps=(), conditioning="concat", image_shape, output_channels, seed,
                 dtype):  # fmt: skip
        super().__init__(name="arch", dtype=dtype)
        if not latent >= 1:
            raise UsageError(f"Expected latent >= 1. Received: latent={latent}.")
        conditions.check_conditioning(context, conditioning)
        self.context, self.context_maps, self.conditioning = int(context), tuple(context_maps), conditioning
        self.latent, self.image_shape, self.output_channels = int(latent), tuple(image_shape), output_channels
        self._seeds = iter(range(1000 * seed, 1000 * seed + 1000))

    def init(self, kind=keras.initializers.GlorotUniform):
        """A weight initializer with the next seed of this model."""
        return kind(seed=next(self._seeds))

    def dense(self, units, activation=None):
        return keras.layers.Dense(units, activation, kernel_initializer=self.init(), dtype=self.dtype_policy)

    def network(self, input_shape, layers):
        """The layers in a row, built at once so that weights exist before the first batch."""
        *shape, channels = input_shape
        joined = 0
        if self.conditioning == "concat":
            joined = self.context_maps[-1] if shape and self.context_maps else self.context
        network = keras.Sequential([keras.Input((*shape, channels + joined)), *layers])
        if self.context and not joined:
            return conditions.Conditioned(network, self.conditioning, self.context, self.init)
        return network

    def run(self, network, x, context):
        """`network` of x [N, ..., M] and the context [N, D]: -> float32."""
        if self.context and self.conditioning == "concat":
            spread = tf.reshape(context, [-1, *[1] * (x.shape.rank - 2), self.context])
            if self.context_maps and x.shape.rank == 4:
                spread = tf.reshape(context, [-1, *self.context_maps])
            x = tf.concat([x, tf.broadcast_to(spread, tf.concat([tf.shape(x)[:-1], spread.shape[-1:]], 0))], axis=-1)
        elif self.context:
            return tf.cast(network.run(x, context), tf.float32)
        return tf.cast(network(x), tf.float32)

    def spread(self, context, lead):
        """The context [..., D] of samples that have leading axes `lead`: -> [prod(lead), D], or None without one."""
        if (context is None) != (self.context == 0):
            asked = f"a context [..., {self.context}]" if self.context else "no context (the option context=0)"
            raise UsageError(f"Expected {asked}. Received: {'none' if context is None else tuple(context.shape)}.")
        if context is None:
            return None
        whole = tf.broadcast_to(tf.cast(context, tf.float32), tf.concat([lead, [self.context]], axis=0))
        return tf.reshape(whole, [-1, self.context])

    def encode(self, x, context=None):
        """Images [B, H, W, C] in [0, 1], context [B, D] -> mean, log stddev of q(z|x), each [B, L]."""
        return mean_and_log_stddev(self.run(self.encoder, x, self.spread(context, tf.shape(x)[:1])))

    def generate(self, z, context=None):
        """z [..., L], context [B, D] for the last leading axis -> decoder outputs [..., H, W, P], float32."""
        lead = tf.shape(z)[:-1]
        outputs = self.run(self.decoder, tf.reshape(z, [-1, self.latent]), self.spread(context, lead))
        return tf.reshape(outputs, tf.concat([lead, (*self.image_shape[:2], self.output_channels)], axis=0))

    def infer(self, x, samples, seed, context=None):
        """Draw z ~ q(z|x) `samples` times and decode it: -> Inference."""
        mean, log_stddev = self.encode(x, context)
        noise = random_streams.normal(tf.concat([[samples], tf.shape(mean)], axis=0), seed, axis=1)
        z = mean + tf.exp(log_stddev) * noise  # [K, B, L]
        return Inference(mean, log_stddev, z, normal_log_prob(z, mean, log_stddev), self.generate(z, context))


def mean_and_log_stddev(raw, bound=LOG_STDDEV_BOUND):
    """[..., 2 M] -> mean, and log stddev soft-clipped to [-bound, bound], each [..., M]."""
    mean, raw = tf.split(raw, 2, axis=-1)
    return mean, bound * tf.tanh(raw / bound)


def parse_widths(text):
    """'512-256' -> [512, 256]; '' -> []."""
    try:
        numbers = [int(part) for part in str(text).split("-") if part]
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers):
        raise UsageError(f"Expected widths as positive numbers joined by '-', such as 512-256. Received: {text!r}.")
    return numbers
