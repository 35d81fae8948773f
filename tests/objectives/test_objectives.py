"""Objectives: what must be equal is equal, and each formula is evaluated again by a slow float64 loop."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import special

import tfvae
from tfvae.distributions.divergences import estimate_mmd2, estimate_total_correlation
from tfvae.runtime import random_streams

SCALE = 0.4  # the sigma of the likelihoods compared below


def assert_same_gradients(ours, theirs, factor=1.0):
    """Equal up to float32 rounding of sums over 64 pixels, weight by weight."""
    assert len(ours) == len(theirs) > 0
    for a, b in zip(ours, theirs):
        assert np.abs(b).max() > 0
        np.testing.assert_allclose(a, factor * b, rtol=1e-4, atol=1e-5 * np.abs(factor * b).max())


@pytest.mark.parametrize("spec, other", [
    ("beta:beta=1", "elbo"),
    ("beta:beta=1,warmup=0,cycle=0,capacity=0", "elbo"),
    ("sigma:beta=1", "elbo"),
    ("tc:beta=1", "elbo"),
    ("info:alpha=0,mmd=0", "elbo"),
    ("geco-iwae:k=1,kappa=2", "geco:kappa=2"),
    ("geco-iwae:k=1,constraints=nll<=30;kl<=5", "geco:constraints=nll<=30;kl<=5"),
])  # fmt: skip
def test_equal_bit_for_bit(spec, other, tiny, images, gradients):
    ours, theirs = (gradients(tiny(name, seed=5), images()) for name in (spec, other))
    np.testing.assert_array_equal(ours[0], theirs[0])
    for a, b in zip(ours[1], theirs[1]):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("spec, other", [
    ("miwae:m=1,k=4", "iwae:k=4"),
    ("miwae:m=1,k=4,gradient=stl", "iwae:k=4,gradient=stl"),
    ("ciwae:beta=0,k=4", "iwae:k=4"),
    ("ciwae:beta=1,k=4", "miwae:m=4,k=1"),  # both are mean log w
    ("iwae:k=1,gradient=dreg", "iwae:k=1,gradient=stl"),
])  # fmt: skip
def test_equal_to_rounding(spec, other, tiny, images, gradients):
    ours, theirs = (gradients(tiny(name, seed=5), images()) for name in (spec, other))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    assert_same_gradients(ours[1], theirs[1])


def test_iwae_of_one_sample_is_the_monte_carlo_elbo(tiny, images, gradients):
    class MonteCarlo(tfvae.VAE):
        """A user's own objective: one method."""

        def objective(self, terms):
            return -(terms.log_px + terms.log_pz - terms.log_qz)[0]

    ours, theirs = (gradients(tiny(name), images()) for name in ("iwae:k=1", MonteCarlo))
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-6)
    assert_same_gradients(ours[1], theirs[1])


@pytest.mark.parametrize("spec, likelihood, factor", [
    # beta = s^2 with unit sigma: s^2 times the ELBO with sigma = s
    (f"beta:beta={SCALE**2}", "gaussian:sigma=1", SCALE**2),
    (f"sigma:beta={SCALE**2}", "gaussian:sigma=1", SCALE**2),
    # lambda frozen at 1 / (2 s^2)
    (f"geco:kappa=2,warmup=1000000,lam={1 / (2 * SCALE**2)}", "gaussian:sigma=1", 1.0),
    (f"geco:constraints=rmse<=0.1,warmup=1000000,lam={64 / (2 * SCALE**2)}", "gaussian:sigma=1", 1.0),
    # a bound on the rate with lambda = 1 / s^2, NLL of sigma = 1 minimised: the beta-VAE from the other side
    (f"geco:constraints=kl<=3,warmup=1000000,lam={SCALE**2}", "gaussian:sigma=1", SCALE**2),
])  # fmt: skip
def test_beta_and_frozen_lambda_are_sigma(spec, likelihood, factor, tiny, images, gradients):
    ours = gradients(tiny(spec, likelihood=likelihood), images())
    theirs = gradients(tiny("elbo", likelihood=f"gaussian:sigma={SCALE}"), images())
    assert_same_gradients(ours[1], theirs[1], factor)


