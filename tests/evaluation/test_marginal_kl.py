"""KL(q(z) || p(z)) of the aggregated posterior, beside quadrature, closed forms and SciPy."""

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import logsumexp

from tfvae.distributions.priors import Normal
from tfvae.errors import UsageError
from tfvae.evaluation.marginal_kl import compute_log_aggregate, estimate_marginal_kl


def log_prior(latent):
    return Normal(latent=latent, image_shape=(1, 1, 1), seed=0).distribution(None).log_prob


def test_log_aggregate_is_that_of_a_mixture():
    """Beside SciPy's normal densities, in float64; far tails, where a naive sum of densities is 0."""
    draw = np.random.default_rng(0)
    mean, log_stddev, z = draw.normal(0, 2, (7, 3)), draw.normal(-1, 1, (7, 3)), 10 * draw.normal(size=(50, 3))
    logs = stats.norm.logpdf(z[:, None], mean, np.exp(log_stddev)).sum(-1)
    np.testing.assert_allclose(
        compute_log_aggregate(z, mean, log_stddev), logsumexp(logs, axis=1) - np.log(7), rtol=1e-10
    )


def test_marginal_kl_of_a_mixture_with_a_known_answer():
    """Three normals on a line, by quadrature. 4.5 standard errors: false alarms 7e-6."""
    mean, stddev = np.array([-2.0, 0.5, 3.0]), np.array([0.3, 0.8, 0.5])

    def integrand(z):
        q = stats.norm.pdf(z, mean, stddev).mean()
        return q * (np.log(q) - stats.norm.logpdf(z))

    truth = integrate.quad(integrand, -8, 8, points=list(mean), limit=200)[0]
    results = estimate_marginal_kl(mean[:, None], np.log(stddev)[:, None], log_prior(1), draws=20_000)
    assert abs(results.kl - truth) < 4.5 * results.standard_error and results.standard_error < 0.02 * truth
    assert results.posteriors == 3


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_marginal_kl_of_an_exact_model_is_nearly_zero(count):
    """x ~ N(0, 1), z|x ~ N(a x, 1 - a^2): q(z) is the prior. What is left is the bias of so many posteriors.

    For n posteriors it is about E[(w - 1)^2] / 2n of the weights w = q(z|x) / p(z), here (1 / (1 - a^2) - 1) / 2n;
    measured with 20,000 draws, 5 standard errors (false alarms 6e-7) above it, and never far below zero.
    """
    a = 0.95
    mean = a * np.random.default_rng(1).normal(size=(count, 1))
    log_stddev = np.full((count, 1), 0.5 * np.log(1 - a**2))
    results = estimate_marginal_kl(mean, log_stddev, log_prior(1), draws=20_000)
    bias = (1 / (1 - a**2) - 1) / (2 * count)
    assert -5 * results.standard_error < results.kl < 3 * bias + 5 * results.standard_error


def test_one_posterior_is_the_closed_form():
    """n = 1: the ordinary KL of two normals. 4.5 standard errors: false alarms 7e-6."""
    results = estimate_marginal_kl(np.array([[1.0, -0.5]]), np.log([[0.5, 2.0]]), log_prior(2), draws=20_000)
    truth = 0.5 * ((1 + 0.25) + (0.25 + 4.0) - 2 - np.log(0.25 * 4.0))
    assert abs(results.kl - truth) < 4.5 * results.standard_error
    with pytest.raises(UsageError, match="draws >= 2"):
        estimate_marginal_kl(np.zeros((2, 2)), np.zeros((2, 2)), log_prior(2), draws=1)
