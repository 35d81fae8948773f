"""The contract of an architecture, and all that diagonal-Gaussian ones share."""

from typing import NamedTuple

import keras
import tensorflow as tf

from tfvae import rng
from tfvae.errors import UsageError
from tfvae.terms import normal_log_prob

# stddev lies in [exp(-8), exp(8)]: the KL stays finite in float32 whatever the encoder says (variances of 1e-7 to 1e7),
# and tanh's slope never vanishes as a hard clip's would.
LOG_STDDEV_BOUND = 8.0


class Inference(NamedTuple):
    """What `infer` returns for B images and K samples."""

    mean: tf.Tensor  # [B, L]
    log_stddev: tf.Tensor  # [B, L]
    z: tf.Tensor  # [K, B, L]
    log_qz: tf.Tensor  # [K, B]
    features: tf.Tensor  # [K, B, H, W, P]


class GaussianArch(keras.layers.Layer):
    """q(z|x) = N(mean(x), diag stddev(x)^2) and a decoder of z; a subclass gives the two networks.

    Args:
        latent: L, the number of latent dimensions.
        image_shape: (H, W, C).
        features: P, decoder outputs per pixel position, as the likelihood asks.
        seed: of the initial weights.
        dtype: the Keras dtype policy of the networks; what they return is float32.
    """

    compile_as = "step"  # convolutions are slow inside a compiled loop on a CPU

    def __init__(self, *, latent=32, image_shape, features, seed, dtype):
        super().__init__(name="arch", dtype=dtype)
        if not latent >= 1:
            raise UsageError(f"Expected latent >= 1. Received: latent={latent}.")
        self.latent, self.image_shape, self.features = int(latent), tuple(image_shape), features
        self._seeds = iter(range(1000 * seed, 1000 * seed + 1000))

    def init(self, kind=keras.initializers.GlorotUniform):
        """A weight initializer with the next seed of this model."""
        return kind(seed=next(self._seeds))

    def dense(self, units, activation=None):
        return keras.layers.Dense(units, activation, kernel_initializer=self.init(), dtype=self.dtype_policy)

    def network(self, input_shape, layers):
        """The layers in a row, built at once so that weights exist before the first batch."""
        return keras.Sequential([keras.Input(input_shape), *layers])

    def encode(self, x):
        """Images [B, H, W, C] in [0, 1] -> mean, log stddev of q(z|x), each [B, L]."""
        mean, raw = tf.split(tf.cast(self.encoder(x), tf.float32), 2, axis=-1)
        return mean, LOG_STDDEV_BOUND * tf.tanh(raw / LOG_STDDEV_BOUND)

    def generate(self, z):
        """z [..., L] -> features [..., H, W, P], float32."""
        lead = tf.shape(z)[:-1]
        features = tf.cast(self.decoder(tf.reshape(z, [-1, self.latent])), tf.float32)
        return tf.reshape(features, tf.concat([lead, (*self.image_shape[:2], self.features)], axis=0))

    def infer(self, x, samples, seed):
        """Draw z ~ q(z|x) `samples` times and decode it: -> Inference."""
        mean, log_stddev = self.encode(x)
        noise = rng.normal(tf.concat([[samples], tf.shape(mean)], axis=0), seed)
        z = mean + tf.exp(log_stddev) * noise  # [K, B, L]
        return Inference(mean, log_stddev, z, normal_log_prob(z, mean, log_stddev), self.generate(z))


def widths(text):
    """'512-256' -> [512, 256]; '' -> []."""
    try:
        numbers = [int(part) for part in str(text).split("-") if part]
    except ValueError:
        numbers = [0]
    if any(number < 1 for number in numbers):
        raise UsageError(f"Expected widths as positive numbers joined by '-', such as 512-256. Received: {text!r}.")
    return numbers
