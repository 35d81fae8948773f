"""p(x|z): decoder features h [..., H, W, P] -> a distribution over images [H, W, C].

Pixels x [B, H, W, C] lie in [0, 1]. Log-probabilities are nats per image (summed over pixels), float32, with
the leading axes of h: features [K, B, H, W, P] give [K, B]. `kind` is what is scored: "binary" data {0, 1},
a "continuous" density on [0, 1], or a "discrete" mass on the 256 bytes. All is finite, gradients too, up to
|h| = 1e4. One seed gives one picture eagerly and under XLA, up to float32 rounding.
"""

import math

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions import densities
from tfvae.distributions.densities import sigma2_from_error, soft_clip, soft_clip_both_sides
from tfvae.errors import UsageError, describe_unknown
from tfvae.runtime import random_streams

tfd = tfp.distributions


def _option(name, value, words, number=False):
    """`value`, if it is one of `words` or, where a `number` will do, finite and > 0."""
    if isinstance(value, str) and value in words:
        return value
    if number and isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf:
        return float(value)
    raise UsageError(describe_unknown(name + " (unless a number > 0)" * number, value, words))


class Likelihood(keras.layers.Layer):
    """Base of the likelihoods; a subclass says its `kind`, features per channel and `pixels`."""

    kind = "continuous"
    per_channel = 1
    event_rank = 3

    def __init__(self, *, image_shape, **kwargs):
        super().__init__(dtype="float32", **kwargs)
        self.image_shape = tuple(image_shape)
        self.built = True

    @property
    def output_channels(self):
        """P: decoder outputs per pixel position."""
        return self.per_channel * self.image_shape[-1]

    def split_outputs(self, h):
        """[..., H, W, P] -> `per_channel` tensors [..., H, W, C], float32."""
        return tf.split(tf.cast(h, tf.float32), self.per_channel, axis=-1)

    def reshape_outputs(self, h, *tail):
        """[..., H, W, P] -> [..., H, W, C, *tail], float32."""
        h = tf.cast(h, tf.float32)
        return tf.reshape(h, tf.concat([tf.shape(h)[:-1], [self.image_shape[-1], *tail]], axis=0))

    def to_sample_space(self, x):
        """Pixels in [0, 1] -> the sample space of `distribution`: themselves, or bytes 0..255 as float32."""
        x = tf.cast(x, tf.float32)
        return tf.math.rint(255.0 * x) if self.kind == "discrete" else x

    def pixel_distribution(self, h, mse=None):
        """The TFP distribution of single pixels, batch shape [..., H, W, C]."""
        raise NotImplementedError

    def distribution(self, h, mse=None):
        """p(x|z), batch shape [...]; `mse` is read only by a Gaussian that fits sigma to it."""
        return tfd.Independent(self.pixel_distribution(h, mse), reinterpreted_batch_ndims=self.event_rank)

    def log_prob(self, h, x, training=False):
        """log p(x|z), nats per image: [..., H, W, P] and [B, H, W, C] -> [...]."""
        return self.distribution(h).log_prob(self.to_sample_space(x))

    def loc(self, h):
        """E[x|z] in pixel units, the image that squared errors are measured from: [..., H, W, C]."""
        return self.pixel_distribution(h).mean() / (255.0 if self.kind == "discrete" else 1.0)

    def mean(self, h):
        """E[x|z] as a picture, in [0, 1]: [..., H, W, C]."""
        return self.loc(h)

    def sample(self, h, seed):
        """A draw of pixels in [0, 1] (a density's draws beyond are clipped): [..., H, W, C]."""
        draw = self.pixel_distribution(h).quantile(random_streams.uniform(tf.shape(self.loc(h)), seed))
        return tf.clip_by_value(draw / (255.0 if self.kind == "discrete" else 1.0), 0.0, 1.0)

    def adapt(self, mse):
        """Called once per training step, not in validation, with the batch's mean squared error."""

    def bits_per_dim(self, log_px):
        """Nats per image -> bits per dimension.

        discrete: of 8-bit data. continuous: the same, if the density scored (byte + u) / 256, u uniform in
        [0, 1): 256 cells per unit add 8 bits. binary: of data in {0, 1}, not comparable with these.
        """
        return -log_px / (math.prod(self.image_shape) * math.log(2.0)) + 8.0 * (self.kind == "continuous")


class Bernoulli(Likelihood):
    """Binary pixels; a grey x counts as a probability: x log p + (1 - x) log(1 - p)."""

    kind = "binary"

    def pixel_distribution(self, h, mse=None):
        return tfd.Bernoulli(logits=self.split_outputs(h)[0], dtype=tf.float32)

    def sample(self, h, seed):
        return densities.draw_bernoulli(self.split_outputs(h)[0], seed)


