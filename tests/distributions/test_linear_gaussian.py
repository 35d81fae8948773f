"""The linear-Gaussian model has all in closed form (Tipping & Bishop, 1999): bounds, gaps, gradients, optimum."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from linear_gaussian import DIMS, LATENT, P_X, POSTERIOR_VARIANCE, W, as_images, build_linear_model, draw_data
from scipy import stats

import tfvae
from tfvae.distributions.terms import compute_elbo, compute_importance_weighted_bound, compute_log_weights
from tfvae.training.engine import Engine


def compute_gap(shift, stretch):
    """Return KL(q || p(z|x)), the same for every x."""
    return np.sum(0.5 * (stretch**2 + shift**2 / POSTERIOR_VARIANCE - 1) - np.log(stretch))


def test_columns_are_orthogonal():
    assert abs(W[:, 0] @ W[:, 1]) < 1e-12


@pytest.mark.parametrize("samples", [1, 3, 50])
def test_exact_posterior_makes_every_weight_the_evidence(samples):
    """log p(x, z) - log q(z|x) = log p(x) for each z, so that both bounds hit log p(x) at any K."""
    x = draw_data(20)
    log_w = compute_log_weights(build_linear_model().terms(as_images(x), samples=samples, seed=(1, 2)))
    expected = P_X.logpdf(x)
    # float32 against float64: 1e-4 nats a dimension, of numbers up to 20
    np.testing.assert_allclose(log_w, np.tile(expected, (samples, 1)), atol=1e-4 * DIMS)
    np.testing.assert_allclose(compute_importance_weighted_bound(log_w), expected, atol=1e-4 * DIMS)


@pytest.mark.parametrize("shift, stretch", [(0.0, 1.0), (0.1, 1.3), (-0.2, 0.5)])
def test_elbo_is_evidence_minus_gap(shift, stretch):
    """E ELBO = log p(x) - KL(q || p(z|x)), with the KL to the prior in closed form and as log q - log p."""
    x, samples = draw_data(6), 4000
    terms = build_linear_model(shift=shift, stretch=stretch).terms(as_images(x), samples=samples, seed=(5, 6))
    expected = P_X.logpdf(x) - compute_gap(shift, stretch)
    # 5 standard errors, 6 images twice: one false alarm in about 1e5 choices of the seed
    for draws, mean in (
        (terms.log_px.numpy() - terms.kl.numpy(), compute_elbo(terms)),
        (compute_log_weights(terms).numpy(), np.mean(compute_log_weights(terms), axis=0)),
    ):
        error = draws.std(axis=0) / samples**0.5
        assert np.all(np.abs(mean - expected) < 5 * error + 1e-4 * DIMS)


def test_k_bound_rises_from_elbo_to_evidence():
    """ELBO < IWAE_4 < IWAE_64 <= log p(x), and the rest of the gap is chi^2(p || q) / 2k to first order in 1/k."""
    x, total, stretch, shift = draw_data(3), 2**16, 1.4, 0.08
    log_w = compute_log_weights(
        build_linear_model(shift=shift, stretch=stretch).terms(as_images(x), samples=total, seed=(7, 8))
    ).numpy()
    evidence = P_X.logpdf(x)
    bounds = {}
    for k in (1, 4, 64):
        groups = tf.reshape(tf.transpose(tf.reshape(log_w, [-1, k, len(x)]), [1, 0, 2]), [k, -1])
        bounds[k] = compute_importance_weighted_bound(groups).numpy().reshape(-1, len(x))
    for low, high in ((1, 4), (4, 64)):
        gain = bounds[high] - bounds[low].reshape(len(bounds[high]), -1, len(x)).mean(axis=1)
        assert np.all(gain.mean(axis=0) > 5 * gain.std(axis=0) / len(gain) ** 0.5)  # false alarm 3e-7 each
    error = bounds[64].std(axis=0) / len(bounds[64]) ** 0.5
    assert np.all(bounds[64].mean(axis=0) < evidence + 5 * error + 1e-4)
    s2, t2 = POSTERIOR_VARIANCE, POSTERIOR_VARIANCE * stretch**2
    chi2 = np.prod(t2 / np.sqrt(s2 * (2 * t2 - s2)) * np.exp(shift**2 / (2 * t2 - s2))) - 1  # int p^2 / q - 1
    # the next term of the series is O(1 / k^2): 10% of this one at k = 64
    assert np.all(np.abs(evidence - bounds[64].mean(axis=0) - chi2 / 128) < 5 * error + 0.1 * chi2 / 128 + 1e-4)


def draw_gradients(spec, x, count, **q):
    """Return gradients by all weights of encoder and decoder for `count` noise seeds, two arrays [count, weights]."""
    model = build_linear_model(spec, **q)
    images = as_images(x)

    @tf.function(jit_compile=True)
    def one(seed):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(model.objective(model.terms(images, seed=seed, training=True)))
        gradients = tape.gradient(
            loss, (model.arch.encoder.trainable_variables, model.arch.decoder.trainable_variables)
        )
        return [tf.concat([tf.reshape(g, [-1]) for g in part], 0) for part in gradients]

    rows = [one(tf.constant([i, 77])) for i in range(count)]
    return [np.stack([row[i] for row in rows]) for i in range(2)]


PATH_GRADIENTS = [
    "iwae:k=1,gradient=stl",
    "iwae:k=4,gradient=stl",
    "iwae:k=1,gradient=dreg",
    "iwae:k=4,gradient=dreg",
    "miwae:m=2,k=3,gradient=stl",
]


@pytest.mark.parametrize(
    "spec", [*PATH_GRADIENTS[:2], *(pytest.param(spec, marks=pytest.mark.slow) for spec in PATH_GRADIENTS[2:])]
)
def test_path_gradients_vanish_at_the_exact_posterior(spec):
    """log w does not depend on z there, so stl and dreg have no variance at all; the standard gradient does."""
    x = draw_data(4)
    encoder, _ = draw_gradients(spec, x, 5)
    standard, _ = draw_gradients(spec.replace("stl", "standard").replace("dreg", "standard"), x, 5)
    assert np.abs(encoder).max() < 2e-4 < 0.05 < np.abs(standard).max()  # rounding of sums of about 10 / sigma^2


@pytest.mark.parametrize("gradient, k", [("stl", 1), pytest.param("dreg", 1, marks=pytest.mark.slow), ("dreg", 4)])
def test_gradient_estimators_agree_in_expectation(gradient, k):
    """Same noise: the decoder's gradient is the same number; the encoder's has the same mean.

    (stl with k > 1 is biased for the encoder, which is why dreg exists: Tucker et al., 2019.)
    """
    x, wrong = np.repeat(draw_data(2), 32, axis=0), {"shift": 0.1, "stretch": 1.3}
    ours = draw_gradients(f"iwae:k={k},gradient={gradient}", x, 300, **wrong)
    standard = draw_gradients(f"iwae:k={k}", x, 300, **wrong)
    np.testing.assert_allclose(ours[1], standard[1], rtol=1e-4, atol=1e-4)
    difference = ours[0] - standard[0]
    z = difference.mean(axis=0) / (difference.std(axis=0, ddof=1) / len(difference) ** 0.5)
    assert np.abs(z).max() < 5  # 24 weights: one false alarm in about 4e4 choices of the seeds
    assert np.abs(ours[0].mean(axis=0)).max() > 10 * ours[0].std() / 300**0.5  # there is a signal to agree on


def test_stl_with_one_sample_has_the_gradient_of_the_gap():
    """The encoder's bias moves q's mean by `shift`: d gap / d shift_l = shift / posterior variance_l, exactly."""
    encoder, _ = draw_gradients(
        "iwae:k=1,gradient=stl", np.repeat(draw_data(2), 32, axis=0), 300, shift=0.1, stretch=1.3
    )
    bias = encoder[:, -2 * LATENT :]
    slope = (1.3**2 - 1) * (1 - (np.log(1.3) + 0.5 * np.log(POSTERIOR_VARIANCE)) ** 2 / 64)  # d/d raw, through tanh
    expected = np.concatenate([0.1 / POSTERIOR_VARIANCE, slope])
    error = bias.std(axis=0) / len(bias) ** 0.5
    assert np.all(np.abs(bias.mean(axis=0) - expected) < 5 * error + 1e-4)  # false alarm 2e-6


def test_training_reaches_the_optimum_of_ppca():
    """Mean log p(x) of the trained model = the maximum from the eigenvalues of the covariance (Tipping & Bishop)."""
    x = draw_data(256, seed=3)
    values, _ = np.linalg.eigh(np.cov(x.T, bias=True))
    noise = values[: DIMS - LATENT].mean()
    best = -0.5 * (DIMS * np.log(2 * np.pi) + np.log(values[-LATENT:]).sum() + (DIMS - LATENT) * np.log(noise) + DIMS)
    likelihood, arch = "gaussian:sigma=shared,link=linear", "mlp:widths=none,latent=2"
    model = tfvae.build("iwae:k=4,gradient=stl", likelihood, arch, image_shape=(1, DIMS, 1))
    steps = 2500
    model.compile(optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(0.03, steps)))
    list(Engine(model, 256).train_blocks(as_images(x), np.tile(np.arange(256, dtype="int32"), (steps, 1)), count=1))
    kernel, bias = model.arch.decoder.get_weights()
    sigma = np.exp(-6 + np.logaddexp(0, model.likelihood.log_scale.numpy() + 6))
    trained = stats.multivariate_normal(bias, kernel.T @ kernel + sigma**2 * np.eye(DIMS)).logpdf(x).mean()
    assert best - 2e-3 < trained < best + 1e-4  # no model is above the maximum; the rest is the optimiser's
    np.testing.assert_allclose(sigma**2, noise, rtol=0.02)
    np.testing.assert_allclose(np.linalg.eigvalsh(kernel @ kernel.T) + noise, values[-LATENT:], rtol=0.02)
    # q is the posterior there, so that ELBO and evidence agree for single images
    bound = np.mean(compute_log_weights(model.terms(as_images(x), samples=64)), axis=0)
    np.testing.assert_allclose(bound.mean(), trained, atol=2e-3)
