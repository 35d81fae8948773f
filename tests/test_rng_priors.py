"""Noise, priors and pixels: the same bits everywhere, the distributions they claim to be, finite in low precision."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

import tfvae
from tfvae import specs
from tfvae.architectures.base import InferenceResult
from tfvae.distributions.priors import PRIORS
from tfvae.distributions.terms import compute_normal_log_prob
from tfvae.errors import DataError
from tfvae.runtime import random_streams
from tfvae.runtime.parts import build_part

ALARM = 1e-6  # rate of false alarms of each statistical test below, over the choices of its seed
FIVE = 5.0  # standard errors: 6e-7


@pytest.mark.parametrize("draw", [random_streams.uniform, random_streams.normal])
def test_draws_are_the_same_however_compiled(draw):
    eager = draw([1000, 3], (7, 8)).numpy()
    graph = tf.function(lambda seed: draw([1000, 3], seed))(tf.constant([7, 8])).numpy()
    compiled = tf.function(lambda seed: draw([1000, 3], seed), jit_compile=True)(tf.constant([7, 8])).numpy()
    np.testing.assert_array_equal(eager, graph)
    if draw is random_streams.uniform:
        np.testing.assert_array_equal(eager, compiled)  # to the bit: integers and exact arithmetic
    else:
        np.testing.assert_allclose(eager, compiled, atol=5e-5)  # XLA's ndtri is off by up to 2e-5 near |z| = 4


@pytest.mark.parametrize("counter, key, words", [
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
])  # fmt: skip
@pytest.mark.parametrize("jit", [False, True])
def test_threefry_has_its_published_answers(counter, key, words, jit):
    """The known-answer vectors of Random123 (the pi digits are the third)."""
    cipher = tf.function(random_streams.threefry, jit_compile=True) if jit else random_streams.threefry
    found = cipher(*(tf.constant(value, tf.uint32) for value in (key, *counter)))
    assert tuple(int(value) for value in found) == words


def test_fold_is_the_same_however_compiled():
    def streams(seed):
        return tf.stack(
            [random_streams.fold_in(random_streams.fold_in(seed, a), b) for a in range(3) for b in range(3)]
        )

    eager = streams(tf.constant([1, 2])).numpy()
    np.testing.assert_array_equal(eager, tf.function(streams, jit_compile=True)(tf.constant([1, 2])))
    assert len({tuple(row) for row in eager}) == 9
    np.testing.assert_array_equal(random_streams.as_seed(5), [5, 0])
    np.testing.assert_array_equal(random_streams.normal([4], 5), random_streams.normal([4], (5, 0)))


@pytest.mark.parametrize("bits", [0, 511, 512, 2**31, 2**32 - 513, 2**32 - 1])
def test_uniform_never_reaches_its_ends(bits, monkeypatch):
    """The extreme words of 32 bits, through the library's own formula."""
    monkeypatch.setattr(random_streams, "random_bits", lambda *_: tf.constant([bits], tf.uint32))
    u = random_streams.uniform([1], (0, 0)).numpy()
    assert u.dtype == np.float32 and 0 < u[0] < 1
    assert float(u[0]) == ((bits >> 9) + 0.5) / 2**23  # in float64: nothing was rounded
    assert np.isfinite(random_streams.normal([1], (0, 0)).numpy()).all()
    np.testing.assert_allclose(random_streams.normal([1], (0, 0)), special.ndtri(float(u[0])), atol=1e-5)


def test_draws_have_their_distribution():
    n = 100_000
    assert stats.kstest(random_streams.uniform([n], (1, 2)), "uniform").pvalue > ALARM
    assert stats.kstest(random_streams.normal([n], (1, 3)), "norm").pvalue > ALARM


def test_first_rows_do_not_depend_on_how_many_follow():
    for draw in (random_streams.uniform, random_streams.normal):
        np.testing.assert_array_equal(draw([4, 3], (1, 2)), draw([8, 3], (1, 2))[:4])


def test_streams_are_independent():
    """Every pair among folded seeds, neighbouring seeds and steps: correlations of a size that chance allows."""
    n, base = 20_000, (3, 4)
    seeds = [random_streams.fold_in(base, i) for i in range(6)] + [
        random_streams.fold_in(random_streams.fold_in(base, 0), i) for i in range(3)
    ]
    seeds += [(3, 5), (4, 4), (4, 3), base]
    draws = np.stack([random_streams.normal([n], seed) for seed in seeds])
    correlations = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    # 78 pairs, each normal with deviation 1/sqrt(n): false alarm 78 * 6e-7 = 5e-5
    assert np.abs(correlations).max() < FIVE / n**0.5
    squares = np.corrcoef(draws**2)[np.triu_indices(len(draws), 1)]
    assert np.abs(squares).max() < 2 * FIVE / n**0.5  # heavier tails


