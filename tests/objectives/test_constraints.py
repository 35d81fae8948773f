"""Constraints: what each one measures, in which units, with which gradient; texts that are refused."""

import math

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.errors import UsageError
from tfvae.objectives.geco.constraints import mean_violations, parse_constraints, stack_violations


def test_violation_is_a_sum_over_all_pixels_less_kappa_squared_once(random_terms):
    """Width is not height and there are 3 channels (pitfalls 4 and 15)."""
    terms = random_terms(samples=2, batch=3)
    found = stack_violations(parse_constraints("re<=2;rmse<=0.3;nll<=40;kl<=5"), terms).numpy()
    x, g = terms.x.numpy().astype(float), terms.mean.numpy().astype(float)
    for k in range(2):
        for b in range(3):
            total = sum((x[b, h, w, c] - g[k, b, h, w, c]) ** 2 for h in range(4) for w in range(6) for c in range(3))
            expected = [total - 4, total / 72 - 0.09, -terms.log_px[k, b] - 40, terms.kl[b] - 5]
            np.testing.assert_allclose(found[:, k, b], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mean_violations(tf.constant(found)), found.reshape(4, -1).mean(axis=1), rtol=1e-6)


def test_terms_hold_the_error_that_is_constrained(tiny, images):
    model = tiny("geco", image_shape=(4, 6, 3), arch="conv:widths=4,latent=2,hidden=8")
    x = images(shape=(4, 6, 3))
    terms = model.terms(x, samples=2)
    expected = np.sum((x / 255.0 - terms.mean.numpy().astype(float)) ** 2, axis=(2, 3, 4))
    np.testing.assert_allclose(terms.sq_err, expected, rtol=1e-5)


def test_ncc_is_the_correlation(random_terms):
    terms = random_terms(samples=2, batch=3)
    found = stack_violations(parse_constraints("ncc>=0.9"), terms)[0]
    for k in range(2):
        for b in range(3):
            r = np.corrcoef(terms.x[b].numpy().ravel(), terms.mean[k, b].numpy().ravel())[0, 1]
            np.testing.assert_allclose(found[k, b], 0.9 - r, atol=1e-5)
    brighter = terms._replace(mean=(0.2 + 0.5 * terms.x)[None])
    np.testing.assert_allclose(stack_violations(parse_constraints("ncc>=0.9"), brighter), -0.1, atol=1e-5)
    blank = terms._replace(mean=tf.fill([2, 3, 4, 6, 3], 0.5))
    np.testing.assert_allclose(stack_violations(parse_constraints("ncc>=0.9"), blank), 0.9, atol=1e-3)


def test_bound_on_the_rate_minimises_the_distortion(tiny, random_terms):
    """kl<=eps: -E log p(x|z) + lambda (KL - eps); with more bounds beside it, too."""
    terms = random_terms()
    distortion, kl = -np.mean(terms.log_px, axis=0), terms.kl.numpy()
    model = tiny("geco:constraints=kl<=3,lam=2", image_shape=(4, 6, 3))
    np.testing.assert_allclose(model.objective(terms), distortion + 2 * (kl - 3), rtol=1e-5)
    model = tiny("geco:constraints=re<=3;kl<=3,lam=2", image_shape=(4, 6, 3))
    expected = distortion + 2 * (kl - 3) + 2 * (np.mean(terms.sq_err, axis=0) - 9)
    np.testing.assert_allclose(model.objective(terms), expected, rtol=1e-5)
    assert set(model.evaluate_batch(np.zeros((2, 4, 6, 3), "uint8"))) >= {"constraint", "constraint_2"}
    assert set(model.state_logs()) == {"lambda", "lambda_2", "constraint_ma", "constraint_ma_2"}


def levels(terms):
    """Share of pixels on the wrong side of one half, [K, B]: nothing to differentiate."""
    return tf.reduce_mean(tf.abs(tf.round(terms.x) - tf.round(terms.mean)), axis=[-3, -2, -1])


def test_constraint_without_gradient_drives_lambda_only(tiny, images, gradients):
    hard = tfvae.Constraint(levels, 0.01, differentiable=False)
    soft = tfvae.Constraint(lambda terms: terms.sq_err, 0.01, differentiable=False)
    x, kl_only = images(), gradients(tiny("beta:beta=1", likelihood="gaussian:sigma=1000000"), images())
    for bound in (hard, soft):
        model = tiny(tfvae.OBJECTIVES["geco"], constraints=[bound, "re<=1"], initial_multiplier=4.0, warmup=0)
        model.multipliers._log_values.assign([math.log(4), -60.0])  # e^-60: the second one plays no part
        for a, b in zip(gradients(model, x)[1][:2], kl_only[1][:2]):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        model.adapt(model.constraint_stats(model.terms(x)))
        assert model.multipliers.values[0] > 4
        np.testing.assert_allclose(model.multipliers.average[0], np.mean(bound(model.terms(x))), rtol=1e-5)


def test_any_callable_is_a_constraint(tiny, images):
    """fn(terms) <= 0, [B] or [K, B]; named after the function."""

    def dark(terms):
        return tf.reduce_mean(terms.x, axis=[1, 2, 3]) - 0.5

    for constraints in (dark, [dark, "re<=2"]):
        model = tiny(tfvae.OBJECTIVES["geco"], constraints=constraints)
        terms = model.terms(images(), samples=3)
        expected = np.mean(images() / 255.0, axis=(1, 2, 3)) - 0.5
        np.testing.assert_allclose(stack_violations(model.constraints, terms)[0], np.tile(expected, (3, 1)), rtol=1e-4)
        assert model.constraints[0].text == "dark"


@pytest.mark.parametrize("text", ["re<4", "re<=", "re", "re>=4", "ncc<=0.9", "ncc>=1.5", "kl<=0", "re<=-1", "foo<=3",
                                  "re<=4 kl<=3", "re<=four", ";", "re<=1e", "feature:/no/such/folder<=1"])  # fmt: skip
def test_texts_that_do_not_parse(text):
    with pytest.raises(UsageError, match="Expected"):
        parse_constraints(text)


def test_features_of_a_saved_model_are_compared(tmp_path, random_terms):
    """feature:PATH is |f(x) - f(g(z))|^2 for a SavedModel's own f, with gradients to g."""
    kernel = np.random.default_rng(0).standard_normal((72, 4)).astype("float32")

    class Features(tf.Module):
        def __init__(self):
            super().__init__()
            self.kernel = tf.Variable(kernel)

        @tf.function(input_signature=[tf.TensorSpec([None, 4, 6, 3])])
        def __call__(self, x):
            return tf.reshape(x, [-1, 72]) @ self.kernel

    tf.saved_model.save(Features(), str(tmp_path))
    (constraint,) = parse_constraints(f"feature:{tmp_path}<=2")
    terms = random_terms()
    flat = (terms.mean - terms.x).numpy().reshape(4, 5, 72)
    with tf.GradientTape() as tape:
        tape.watch(terms.mean)
        found = constraint(terms)
    np.testing.assert_allclose(found, ((flat @ kernel) ** 2).sum(-1) - 2.0, rtol=1e-4)
    np.testing.assert_allclose(
        tape.gradient(found, terms.mean).numpy().reshape(4, 5, 72), 2 * flat @ kernel @ kernel.T, rtol=1e-3, atol=1e-3
    )