class ContinuousBernoulli(Likelihood):
    """The Bernoulli form normalised to a density on grey pixels (Loaiza-Ganem & Cunningham, 2019)."""

    def pixel_distribution(self, h, mse=None):
        return tfd.ContinuousBernoulli(logits=self.split_outputs(h)[0])


class Scaled(Likelihood):
    """Base of those with one location and one scale per pixel; log scale is soft-clipped to [low, high]."""

    low, high = -6.0, 5.0

    def __init__(self, scale, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        self.per_channel = 2 if scale == "per-pixel" else 1
        if scale == "shared":
            self.log_scale = self.add_weight(shape=(), initializer="zeros", name="log_scale", autocast=False)

    def raw_and_scale(self, h):
        """Features -> the location's raw feature and the scale, both broadcastable to [..., H, W, C]."""
        if self.scale == "per-pixel":
            raw, s = self.split_outputs(h)
            return raw, tf.exp(soft_clip_both_sides(s, self.low, self.high))
        if self.scale == "shared":
            return self.split_outputs(h)[0], tf.exp(soft_clip(tf.convert_to_tensor(self.log_scale), self.low))
        return self.split_outputs(h)[0], self.scale


class Gaussian(Scaled):
    """Normal density; sigma fixed (a number), fitted ("optimal", "per-image"), "shared" or "per-pixel".

    optimal: in training sigma^2 = MSE of the batch itself, with gradient: the loss is D/2 (log(2 pi MSE) + 1)
    (Rybkin et al., 2021). Scores use the running MSE of training (`adapt`): one fitted to the data it scores
    is no likelihood. per-image: each image's own MSE in training; scored like optimal. shared: one, learnt.
    per-pixel: the decoder gives a map of log sigma. link: "sigmoid", or "linear" for an unbounded mean,
    clipped to [0, 1] only in pictures (`mean`).
    """

    def __init__(self, *, sigma="optimal", link="sigmoid", **kwargs):
        sigma = _option("sigma", sigma, ("optimal", "shared", "per-image", "per-pixel"), number=True)
        super().__init__(sigma, **kwargs)
        self.link = _option("link", link, ("sigmoid", "linear"))
        self.fitted = sigma in ("optimal", "per-image")
        if self.fitted:
            frozen = {"shape": (), "trainable": False, "autocast": False}
            self.running_mse = self.add_weight(initializer="ones", name="running_mse", **frozen)
            self.started = self.add_weight(initializer="zeros", name="started", **frozen)

    def pixel_distribution(self, h, mse=None):
        """As in the base; `mse` (fitted sigma only): scalar or [..., 1, 1, 1], by default the running MSE."""
        if self.fitted:
            sigma = tf.sqrt(sigma2_from_error(tf.convert_to_tensor(self.running_mse) if mse is None else mse))
            return tfd.Normal(self.loc(h), sigma)
        return tfd.Normal(self.loc(h), self.raw_and_scale(h)[1])

    def log_prob(self, h, x, training=False):
        mse = None
        if training and self.fitted:
            axes = (-3, -2, -1) if self.scale == "per-image" else None
            mse = tf.reduce_mean((self.to_sample_space(x) - self.loc(h)) ** 2, axis=axes, keepdims=True)
        return self.distribution(h, mse).log_prob(self.to_sample_space(x))

    def loc(self, h):
        raw = self.split_outputs(h)[0]
        return tf.sigmoid(raw) if self.link == "sigmoid" else raw

    def mean(self, h):
        return tf.clip_by_value(self.loc(h), 0.0, 1.0)

    def adapt(self, mse):
        """Move the running MSE; the first value replaces it whole, a non-finite one is skipped."""
        if self.fitted:
            old, started = tf.convert_to_tensor(self.running_mse), tf.convert_to_tensor(self.started)
            fine = tf.math.is_finite(mse)
            new = mse + 0.99 * started * (old - mse)  # where started is 0, no history
            self.running_mse.assign(tf.where(fine, new, old))
            self.started.assign(tf.where(fine, 1.0, started))


class StudentT(Likelihood):
    """Student's t with location, scale and degrees of freedom per pixel (Takahashi et al., 2018).

    loc = sigmoid; log scale soft-clipped to [-6, 5]; 1.01 < df < 201, so that the mean exists.
    """

    per_channel = 3

    def pixel_distribution(self, h, mse=None):
        raw, s, freedom = self.split_outputs(h)
        df = 1.01 + soft_clip_both_sides(freedom, 0.0, 200.0)
        return tfd.StudentT(df, tf.sigmoid(raw), tf.exp(soft_clip_both_sides(s, -6.0, 5.0)))

    def loc(self, h):
        return tf.sigmoid(self.split_outputs(h)[0])

    def sample(self, h, seed):
        p = self.pixel_distribution(h)
        return tf.clip_by_value(p.loc + p.scale * densities.draw_student_t(p.df, seed), 0.0, 1.0)


class Laplace(Scaled):
    """Laplace density, loc = sigmoid; scale "per-pixel", "shared" or a number > 0 in pixel units."""

    def __init__(self, *, scale="per-pixel", **kwargs):
        super().__init__(_option("scale", scale, ("per-pixel", "shared"), number=True), **kwargs)

    def pixel_distribution(self, h, mse=None):
        raw, scale = self.raw_and_scale(h)
        return tfd.Laplace(tf.sigmoid(raw), scale)

    def loc(self, h):
        return tf.sigmoid(self.split_outputs(h)[0])


class Logistic(Scaled):
    """Logistic rounded to the 256 bytes; scale "per-pixel" or "shared".

    loc = (1 + feature) / 2 is unbounded; log scale is soft-clipped to [-7, 3] in units of pixels in [-1, 1].
    """

    kind = "discrete"
    low, high = -7.0, 3.0

    def __init__(self, *, scale="per-pixel", **kwargs):
        super().__init__(_option("scale", scale, ("per-pixel", "shared")), **kwargs)

    def pixel_distribution(self, h, mse=None):
        raw, scale = self.raw_and_scale(h)
        return densities.RoundedLogistic(127.5 * (1.0 + raw), 127.5 * scale)


class LogisticMixture(Likelihood):
    """Mixture of rounded logistics per sub-pixel, channels independent given z (Salimans et al., 2017).

    Component m of M = `components` starts at (m + 1/2) / M, so that equal outputs still tell them apart.
    """

    kind = "discrete"

    def __init__(self, *, components=5, **kwargs):
        super().__init__(**kwargs)
        if not components >= 1:
            raise UsageError(f"Expected components >= 1. Received: {components!r}.")
        self.components = int(components)
        self.per_channel = 3 * self.components

    def pixel_distribution(self, h, mse=None):
        logits, raw, s = tf.unstack(self.reshape_outputs(h, 3, self.components), axis=-2)
        centre = (tf.range(self.components, dtype=tf.float32) + 0.5) / self.components
        parts = densities.RoundedLogistic(
            255.0 * (centre + 0.5 * raw), 127.5 * tf.exp(soft_clip_both_sides(s, -7.0, 3.0))
        )
        return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), parts)

    def loc(self, h):
        p = self.pixel_distribution(h)
        weights = densities.softmax(p.mixture_distribution.logits)
        return tf.reduce_sum(weights * p.components_distribution.mean(), axis=-1) / 255.0

    def sample(self, h, seed):
        p = self.pixel_distribution(h)
        one_hot = densities.draw_categorical(p.mixture_distribution.logits, random_streams.fold_in(seed, 0))
        draw = p.components_distribution.quantile(
            random_streams.uniform(tf.shape(one_hot), random_streams.fold_in(seed, 1))
        )
        return tf.reduce_sum(one_hot * draw, axis=-1) / 255.0