def test_training_noise_differs_between_steps_and_repeats_with_the_seed(tiny, images):
    """Uncorrelated between steps, images and with evaluation's noise (pitfall 33)."""

    class Spy(tfvae.VAE):
        def objective(self, terms):
            noise = (terms.z[0] - terms.q_mean) * tf.exp(-terms.q_log_stddev)
            self.seen.append(noise.numpy())
            return terms.kl - terms.log_px[0]

    def run(seed):
        model = tiny(Spy, learning_rate=1e-3, seed=seed, arch="mlp:widths=4,latent=4")
        model.seen = []
        for _ in range(3):
            model.optimize(np.tile(images(1), (500, 1, 1, 1)))
        model.evaluate_batch(np.tile(images(1), (500, 1, 1, 1)))
        model.evaluate_batch(np.tile(images(1), (500, 1, 1, 1)), index=1)
        return np.stack([noise.ravel() for noise in model.seen])

    first, again, other = run(0), run(0), run(1)
    np.testing.assert_array_equal(first, again)
    together = np.vstack([first, other])
    correlations = np.corrcoef(together)[np.triu_indices(10, 1)]
    assert np.abs(correlations).max() < FIVE / 2000**0.5  # 45 pairs: false alarm 3e-5
    assert stats.kstest(first[0], "norm").pvalue > ALARM


# --- priors ------------------------------------------------------------------------------------------------------


def make_prior(name, latent=2, **options):
    text = specs.format_spec(name, options)
    return build_part("prior", PRIORS, text, latent=latent, image_shape=(2, 2, 1), seed=0)


def encode(x):
    """A stand-in for the encoder: from [M, 2, 2, 1] to mean and log stddev, each [M, 2]."""
    flat = tf.reshape(x, [-1, 4])
    return 4 * flat[:, :2] - 2, flat[:, 2:] - 1.0


def parts_of(name, generator):
    """A prior with uneven parameters and what they are, in float64: weights [M], means, stddevs [M, 2]."""
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
    prior, weights, means, stddevs = parts_of(name, generator)
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
    for found, moment in (
        (draws[:, 0], first[0]),
        (draws[:, 1], first[1]),
        (draws[:, 0] ** 2, second[0]),
        (draws[:, 1] ** 2, second[1]),
        (draws[:, 0] * draws[:, 1], cross),
    ):
        assert abs(found.mean() - moment) < FIVE * found.std() / n**0.5

    # in one dimension, the whole distribution function
    def cdf(t):
        return sum(w * stats.norm(m[0], s[0]).cdf(t) for w, m, s in zip(weights, means, stddevs))

    assert stats.kstest(draws[:, 0], cdf).pvalue > ALARM


def inference(samples, mean, log_stddev):
    z = mean + tf.exp(log_stddev) * random_streams.normal([samples, *mean.shape], (5, 6))
    return InferenceResult(mean, log_stddev, z, compute_normal_log_prob(z, mean, log_stddev), None)


def test_mixture_of_one_standard_component_is_the_normal_prior():
    """Its KL by Monte Carlo has the closed form as its mean; it can be drawn from, too."""
    one, normal = make_prior("mixture", components=1), make_prior("normal")
    one.means.assign(tf.zeros([1, 2]))
    q = inference(4000, tf.constant([[1.0, -0.5], [0.2, 0.0]]), tf.constant([[-0.7, 0.3], [-2.0, 0.0]]))
    log_pz = one.distribution(None).log_prob(q.z)
    np.testing.assert_allclose(log_pz, normal.distribution(None).log_prob(q.z), rtol=1e-5, atol=1e-5)
    error = np.std(q.log_qz - log_pz, axis=0) / 4000**0.5
    assert np.all(np.abs(one.kl(q, log_pz) - normal.kl(q, None)) < FIVE * error)
    assert stats.kstest(one.sample(5000, (1, 1), None)[:, 0], "norm").pvalue > ALARM


def test_closed_kl_against_numbers():
    """KL(N(m, s^2) || N(0, 1)) by SciPy's integration of q log(q / p)."""
    mean, log_stddev = np.array([0.7, -1.5, 0.0]), np.array([-0.4, 0.2, 0.0])
    grid = np.linspace(-12, 12, 20001)
    expected = 0
    for m, s in zip(mean, np.exp(log_stddev)):
        q = stats.norm(m, s)
        expected += np.trapezoid(q.pdf(grid) * (q.logpdf(grid) - stats.norm.logpdf(grid)), grid)
    q = inference(1, tf.constant(mean[None], tf.float32), tf.constant(log_stddev[None], tf.float32))
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


# --- pixels and precision ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
@pytest.mark.parametrize("spec", ["elbo", "geco:kappa=1", "iwae:k=3"])
def test_densities_stay_float32_in_low_precision(precision, spec, tiny, images):
    model = tiny(spec, learning_rate=1e-3, precision=precision)
    assert model.arch.encoder.layers[-1].compute_dtype == precision
    terms = model.terms(images())
    assert {t.dtype for t in terms if t is not None} == {tf.float32}
    assert model.objective(terms).dtype == tf.float32
    exact = tiny(spec).terms(images())
    np.testing.assert_allclose(terms.kl, exact.kl, rtol=0.1, atol=0.05)  # 8 bits of the networks' outputs
    before = np.asarray(model.arch.trainable_variables[0])
    model.optimize(images())
    assert np.any(np.asarray(model.arch.trainable_variables[0]) != before)


