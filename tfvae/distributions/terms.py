"""The unreduced numbers of one forward pass, and the bounds on log p(x) that are built from them.

Letters: K samples of z per image, B images, L latent dimensions, H x W x C pixels. All numbers are nats per image
(sums over pixels and latents); ``log_*`` is to be raised; nothing is averaged over the batch here.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import tensorflow as tf


class Terms(NamedTuple):
    """The numbers that every objective, constraint and metric is made of.

    Example:
        >>> def objective(self, terms):  # of a `tfvae.VAE`: a beta-VAE with beta = 4
        ...     return 4.0 * terms.kl - average_over_samples(terms.log_px)
    """

    log_px: tf.Tensor  # [K, B]  log p(x|z)
    log_pz: tf.Tensor  # [K, B]  log p(z)
    log_qz: tf.Tensor  # [K, B]  log q(z|x)
    kl: tf.Tensor  # [B]  KL(q(z|x) || p(z)): closed form where there is one
    sq_err: tf.Tensor  # [K, B]  |x - g(z)|^2, summed over pixels in [0, 1]
    x: tf.Tensor  # [B, H, W, C]  pixels in [0, 1]
    mean: tf.Tensor  # [K, B, H, W, C]  g(z), the mean of p(x|z)
    z: tf.Tensor  # [K, B, L]
    q_mean: tf.Tensor  # [B, L]
    q_log_stddev: tf.Tensor  # [B, L]
    condition: Any = None  # [B]  the label, beta or kappa that the model is conditioned on, if any
    extra: Any = None  # what a subclass's own `terms` adds for its objective

    def __repr__(self) -> str:
        shapes = {name: getattr(value, "shape", None) for name, value in self._asdict().items() if value is not None}
        return f"Terms({', '.join(name if shape is None else f'{name} {shape}' for name, shape in shapes.items())})"


def average_over_samples(values: tf.Tensor) -> tf.Tensor:
    """Return the mean over the samples of z: [K, B] -> [B]."""
    return tf.reduce_mean(values, axis=0)


def compute_log_weights(terms: Terms) -> tf.Tensor:
    """Return log w_k = log p(x|z_k) + log p(z_k) - log q(z_k|x), [K, B]."""
    return terms.log_px + terms.log_pz - terms.log_qz


def compute_elbo(terms: Terms) -> tf.Tensor:
    """Return mean_k log p(x|z_k) - KL(q || p), [B] (Kingma & Welling, 2014, eq. 3 and 7)."""
    return average_over_samples(terms.log_px) - terms.kl


def compute_importance_weighted_bound(log_w: tf.Tensor) -> tf.Tensor:
    """Return log mean_k w_k: log weights [K, B] -> [B] (Burda et al., 2016, eq. 8)."""
    samples = tf.cast(tf.shape(log_w)[0], log_w.dtype)
    return tf.reduce_logsumexp(log_w, axis=0) - tf.math.log(samples)


def compute_normal_log_prob(z: tf.Tensor, mean: tf.Tensor, log_stddev: tf.Tensor) -> tf.Tensor:
    """Return log N(z; mean, diag stddev^2), summed over the last axis: [..., L] -> [...]."""
    u = (z - mean) * tf.exp(-log_stddev)
    return -tf.reduce_sum(0.5 * tf.square(u) + log_stddev + 0.5 * math.log(2 * math.pi), axis=-1)


def compute_normal_kl(mean: tf.Tensor, log_stddev: tf.Tensor) -> tf.Tensor:
    """Return KL(N(mean, diag stddev^2) || N(0, I)), [..., L] -> [...] (Kingma & Welling, 2014, appendix B)."""
    return 0.5 * tf.reduce_sum(compute_twice_normal_kl_by_dimension(mean, log_stddev), axis=-1)


def compute_twice_normal_kl_by_dimension(mean: tf.Tensor, log_stddev: tf.Tensor) -> tf.Tensor:
    """Return twice the KL of each latent dimension: mean^2 + stddev^2 - log stddev^2 - 1, [..., L]."""
    return tf.square(mean) + tf.exp(2.0 * log_stddev) - 2.0 * log_stddev - 1.0
