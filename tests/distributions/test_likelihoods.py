"""Likelihoods against SciPy and NumPy float64: log-probabilities, masses, gradients, units, draws, sigma."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from likelihood_doubles import SHAPE, make_images, make_likelihood, make_outputs, soft_clip_both_sides
from numpy.polynomial.legendre import leggauss
from scipy import special, stats

from tfvae.distributions import densities
from tfvae.distributions.likelihoods import LIKELIHOODS

KINDS = {name: cls.kind for name, cls in LIKELIHOODS.items()}
DISCRETE = [name for name, kind in KINDS.items() if kind == "discrete"]
NAMES = list(LIKELIHOODS)
tfd = tfp.distributions


def compute_byte_mass(y, loc, s):
    """Return the mass of the rounded logistic from SciPy's distribution function, on the side that does not cancel."""
    p = stats.logistic(loc, s)
    right = p.sf(y - 0.5) - p.sf(y + 0.5)
    inner = np.where(y > loc, right, p.cdf(y + 0.5) - p.cdf(y - 0.5))
    return np.where(y == 0, p.cdf(0.5), np.where(y == 255, p.sf(254.5), inner))


def continuous_bernoulli(h, x):
    nodes, weights = leggauss(60)
    area = np.sum(weights / 2 * np.exp(h[..., None] * (nodes + 1) / 2), axis=-1)
    return h * x - np.log(area)


def student_t(h, x):
    raw, s, freedom = np.split(h, 3, -1)
    df = 1.01 + soft_clip_both_sides(freedom, 0, 200)
    return stats.t.logpdf(x, df, special.expit(raw), np.exp(soft_clip_both_sides(s, -6, 5)))


def laplace(h, x):
    raw, s = np.split(h, 2, -1)
    return stats.laplace.logpdf(x, special.expit(raw), np.exp(soft_clip_both_sides(s, -6, 5)))


def logistic(h, x):
    raw, s = np.split(h, 2, -1)
    return np.log(
        compute_byte_mass(np.rint(255 * x), 127.5 + 127.5 * raw, 127.5 * np.exp(soft_clip_both_sides(s, -7, 3)))
    )


def mixture(h, x, components=5):
    h = h.reshape(*h.shape[:-1], -1, 3, components)
    logits, raw, s = h[..., 0, :], h[..., 1, :], h[..., 2, :]
    loc = 255 * ((np.arange(components) + 0.5) / components + raw / 2)
    mass = compute_byte_mass(np.rint(255 * x)[..., None], loc, 127.5 * np.exp(soft_clip_both_sides(s, -7, 3)))
    return np.log(np.sum(special.softmax(logits, -1) * mass, axis=-1))


def categorical(h, x):
    logp = special.log_softmax(h.reshape(*h.shape[:-1], -1, 256), -1)
    y = np.broadcast_to(np.rint(255 * x).astype(int), logp.shape[:-1])
    return np.take_along_axis(logp, y[..., None], -1)[..., 0]


def bitwise(h, x):
    logits = h.reshape(*h.shape[:-1], -1, 8)
    bits = np.unpackbits(np.rint(255 * x).astype("uint8")[..., None], axis=-1, bitorder="little")
    return np.sum(special.log_expit(np.where(bits == 1, logits, -logits)), axis=-1)


# log p of single sub-pixels: decoder outputs [..., H, W, P] and pixels [B, H, W, C], both float64 -> [..., H, W, C].
ORACLES = {
    "bernoulli": lambda h, x: x * special.log_expit(h) + (1 - x) * special.log_expit(-h),
    "continuous-bernoulli": continuous_bernoulli,
    "gaussian": lambda h, x: stats.norm.logpdf(x, special.expit(h), 1.0),
    "student-t": student_t,
    "laplace": laplace,
    "logistic": logistic,
    "logistic-mixture": mixture,
    "categorical": categorical,
    "bitwise": bitwise,
}


def test_every_likelihood_has_an_oracle():
    assert set(ORACLES) == set(LIKELIHOODS)
    assert set(KINDS.values()) == {"binary", "continuous", "discrete"}


