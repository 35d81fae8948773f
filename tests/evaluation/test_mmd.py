"""MMD of samples and the cheap forms of the marginal KL, beside closed forms, loops and quadrature."""

import numpy as np
import pytest
from scipy import integrate, stats

from tfvae.errors import UsageError
from tfvae.evaluation import mmd
from tfvae.evaluation.marginal_kl import estimate_marginal_kl

WIDTH = 1.5


def kernel(name, u, v, width=WIDTH):
    square = np.sum((u - v) ** 2)
    return np.exp(-square / (2 * width**2)) if name == "rbf" else 2 * width**2 / (2 * width**2 + square)


@pytest.mark.parametrize("name", ["rbf", "imq"])
def test_mmd_is_its_double_loop(name, monkeypatch):
    """Also in many blocks; width 0 is sqrt(L)."""
    draw = np.random.default_rng(0)
    a, b = draw.normal(size=(9, 3)), draw.normal(1, 2, size=(7, 3))
    for width in (WIDTH, np.sqrt(3)):
        aa = np.mean([kernel(name, u, v, width) for i, u in enumerate(a) for j, v in enumerate(a) if i != j])
        bb = np.mean([kernel(name, u, v, width) for i, u in enumerate(b) for j, v in enumerate(b) if i != j])
        ab = np.mean([kernel(name, u, v, width) for u in a for v in b])
        truth = aa + bb - 2 * ab
        assert mmd.estimate_mmd2(a, b, kernel=name, width=width) == pytest.approx(truth, rel=1e-10)
    assert mmd.estimate_mmd2(a, b, kernel=name) == pytest.approx(truth, rel=1e-10)
    monkeypatch.setattr(mmd, "MAX_NUMBERS_IN_MEMORY", 20)
    assert mmd.estimate_mmd2(a, b, kernel=name) == pytest.approx(truth, rel=1e-10)


def expected_kernel(name, shift, covariance):
    """E k(u, v) for u - v ~ N(shift, covariance); the IMQ kernel is the integral of RBF kernels over exp(-t) dt."""

    def rbf(t):
        spread = np.eye(len(shift)) + t * covariance / WIDTH**2
        exponent = 0.5 * t / WIDTH**2 * shift @ np.linalg.solve(spread, shift)
        return np.exp(-exponent) / np.sqrt(np.linalg.det(spread))

    return rbf(1.0) if name == "rbf" else integrate.quad(lambda t: np.exp(-t) * rbf(t), 0, np.inf)[0]


@pytest.mark.parametrize("name", ["rbf", "imq"])
@pytest.mark.parametrize("same", [False, True])
def test_mmd_of_normals_is_the_closed_form_without_bias(name, same):
    """The mean over 300 pairs of small samples, 4.5 standard errors (false alarms 7e-6); equal laws give 0."""
    shift, s, eye = np.array([0.8, -0.3]), np.array([[0.5, 0.2], [0.2, 0.3]]), np.eye(2)
    shift, s = (0 * shift, eye) if same else (shift, s)
    truth = sum(expected_kernel(name, 0 * shift, 2 * c) for c in (s, eye)) - 2 * expected_kernel(name, shift, s + eye)
    draw, root = np.random.default_rng(1), np.linalg.cholesky(s)
    estimates = [
        mmd.estimate_mmd2(
            shift + draw.normal(size=(30, 2)) @ root.T, draw.normal(size=(40, 2)), kernel=name, width=WIDTH
        )
        for _ in range(300)
    ]
    assert abs(np.mean(estimates) - truth) < 4.5 * np.std(estimates) / np.sqrt(300)
    assert truth == pytest.approx(0.0, abs=1e-12) if same else truth > 0.05


def test_mmd_is_that_of_the_objective():
    """tfvae.distributions.divergences has the TensorFlow form of the RBF kernel: float32's rounding, 1e-5."""
    tf = pytest.importorskip("tensorflow")
    from tfvae.distributions.divergences import estimate_mmd2

    draw = np.random.default_rng(2)
    a, b = draw.normal(size=(20, 4)), draw.normal(1, 1, size=(20, 4))
    theirs = estimate_mmd2(tf.constant(a, tf.float32), tf.constant(b, tf.float32), WIDTH)
    assert mmd.estimate_mmd2(a, b, width=WIDTH) == pytest.approx(float(theirs), abs=1e-5)