def test_shared_sigma_at_its_optimum_is_optimal(tiny, images, gradients):
    """sigma^2 = MSE of the batch: same loss D/2 (log(2 pi MSE) + 1) + KL, same gradients, none left for sigma."""
    optimal, shared = (tiny("sigma", likelihood=f"gaussian:sigma={kind}") for kind in ("optimal", "shared"))
    x, seed = images(), (3, 4)
    terms = shared.terms(x, seed=seed)
    mse = np.mean(terms.sq_err) / 64
    shared.likelihood.log_scale.assign(-6 + np.log(np.expm1(0.5 * np.log(mse) + 6)))  # through the soft clip
    ours, theirs = gradients(shared, x, seed), gradients(optimal, x, seed)
    np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-5)
    expected = 32 * (math.log(2 * math.pi * mse) + 1) + np.mean(terms.kl)
    np.testing.assert_allclose(np.mean(ours[0]), expected, rtol=1e-5)
    assert_same_gradients(ours[1], theirs[1])
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(shared.objective(shared.terms(x, seed=seed)))
    slope = tape.gradient(loss, shared.likelihood.log_scale.value)
    assert abs(slope) < 1e-2  # of two parts of 64 each


def test_ramps_follow_their_docstring(tiny, random_terms):
    """beta (or capacity) grows over `warmup` steps; in a cycle the first half grows, the second stays."""
    terms = random_terms()
    kl, distortion = terms.kl.numpy().astype(float), -np.mean(terms.log_px, axis=0).astype(float)
    warm, cyclic = tiny("beta:beta=3,warmup=10"), tiny("beta:beta=3,cycle=8")
    capacity, constant = tiny("beta:beta=3,capacity=6,warmup=10"), tiny("beta:beta=3,capacity=6")
    for step in (0, 1, 3, 4, 5, 7, 8, 9, 10, 12, 15, 16, 1000):
        for model in (warm, cyclic, capacity, constant):
            model.step.assign(step)
        share = min(step / 10, 1)
        position = step % 8
        cycle = position / 4 if position < 4 else 1
        for model, expected in (
            (warm, distortion + 3 * share * kl),
            (cyclic, distortion + 3 * cycle * kl),
            (capacity, distortion + 3 * np.abs(kl - 6 * share)),
            (constant, distortion + 3 * np.abs(kl - 6)),
        ):
            np.testing.assert_allclose(model.objective(terms), expected, rtol=1e-5)


def log_weights(terms):
    return [
        [float(terms.log_px[k, b]) + float(terms.log_pz[k, b]) - float(terms.log_qz[k, b]) for b in range(5)]
        for k in range(len(terms.log_px))
    ]


def log_mean_exp(values):
    top = max(values)
    return top + math.log(sum(math.exp(v - top) for v in values) / len(values))


@pytest.mark.parametrize("shift", [-50.0, 3000.0])
def test_iwae_family_against_a_loop(shift, tiny, random_terms):
    """The value keeps its constants (pitfall 1), divides by k and not by the batch size (22)."""
    terms = random_terms(samples=6)
    terms = terms._replace(log_px=terms.log_px + shift)
    w = log_weights(terms)
    columns = [[w[k][b] for k in range(6)] for b in range(5)]
    for spec, expected in (
        ("iwae:k=6", [log_mean_exp(c) for c in columns]),
        ("iwae:k=6,gradient=stl", [log_mean_exp(c) for c in columns]),
        ("miwae:m=2,k=3", [(log_mean_exp(c[:3]) + log_mean_exp(c[3:])) / 2 for c in columns]),
        ("ciwae:k=6,beta=0.3", [0.3 * sum(c) / 6 + 0.7 * log_mean_exp(c) for c in columns]),
    ):
        model = tiny(spec)
        if "stl" in spec:  # log q is evaluated anew; give it what it will find
            u = (terms.z - terms.q_mean) * tf.exp(-terms.q_log_stddev)
            log_qz = -tf.reduce_sum(u**2 / 2 + terms.q_log_stddev + 0.5 * math.log(2 * math.pi), -1)
            again = terms._replace(log_qz=log_qz)
            w = log_weights(again)
            expected = [log_mean_exp([w[k][b] for k in range(6)]) for b in range(5)]
        np.testing.assert_allclose(model.objective(terms), -np.array(expected), rtol=2e-6)