@pytest.mark.parametrize("name", NAMES)
def test_log_prob_is_the_oracles_sum_over_pixels(name):
    likelihood = make_likelihood(name)
    h, x = make_outputs(likelihood, (2, 4)), make_images(4)
    want = ORACLES[name](h.astype("float64"), x.astype("float64")).sum(axis=(-3, -2, -1))
    got = likelihood.log_prob(h, x).numpy()
    assert got.shape == (2, 4) and got.dtype == np.float32
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-4)  # float32: 1e-6 each over 12 sub-pixels


@pytest.mark.parametrize("name", NAMES)
def test_the_distribution_on_the_sample_space_is_log_prob(name):
    likelihood = make_likelihood(name)
    h, x = make_outputs(likelihood, (2, 4)), make_images(4)
    p = likelihood.distribution(h)
    assert p.batch_shape == (2, 4)
    assert p.event_shape == SHAPE + (8,) * (name == "bitwise")
    np.testing.assert_allclose(p.log_prob(likelihood.to_sample_space(x)), likelihood.log_prob(h, x), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_eager_and_xla_agree(name):
    likelihood = make_likelihood(name)
    h, x = tf.constant(make_outputs(likelihood, (2, 4))), tf.constant(make_images(4))

    def everything(h, x):
        return likelihood.log_prob(h, x, training=True), likelihood.mean(h), likelihood.sample(h, (3, 4))

    eager, xla = everything(h, x), tf.function(everything, jit_compile=True)(h, x)
    np.testing.assert_allclose(eager[0], xla[0], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(eager[1], xla[1], rtol=1e-5, atol=1e-6)
    # The draws are one function of one seed; a byte may flip where a draw lies on its edge.
    np.testing.assert_allclose(eager[2], xla[2], atol=1.001 / 255 if KINDS[name] == "discrete" else 1e-5)
    assert np.mean(np.abs(eager[2] - xla[2]) > 1e-5) < 0.05


def test_student_t_draw_has_scipys_distribution():
    """Kolmogorov-Smirnov; the threshold p > 1e-6 is the false alarm rate, and the seed is fixed."""
    for df in (1.01, 3.0, 100.0):
        draw = densities.draw_student_t(tf.fill([20000], df), (1, 2)).numpy()
        assert stats.kstest(draw, stats.t(df).cdf).pvalue > 1e-6


def make_extreme_outputs(likelihood, size):
    """Return decoder outputs that are all +-size, in random signs and with all signs equal: [6, 1, 1, P]."""
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (6, 1, 1, likelihood.output_channels))
    signs[0], signs[1] = 1.0, -1.0
    return (size * signs).astype("float32")


@pytest.mark.parametrize("name", DISCRETE)
@pytest.mark.parametrize("size", [0.0, 1.0, 5.0, 1e2, 1e4])
def test_the_256_masses_sum_to_one(name, size):
    likelihood = make_likelihood(name, (1, 1, 1))
    h = np.concatenate([make_extreme_outputs(likelihood, size), make_outputs(likelihood, (6,), size=size)])
    log_mass = likelihood.log_prob(h[:, None], (np.arange(256) / 255).reshape(256, 1, 1, 1)).numpy()
    assert log_mass.shape == (12, 256)
    # Each log mass carries 1e-6 of its few nats.
    np.testing.assert_allclose(special.logsumexp(log_mass.astype("float64"), axis=1), 0, atol=2e-5)


@pytest.mark.parametrize("name", NAMES + ["gaussian:sigma=per-pixel,link=linear", "gaussian:sigma=per-image"])
@pytest.mark.parametrize("pixel", [0.0, 1.0, 0.5])
def test_extreme_outputs_have_finite_values_and_gradients(name, pixel):
    likelihood = make_likelihood(name, (1, 1, 1))
    h = tf.constant(np.concatenate([make_extreme_outputs(likelihood, size) for size in (0.0, 1e-3, 20.0, 1e4)]))
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(h)
        log_px = likelihood.log_prob(h, tf.fill([24, 1, 1, 1], pixel), training=True)
        mean = likelihood.mean(h)
    for value in (log_px, mean, tape.gradient(log_px, h), tape.gradient(mean, h)):
        assert np.isfinite(value).all()
    assert np.isfinite(likelihood.sample(h, (1, 2))).all()
    assert 0 <= np.min(mean) and np.max(mean) <= 1


def test_the_exact_logistic_mass_agrees_with_tfps_and_keeps_the_tails():
    loc, s = np.float32([3.0, 120.0, 260.0, -40.0]), np.float32([0.5, 8.0, 3.0, 20.0])
    y = np.arange(256, dtype="float32")[:, None]
    shifted = tfd.TransformedDistribution(tfd.Logistic(loc, s), tfp.bijectors.Shift(-0.5))
    theirs = tfd.QuantizedDistribution(shifted, low=0.0, high=255.0).log_prob(y)
    ours = densities.RoundedLogistic(loc, s).log_prob(y)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=2e-5)  # theirs takes a difference: 1e-7 * s
    # Far in the tail the mass is e^(-|y - loc| / s) * 2 sinh(1 / (2 s)): 500 nats down, no underflow.
    far = densities.compute_logistic_log_mass(255.0 - 1.0, 4.0, 0.5)
    np.testing.assert_allclose(far, -500 + math.log(2 * math.sinh(1.0)), rtol=1e-6)


