"""Inputs at the edge of what is meant: each is refused in words or handled, never wrong in silence."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.distributions.terms import average_over_samples
from tfvae.errors import DataError, UsageError
from tfvae.objectives.registry import GECO
from tfvae.training import checkpoints
from tfvae.training.engine import Engine
from tfvae.training.training_state import TrainingState

ARCH = "mlp:widths=8,latent=2"


def tiny(objective, **options):
    return tfvae.build(objective, "gaussian", ARCH, image_shape=(8, 8, 1), **options)


def test_bytes_of_another_integer_type_are_refused():
    """int64 pixels up to 255 would pass for floats in [0, 1]."""
    with pytest.raises(DataError, match="uint8"):
        tiny("elbo").encode(np.full((2, 8, 8, 1), 255))


def test_images_of_the_wrong_shape_are_refused():
    with pytest.raises(DataError, match=r"\[N, 8, 8, 1\].*\(2, 8, 7, 1\)"):
        tiny("elbo").encode(np.zeros((2, 8, 7, 1), np.uint8))


def test_miwae_wants_equal_groups(images):
    model = tiny("miwae:m=2,k=2")
    with pytest.raises(UsageError, match="2 equal groups"):
        model.objective(model.terms(images(3), samples=3))


def test_a_scalar_constraint_beside_others(images):
    """A constraint of one number a batch counts for every image and sample."""
    bounds = [tfvae.Constraint(lambda terms: terms.sq_err[0, 0] * 0 + 3.0, 1.0), "re<=2"]
    model = GECO(ARCH, "gaussian", image_shape=(8, 8, 1), constraints=bounds)
    terms = model.terms(images(4), samples=3)
    np.testing.assert_array_equal(model.weighted_violations(terms)[0], np.full((3, 4), 2.0))


@pytest.mark.parametrize(
    "text", ["re<=1e999", "re<=0", "kl<=-1", "ncc>=2", "re>=4", "re<4", "xx<=1", "", "feature:<=1"]
)
def test_constraints_that_make_no_sense(text):
    with pytest.raises(UsageError, match="Expected"):
        GECO(ARCH, "gaussian", image_shape=(8, 8, 1), constraints=text or ";")


@pytest.mark.parametrize("option", ["lam=0", "lam=1e9", "decay=1", "rate=-1", "warmup=-1", "gain=-2", "controller=pid"])
def test_controllers_refuse_impossible_settings(option):
    name = option.partition("=")[0]
    with pytest.raises(UsageError, match=GECO.option_aliases.get(name, name)):
        tiny(f"geco:{option}")


def test_a_violation_that_is_not_finite_moves_nothing_for_good():
    """One NaN batch: the moving average and lambda stay finite."""
    model = tiny("geco:kappa=2")
    model.multipliers.update(np.float32([1.0]), [4.0])
    model.multipliers.update(np.float32([np.nan]), [4.0])
    assert model.multipliers.average.numpy() == pytest.approx([1.0])
    assert np.isfinite(model.multipliers.values).all()


def test_restoring_into_a_fresh_optimizer_keeps_its_moments(images, tmp_path):
    """An optimizer that has not been built yet gets Adam's moments all the same."""
    model = tiny("elbo")
    model.compile(keras.optimizers.Adam(0.01))
    model.optimize(images(8))
    checkpoints.save_checkpoint(tmp_path, model, TrainingState())
    again = tiny("elbo")
    again.compile(keras.optimizers.Adam(0.01))
    checkpoints.restore_newest_checkpoint(tmp_path, again, print)
    for a, b in zip(model.optimizer.variables, again.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a, b)


def test_keras_evaluation_draws_other_noise_in_each_batch(images):
    """The mean over two equal batches is not that of one batch, as it would be with the same noise."""
    model = tiny("elbo")
    model.compile()
    x = images(8)
    one = model.evaluate(x, batch_size=8, verbose=0, return_dict=True)["sq_err"]
    two = model.evaluate(np.concatenate([x, x]), batch_size=8, verbose=0, return_dict=True)["sq_err"]
    assert one != two and one == pytest.approx(two, rel=0.2)


def test_geco_iwae_reports_the_constraint_it_feels(images):
    """The constraint column is weighted by w~, as the loss and the controller are."""
    model = tiny("geco-iwae:kappa=1,k=4")
    terms = model.terms(images(6), samples=4, seed=(1, 2))
    log_w = (terms.log_px + terms.log_pz - terms.log_qz).numpy().astype(np.float64)
    weights = np.exp(log_w - log_w.max(0)) / np.exp(log_w - log_w.max(0)).sum(0)
    expected = (weights * (terms.sq_err.numpy() - 1.0)).sum(0)
    np.testing.assert_allclose(model.metric_columns(terms)["constraint"], expected, rtol=1e-4)


def test_the_readme_objective_trains(images):
    """A user's class, as the README shows it, without touching the package."""

    class FreeBits(tfvae.VAE):
        def __init__(self, *parts, floor=4.0, **context):
            super().__init__(*parts, **context)
            self.floor = floor

        def objective(self, terms):
            return keras.ops.maximum(terms.kl, self.floor) - average_over_samples(terms.log_px)

    model = tfvae.build(FreeBits, likelihood="gaussian", arch=ARCH, image_shape=(8, 8, 1))
    model.compile("adam")
    losses = [float(np.mean(model.optimize(images(16))[0]["loss"])) for _ in range(5)]
    assert losses[-1] < losses[0] and model.get_config()["floor"] == 4.0


@pytest.mark.parametrize(
    "mode", [pytest.param("loop", marks=pytest.mark.slow), pytest.param("step", marks=pytest.mark.slow), "kernels"]
)
def test_a_step_that_is_not_finite_changes_nothing(images, mode):
    """NaN pixels in the second of three batches: that step is skipped and counted, the others are as without it."""
    x = images(24).astype(np.float32) / 255.0
    bad = x.copy()
    bad[8:16] = np.nan
    order = np.arange(24, dtype=np.int32).reshape(3, 8)

    def fit(data, rows):
        model = tiny("geco:kappa=2")
        model.compile(keras.optimizers.Adam(0.01))
        model.optimizer.build(model.trainable_variables)
        engine = Engine(model, 8, mode)
        *_, (done, sums, means) = engine.train_blocks(tf.constant(data), order[rows], count=1)
        return model, sums[-1], means

    one, sound, _ = fit(x, [0])
    model, sound, means = fit(bad, [0, 1])
    assert sound == 1.0 and all(np.isfinite(value) for value in means.values())
    assert int(model.step) == 2  # the place in the data moves on
    for a, b in zip((*one.variables, *one.optimizer.variables), (*model.variables, *model.optimizer.variables)):
        if a is not one.step:
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    model, sound, means = fit(bad, [0, 1, 2])
    assert sound == 2.0 and not np.array_equal(one.arch.trainable_variables[0], model.arch.trainable_variables[0])


def test_keras_fit_skips_a_bad_batch_too(images):
    """An array with NaN is refused; in a later batch of a data set, as an augmentation may make it, NaN is skipped."""
    model = tiny("elbo")
    model.compile(keras.optimizers.Adam(0.01))
    x = images(24).astype(np.float32) / 255.0
    x[8:16] = np.nan
    with pytest.raises(DataError, match="512 of them are NaN"):
        model.fit(x, verbose=0)
    logs = model.fit(tf.data.Dataset.from_tensor_slices(x).batch(8), epochs=1, shuffle=False, verbose=0).history
    assert np.isfinite(logs["loss"]).all() and np.isfinite(logs["sq_err"]).all()
    assert all(np.isfinite(v).all() for v in model.variables)
