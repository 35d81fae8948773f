"""Likelihoods that are densities of pixels in [0, 1]; `likelihood_base` has their conventions."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions import densities
from tfvae.distributions.densities import compute_optimal_sigma2, soft_clip_both_sides
from tfvae.distributions.likelihood_base import Likelihood, LocationScaleLikelihood, check_choice

tfd = tfp.distributions


class ContinuousBernoulli(Likelihood):
    """The Bernoulli form normalised to a density on grey pixels (Loaiza-Ganem & Cunningham, 2019)."""

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single pixels, batch shape [..., H, W, C]."""
        return tfd.ContinuousBernoulli(logits=self.split_outputs(h)[0])


class Gaussian(LocationScaleLikelihood):
    """Normal density; sigma fixed (a number), fitted ("optimal", "per-image"), "shared" or "per-pixel".

    optimal: in training sigma^2 = MSE of the batch itself, with gradient: the loss is D/2 (log(2 pi MSE) + 1)
    (Rybkin et al., 2021). Scores use the running MSE of training (`adapt`): one fitted to the data it scores
    is no likelihood. per-image: each image's own MSE in training; scored like optimal. shared: one trained number.
    per-pixel: the decoder gives a map of log sigma.

    Args:
        sigma: a number > 0 in pixel units, optimal, per-image, shared or per-pixel.
        link: sigmoid, or linear for an unbounded mean, clipped to [0, 1] only in pictures (`mean`).
    """

    def __init__(self, *, sigma: float | str = "optimal", link: str = "sigmoid", **kwargs: Any) -> None:
        sigma = check_choice("sigma", sigma, ("optimal", "shared", "per-image", "per-pixel"), number=True)
        super().__init__(sigma, **kwargs)
        self.link = check_choice("link", link, ("sigmoid", "linear"))
        self.is_bounded = self.link == "sigmoid"
        self.is_fitted = sigma in ("optimal", "per-image")
        if self.is_fitted:
            frozen = {"shape": (), "trainable": False, "autocast": False}
            self.running_mse = self.add_weight(initializer="ones", name="running_mse", **frozen)
            self.has_running_mse = self.add_weight(initializer="zeros", name="started", **frozen)  # 1.0: yes

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single pixels, batch shape [..., H, W, C].

        Args:
            h: decoder outputs, [..., H, W, P].
            mse: of a fitted sigma: scalar or [..., 1, 1, 1]; None: the running MSE of training.
        """
        if self.is_fitted:
            sigma2 = compute_optimal_sigma2(tf.convert_to_tensor(self.running_mse) if mse is None else mse)
            return tfd.Normal(self.loc(h), tf.sqrt(sigma2))
        return tfd.Normal(self.loc(h), self.compute_scale(h))

    def log_prob(self, h: tf.Tensor, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return log p(x|z), nats per image [...]; in training a fitted sigma is that of these very images."""
        mse = None
        if training and self.is_fitted:
            axes = (-3, -2, -1) if self.scale == "per-image" else None
            mse = tf.reduce_mean((self.to_sample_space(x) - self.loc(h)) ** 2, axis=axes, keepdims=True)
        return self.distribution(h, mse).log_prob(self.to_sample_space(x))

    def loc(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] in pixel units, [..., H, W, C]; with link=linear it may leave [0, 1]."""
        raw = self.split_outputs(h)[0]
        return tf.sigmoid(raw) if self.link == "sigmoid" else raw

    def mean(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] as a picture, clipped to [0, 1]: [..., H, W, C]."""
        return tf.clip_by_value(self.loc(h), 0.0, 1.0)

    def adapt(self, mse: tf.Tensor) -> None:
        """Move the running MSE; the first value replaces it whole, a non-finite one is skipped."""
        if self.is_fitted:
            old, has_old = tf.convert_to_tensor(self.running_mse), tf.convert_to_tensor(self.has_running_mse)
            is_finite = tf.math.is_finite(mse)
            new = mse + 0.99 * has_old * (old - mse)  # where has_old is 0, no history
            self.running_mse.assign(tf.where(is_finite, new, old))
            self.has_running_mse.assign(tf.where(is_finite, 1.0, has_old))


class StudentT(Likelihood):
    """Student's t with location, scale and degrees of freedom per pixel (Takahashi et al., 2018).

    loc = sigmoid; log scale soft-clipped to [-6, 5]; 1.01 < df < 201, so that the mean exists.
    """

    outputs_per_channel = 3

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single pixels, batch shape [..., H, W, C]."""
        raw, s, freedom = self.split_outputs(h)
        df = 1.01 + soft_clip_both_sides(freedom, 0.0, 200.0)
        return tfd.StudentT(df, tf.sigmoid(raw), tf.exp(soft_clip_both_sides(s, -6.0, 5.0)))

    def loc(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] in pixel units, [..., H, W, C]."""
        return tf.sigmoid(self.split_outputs(h)[0])

    def sample(self, h: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Return a draw of pixels, clipped to [0, 1]: [..., H, W, C]."""
        p = self.pixel_distribution(h)
        return tf.clip_by_value(p.loc + p.scale * densities.draw_student_t(p.df, seed), 0.0, 1.0)


class Laplace(LocationScaleLikelihood):
    """Laplace density, loc = sigmoid; scale "per-pixel", "shared" or a number > 0 in pixel units.

    Args:
        scale: per-pixel, shared or a number > 0 in pixel units.
    """

    def __init__(self, *, scale: float | str = "per-pixel", **kwargs: Any) -> None:
        super().__init__(check_choice("scale", scale, ("per-pixel", "shared"), number=True), **kwargs)

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> tfp.distributions.Distribution:
        """Return the TFP distribution of single pixels, batch shape [..., H, W, C]."""
        return tfd.Laplace(self.loc(h), self.compute_scale(h))

    def loc(self, h: tf.Tensor) -> tf.Tensor:
        """Return E[x|z] in pixel units, [..., H, W, C]."""
        return tf.sigmoid(self.split_outputs(h)[0])