def test_bad_arguments_are_refused():
    a = np.zeros((4, 2))
    with pytest.raises(UsageError, match="Did you mean 'rbf'"):
        mmd.estimate_mmd2(a, a, kernel="rbff")
    with pytest.raises(UsageError, match="width >= 0"):
        mmd.estimate_mmd2(a, a, width=-1.0)
    with pytest.raises(UsageError, match="N >= 2"):
        mmd.estimate_mmd2(a[:1], a)
    with pytest.raises(UsageError, match="draws >= 2"):
        mmd.estimate_dimension_kl(a, a, draws=1)


MEAN, STDDEV = np.array([-2.0, 0.5, 3.0]), np.array([0.3, 0.8, 0.5])


def test_moment_kl_of_one_posterior_is_the_closed_form():
    truth = 0.5 * ((1 + 0.25) + (0.25 + 4.0) - 2 - np.log(0.25 * 4.0))
    assert mmd.compute_moment_kl([[1.0, -0.5]], np.log([[0.5, 2.0]])) == pytest.approx(truth, rel=1e-12)
    assert mmd.compute_moment_kl(np.zeros((5, 3)), np.zeros((5, 3))) == pytest.approx(0.0, abs=1e-14)


def test_moment_kl_is_the_kl_less_that_to_the_fitted_normal():
    """KL(q || p) = KL(q || N(m, s)) + KL(N(m, s) || p), by quadrature of a mixture of three normals."""
    m = MEAN.mean()
    s = np.sqrt((STDDEV**2 + MEAN**2).mean() - m**2)

    def kl(other):
        def integrand(z):
            q = stats.norm.pdf(z, MEAN, STDDEV).mean()
            return q * (np.log(q) - other.logpdf(z))

        return integrate.quad(integrand, -8, 8, points=list(MEAN), limit=200)[0]

    truth = kl(stats.norm()) - kl(stats.norm(m, s))
    assert mmd.compute_moment_kl(MEAN[:, None], np.log(STDDEV)[:, None]) == pytest.approx(truth, rel=1e-8)


def test_moments_are_those_of_draws_from_the_mixture():
    """In three dimensions, with correlated means: the covariance of 200,000 draws; 1% for them."""
    draw = np.random.default_rng(0)
    mean = draw.normal(size=(50, 3)) @ draw.normal(size=(3, 3))
    log_stddev = draw.normal(-1, 0.3, size=(50, 3))
    which = draw.integers(0, 50, 200_000)
    z = mean[which] + np.exp(log_stddev[which]) * draw.normal(size=(200_000, 3))
    m, s = z.mean(0), np.cov(z.T)
    truth = 0.5 * (np.trace(s) + m @ m - 3 - np.log(np.linalg.det(s)))
    assert mmd.compute_moment_kl(mean, log_stddev) == pytest.approx(truth, rel=0.01)


def test_each_dimension_beside_quadrature():
    """A mixture of three normals, and one posterior that is the prior: 4.5 standard errors (7e-6), and exactly 0."""

    def integrand(z):
        q = stats.norm.pdf(z, MEAN, STDDEV).mean()
        return q * (np.log(q) - stats.norm.logpdf(z))

    truth = integrate.quad(integrand, -8, 8, points=list(MEAN), limit=200)[0]
    mean, log_stddev = np.stack([MEAN, 0 * MEAN], axis=1), np.log(np.stack([STDDEV, 1 + 0 * MEAN], axis=1))
    estimates = mmd.estimate_dimension_kl(mean, log_stddev, draws=20_000)
    assert (
        abs(estimates.kl[0] - truth) < 4.5 * estimates.standard_error[0] and estimates.standard_error[0] < 0.02 * truth
    )
    assert estimates.kl[1] == pytest.approx(0.0, abs=1e-12)


def test_both_cheap_forms_are_below_the_marginal_kl():
    """Means on a circle: the joint KL sees the hole in the middle and the correlation; 5 standard errors to spare."""
    angle = 2 * np.pi * np.arange(200) / 200
    mean = 2 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    log_stddev = np.full_like(mean, np.log(0.3))
    joint = estimate_marginal_kl(
        mean, log_stddev, lambda z: -0.5 * np.sum(np.asarray(z) ** 2 + np.log(2 * np.pi), axis=1)
    )
    dims = mmd.estimate_dimension_kl(mean, log_stddev)
    assert mmd.compute_moment_kl(mean, log_stddev) < joint.kl - 5 * joint.standard_error
    assert dims.kl.sum() < joint.kl - 5 * (joint.standard_error + dims.standard_error.sum())