@pytest.mark.parametrize("output", [-1e6, -30.0, 30.0, 1e6])
def test_any_encoder_output_gives_finite_kl_and_gradients(output, tiny, images):
    """log stddev is bounded to +-8, so that neither exp nor log leaves float32."""
    model = tiny("elbo")
    kernel, bias = model.arch.encoder.trainable_variables[-2:]
    bias.assign([0.0] * 3 + [output] * 3)
    with tf.GradientTape() as tape:
        terms = model.terms(images())
        loss = model.objective(terms)
    assert np.all(np.abs(terms.q_log_stddev) <= 8) and np.all(np.isfinite(loss)) and np.all(np.isfinite(terms.kl))
    for g in tape.gradient(loss, model.arch.trainable_variables):
        assert np.all(np.isfinite(g))
    expected = 3 * (0.5 * np.exp(2.0 * 8 * np.tanh(output / 8)) - 8 * np.tanh(output / 8) - 0.5)
    kernel.assign(tf.zeros_like(kernel))
    np.testing.assert_allclose(model.terms(images()).kl, expected, rtol=1e-4)


def test_dynamic_binarisation_has_the_grey_levels_as_means(tiny):
    """P(pixel = 1) = byte / 255, exactly 0 and 1 at the ends, fresh in every step."""
    model = tiny("elbo", likelihood="bernoulli", binarize="dynamic")
    grey = np.linspace(0, 255, 64).astype("uint8").reshape(8, 8, 1)
    n = 4000
    x = model.prepare_pixels(np.tile(grey, (n, 1, 1, 1)), (1, 2)).numpy()
    assert set(np.unique(x)) == {0.0, 1.0}
    p = grey / 255.0
    # 62 pixels between the ends: false alarm 4e-5
    assert np.all(np.abs(x.mean(axis=0) - p) <= FIVE * np.sqrt(p * (1 - p) / n))
    seen = []
    model.objective = lambda terms: (seen.append(terms.x.numpy()), terms.kl - terms.log_px[0])[1]
    model.compile(optimizer=keras.optimizers.SGD(1e-6))
    for _ in range(2):
        model.optimize(np.tile(grey, (4, 1, 1, 1)))
    assert np.any(seen[0] != seen[1])


def test_dequantisation_fills_the_cells(tiny):
    """(byte + u) / 256: in [byte/256, (byte+1)/256), uniform there, in training only."""
    model = tiny("elbo", dequantize=True)
    byte = np.linspace(0, 255, 64).astype("uint8").reshape(1, 8, 8, 1)
    x = np.tile(byte, (500, 1, 1, 1))
    u = 256.0 * model.terms(x, seed=(1, 2), training=True).x.numpy().astype(float) - byte
    assert u.min() >= 0 and u.max() <= 1  # byte + u rounds to 1 at the top of a cell
    assert abs(u.mean() - 0.5) < FIVE * (1 / 12 / u.size) ** 0.5
    assert stats.kstest(u[:, :1].ravel(), "uniform").pvalue > ALARM
    assert np.all(model.terms(x, training=True).x < 1)
    np.testing.assert_allclose(model.terms(x).x, x / 255.0, rtol=1e-6)


def test_bytes_and_floats_are_the_same_images(tiny, images):
    model = tiny("elbo")
    for ours, theirs in zip(model.terms(images()), model.terms((images() / 255).astype("float32"))):
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8, 3), (28, 28, 1), (8, 9, 1), (64,)])
def test_wrong_shapes_are_refused_in_one_sentence(shape, tiny):
    with pytest.raises(DataError, match=r"Expected images of shape \(8, 8, 1\). Received: \("):
        tiny("elbo").encode(np.zeros((2, *shape), "uint8"))


def test_sums_are_nats_per_image(tiny, images):
    """Twice the pixels, twice the distortion: sums over pixels, means over nothing but images."""
    model = tiny("elbo", likelihood="gaussian:sigma=0.5")
    terms = model.terms(images(), samples=2)
    mean = terms.mean.numpy().astype(float)
    expected = stats.norm(mean, 0.5).logpdf(images() / 255.0).sum(axis=(2, 3, 4))
    np.testing.assert_allclose(terms.log_px, expected, rtol=1e-5)
    logs = model.evaluate_batch(images())
    assert {name: v.shape for name, v in logs.items()} == dict.fromkeys(logs, (12,))
    np.testing.assert_allclose(logs["elbo"], -logs["distortion"] - logs["rate"], rtol=1e-6)
    assert math.isclose(model.likelihood.bits_per_dim(0.0), 8.0)
