"""Pixels, noise and low precision in a model: what a training step sees, and numbers that stay finite."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

import tfvae
from tfvae.errors import DataError

FALSE_ALARM = 1e-6  # rate of each statistical test below, over the choices of its seed
FIVE = 5.0  # standard errors: a false alarm in 6e-7


def test_training_noise_differs_between_steps_and_repeats_with_the_seed(tiny, images):
    """Uncorrelated between steps, images and with evaluation's noise."""

    class Spy(tfvae.VAE):
        def objective(self, terms):
            noise = (terms.z[0] - terms.q_mean) * tf.exp(-terms.q_log_stddev)
            self.noises.append(noise.numpy())
            return terms.kl - terms.log_px[0]

    def run(seed):
        model = tiny(Spy, learning_rate=1e-3, seed=seed, arch="mlp:widths=4,latent=4")
        model.noises = []
        for _ in range(3):
            model.optimize(np.tile(images(1), (500, 1, 1, 1)))
        model.evaluate_batch(np.tile(images(1), (500, 1, 1, 1)))
        model.evaluate_batch(np.tile(images(1), (500, 1, 1, 1)), index=1)
        return np.stack([noise.ravel() for noise in model.noises])

    first, again, other = run(0), run(0), run(1)
    np.testing.assert_array_equal(first, again)
    together = np.vstack([first, other])
    correlations = np.corrcoef(together)[np.triu_indices(10, 1)]
    assert np.abs(correlations).max() < FIVE / 2000**0.5  # 45 pairs: false alarm 3e-5
    assert stats.kstest(first[0], "norm").pvalue > FALSE_ALARM


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
    batches = []
    model.objective = lambda terms: (batches.append(terms.x.numpy()), terms.kl - terms.log_px[0])[1]
    model.compile(optimizer=keras.optimizers.SGD(1e-6))
    for _ in range(2):
        model.optimize(np.tile(grey, (4, 1, 1, 1)))
    assert np.any(batches[0] != batches[1])


def test_dequantisation_fills_the_cells(tiny):
    """(byte + u) / 256: in [byte/256, (byte+1)/256), uniform there, in training only."""
    model = tiny("elbo", dequantize=True)
    byte = np.linspace(0, 255, 64).astype("uint8").reshape(1, 8, 8, 1)
    x = np.tile(byte, (500, 1, 1, 1))
    u = 256.0 * model.terms(x, seed=(1, 2), training=True).x.numpy().astype(float) - byte
    assert u.min() >= 0 and u.max() <= 1  # byte + u rounds to 1 at the top of a cell
    assert abs(u.mean() - 0.5) < FIVE * (1 / 12 / u.size) ** 0.5
    assert stats.kstest(u[:, :1].ravel(), "uniform").pvalue > FALSE_ALARM
    assert np.all(model.terms(x, training=True).x < 1)
    np.testing.assert_allclose(model.terms(x).x, x / 255.0, rtol=1e-6)


def test_bytes_and_floats_are_the_same_images(tiny, images):
    model = tiny("elbo")
    for ours, theirs in zip(model.terms(images()), model.terms((images() / 255).astype("float32"))):
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [(8, 8, 3), (28, 28, 1), (8, 9, 1), (64,)])
def test_wrong_shapes_are_refused_in_one_sentence(shape, tiny):
    with pytest.raises(DataError, match=r"Expected images \[N, 8, 8, 1\]. Received: "):
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
