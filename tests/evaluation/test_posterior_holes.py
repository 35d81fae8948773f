"""Holes and blur beside integrals, closed forms and slow loops."""

import types

import numpy as np
import pytest
import tensorflow as tf
from scipy import integrate, stats

from tfvae.distributions.priors import Normal
from tfvae.errors import UsageError
from tfvae.evaluation import hole_metrics, marginal_kl, posterior_holes


def gaussians(count=7, latent=3, seed=0):
    draw = np.random.default_rng(seed)
    return draw.normal(0, 1.5, (count, latent)), draw.normal(-0.5, 0.5, (count, latent))


def test_weights_are_those_of_a_slow_loop(monkeypatch):
    """Also in blocks, by sparse and by dense products; far tails too, where a naive ratio of densities is 0 / 0."""
    mean, log_stddev = gaussians()
    draw = np.random.default_rng(1)
    z, x = np.concatenate([draw.normal(size=(20, 3)), 30 * draw.normal(size=(5, 3))]), draw.uniform(size=(7, 4))
    log_q, overlap, optimum = [], [], []
    for one in z:
        logs = np.array([stats.norm.logpdf(one, m, np.exp(s)).sum() for m, s in zip(mean, log_stddev)])
        w = np.exp(logs - logs.max())
        log_q.append(np.log(w.mean()) + logs.max())
        w /= w.sum()
        overlap.append(np.exp(-sum(p * np.log(p) for p in w if p > 0)))
        optimum.append(sum(p * picture for p, picture in zip(w, x)))
    for room, dense in ((4_000_000, 0.03), (20, 0.0), (20, 2.0)):
        monkeypatch.setattr(marginal_kl, "MAX_NUMBERS_IN_MEMORY", room)
        monkeypatch.setattr(posterior_holes, "MIN_DENSE_SHARE", dense)
        results = posterior_holes.compute_posterior_weights(z, mean, log_stddev, x)
        np.testing.assert_allclose(results.log_q, log_q, rtol=1e-10)
        np.testing.assert_allclose(results.overlap, overlap, rtol=1e-10)
        np.testing.assert_allclose(results.optimum, optimum, rtol=1e-9, atol=1e-12)
    assert posterior_holes.compute_posterior_weights(z, mean, log_stddev).optimum is None


def test_identical_posteriors_overlap_wholly_and_leave_no_hole():
    """n equal posteriors: exp(H) = n, g* the mean image; equal to the prior, log q / p = 0 everywhere."""
    z, x = np.random.default_rng(0).normal(size=(50, 2)), np.arange(12.0).reshape(6, 2)
    results = posterior_holes.compute_posterior_weights(z, np.zeros((6, 2)), np.zeros((6, 2)), x)
    np.testing.assert_allclose(results.overlap, 6.0, rtol=1e-12)
    np.testing.assert_allclose(results.optimum, np.tile(x.mean(0), (50, 1)), rtol=1e-12)
    log_ratio = results.log_q - stats.norm.logpdf(z).sum(1)
    np.testing.assert_allclose(log_ratio, 0.0, atol=1e-12)
    assert posterior_holes.estimate_hole_mass(log_ratio)[0] == 0.0


def test_disjoint_posteriors_have_each_z_for_themselves():
    """40 stddevs apart: at draws of each the overlap is 1 and g* that image."""
    mean = 4.0 * np.array([[-1.0], [0.0], [1.0]])
    z, x = np.repeat(mean, 30, axis=0) + 0.1 * np.random.default_rng(0).normal(size=(90, 1)), np.eye(3)
    results = posterior_holes.compute_posterior_weights(z, mean, np.full((3, 1), np.log(0.1)), x)
    np.testing.assert_allclose(results.overlap, 1.0, rtol=1e-12)
    np.testing.assert_allclose(results.optimum, np.repeat(x, 30, axis=0), atol=1e-12)


def test_hole_mass_of_two_narrow_posteriors_is_that_of_an_integral():
    """q = 1/2 N(-1, 0.2^2) + 1/2 N(1, 0.2^2), p = N(0, 1); 20,000 draws, 4.5 standard errors: false alarms 7e-6."""
    mean, log_stddev = np.array([[-1.0], [1.0]]), np.full((2, 1), np.log(0.2))

    def log_ratio(z):
        return np.log(0.5 * (stats.norm.pdf(z, -1, 0.2) + stats.norm.pdf(z, 1, 0.2))) - stats.norm.logpdf(z)

    grid = np.linspace(-8, 8, 400_001)
    z = np.random.default_rng(0).normal(size=(20_000, 1))
    results = posterior_holes.compute_posterior_weights(z, mean, log_stddev).log_q - stats.norm.logpdf(z[:, 0])
    for threshold in (posterior_holes.HOLE_THRESHOLD, -1.0):
        with np.errstate(divide="ignore"):
            inside = log_ratio(grid) < threshold
        truth = (stats.norm.pdf(grid) * inside).sum() * (grid[1] - grid[0])
        share, low, high = posterior_holes.estimate_hole_mass(results, threshold=threshold)
        assert 0.1 < truth < 0.9 and abs(share - truth) < 4.5 * np.sqrt(truth * (1 - truth) / 20_000)
        assert low < share < high
    with pytest.raises(UsageError, match="threshold <= 0"):
        posterior_holes.estimate_hole_mass(results, threshold=0.1)


