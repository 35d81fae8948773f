"""Distances between the aggregated posterior and the prior, estimated from samples."""

from __future__ import annotations

import math

import tensorflow as tf

from tfvae.distributions.terms import Terms, average_over_samples


def estimate_total_correlation(terms: Terms) -> tf.Tensor:
    """Return mean_k log q(z) - sum_d log q(z_d), [B], with q(z) = mean_j q(z|x_j) over the batch."""
    z = terms.z[:, :, None, :]  # [K, B, 1, L] against parameters [B, L]
    u = (z - terms.q_mean) * tf.exp(-terms.q_log_stddev)
    log_q = -0.5 * tf.square(u) - terms.q_log_stddev - 0.5 * math.log(2 * math.pi)  # [K, B, B, L]
    log_batch = tf.math.log(tf.cast(tf.shape(terms.q_mean)[0], tf.float32))
    joint = tf.reduce_logsumexp(tf.reduce_sum(log_q, axis=-1), axis=2) - log_batch
    marginals = tf.reduce_logsumexp(log_q, axis=2) - log_batch
    return average_over_samples(joint - tf.reduce_sum(marginals, axis=-1))


def estimate_mmd2(a: tf.Tensor, b: tf.Tensor, width: float) -> tf.Tensor:
    """Return the unbiased MMD^2 of two samples, a scalar (Gretton et al., 2012, eq. 3).

    Args:
        a, b: the samples, [N, L] each.
        width: of the kernel exp(-|u - v|^2 / (2 width^2)), in units of z.
    """

    def apply_kernel(u: tf.Tensor, v: tf.Tensor) -> tf.Tensor:
        square = tf.reduce_sum(tf.square(u[:, None] - v[None]), axis=-1)
        return tf.exp(-square / (2.0 * width**2))

    n = tf.cast(tf.shape(a)[0], tf.float32)

    def average_within(u: tf.Tensor) -> tf.Tensor:  # without the diagonal, whose N ones would bias it
        return (tf.reduce_sum(apply_kernel(u, u)) - n) / (n * tf.maximum(n - 1.0, 1.0))  # one sample: 0, not 0/0

    return average_within(a) + average_within(b) - 2.0 * tf.reduce_mean(apply_kernel(a, b))
