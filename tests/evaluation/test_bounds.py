"""`evaluate` and the engine's averages, against exact answers and NumPy."""

import math

import numpy as np
import pytest
import tensorflow as tf
from linear_gaussian import P_X, as_images, build_linear_model, draw_data
from scipy.special import logsumexp

import tfvae
from tfvae.evaluation import score_images
from tfvae.evaluation.bounds import BatchScorer, measure_bits_per_dim
from tfvae.models.latent_statistics import count_active_units, encode_means, measure_kl_per_dimension
from tfvae.runtime import random_streams
from tfvae.training.engine import Engine

ARCH = "mlp:widths=8,latent=3"


def build_model(objective="elbo", likelihood="gaussian:sigma=0.3", **options):
    return tfvae.build(objective, likelihood, ARCH, image_shape=(8, 8, 1), **options)


def test_scores_are_log_p_x_at_the_exact_posterior():
    """Per image, in nats, minus sign in the name nll only, K = 120 in chunks of 50 (pitfall 24)."""
    x = draw_data(7)
    scores = score_images(build_linear_model(), as_images(x).numpy(), samples=120)
    np.testing.assert_allclose(scores["bound"], P_X.logpdf(x), atol=1e-4 * 5)
    assert scores["bound"].shape == scores["elbo"].shape == (7,)


def test_chunks_add_up(images):
    """The bound over 3 chunks is that of all their draws at once; means likewise."""
    model = build_model("geco:kappa=2")
    x = tf.constant(images(5).astype("float32") / 255.0)
    scorer, seed = BatchScorer(model), (3, 9)
    scorer.chunk = 4
    scores = scorer.score_batch(x, None, seed, 10)
    parts = [model.terms(x, samples=n, seed=random_streams.fold_in(seed, i)) for i, n in enumerate((4, 4, 2))]
    log_w = np.concatenate([t.log_px + t.log_pz - t.log_qz for t in parts])
    sq_err = np.concatenate([t.sq_err for t in parts])
    np.testing.assert_allclose(scores["bound"], logsumexp(log_w, axis=0) - math.log(10), rtol=1e-5)
    np.testing.assert_allclose(scores["sq_err"], sq_err.mean(0), rtol=1e-5)
    np.testing.assert_allclose(scores["violations"][0], sq_err.mean(0) - 4.0, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(scores["rate"], parts[0].kl, atol=1e-6)


def test_one_sample_is_one_sample(images):
    """samples=1 draws once (a peer drew its batch size); more samples raise the bound on average."""
    model, x = build_model(), images(200)
    one, many = (score_images(model, x, samples=k)["bound"] for k in (1, 64))
    again = score_images(model, x, samples=1)["bound"]
    np.testing.assert_array_equal(one, again)
    # 200 paired differences; the mean is over 5 standard errors above 0: false alarm below 1e-6
    difference = many - one
    assert difference.mean() > 5 * difference.std() / math.sqrt(200)


def test_binary_images_are_drawn_once_for_all_chunks(images):
    """A deterministic decoder (sigma of q tiny, weights 0) gives log w that differ only through the pixels drawn."""
    model = build_model(likelihood="bernoulli", binarize="dynamic")
    for variable in model.arch.decoder.trainable_variables:
        variable.assign(0.3 * tf.ones_like(variable) if variable.shape.rank == 1 else tf.zeros_like(variable))
    few, many = (score_images(model, images(6), samples=k, xla="off") for k in (1, 150))
    np.testing.assert_allclose(few["distortion"], many["distortion"], rtol=1e-5)


def test_bits_per_dim_of_each_kind(images):
    """Continuous densities are scored on (x + u) / 256; grey levels as probabilities are not scored."""
    x = images(60)
    wide = build_model(likelihood="gaussian:sigma=0.5")
    clean = score_images(wide, x, samples=5)["bound"]
    noisy = score_images(wide, x, samples=5, dequantize=True)["bound"]
    np.testing.assert_allclose(measure_bits_per_dim(wide, x, 5, 0, clean), -noisy / (64 * math.log(2)) + 8, rtol=1e-9)
    assert not np.allclose(clean, noisy)
    assert measure_bits_per_dim(build_model(likelihood="bernoulli"), x, 5, 0, clean) is None
    binary = np.where(x > 127, 255, 0).astype(np.uint8)
    scores = measure_bits_per_dim(build_model(likelihood="bernoulli"), binary, 5, 0, clean)
    np.testing.assert_allclose(scores, -clean / (64 * math.log(2)))
    assert measure_bits_per_dim(wide, x.astype("float32") / 255.0, 5, 0, clean) is None  # not bytes


def test_every_image_counts_once(images):
    """The mean over 3 batches and a rest of 5 is that over 53 images (pitfall 30: a peer returned after the first)."""
    model, x = build_model(), images(53)
    scores = Engine(model, 16).evaluate(tf.constant(x))
    means = []
    for i, start in enumerate(range(0, 53, 16)):
        logs = model.evaluate_batch(tf.constant(x[start : start + 16]), i)
        means.append(logs["sq_err"].numpy())
    assert scores["sq_err"] == pytest.approx(np.concatenate(means).mean(), rel=1e-5)


def test_validation_has_the_loss_of_training(images):
    """The same weight of the KL in both (pitfall 23): same images, same noise, same loss."""
    model = build_model("beta:beta=3")
    model.compile("sgd")
    x = tf.constant(images(6))
    terms = model.terms(x, seed=(1, 1))
    expected = 3 * terms.kl - tf.reduce_mean(terms.log_px, axis=0)
    np.testing.assert_allclose(model.objective(terms), expected, rtol=1e-6)
    assert set(model.evaluate_batch(x)) == set(model.optimize(x)[0])


def test_units_of_the_latents(images):
    """An encoder with two live dimensions and one dead: 2 active units, and the KL of each in closed form."""
    model = build_model()
    kernel, bias = model.arch.encoder.layers[-1].get_weights()
    kernel[:, 2] = 0.0  # the third mean ignores x
    model.arch.encoder.layers[-1].set_weights([kernel, bias])
    means = encode_means(model, images(300))
    assert means.shape == (300, 3) and count_active_units(means, threshold=1e-9) == 2
    mean, stddev = (v.numpy().astype(np.float64) for v in model.encode(images(300)))
    kl = 0.5 * (mean**2 + stddev**2 - 1) - np.log(stddev)
    np.testing.assert_allclose(measure_kl_per_dimension(model, images(300)), kl.mean(0), rtol=1e-3, atol=1e-5)