def test_overlap_of_three_posteriors_is_that_of_an_integral():
    """E exp(H(w(z))) for z ~ q on a line by quadrature; 20,000 draws, 4.5 standard errors: false alarms 7e-6."""
    mean, stddev = np.array([-1.0, 0.0, 1.5]), np.array([0.6, 0.4, 0.8])

    def integrand(z):
        densities = stats.norm.pdf(z, mean, stddev)
        w = densities / densities.sum()
        return densities.mean() * np.exp(-(w * np.log(w)).sum())

    truth = integrate.quad(integrand, -4, 6, points=list(mean), limit=200)[0]
    which, noise = np.arange(20_001) % 3, np.random.default_rng(0).normal(size=20_001)
    results = posterior_holes.compute_posterior_weights(
        (mean[which] + stddev[which] * noise)[:, None], mean[:, None], np.log(stddev)[:, None]
    )
    assert abs(results.overlap.mean() - truth) < 4.5 * results.overlap.std() / np.sqrt(20_001)
    assert 1.1 < truth < 2.9


def test_the_overlap_of_codes_is_what_the_mutual_information_lacks():
    """I(x; z) = log n - E_q H(w(z)), the same draws: an identity beside `marginal_kl`; 4.5 standard errors."""
    mean, log_stddev = gaussians(50, 2)
    which, z = marginal_kl.sample_aggregate(mean, log_stddev, 20_000, (3, 4))
    assert which.shape == (20_000,)
    entropy = np.log(posterior_holes.compute_posterior_weights(z, mean, log_stddev).overlap)
    kl = 0.5 * (mean**2 + np.exp(2 * log_stddev) - 1 - 2 * log_stddev).sum(1).mean()
    results = marginal_kl.estimate_marginal_kl(mean, log_stddev, None, draws=20_000, rate=kl)
    error = np.hypot(results.standard_error, entropy.std() / np.sqrt(20_000))
    assert abs((kl - results.kl) - (np.log(50) - entropy.mean())) < 4.5 * error


def test_the_gap_is_what_the_decoder_loses():
    """E|x - g|^2 = E|x - g*|^2 + E|g - g*|^2 with weights summed exactly: Pythagoras at every z."""
    mean, log_stddev = gaussians()
    draw = np.random.default_rng(2)
    z, x, g = draw.normal(size=(30, 3)), draw.uniform(size=(7, 5)), draw.uniform(size=(30, 5))
    results = posterior_holes.compute_posterior_weights(z, mean, log_stddev, x)
    w = np.exp(marginal_kl.make_log_posteriors(mean, log_stddev)(z))
    w /= w.sum(1, keepdims=True)
    of_g, of_optimum = ((w * ((x[None] - y[:, None]) ** 2).sum(-1)).sum(1) for y in (g, results.optimum))
    np.testing.assert_allclose(posterior_holes.compute_decoder_gap(g, results.optimum), of_g - of_optimum, rtol=1e-9)


class Points:
    """A model of 1 x 2 'images' that are their codes: q(z|x) = N(x, 0.01), g(z) = z + 0.5; prior N(0, I)."""

    arch = types.SimpleNamespace(has_normal_posterior=True, latent=2, encode=None)
    condition, image_shape = None, (1, 2, 1)
    prior = Normal(latent=2, image_shape=(1, 2, 1), seed=0)

    def condition_kwargs(self, labels):
        return {}

    def prepare_pixels(self, x, seed):
        return tf.cast(x, tf.float32)

    def encode(self, x, condition=None):
        mean = tf.reshape(x, [-1, 2])
        return mean, tf.fill(tf.shape(mean), 0.01)

    def decode(self, z):
        return tf.reshape(z, [-1, 1, 2, 1]) + 0.5


def test_rows_of_a_model_that_is_known():
    """Codes on a grid 0.5 apart, stddev 0.01: overlap 1 at codes, |g - g*|^2 = 2 (0.5^2 + 0.01^2) up to noise there."""
    grid = np.stack(np.meshgrid(*[np.linspace(-4, 4, 17)] * 2), axis=-1).reshape(-1, 1, 2, 1).astype(np.float32)
    results = hole_metrics.measure_holes(Points(), grid, 0)
    assert results["hole_posteriors"] == 289 and results["hole_draws"] == posterior_holes.DRAWS
    assert results["overlap_posterior"] == pytest.approx(1.0, abs=1e-9)
    # E (0.5 + e)^2 twice, 2000 draws: 4.5 standard errors of 4 * 0.5^2 * 0.01^2 a dimension
    assert results["decoder_gap_posterior"] == pytest.approx(0.5 + 2e-4, abs=4.5 * np.sqrt(2) * 0.01 / np.sqrt(2000))
    assert results["hole_mass"] > 0.95  # discs of a few hundredths in squares of 1/2
    # z ~ p lies evenly in its square of side 1/2 around the nearest code: E|z + 1/2 - x|^2; 5% for 2,000 draws
    assert results["decoder_gap_prior"] == pytest.approx(2 * (0.25 + 1 / 48), rel=0.05)
    assert results["decoder_gap_prior_low"] < results["decoder_gap_prior"] < results["decoder_gap_prior_high"]