def test_iwae_raises_the_best_sample_most(tiny, random_terms):
    """d loss / d log w_k = -softmax_k(log w): the sample with the highest weight, not the worst one (pitfall 21)."""
    terms, model = random_terms(), tiny("iwae:k=4")
    with tf.GradientTape() as tape:
        tape.watch(terms.log_px)
        loss = tf.reduce_sum(model.objective(terms))
    found = tape.gradient(loss, terms.log_px).numpy()
    w = np.array(log_weights(terms))
    np.testing.assert_allclose(found, -special.softmax(w, axis=0), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(np.argmin(found, axis=0), np.argmax(w, axis=0))


@pytest.mark.parametrize("stop", [False, True])
def test_geco_iwae_against_a_loop(stop, tiny, random_terms):
    """-L_k + sum w~ log p(x|z) + sum_j lambda_j sum w~ C_j, weights from the very samples they weigh."""
    terms = random_terms()
    model = tiny(f"geco-iwae:k=4,constraints=re<=3;nll<=40,stop_weights={stop}", image_shape=(4, 6, 3))
    model.multipliers._log_values.assign([0.3, -0.7])
    with tf.GradientTape() as tape:
        tape.watch(terms.log_px)
        loss = model.objective(terms)
    slope = tape.gradient(loss, terms.log_px).numpy()
    lam, w = np.exp([0.3, -0.7]), np.array(log_weights(terms))
    for b in range(5):
        share = special.softmax(w[:, b])
        assert abs(sum(share) - 1) < 1e-12
        np.testing.assert_allclose(np.sum(model.importance_weights(terms)[:, b]), 1, rtol=1e-6)
        log_px = terms.log_px.numpy()[:, b].astype(float)
        c_re = terms.sq_err.numpy()[:, b].astype(float) - 9
        c_nll = -log_px - 40
        value = -log_mean_exp(list(w[:, b]))
        violation = np.zeros(2)
        for k in range(4):
            value += share[k] * (log_px[k] + lam[0] * c_re[k] + lam[1] * c_nll[k])
            violation += share[k] * np.array([c_re[k], c_nll[k]])
        np.testing.assert_allclose(loss[b], value, rtol=1e-5, atol=1e-4)
        # d/d log p_k: -w~ from L_k, w~ and -lambda w~ from the sums, and what moves w~ itself
        weighted = log_px + lam[0] * c_re + lam[1] * c_nll
        expected = -lam[1] * share + (0 if stop else share * (weighted - share @ weighted))
        np.testing.assert_allclose(slope[:, b], expected, rtol=1e-3, atol=1e-3)
    # the controller sees the same weighted mean, over all samples and images
    model.adapt(model.constraint_stats(terms))
    share = special.softmax(w, axis=0)
    expected = [np.sum(share * (terms.sq_err - 9)) / 5, np.sum(share * (-terms.log_px - 40)) / 5]
    np.testing.assert_allclose(model.multipliers.average, expected, rtol=1e-5)


def test_geco_iwae_equals_geco_while_training(tiny, images):
    """k = 1, batches of unknown size, XLA: weights, lambda and moving average stay equal to the bit."""
    batches = tf.data.Dataset.from_tensor_slices(images(20)).batch(8)  # 8, 8, 4
    assert batches.element_spec.shape[0] is None
    states = []
    for spec in ("geco-iwae:k=1,kappa=1", "geco:kappa=1"):
        model = tiny(spec, learning_rate=1e-2)
        model.fit(batches, epochs=2, verbose=0, shuffle=False)
        states.append([np.asarray(v) for v in model.weights])
    assert len(states[0]) == len(states[1])
    for a, b in zip(*states):
        np.testing.assert_array_equal(a, b)


def test_total_correlation_against_a_loop(random_terms):
    terms = random_terms(samples=2, batch=5, latent=3)
    mean, log_stddev = terms.q_mean.numpy().astype(float), terms.q_log_stddev.numpy().astype(float)
    for b in range(5):
        total = 0
        for k in range(2):
            log_q = np.array([
                [-0.5 * ((float(terms.z[k, b, d]) - mean[j, d]) / math.exp(log_stddev[j, d])) ** 2
                 - log_stddev[j, d] - 0.5 * math.log(2 * math.pi) for d in range(3)] for j in range(5)
            ])  # fmt: skip
            total += log_mean_exp(list(log_q.sum(axis=1))) - sum(log_mean_exp(list(log_q[:, d])) for d in range(3))
        np.testing.assert_allclose(estimate_total_correlation(terms)[b], total / 2, rtol=1e-4, atol=1e-4)


def test_total_correlation_is_zero_if_dimensions_are_independent(random_terms):
    """All q(z|x_j) alike, so q(z) factorises; in two dimensions, on a product grid of means, too."""
    terms = random_terms(batch=9, latent=2)
    same = terms._replace(q_mean=tf.ones([9, 2]), q_log_stddev=tf.zeros([9, 2]))
    np.testing.assert_allclose(estimate_total_correlation(same), 0, atol=1e-5)
    grid = tf.constant([[float(i), float(j)] for i in range(3) for j in range(3)])
    product = terms._replace(q_mean=grid, q_log_stddev=tf.fill([9, 2], -1.0))
    np.testing.assert_allclose(estimate_total_correlation(product), 0, atol=1e-4)
    # means on a line, far apart: H(z_1) + H(z_2) - H(z) = log 9 for draws of q(z|x_i) itself
    line = tf.constant([[20.0 * i, 20.0 * i] for i in range(9)])
    bound = terms._replace(q_mean=line, q_log_stddev=tf.zeros([9, 2]), z=line[None] + 0.1)
    np.testing.assert_allclose(estimate_total_correlation(bound), math.log(9), rtol=1e-5)


def test_tc_weighs_total_correlation_only(tiny, random_terms):
    terms = random_terms()
    loss, base = tiny("tc:beta=4").objective(terms), tiny("elbo").objective(terms)
    np.testing.assert_allclose(loss, base + 3 * estimate_total_correlation(terms), rtol=1e-5)


def test_mmd_against_a_loop(generator):
    a, b, width = generator.standard_normal((6, 3)), 0.5 + generator.standard_normal((6, 3)), 1.3

    def kernel(u, v):
        return math.exp(-sum((u - v) ** 2) / (2 * width**2))

    within = sum(kernel(s[i], s[j]) for s in (a, b) for i in range(6) for j in range(6) if i != j) / 30
    across = sum(kernel(u, v) for u in a for v in b) / 36
    found = estimate_mmd2(tf.constant(a, tf.float32), tf.constant(b, tf.float32), width)
    np.testing.assert_allclose(found, within - 2 * across, atol=1e-5)


@pytest.mark.parametrize("mean", [0.0, 0.4])
def test_mmd_is_unbiased(mean):
    """E = 2 (s/(s+2))^(L/2) (1 - exp(-|m|^2 / (2 (s+2)))), s = width^2: a Gaussian kernel of normal differences."""
    latent, width, sets = 3, 1.2, 2000
    a = random_streams.normal([sets, 8, latent], (1, 1))
    b = random_streams.normal([sets, 8, latent], (1, 2)) + mean
    found = tf.vectorized_map(lambda pair: estimate_mmd2(*pair, width), (a, b)).numpy()
    s = width**2
    expected = 2 * (s / (s + 2)) ** (latent / 2) * (1 - math.exp(-latent * mean**2 / (2 * (s + 2))))
    # 5 standard errors: one false alarm in about 2e6 choices of the seed
    assert abs(found.mean() - expected) < 5 * found.std() / sets**0.5


def test_info_is_its_formula_and_survives_a_batch_of_one(tiny, images):
    """The last batch of an evaluation may hold one image, of which MMD^2 has no unbiased estimate."""
    model = tiny("info:alpha=0.25,mmd=7,bandwidth=2")
    terms = model.terms(images(), seed=(3, 4))
    assert terms.extra.shape == (12, 3)
    expected = 0.75 * terms.kl - terms.log_px[0] + 7 * estimate_mmd2(terms.z[0], terms.extra, 2.0)
    np.testing.assert_allclose(model.objective(terms), expected, rtol=1e-6)
    assert np.all(np.isfinite(model.evaluate_batch(images(1))["loss"]))
    assert np.all(np.isfinite(tiny("tc").evaluate_batch(images(1))["loss"]))


def test_l2_is_the_sum_of_squared_kernels(tiny, images):
    """penalty = l2 * sum kernel^2, biases free; a step of SGD differs from that without by 2 l2 kernel."""
    steps = []
    for l2 in (0.0, 0.02):
        model = tiny("elbo", l2=l2)
        for v in model.arch.trainable_variables:  # biases start at 0, where a penalty would not show
            v.assign(v + 0.1)
        before = [np.asarray(v) for v in model.trainable_variables]
        expected = l2 * sum(np.sum(np.square(v, dtype=float)) for v in before if v.ndim == 2)
        np.testing.assert_allclose(model.weight_penalty(), expected, rtol=1e-5)
        model.compile(optimizer=keras.optimizers.SGD(1.0))
        model.optimize(images())
        steps.append([b - np.asarray(v) for v, b in zip(model.trainable_variables, before)])
    for without, penalised, start in zip(*steps, before):
        pull = 2 * 0.02 * start if start.ndim == 2 else np.zeros_like(start)
        # rounding of a gradient and of a weight minus it
        np.testing.assert_allclose(penalised - without, pull, atol=1e-5 * max(np.abs(without).max(), 1))


def test_more_samples_lower_the_variance_not_the_mean(tiny, images):
    """samples=L averages L draws: the loss at L = 64 is the mean of 64 losses at L = 1, up to noise."""
    x = images()
    many = tiny("elbo", samples=64)
    assert many.samples == 64 and many.get_config()["samples"] == 64
    one = tiny("elbo")
    singles = np.array([one.objective(one.terms(x, seed=(7, i))).numpy().mean() for i in range(64)])
    found = many.objective(many.terms(x, seed=(8, 0))).numpy().mean()
    # two independent means of 64 draws: 6 standard errors of their difference, false alarm 2e-9
    assert abs(found - singles.mean()) < 6 * singles.std(ddof=1) * (2 / 64) ** 0.5
