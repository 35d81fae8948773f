"""Formulas of pixel distributions that stay exact and finite in float32, and draws from them.

Everything here is a pure function of tensors; `likelihoods.py` gives them features and shapes. Draws invert
distribution functions on `random_streams.uniform`, so that one seed gives one picture eagerly, in a graph and under XLA.
"""

import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.runtime import random_streams

tfb, tfd = tfp.bijectors, tfp.distributions


def soft_clip(s, low):
    """A smooth max(s, low): low + softplus(s - low) (Rybkin et al., 2021). It adds e^low to e^s."""
    return low + tf.math.softplus(s - low)


def soft_clip_both_sides(s, low, high):
    """Soft clip on both sides, so that exp(s) neither vanishes nor overflows."""
    return high - tf.math.softplus(high - soft_clip(s, low))


def sigma2_from_error(mse, low=-6.0, sharpness=8.0):
    """sigma^2 = MSE, kept above e^(2 low) by a soft clip of log sigma (Rybkin et al., 2021, eq. 5).

    The knee is `sharpness` times sharper than `soft_clip`'s, which would add e^-6 to sigma and miss its best.
    So sigma^2 = MSE to 1e-6 for root mean squared errors above 0.015; zero error has a finite likelihood.
    """
    mse = mse + 1e-12  # log and its gradient stay finite at zero error
    return mse * tf.exp(2.0 / sharpness * tf.math.softplus(sharpness * (low - 0.5 * tf.math.log(mse))))


def optimal_nll(sq_err, dims):
    """-log p(x|z) in nats per image under the sigma that suits best: dims/2 (log(2 pi MSE) + 1).

    Args:
        sq_err: squared error summed over the pixels of an image, averaged over the batch.
        dims: H * W * C.
    """
    sigma2 = sigma2_from_error(sq_err / dims)
    return 0.5 * dims * tf.math.log(2.0 * math.pi * sigma2) + 0.5 * sq_err / sigma2


def logistic_log_mass(y, loc, scale):
    """log P(byte y) of a logistic rounded to 0..255, tails on the two ends (Salimans et al., 2017, eq. 2).

    With a, b = (y +- 1/2 - loc) / scale: sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(-1/scale)),
    a product without cancellation, so float32 is exact far into the tails. `loc` and `scale` are in bytes.
    """
    below = tf.math.log_sigmoid((y + 0.5 - loc) / scale)
    above = tf.math.log_sigmoid((loc - y + 0.5) / scale)
    inner = below + above + tf.math.log(-tf.math.expm1(-1.0 / scale))
    return tf.where(y < 0.5, below, tf.where(y > 254.5, above, inner))


def logistic_mean(loc, scale):
    """E[byte] of the rounded logistic, within half a byte: the integral over [0, 255] of P(Y > t).

    It is the clipped `loc` plus what the tails lose; the error fades once `scale` exceeds half a byte.
    """
    tails = tf.math.softplus(-tf.abs(loc) / scale) - tf.math.softplus(-tf.abs(loc - 255.0) / scale)
    return tf.clip_by_value(loc, 0.0, 255.0) + scale * tails


class RoundedLogistic(tfd.QuantizedDistribution):
    """The logistic rounded to the bytes 0..255 (`loc`, `scale` in bytes): exact mass, and a mean."""

    def __init__(self, loc, scale, name="RoundedLogistic"):
        shifted = tfd.TransformedDistribution(tfd.Logistic(loc, scale), tfb.Shift(-0.5))
        super().__init__(shifted, low=0.0, high=255.0, name=name)
        self.loc, self.scale = loc, scale
        self._parameters = {"loc": loc, "scale": scale, "name": name}

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
        return {"loc": tfp.util.ParameterProperties(), "scale": tfp.util.ParameterProperties()}

    def _log_prob(self, y):
        return logistic_log_mass(y, self.loc, self.scale)

    def _mean(self):
        return logistic_mean(self.loc, self.scale)

    def _quantile(self, u):
        draw = self.loc + self.scale * (tf.math.log(u) - tf.math.log1p(-u))
        return tf.math.rint(tf.clip_by_value(draw, 0.0, 255.0))


def draw_student_t(df, seed):
    """Student's t, exact from two uniforms u, v: sqrt(df (u^(-2/df) - 1)) cos(2 pi v) (Bailey, 1994)."""
    log_u = tf.math.log(random_streams.uniform(tf.shape(df), random_streams.fold_in(seed, 0)))
    angle = 2.0 * math.pi * random_streams.uniform(tf.shape(df), random_streams.fold_in(seed, 1))
    return tf.sqrt(df * tf.math.expm1(-2.0 / df * log_u)) * tf.cos(angle)


def draw_bernoulli(logits, seed):
    """Draws in {0., 1.}, the shape of `logits`."""
    u = random_streams.uniform(tf.shape(logits), seed)
    return tf.cast(tf.math.log(u) - tf.math.log1p(-u) < logits, tf.float32)


def softmax(logits):
    """Over the last axis, at any rank: TensorFlow's own softmax on CPU refuses more than 5 axes (oneDNN)."""
    weights = tf.exp(logits - tf.stop_gradient(tf.reduce_max(logits, axis=-1, keepdims=True)))
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def draw_categorical(logits, seed):
    """A draw from softmax(logits) [..., N] as one-hot float32 [..., N]."""
    noise = -tf.math.log(-tf.math.log(random_streams.uniform(tf.shape(logits), seed)))
    return tf.one_hot(tf.argmax(logits + noise, axis=-1), logits.shape[-1])


def gaussian_distortion(sq_err, sigma2, dims):
    """-E log N(x; g(z), sigma^2 I), nats per datum."""
    return sq_err / (2.0 * sigma2) + 0.5 * dims * np.log(2.0 * np.pi * sigma2)
