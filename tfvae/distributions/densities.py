"""Formulas of pixel distributions that stay exact and finite in float32, and draws from them.

Everything here is a pure function of tensors; the likelihoods give them decoder outputs and shapes. Draws invert
distribution functions on `random_streams.uniform`: one seed gives one picture eagerly, in a graph and under XLA.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.runtime import random_streams

tfb, tfd = tfp.bijectors, tfp.distributions


def soft_clip(s: tf.Tensor, low: float) -> tf.Tensor:
    """Return a smooth max(s, low): low + softplus(s - low) (Rybkin et al., 2021). It adds e^low to e^s."""
    return low + tf.math.softplus(s - low)


def soft_clip_both_sides(s: tf.Tensor, low: float, high: float) -> tf.Tensor:
    """Return s clipped softly to [low, high], so that exp(s) neither vanishes nor overflows."""
    return high - tf.math.softplus(high - soft_clip(s, low))


def compute_optimal_sigma2(mse: tf.Tensor, low: float = -6.0, sharpness: float = 8.0) -> tf.Tensor:
    """Return sigma^2 = MSE, kept above e^(2 low) by a soft clip of log sigma (Rybkin et al., 2021, eq. 5).

    The knee is `sharpness` times sharper than `soft_clip`'s, which would add e^-6 to sigma and miss its best.
    So sigma^2 = MSE to 1e-6 for root mean squared errors above 0.015; zero error has a finite likelihood.

    Args:
        mse: mean squared error of pixels in [0, 1], any shape.
        low: the lowest log sigma.
        sharpness: of the knee; larger is closer to a hard clip.
    """
    mse = mse + 1e-12  # log and its gradient stay finite at zero error
    return mse * tf.exp(2.0 / sharpness * tf.math.softplus(sharpness * (low - 0.5 * tf.math.log(mse))))


def compute_optimal_nll(sq_err: tf.Tensor, dims: int) -> tf.Tensor:
    """Return -log p(x|z), nats per image, under the sigma that suits best: dims/2 (log(2 pi MSE) + 1).

    Args:
        sq_err: squared error summed over the pixels of an image, averaged over the batch.
        dims: H * W * C.
    """
    sigma2 = compute_optimal_sigma2(sq_err / dims)
    return 0.5 * dims * tf.math.log(2.0 * math.pi * sigma2) + 0.5 * sq_err / sigma2


def compute_logistic_log_mass(y: tf.Tensor, loc: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Return log P(byte y) of a logistic rounded to 0..255, tails on the two ends (Salimans et al., 2017, eq. 2).

    With a, b = (y +- 1/2 - loc) / scale: sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - e^(-1/scale)),
    a product without cancellation, so float32 is exact far into the tails. `loc` and `scale` are in bytes.
    """
    below = tf.math.log_sigmoid((y + 0.5 - loc) / scale)
    above = tf.math.log_sigmoid((loc - y + 0.5) / scale)
    inner = below + above + tf.math.log(-tf.math.expm1(-1.0 / scale))
    return tf.where(y < 0.5, below, tf.where(y > 254.5, above, inner))


def compute_logistic_mean(loc: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Return E[byte] of the rounded logistic, within half a byte: the integral over [0, 255] of P(Y > t).

    It is the clipped `loc` plus what the tails lose; the error fades once `scale` exceeds half a byte.
    """
    tails = tf.math.softplus(-tf.abs(loc) / scale) - tf.math.softplus(-tf.abs(loc - 255.0) / scale)
    return tf.clip_by_value(loc, 0.0, 255.0) + scale * tails


class RoundedLogistic(tfp.distributions.QuantizedDistribution):
    """The logistic rounded to the bytes 0..255 (`loc`, `scale` in bytes): exact mass, and a mean.

    Example:
        >>> RoundedLogistic(loc=tf.constant(120.0), scale=tf.constant(8.0)).log_prob(128.0)
    """

    def __init__(self, loc: tf.Tensor, scale: tf.Tensor, name: str = "RoundedLogistic") -> None:
        shifted = tfd.TransformedDistribution(tfd.Logistic(loc, scale), tfb.Shift(-0.5))
        super().__init__(shifted, low=0.0, high=255.0, name=name)
        self.loc, self.scale = loc, scale
        self._parameters = {"loc": loc, "scale": scale, "name": name}

    @classmethod
    def _parameter_properties(cls, dtype: Any, num_classes: Any = None) -> dict[str, Any]:
        return {"loc": tfp.util.ParameterProperties(), "scale": tfp.util.ParameterProperties()}

    def _log_prob(self, y: tf.Tensor) -> tf.Tensor:
        return compute_logistic_log_mass(y, self.loc, self.scale)

    def _mean(self) -> tf.Tensor:
        return compute_logistic_mean(self.loc, self.scale)

    def _quantile(self, u: tf.Tensor) -> tf.Tensor:
        draw = self.loc + self.scale * (tf.math.log(u) - tf.math.log1p(-u))
        return tf.math.rint(tf.clip_by_value(draw, 0.0, 255.0))


def draw_student_t(df: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return draws of Student's t, exact from two uniforms: sqrt(df (u^(-2/df) - 1)) cos(2 pi v) (Bailey, 1994).

    Args:
        df: degrees of freedom, any shape; the draws have it too.
        seed: a pair of int32.
    """
    log_u = tf.math.log(random_streams.uniform(tf.shape(df), random_streams.fold_in(seed, 0)))
    angle = 2.0 * math.pi * random_streams.uniform(tf.shape(df), random_streams.fold_in(seed, 1))
    return tf.sqrt(df * tf.math.expm1(-2.0 / df * log_u)) * tf.cos(angle)


def draw_bernoulli(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return draws in {0., 1.}, the shape of `logits`."""
    u = random_streams.uniform(tf.shape(logits), seed)
    return tf.cast(tf.math.log(u) - tf.math.log1p(-u) < logits, tf.float32)


def softmax(logits: tf.Tensor) -> tf.Tensor:
    """Return the softmax over the last axis, at any rank.

    TensorFlow's own softmax on a CPU refuses more than 5 axes (oneDNN).
    """
    weights = tf.exp(logits - tf.stop_gradient(tf.reduce_max(logits, axis=-1, keepdims=True)))
    return weights / tf.reduce_sum(weights, axis=-1, keepdims=True)


def draw_categorical(logits: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Return a draw from softmax(logits) [..., N] as one-hot float32 [..., N]."""
    noise = -tf.math.log(-tf.math.log(random_streams.uniform(tf.shape(logits), seed)))
    return tf.one_hot(tf.argmax(logits + noise, axis=-1), logits.shape[-1])


def compute_gaussian_distortion(sq_err: np.ndarray, sigma2: float, dims: int) -> np.ndarray:
    """Return -E log N(x; g(z), sigma^2 I), nats per image, from the squared error summed over `dims` pixels."""
    return sq_err / (2.0 * sigma2) + 0.5 * dims * np.log(2.0 * np.pi * sigma2)
