"""Likelihoods that are masses: of binary pixels, or of the 256 bytes; `likelihood_base` has their conventions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions import densities
from tfvae.distributions.densities import soft_clip_both_sides
from tfvae.distributions.likelihood_base import Likelihood, LocationScaleLikelihood, check_choice
from tfvae.option_values import check_counts
from tfvae.runtime import random_streams

tfd = tfp.distributions


class Bernoulli(Likelihood):
    """Binary pixels; a grey x counts as a probability: x log p + (1 - x) log(1 - p)."""

    kind = "binary"

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single pixels, batch shape [..., H, W, C]."""
        return tfd.Bernoulli(logits=self.split_outputs(h)[0], dtype=tf.float32)

    def sample(self, h: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return a draw of pixels in {0, 1}: [..., H, W, C]."""
        return densities.draw_bernoulli(self.split_outputs(h)[0], seed)


class Logistic(LocationScaleLikelihood):
    """Logistic rounded to the 256 bytes; scale "per-pixel" or "shared".

    loc = (1 + decoder output) / 2 is unbounded; log scale is soft-clipped to [-7, 3] in units of pixels in [-1, 1].

    Args:
        scale: per-pixel or shared.
    """

    kind = "discrete"
    low, high = -7.0, 3.0

    def __init__(self, *, scale: str = "per-pixel", **kwargs: Any) -> None:
        super().__init__(check_choice("scale", scale, ("per-pixel", "shared")), **kwargs)

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single bytes, batch shape [..., H, W, C]."""
        return densities.RoundedLogistic(127.5 * (1.0 + self.split_outputs(h)[0]), 127.5 * self.compute_scale(h))


class LogisticMixture(Likelihood):
    """Mixture of rounded logistics per sub-pixel, channels independent given z (Salimans et al., 2017).

    Component m of M = `components` starts at (m + 1/2) / M, so that equal outputs still tell them apart.

    Args:
        components: M, how many logistics for each sub-pixel.
    """

    kind = "discrete"

    def __init__(self, *, components: int = 5, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        check_counts(components=components)
        self.components = int(components)
        self.outputs_per_channel = 3 * self.components

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single bytes, batch shape [..., H, W, C]."""
        logits, raw, s = tf.unstack(self.reshape_outputs(h, 3, self.components), axis=-2)
        centre = (tf.range(self.components, dtype=tf.float32) + 0.5) / self.components
        scale = 127.5 * tf.exp(soft_clip_both_sides(s, -7.0, 3.0))
        logistics = densities.RoundedLogistic(255.0 * (centre + 0.5 * raw), scale)
        return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), logistics)

    def loc(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] in pixel units, [..., H, W, C]."""
        p = self.pixel_distribution(h)
        weights = densities.softmax(p.mixture_distribution.logits)
        return tf.reduce_sum(weights * p.components_distribution.mean(), axis=-1) / 255.0

    def sample(self, h: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return a draw of pixels in [0, 1], whole bytes: [..., H, W, C]."""
        p = self.pixel_distribution(h)
        one_hot = densities.draw_categorical(p.mixture_distribution.logits, random_streams.fold_in(seed, 0))
        u = random_streams.uniform(tf.shape(one_hot), random_streams.fold_in(seed, 1))
        return tf.reduce_sum(one_hot * p.components_distribution.quantile(u), axis=-1) / 255.0


class Categorical(Likelihood):
    """A free mass on the 256 byte values: 256 logits per sub-pixel."""

    kind = "discrete"
    outputs_per_channel = 256

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single bytes, batch shape [..., H, W, C]."""
        return tfd.Categorical(logits=self.reshape_outputs(h, 256), dtype=tf.float32)

    def loc(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] in pixel units, [..., H, W, C]."""
        return tf.linalg.matvec(densities.softmax(self.reshape_outputs(h, 256)), tf.range(256.0)) / 255.0

    def sample(self, h: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return a draw of pixels in [0, 1], whole bytes: [..., H, W, C]."""
        one_hot = densities.draw_categorical(self.reshape_outputs(h, 256), seed)
        return tf.linalg.matvec(one_hot, tf.range(256.0)) / 255.0


class Bitwise(Likelihood):
    """Eight independent bits per sub-pixel; the sample space of `distribution` is bits [H, W, C, 8], low first."""

    kind = "discrete"
    outputs_per_channel = 8
    event_rank = 4

    def to_sample_space(self, x: tf.Tensor) -> tf.Tensor:
        """Return the bits of pixels in [0, 1], float32, low first: [..., H, W, C, 8]."""
        y = tf.cast(super().to_sample_space(x), tf.int32)[..., None]
        return tf.cast(tf.bitwise.bitwise_and(tf.bitwise.right_shift(y, tf.range(8)), 1), tf.float32)

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single bits, batch shape [..., H, W, C, 8]."""
        return tfd.Bernoulli(logits=self.reshape_outputs(h, 8), dtype=tf.float32)

    def loc(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] in pixel units, [..., H, W, C]."""
        return tf.linalg.matvec(tf.sigmoid(self.reshape_outputs(h, 8)), 2.0 ** tf.range(8.0)) / 255.0

    def sample(self, h: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return a draw of pixels in [0, 1], whole bytes: [..., H, W, C]."""
        bits = densities.draw_bernoulli(self.reshape_outputs(h, 8), seed)
        return tf.linalg.matvec(bits, 2.0 ** tf.range(8.0)) / 255.0
