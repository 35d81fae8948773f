"""The latent-space pictures against a model whose images are its codes."""

import types

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.models import latent_views


class Codes:
    """encode is the identity on [1, L, 1] images, decode its inverse: a picture shows the z it was made from."""

    arch = types.SimpleNamespace(latent=2)

    def encode(self, x):
        mean = tf.cast(x, tf.float32)[:, 0, :, 0]
        return mean, tf.ones_like(mean)

    def decode(self, z):
        return z[:, None, :, None]

    def kl_per_dimension(self, x):
        return tf.constant([0.5, 2.0, 0.0, 1.0])


def as_images(z):
    return np.asarray(z, np.float32)[:, None, :, None]


def test_traversal_sets_one_dimension_and_leaves_the_others():
    image = as_images([[0.1, 0.2, 0.3]])[0]
    found = latent_views.traverse(Codes(), image, dims=[2, 0], span=2.0, steps=5)[:, :, 0, :, 0]  # [D, S, L]
    values = [-2, -1, 0, 1, 2]
    expected = [[[0.1, 0.2, v] for v in values], [[v, 0.2, 0.3] for v in values]]
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_most_active_dimensions_come_first():
    assert latent_views.find_active_dimensions(Codes(), as_images([[0.0] * 4]), 3) == [1, 3, 0]


def test_interpolation_is_straight_with_both_ends_reconstructed():
    a, b = [[0.0, 4.0], [1.0, 1.0]], [[2.0, 0.0], [1.0, 3.0]]
    found = latent_views.interpolate(Codes(), as_images(a), as_images(b), steps=3)[:, :, 0, :, 0]
    np.testing.assert_allclose(found, np.stack([a, [[1, 2], [1, 2]], b], axis=1), rtol=1e-6)


def test_manifold_stands_at_normal_quantiles_with_z2_upwards():
    found = latent_views.decode_manifold(Codes(), side=5)[:, :, 0, :, 0]  # [R, R, 2]
    quantiles = scipy.stats.norm.ppf([0.1, 0.3, 0.5, 0.7, 0.9])
    # atol: ndtri in float32 near 0
    np.testing.assert_allclose(found[:, :, 0], np.tile(quantiles, (5, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(found[:, :, 1], np.tile(quantiles[::-1, None], (1, 5)), rtol=1e-5, atol=1e-6)


def test_batches_do_not_change_the_pictures():
    z = np.random.default_rng(0).normal(size=(3, 200, 2)).astype(np.float32)  # 600 codes: more than two batches
    np.testing.assert_array_equal(latent_views.decode_codes(Codes(), z)[:, :, 0, :, 0], z)


def test_impossible_requests_are_refused():
    image = as_images([[0.0, 0.0]])
    with pytest.raises(UsageError, match="dimensions 0 to 1. Received: 2"):
        latent_views.traverse(Codes(), image, dims=[2])
    with pytest.raises(UsageError, match="span > 0"):
        latent_views.traverse(Codes(), image, dims=[0], span=0.0)
    with pytest.raises(UsageError, match="steps >= 2"):
        latent_views.interpolate(Codes(), image, image, steps=1)
    model = Codes()
    model.arch = types.SimpleNamespace(latent=3)
    with pytest.raises(UsageError, match="latent=2. Received: latent=3"):
        latent_views.decode_manifold(model)
