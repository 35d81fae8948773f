"""The scales of likelihoods: the Gaussian's sigma in all its ways, shared scales, and options refused."""

import math

import numpy as np
import pytest
import tensorflow as tf
from likelihood_doubles import SHAPE, make_images, make_likelihood, make_outputs, soft_clip, soft_clip_both_sides
from scipy import optimize, special, stats

from tfvae import part_sources, specs
from tfvae.distributions import densities
from tfvae.distributions.likelihoods import LIKELIHOODS
from tfvae.errors import UsageError

D = math.prod(SHAPE)


def test_sigma_enters_the_loss():
    h, x = make_outputs(make_likelihood("gaussian"), (4,)), make_images(4)
    for sigma in (0.05, 0.5, 2.0):
        want = stats.norm.logpdf(x, special.expit(h.astype("float64")), sigma).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(make_likelihood(f"gaussian:sigma={sigma}").log_prob(h, x), want, rtol=1e-5)
    shared = make_likelihood("gaussian:sigma=shared")
    with tf.GradientTape() as tape:
        log_px = shared.log_prob(h, x)
    assert abs(tape.gradient(log_px, shared.log_scale)) > 1e-3
    want = stats.norm.logpdf(x, special.expit(h), math.exp(soft_clip(0.0, -6.0))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(log_px, want, rtol=1e-5)


def test_the_constant_counts_every_pixel():
    h = np.zeros((1, 3, 2, 2), "float32")
    log_px = make_likelihood("gaussian:sigma=0.3").log_prob(h, np.full((1, *SHAPE), 0.5))
    np.testing.assert_allclose(log_px, [-D / 2 * math.log(2 * math.pi * 0.3**2)], rtol=1e-6)


def test_the_scale_of_errors_is_that_of_pixels_in_0_1():
    """Moving a pixel by d from the mean costs d^2 / (2 sigma^2) nats."""
    likelihood, h = make_likelihood("gaussian:sigma=0.25", (1, 1, 1)), np.zeros((1, 1, 1, 1), "float32")
    at, off = (float(likelihood.log_prob(h, np.full((1, 1, 1, 1), x))[0]) for x in (0.5, 0.75))
    assert at - off == pytest.approx(0.25**2 / (2 * 0.25**2), rel=1e-6)


@pytest.mark.parametrize("rmse", [0.02, 0.1, 0.3])
def test_optimal_sigma_squared_is_the_mean_squared_error(rmse):
    mse = np.float32(rmse**2)
    assert float(densities.compute_optimal_sigma2(mse)) == pytest.approx(float(mse), rel=1e-6)
    want = 500 / 2 * (math.log(2 * math.pi * mse) + 1)
    assert float(densities.compute_optimal_nll(500.0 * mse, 500)) == pytest.approx(want, rel=1e-6)


def test_optimal_sigma_minimises_the_shared_sigma_nll():
    """Minimised numerically in float64 over log sigma: the same sigma^2 to 1e-6, the same training loss."""
    likelihood, x = make_likelihood("gaussian"), make_images(8)
    h = make_outputs(likelihood, (2, 8))
    errors = x - special.expit(h.astype("float64"))
    mse = np.mean(errors**2)
    root = optimize.brentq(lambda s: errors.size - np.sum(errors**2) * np.exp(-2 * s), -6, 3, xtol=1e-12)
    best = -stats.norm.logpdf(errors, 0, math.exp(root)).sum() / 16
    assert math.exp(2 * root) == pytest.approx(float(densities.compute_optimal_sigma2(np.float32(mse))), rel=1e-6)
    loss = -np.mean(likelihood.log_prob(h, x, training=True))
    assert loss == pytest.approx(best, rel=1e-5)
    assert loss == pytest.approx(float(densities.compute_optimal_nll(np.float32(mse * D), D)), rel=1e-5)


def test_gradient_flows_through_optimal_sigma():
    """The loss is D/2 log MSE and a constant: scaling the error by c has derivative D at c = 1, and
    halving it takes off D log 2 (the error term alone, with sigma held fixed, would take off 3/8 D)."""
    likelihood, x = make_likelihood("gaussian:link=linear"), np.zeros((4, *SHAPE), "float32")
    h = make_outputs(likelihood, (4,))
    with tf.GradientTape() as tape:
        scale = tf.constant(1.0)
        tape.watch(scale)
        loss = -tf.reduce_mean(likelihood.log_prob(scale * h, x, training=True))
    assert float(tape.gradient(loss, scale)) == pytest.approx(D, rel=1e-5)  # d/dc of D/2 log(c^2 MSE)
    half = -tf.reduce_mean(likelihood.log_prob(0.5 * h, x, training=True))
    assert float(loss - half) == pytest.approx(D * math.log(2), rel=1e-5)


def test_per_image_sigma_fits_each_image():
    likelihood, x = make_likelihood("gaussian:sigma=per-image"), make_images(4)
    h = make_outputs(likelihood, (2, 4))
    mse = np.mean((x - special.expit(h.astype("float64"))) ** 2, axis=(-3, -2, -1))
    got = likelihood.log_prob(h, x, training=True)
    np.testing.assert_allclose(got, -D / 2 * (np.log(2 * np.pi * mse) + 1), rtol=1e-5)


def test_test_scores_do_not_depend_on_the_test_batch():
    for sigma in ("optimal", "per-image"):
        likelihood = make_likelihood(f"gaussian:sigma={sigma}")
        likelihood.adapt(tf.constant(0.04))
        h, x = make_outputs(likelihood, (8,)), make_images(8)
        together = likelihood.log_prob(h, x).numpy()
        alone = np.concatenate([likelihood.log_prob(h[i : i + 1], x[i : i + 1]) for i in range(8)])
        np.testing.assert_allclose(together, alone, rtol=1e-6)
        want = stats.norm.logpdf(x, special.expit(h), 0.2).sum(axis=(1, 2, 3))
        np.testing.assert_allclose(together, want, rtol=1e-5)


@pytest.mark.parametrize("jit", [False, True])
def test_running_mse_moves_only_in_adapt(jit):
    likelihood = make_likelihood("gaussian")
    for training in (True, False):
        likelihood.log_prob(make_outputs(likelihood, (4,)), make_images(4), training=training)
    assert float(likelihood.running_mse) == 1.0
    adapt = tf.function(likelihood.adapt, jit_compile=jit)
    errors, want = [0.5, 0.3, math.nan, math.inf, 0.2], None
    for mse in errors:
        adapt(tf.constant(mse))
        if math.isfinite(mse):
            want = mse if want is None else 0.99 * want + 0.01 * mse
        assert float(likelihood.running_mse) == pytest.approx(want, rel=1e-6)
    assert likelihood.trainable_variables == []


def test_zero_error_is_finite():
    """The soft clip holds sigma at e^-6 or above: log sigma = -6 at zero error, and gradients stay finite."""
    assert float(densities.compute_optimal_sigma2(tf.constant(0.0))) == pytest.approx(math.exp(-12), rel=1e-5)
    likelihood = make_likelihood("gaussian:link=linear")
    h = tf.zeros([4, 3, 2, 2])
    with tf.GradientTape() as tape:
        tape.watch(h)
        log_px = likelihood.log_prob(h, tf.zeros([4, *SHAPE]), training=True)
    np.testing.assert_allclose(log_px, -D / 2 * (math.log(2 * math.pi) - 12), rtol=1e-5)
    assert np.isfinite(tape.gradient(log_px, h)).all()
    assert float(densities.compute_optimal_nll(tf.constant(0.0), D)) == pytest.approx(float(-log_px[0]), rel=1e-5)


def test_per_pixel_sigma_is_read_from_the_decoder_outputs():
    likelihood, x = make_likelihood("gaussian:sigma=per-pixel"), make_images(4)
    h = make_outputs(likelihood, (4,), size=3.0)
    raw, s = np.split(h.astype("float64"), 2, -1)
    want = stats.norm.logpdf(x, special.expit(raw), np.exp(soft_clip_both_sides(s, -6, 5))).sum(axis=(1, 2, 3))
    np.testing.assert_allclose(likelihood.log_prob(h, x), want, rtol=1e-5)


def test_linear_link_is_clipped_only_in_pictures():
    likelihood, h = make_likelihood("gaussian:link=linear"), np.full((1, 3, 2, 2), 1.5, "float32")
    assert np.all(likelihood.loc(h) == 1.5) and np.all(likelihood.mean(h) == 1.0)


@pytest.mark.parametrize("spec", ["laplace:scale=shared", "logistic:scale=shared", "gaussian:sigma=shared"])
def test_shared_scale_is_one_trainable_number_and_learns(spec):
    likelihood = make_likelihood(spec)
    h, x = make_outputs(likelihood, (4,)), make_images(4)
    assert likelihood.output_channels == 2
    (scale,) = likelihood.trainable_variables
    assert scale.shape == () and float(scale) == 0.0
    before = tf.reduce_sum(likelihood.log_prob(h, x))
    with tf.GradientTape() as tape:
        loss = -tf.reduce_sum(likelihood.log_prob(h, x))
    scale.assign_sub(1e-2 * tf.sign(tape.gradient(loss, scale)))
    assert tf.reduce_sum(likelihood.log_prob(h, x)) > before


@pytest.mark.parametrize(
    "spec, words",
    [
        ("gaussian:sigma=-1", "number > 0"),
        ("gaussian:sigma=0", "number > 0"),
        ("gaussian:sigma=true", "sigma to be"),
        ("gaussian:sigma=nan", "sigma to be"),
        ("gaussian:sigma=optimum", "Did you mean 'optimal'"),
        ("gaussian:link=sigmoids", "Did you mean 'sigmoid'"),
        ("laplace:scale=per-pixels", "Did you mean 'per-pixel'"),
        ("logistic:scale=0.1", "per-pixel, shared"),
        ("logistic-mixture:components=0", "components >= 1"),
    ],
)
def test_bad_options_are_refused_in_one_sentence(spec, words):
    with pytest.raises(UsageError, match="[Ee]xpected") as error:
        make_likelihood(spec)
    assert words in str(error.value) and "Received" in str(error.value)


def test_the_table_is_readable_without_importing_tensorflow():
    parts = part_sources.read_parts("likelihood")
    for name, cls in LIKELIHOODS.items():
        assert parts[name].summary and parts[name] == specs.describe_class(name, cls)


def test_half_precision_outputs_are_scored_in_float32():
    for name in LIKELIHOODS:
        likelihood = make_likelihood(name)
        h = tf.cast(make_outputs(likelihood, (4,)), tf.bfloat16)
        log_px = likelihood.log_prob(h, make_images(4))
        assert log_px.dtype == tf.float32
        np.testing.assert_allclose(log_px, likelihood.log_prob(tf.cast(h, tf.float32), make_images(4)), rtol=1e-6)