class Categorical(Likelihood):
    """A free mass on the 256 byte values: 256 logits per sub-pixel."""

    kind = "discrete"
    per_channel = 256

    def pixel_distribution(self, h, mse=None):
        return tfd.Categorical(logits=self.reshape_outputs(h, 256), dtype=tf.float32)

    def loc(self, h):
        return tf.linalg.matvec(densities.softmax(self.reshape_outputs(h, 256)), tf.range(256.0)) / 255.0

    def sample(self, h, seed):
        return tf.linalg.matvec(densities.draw_categorical(self.reshape_outputs(h, 256), seed), tf.range(256.0)) / 255.0


class Bitwise(Likelihood):
    """Eight independent bits per sub-pixel; `domain` and `distribution`'s event are bits [H, W, C, 8], low first."""

    kind = "discrete"
    per_channel = 8
    event_rank = 4

    def to_sample_space(self, x):
        y = tf.cast(super().to_sample_space(x), tf.int32)[..., None]
        return tf.cast(tf.bitwise.bitwise_and(tf.bitwise.right_shift(y, tf.range(8)), 1), tf.float32)

    def pixel_distribution(self, h, mse=None):
        return tfd.Bernoulli(logits=self.reshape_outputs(h, 8), dtype=tf.float32)

    def loc(self, h):
        return tf.linalg.matvec(tf.sigmoid(self.reshape_outputs(h, 8)), 2.0 ** tf.range(8.0)) / 255.0

    def sample(self, h, seed):
        return (
            tf.linalg.matvec(densities.draw_bernoulli(self.reshape_outputs(h, 8), seed), 2.0 ** tf.range(8.0)) / 255.0
        )


LIKELIHOODS = {
    "bernoulli": Bernoulli,
    "continuous-bernoulli": ContinuousBernoulli,
    "gaussian": Gaussian,
    "student-t": StudentT,
    "laplace": Laplace,
    "logistic": Logistic,
    "logistic-mixture": LogisticMixture,
    "categorical": Categorical,
    "bitwise": Bitwise,
}
