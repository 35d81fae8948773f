"""Distances between the aggregated posterior and the prior, estimated from samples."""

import math

import tensorflow as tf

from tfvae.distributions.terms import mean_over_samples


def total_correlation(terms):
    """mean_k log q(z) - sum_d log q(z_d), [B], with q(z) = mean_j q(z|x_j) over the batch."""
    z = terms.z[:, :, None, :]  # [K, B, 1, L] against parameters [B, L]
    u = (z - terms.q_mean) * tf.exp(-terms.q_log_stddev)
    log_q = -0.5 * tf.square(u) - terms.q_log_stddev - 0.5 * math.log(2 * math.pi)  # [K, B, B, L]
    log_batch = tf.math.log(tf.cast(tf.shape(terms.q_mean)[0], tf.float32))
    joint = tf.reduce_logsumexp(tf.reduce_sum(log_q, axis=-1), axis=2) - log_batch
    marginals = tf.reduce_logsumexp(log_q, axis=2) - log_batch
    return mean_over_samples(joint - tf.reduce_sum(marginals, axis=-1))


def mmd2(a, b, width):
    """Unbiased MMD^2 of samples a, b [N, L], kernel exp(-|a-b|^2 / (2 width^2)) (Gretton et al., 2012, eq. 3)."""

    def kernel(u, v):
        square = tf.reduce_sum(tf.square(u[:, None] - v[None]), axis=-1)
        return tf.exp(-square / (2.0 * width**2))

    n = tf.cast(tf.shape(a)[0], tf.float32)

    def within(u):  # without the diagonal, whose N ones would bias it
        return (tf.reduce_sum(kernel(u, u)) - n) / (n * tf.maximum(n - 1.0, 1.0))  # one sample: 0, not 0/0

    return within(a) + within(b) - 2.0 * tf.reduce_mean(kernel(a, b))
