"""What all likelihoods p(x|z) share: shapes, units, draws, bits per dimension.

Decoder outputs h [..., H, W, P] become a distribution over images [H, W, C]. Pixels x [B, H, W, C] lie in [0, 1].
Log-probabilities are nats per image (summed over pixels), float32, with the leading axes of h: decoder outputs
[K, B, H, W, P] give [K, B]. All is finite, gradients too, up to |h| = 1e4. One seed gives one picture eagerly and under
XLA, up to float32 rounding.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae import specs
from tfvae.distributions.densities import soft_clip, soft_clip_both_sides
from tfvae.errors import UsageError, describe_unknown
from tfvae.runtime import random_streams
from tfvae.runtime.saveable_parts import SaveablePart

tfd = tfp.distributions


def check_choice(name: str, value: Any, words: Collection[str], number: bool = False) -> Any:
    """Return `value`, if it is one of `words` or, where a `number` will do, finite and > 0 (then as a float).

    Raises:
        UsageError: it is neither.
    """
    if isinstance(value, str) and value in words:
        return value
    if number and isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    raise UsageError(describe_unknown(name + " (unless a number > 0)" * number, value, words))


class Likelihood(SaveablePart):
    """Base of the likelihoods; a subclass defines `kind`, `outputs_per_channel` and `pixel_distribution`.

    `kind` is what is scored: "binary" data {0, 1}, a "continuous" density on [0, 1], or a "discrete" mass on the 256
    bytes.

    Args:
        image_shape: (H, W, C).

    Example:
        >>> likelihood = tfvae.LIKELIHOODS["gaussian"](sigma=0.1, image_shape=(28, 28, 1))
        >>> likelihood.log_prob(decoder_outputs, x)  # [K, B, 28, 28, 1] and [B, 28, 28, 1] -> [K, B]
    """

    kind = "continuous"
    outputs_per_channel = 1
    event_rank = 3  # axes of one image in the sample space of `distribution`
    is_bounded = True  # whether pixels lie in [0, 1]; else they are any real numbers

    def __init__(self, *, image_shape: tuple[int, ...], **kwargs: Any) -> None:
        for name in kwargs.keys() - {"name", "trainable"}:
            known = ["image_shape", *specs.list_keyword_options(type(self))]
            raise UsageError(describe_unknown(f"an option of {type(self).__name__}", name, known))
        super().__init__(dtype="float32", **kwargs)
        self.image_shape = tuple(image_shape)
        self.built = True

    @property
    def output_channels(self) -> int:
        """P, the decoder outputs per pixel position."""
        return self.outputs_per_channel * self.image_shape[-1]

    @property
    def units_per_pixel(self) -> float:
        """The value in the sample space of a pixel that is 1: 255 for bytes, or 1."""
        return 255.0 if self.kind == "discrete" else 1.0

    def split_outputs(self, h: tf.Tensor) -> list[tf.Tensor]:
        """Return [..., H, W, P] as `outputs_per_channel` tensors [..., H, W, C], float32."""
        return tf.split(tf.cast(h, tf.float32), self.outputs_per_channel, axis=-1)

    def reshape_outputs(self, h: tf.Tensor, *tail: int) -> tf.Tensor:
        """Return [..., H, W, P] as [..., H, W, C, *tail], float32."""
        h = tf.cast(h, tf.float32)
        return tf.reshape(h, tf.concat([tf.shape(h)[:-1], [self.image_shape[-1], *tail]], axis=0))

    def to_sample_space(self, x: tf.Tensor) -> tf.Tensor:
        """Return pixels in [0, 1] in the sample space of `distribution`: as they are, or as bytes 0..255, float32."""
        x = tf.cast(x, tf.float32)
        return tf.math.rint(255.0 * x) if self.kind == "discrete" else x

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single pixels, batch shape [..., H, W, C]; arguments as for `distribution`."""
        raise NotImplementedError

    def distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return p(x|z), batch shape [...].

        Args:
            h: decoder outputs, [..., H, W, P].
            mse: mean squared error, read only by a Gaussian that fits sigma to it; None: the running one of training.
        """
        return tfd.Independent(self.pixel_distribution(h, mse), reinterpreted_batch_ndims=self.event_rank)

    def log_prob(self, h: tf.Tensor, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return log p(x|z), nats per image: [..., H, W, P] and [B, H, W, C] -> [...]."""
        return self.distribution(h).log_prob(self.to_sample_space(x))

    def loc(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] in pixel units, the image that squared errors are measured from: [..., H, W, C]."""
        return self.pixel_distribution(h).mean() / self.units_per_pixel

    def mean(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] as a picture, in [0, 1]: [..., H, W, C]."""
        return self.loc(h)

    def sample(self, h: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return a draw of pixels in [0, 1] (a density's draws beyond are clipped): [..., H, W, C]."""
        draw = self.pixel_distribution(h).quantile(random_streams.uniform(tf.shape(self.loc(h)), seed))
        return tf.clip_by_value(draw / self.units_per_pixel, 0.0, 1.0)

    def adapt(self, mse: tf.Tensor) -> None:
        """Take the batch's mean squared error; called once per training step, never in validation."""

    def bits_per_dim(self, log_px: tf.Tensor) -> tf.Tensor:
        """Return nats per image as bits per dimension.

        discrete: of 8-bit data. continuous: the same, if the density scored (byte + u) / 256, u uniform in
        [0, 1): 256 cells per unit add 8 bits. binary: of data in {0, 1}, not comparable with these.
        """
        return -log_px / (math.prod(self.image_shape) * math.log(2.0)) + 8.0 * (self.kind == "continuous")


class LocationScaleLikelihood(Likelihood):
    """Base of those with one location and one scale per pixel; log scale is soft-clipped to [low, high].

    A subclass passes on `scale`: "per-pixel" (a decoder output), "shared" (one trained number), or what it handles
    itself (a number, or the Gaussian's fits).
    """

    low, high = -6.0, 5.0

    def __init__(self, scale: float | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = scale
        self.outputs_per_channel = 2 if scale == "per-pixel" else 1
        if scale == "shared":
            self.log_scale = self.add_weight(shape=(), initializer="zeros", name="log_scale", autocast=False)

    def compute_scale(self, h: tf.Tensor) -> tf.Tensor:
        """Return the scale, which broadcasts against [..., H, W, C]."""
        if self.scale == "per-pixel":
            return tf.exp(soft_clip_both_sides(self.split_outputs(h)[1], self.low, self.high))
        if self.scale == "shared":
            return tf.exp(soft_clip(tf.convert_to_tensor(self.log_scale), self.low))
        return self.scale