def test_continuous_bernoulli_is_smooth_around_one_half():
    """d log p / d logit = x - E[x]; the series 1/2 + l/12 - l^3/720 is exact to 1e-9 here."""
    likelihood = make_likelihood("continuous-bernoulli", (1, 1, 1))
    logit = np.linspace(-0.2, 0.2, 81, dtype="float32").reshape(81, 1, 1, 1)
    with tf.GradientTape() as tape:
        h = tf.constant(logit)
        tape.watch(h)
        log_px = likelihood.log_prob(h, tf.zeros([81, 1, 1, 1]))
    want = 0.5 + logit / 12 - logit.astype("float64") ** 3 / 720
    np.testing.assert_allclose(-tape.gradient(log_px, h), want, atol=2e-4)  # 1/l - 1/tanh cancels: 1e-7 / l^2
    np.testing.assert_allclose(likelihood.mean(h), want, atol=2e-4)


def test_mixture_of_one_component_is_the_logistic():
    one, plain = make_likelihood("logistic-mixture:components=1"), make_likelihood("logistic")
    h = make_outputs(plain, (4,))
    raw, s = np.split(h, 2, -1)
    weights = np.zeros_like(raw)
    joined = np.stack([weights, raw, s], axis=-1).reshape(4, 3, 2, 6)
    np.testing.assert_allclose(one.log_prob(joined, make_images(4)), plain.log_prob(h, make_images(4)), rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_sample_space(name):
    likelihood = make_likelihood(name, (16, 16, 1))
    x = (np.arange(256, dtype="float32") / 255).reshape(1, 16, 16, 1)
    got = likelihood.to_sample_space(x).numpy()
    if name == "bitwise":
        got = got @ 2.0 ** np.arange(8)
    want = np.arange(256) if KINDS[name] == "discrete" else x.ravel()
    np.testing.assert_array_equal(got.ravel(), want)  # every byte exactly, none off by one


@pytest.mark.parametrize("name", ["categorical", "bitwise"])
def test_a_uniform_mass_costs_exactly_8_bits(name):
    likelihood = make_likelihood(name)
    log_px = likelihood.log_prob(tf.zeros([4, 3, 2, likelihood.output_channels]), make_images(4))
    np.testing.assert_allclose(likelihood.bits_per_dim(log_px), 8, rtol=1e-6)


def test_a_uniform_density_costs_exactly_8_bits_and_a_fair_coin_one():
    for name, bits in (("continuous-bernoulli", 8), ("bernoulli", 1)):  # at logit 0 both are uniform
        likelihood = make_likelihood(name)
        log_px = likelihood.log_prob(tf.zeros([4, 3, 2, 2]), make_images(4))
        np.testing.assert_allclose(likelihood.bits_per_dim(log_px), bits, rtol=1e-6)


def test_dequantised_bits_approach_those_of_the_integrated_gaussian():
    """Jensen: E_u -log p((y + u) / 256) >= -log of the cell's mass; log p changes over a cell, and the gap is
    half its variance, z^2 / (256 sigma)^2 / 24 nats for z = |x - mean| / sigma."""
    likelihood, sigma = make_likelihood("gaussian:sigma=0.1", (1, 1, 1)), 0.1
    y, h = np.arange(256), np.zeros((1, 1, 1, 1), "float32")
    nodes, weights = leggauss(8)
    cells = (y[:, None] + (nodes + 1) / 2) / 256
    log_px = likelihood.log_prob(h, cells.reshape(-1, 1, 1, 1)).numpy().reshape(256, 8)
    dequantised = likelihood.bits_per_dim(log_px) @ (weights / 2)
    p = stats.norm(0.5, sigma)
    mass = np.where(y < 128, p.cdf((y + 1) / 256) - p.cdf(y / 256), p.sf(y / 256) - p.sf((y + 1) / 256))
    gap = dequantised + np.log2(mass)
    z = np.abs((y + 0.5) / 256 - 0.5) / sigma
    bound_bits = (z**2 + 1) / (256 * sigma) ** 2 / 24 / math.log(2)
    assert (gap > -1e-5).all() and (gap < 1.1 * bound_bits + 1e-5).all()


# Narrow enough that clipping to [0, 1] is rarer than 1e-9 for the densities, except the bounded ones.
TAME = {"gaussian": "gaussian:sigma=0.05", "laplace": "laplace:scale=0.02"}


@pytest.mark.parametrize("name", NAMES)
def test_draws_have_the_likelihoods_mean(name):
    """5 standard errors: false alarm rate 6e-7 per pixel, 7e-6 per likelihood; the seed is fixed."""
    likelihood = make_likelihood(TAME.get(name, name))
    n = 2000 if name == "categorical" else 20000  # 256 logits a pixel
    h = make_outputs(likelihood, (1,), size=0.3)
    if name == "student-t":
        h[..., 2:4], h[..., 4:] = -5.0, 30.0  # scale 0.01, about 31 degrees of freedom
    draws = likelihood.sample(tf.repeat(h, n, axis=0), (5, 6)).numpy().astype("float64")
    assert draws.min() >= 0 and draws.max() <= 1
    error = np.abs(draws.mean(axis=0) - likelihood.mean(h)[0])
    # Rounded logistics: the mean is closed up to 1 / (24 * 4 s) bytes at an edge, here s > 50.
    assert (error < 5 * draws.std(axis=0) / n**0.5 + 1e-6).all()
    if KINDS[name] == "discrete":
        np.testing.assert_allclose(255 * draws, np.rint(255 * draws), atol=1e-4)
    if KINDS[name] == "binary":
        assert set(np.unique(draws)) <= {0.0, 1.0}


def test_rounded_logistic_mean_is_within_half_a_byte():
    loc = np.linspace(-30, 290, 400, dtype="float32")[:, None]
    for s in (0.12, 0.5, 3.0, 60.0, 2000.0):
        mass = compute_byte_mass(np.arange(256.0), loc.astype("float64"), s)
        error = np.abs(mass @ np.arange(256.0) - densities.compute_logistic_mean(loc, s).numpy()[:, 0])
        assert error.max() < (0.5 if s < 0.5 else 0.03)  # float32: 2000 * 1e-7; edges: 1 / (96 s) bytes


def test_draws_depend_on_the_seed_and_differ_between_pixels():
    for name in NAMES:
        likelihood = make_likelihood(name)
        h = np.zeros((8, 3, 2, likelihood.output_channels), "float32")
        a, b, c = (likelihood.sample(h, seed).numpy() for seed in ((1, 2), (1, 2), (1, 3)))
        np.testing.assert_array_equal(a, b)
        assert (a != c).any() and len(np.unique(a)) > 1


@pytest.mark.parametrize("name", NAMES)
def test_a_better_reconstruction_scores_higher(name):
    """Ascending the gradient of log p(x|z) in the decoder outputs brings the mean nearer to x."""
    likelihood = make_likelihood("gaussian:sigma=0.5" if name == "gaussian" else name)
    h, x = tf.constant(make_outputs(likelihood, (4,), size=0.1)), make_images(4)
    with tf.GradientTape() as tape:
        tape.watch(h)
        log_px = likelihood.log_prob(h, x)
    step = 0.02 * tf.math.l2_normalize(tape.gradient(log_px, h))
    assert np.sum((likelihood.mean(h + step) - x) ** 2) < np.sum((likelihood.mean(h) - x) ** 2)
    assert tf.reduce_sum(likelihood.log_prob(h + step, x)) > tf.reduce_sum(log_px)
