"""Priors: densities, draws and KLs against SciPy, and trained parameters that move."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfvae import specs
from tfvae.architectures.base import InferenceResult
from tfvae.distributions.priors import PRIORS
from tfvae.distributions.terms import compute_normal_log_prob
from tfvae.runtime import random_streams
from tfvae.runtime.parts import build_part

FALSE_ALARM = 1e-6  # rate of each statistical test below, over the choices of its seed
FIVE = 5.0  # standard errors: a false alarm in 6e-7


def make_prior(name, latent=2, **options):
    text = specs.format_spec(name, options)
    return build_part("prior", PRIORS, text, latent=latent, image_shape=(2, 2, 1), seed=0)


def encode(x):
    """Stand in for the encoder: return, from [M, 2, 2, 1], mean and log stddev, each [M, 2]."""
    flat = tf.reshape(x, [-1, 4])
    return 4 * flat[:, :2] - 2, flat[:, 2:] - 1.0


def make_uneven_prior(name, generator):
    """Return a prior with uneven parameters and what they are, in float64: weights [M], means, stddevs [M, 2]."""
    prior = make_prior(name, **({} if name == "normal" else {"components": 3}))
    if name == "normal":
        return prior, np.ones(1), np.zeros((1, 2)), np.ones((1, 2))
    if name == "mixture":
        raw = [generator.standard_normal(v.shape) for v in (prior.means, prior.log_stddevs, prior.logits)]
        for v, value in zip((prior.means, prior.log_stddevs, prior.logits), raw):
            v.assign(value)
        return prior, special.softmax(raw[2]), raw[0], np.exp(8 * np.tanh(raw[1] / 8))
    flat = special.expit(np.asarray(prior.pseudo_image_logits).reshape(3, 4).astype(float))
    return prior, np.full(3, 1 / 3), 4 * flat[:, :2] - 2, np.exp(flat[:, 2:] - 1)


@pytest.mark.parametrize("name", list(PRIORS))
def test_density_and_draws_of_a_prior(name, generator):
    """log p(z) as SciPy has it; mean, covariance and expected log p of draws as the density has them."""
    prior, weights, means, stddevs = make_uneven_prior(name, generator)
    p = [stats.multivariate_normal(m, np.diag(s**2)) for m, s in zip(means, stddevs)]
    z = 3 * generator.standard_normal((50, 2))
    expected = special.logsumexp([c.logpdf(z) for c in p], axis=0, b=weights[:, None])
    np.testing.assert_allclose(prior.distribution(encode).log_prob(tf.cast(z, tf.float32)), expected, rtol=1e-4)
    n = 40_000
    draws = prior.sample(n, (1, 2), encode).numpy().astype(float)
    assert draws.shape == (n, 2)
    first = weights @ means
    second = weights @ (means**2 + stddevs**2)
    cross = weights @ (means[:, 0] * means[:, 1])
    for values, moment in (
        (draws[:, 0], first[0]),
        (draws[:, 1], first[1]),
        (draws[:, 0] ** 2, second[0]),
        (draws[:, 1] ** 2, second[1]),
        (draws[:, 0] * draws[:, 1], cross),
    ):
        assert abs(values.mean() - moment) < FIVE * values.std() / n**0.5

    # in one dimension, the whole distribution function
    def cdf(t):
        return sum(w * stats.norm(m[0], s[0]).cdf(t) for w, m, s in zip(weights, means, stddevs))

    assert stats.kstest(draws[:, 0], cdf).pvalue > FALSE_ALARM


def make_inference(samples, mean, log_stddev):
    z = mean + tf.exp(log_stddev) * random_streams.normal([samples, *mean.shape], (5, 6))
    return InferenceResult(mean, log_stddev, z, compute_normal_log_prob(z, mean, log_stddev), None)


def test_mixture_of_one_standard_component_is_the_normal_prior():
    """Its KL by Monte Carlo has the closed form as its mean; its draws are normal, too."""
    one, normal = make_prior("mixture", components=1), make_prior("normal")
    one.means.assign(tf.zeros([1, 2]))
    q = make_inference(4000, tf.constant([[1.0, -0.5], [0.2, 0.0]]), tf.constant([[-0.7, 0.3], [-2.0, 0.0]]))
    log_pz = one.distribution(None).log_prob(q.z)
    np.testing.assert_allclose(log_pz, normal.distribution(None).log_prob(q.z), rtol=1e-5, atol=1e-5)
    error = np.std(q.log_qz - log_pz, axis=0) / 4000**0.5
    assert np.all(np.abs(one.kl(q, log_pz) - normal.kl(q, None)) < FIVE * error)
    assert stats.kstest(one.sample(5000, (1, 1), None)[:, 0], "norm").pvalue > FALSE_ALARM


def test_closed_kl_against_numbers():
    """KL(N(m, s^2) || N(0, 1)) by SciPy's integration of q log(q / p)."""
    mean, log_stddev = np.array([0.7, -1.5, 0.0]), np.array([-0.4, 0.2, 0.0])
    grid = np.linspace(-12, 12, 20001)
    expected = 0
    for m, s in zip(mean, np.exp(log_stddev)):
        q = stats.norm(m, s)
        expected += np.trapezoid(q.pdf(grid) * (q.logpdf(grid) - stats.norm.logpdf(grid)), grid)
    q = make_inference(1, tf.constant(mean[None], tf.float32), tf.constant(log_stddev[None], tf.float32))
    np.testing.assert_allclose(make_prior("normal", latent=3).kl(q, None)[0], expected, rtol=1e-5)


@pytest.mark.parametrize("name", ["mixture", "vamp"])
def test_trained_priors_are_trained(name, tiny, images):
    """The prior's own parameters move, and a seed draws the same z eagerly and compiled."""
    model = tiny("elbo", learning_rate=1e-2, prior=name + ":components=4")
    before = [np.asarray(v) for v in model.prior.trainable_variables]
    model.optimize(images())
    assert before and all(np.any(np.asarray(v) != b) for v, b in zip(model.prior.trainable_variables, before))
    compiled = tf.function(lambda seed: model.sample(6, seed=seed), jit_compile=True)(tf.constant([1, 2]))
    np.testing.assert_allclose(model.sample(6, seed=(1, 2)), compiled, atol=1e-4)
