"""Models that are told something beside the image: labels, or the trade-off beta or kappa."""

import math

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import UsageError
from tfvae.evaluation.rate_distortion_curve import (
    compute_area_below_hull,
    draw_codes_along_range,
    measure_rate_distortion_curve,
)
from tfvae.models import conditions
from tfvae.runtime import random_streams
from tfvae.training import trainer
from tfvae.training.engine import Engine, epoch_order, place_images

ARCH = "mlp:widths=16,latent=3"


def told(objective, condition, **options):
    return tfvae.build(objective, "gaussian:sigma=0.3", ARCH, image_shape=(8, 8, 1), condition=condition, **options)


def test_vectors():
    labels = conditions.parse_condition("labels", 3)
    np.testing.assert_array_equal(labels.to_context(tf.constant([2, -1])), [[0, 0, 1], [0, 0, 0]])
    spread = conditions.parse_condition("beta:0.5-8")
    np.testing.assert_allclose(spread.to_context(tf.constant([0.5, 2.0, 8.0])), [[-1.0], [0.0], [1.0]], atol=1e-6)
    np.testing.assert_allclose(spread.default_values(2), [2.0, 2.0], rtol=1e-6)


@pytest.mark.parametrize("text", ["label", "beta", "beta:3", "beta:4-1", "kappa:0-2", "beta:a-b", "labels:3"])
def test_conditions_that_make_no_sense(text):
    with pytest.raises(UsageError, match="Expected|Unknown|nknown"):
        conditions.parse_condition(text, 3)


@pytest.mark.parametrize(
    "objective", ["elbo", "beta", "sigma", "geco", "iwae", "miwae", "ciwae", "geco-iwae", "tc", "info"]
)
@pytest.mark.parametrize("condition", ["labels", "upsample:2"])
def test_every_objective_learns_with_labels_and_pictures(objective, condition, images):
    model = told(objective, condition, classes=3)
    model.compile("adam")
    logs, sound = model.optimize(images(4), np.int32([0, 1, 2, 0]))
    assert sound and np.isfinite(logs["loss"]).all()


def test_what_cannot_be_told_is_refused():
    for objective, condition in (("elbo", "beta:1-2"), ("beta", "kappa:1-2"), ("iwae", "kappa:1-2")):
        with pytest.raises(UsageError, match="condition"):
            told(objective, condition)
    with pytest.raises(UsageError, match="vamp"):
        told("elbo", "labels", classes=3, prior="vamp")
    with pytest.raises(UsageError, match="trained without"):
        told("elbo", None).decode(tf.zeros([1, 3]), condition=1)


def test_draws_are_log_uniform():
    """Kolmogorov distance of 10,000 draws below 0.02: false alarm 7e-4; a tenth of the labels is withheld."""
    spread = conditions.parse_condition("kappa:2-6")
    place = np.sort(np.log(spread.resolve_values(None, 10_000, (1, 2), True) / 2.0) / math.log(3.0))
    assert np.abs(place - np.arange(10_000) / 10_000).max() < 0.02
    labels = conditions.parse_condition("labels", 3).resolve_values(tf.ones(10_000), 10_000, (1, 2), True).numpy()
    assert set(labels) == {-1, 1} and abs(np.mean(labels == -1) - 0.1) < 0.015  # 5 standard errors
    assert set(conditions.parse_condition("labels", 3).resolve_values(1, 5, (1, 2), False).numpy()) == {1}


def test_beta_as_a_condition_is_the_weight_of_each_image(images):
    """The loss at a beta that is told is that of a beta-VAE with this beta, image by image."""
    model = told("beta", "beta:0.5-8")
    terms = model.terms(images(4), seed=(1, 2), condition=[0.5, 1.0, 2.0, 8.0])
    expected = np.float32([0.5, 1.0, 2.0, 8.0]) * terms.kl - terms.log_px[0]
    np.testing.assert_allclose(model.objective(terms), expected, rtol=1e-6)


def test_small_and_large_betas_share_the_gradient(images):
    """The step's gradient is the mean of those of each image at its beta, times sqrt(middle / beta)."""
    model = told("beta", "beta:0.5-8")
    model.compile("adam")
    _, _, found, _ = model.compute_gradients(images(4))
    seed = random_streams.fold_in(random_streams.fold_in((0, 0), 1), model.step)
    with tf.GradientTape() as tape:
        terms = model.terms(images(4), seed=seed, training=True)
        beta = terms.condition
        total = tf.reduce_mean(tf.sqrt(2.0 / beta) * (beta * terms.kl - terms.log_px[0]))
    for a, b in zip(found, tape.gradient(total, model.trainable_variables)):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_lambda_is_linear_in_the_logarithms(images):
    """lambda(kappa) against NumPy's interpolation; gradients and signals of one image go to its two neighbours."""
    model = told("geco", "kappa:1-4")
    log_lam = np.linspace(-1.0, 2.0, 9).astype(np.float32) ** 3
    model.multipliers._log_values.assign(log_lam)
    kappa = np.float32([1.0, 1.3, 2.0, 3.9, 4.0])
    expected = np.exp(np.interp(np.log(kappa), np.log(model.knots), log_lam))
    np.testing.assert_allclose(model.multiplier_at(tf.constant(kappa)), expected, rtol=1e-5)
    terms = model.terms(images(1), seed=(1, 2), condition=1.3)
    found = model.constraint_stats(terms)
    assert np.count_nonzero(found["weights"]) == 2 and np.sum(found["weights"]) == pytest.approx(1.0)
    before = model.multipliers.average.numpy()
    model.adapt(found)
    moved = model.multipliers.average.numpy() != before
    np.testing.assert_array_equal(moved, found["weights"].numpy() > 0)
    np.testing.assert_allclose(model.objective(terms), terms.kl + model.multiplier_at(tf.constant([1.3])) * (
        terms.sq_err[0] - 1.3**2), rtol=1e-6)  # fmt: skip


@pytest.mark.slow
def test_labels_are_learnt_through_the_engine():
    """Images that are their label's constant grey: with the label, no information is needed from z."""
    labels = np.arange(240) % 3
    images = np.broadcast_to((40 + 80 * labels)[:, None, None, None], (240, 8, 8, 1)).astype(np.uint8)
    model = told("beta:beta=30", "labels", classes=3)
    model.compile("adam")
    model.optimizer.learning_rate = 0.01
    engine = Engine(model, 24)
    for epoch in range(1, 41):
        *_, (_, _, means) = engine.train_blocks(place_images(images), epoch_order(0, epoch, 240, 24), labels=labels)
    shown = model.sample(3, (0, 1), condition=[0, 1, 2]).numpy().mean(axis=(1, 2, 3))
    np.testing.assert_allclose(shown, np.array([40, 120, 200]) / 255, atol=0.03)
    assert (
        engine.evaluate(place_images(images), labels)["sq_err"]
        < engine.evaluate(place_images(images), 0 * labels)["sq_err"]
    )


@pytest.mark.slow
def test_a_curve_from_one_run(tmp_path, capsys):
    """kappa-conditioned on digits: errors rise with kappa, rates fall; the verb writes CSV and PNG; sample --kappa."""
    run = trainer.train(objective="geco", condition="kappa:1.2-2.4", dataset="digits", arch="mlp:widths=64,latent=8",
                     epochs=30, learning_rate=3e-3, run_dir=str(tmp_path / "run"), root=str(tmp_path))  # fmt: skip
    rows = measure_rate_distortion_curve(run.path, points=3)
    assert [row["sq_err"] for row in rows] == sorted(row["sq_err"] for row in rows)
    assert [row["rate"] for row in rows] == sorted((row["rate"] for row in rows), reverse=True)
    assert compute_area_below_hull(rows) > 0
    assert main(["rd-curve", str(run.path), "--points", "3"]) == 0
    assert "rd_curve.png" in capsys.readouterr().out and (run.path / "plots" / "rd_curve.csv").exists()
    assert (run.path / "plots" / "posteriors.png").exists()
    clouds = draw_codes_along_range(run.path, points=2, limit=300)
    (tight, labels), (loose, _) = clouds.values()
    assert tight.shape == loose.shape == (300, 2) and len(labels) == 300 and list(clouds)[0] == "kappa 1.2"
    picture = str(tmp_path / "samples.png")
    assert main(["sample", str(run.path), "--kappa", "2", "-o", picture]) == 0
    for wrong in (["--kappa", "9"], ["--label", "1"], ["--beta", "1"]):
        assert main(["sample", str(run.path), *wrong, "-o", picture]) == 2
    plain = trainer.train(objective="elbo", dataset="digits", arch=ARCH, epochs=1, run_dir=str(tmp_path / "plain"),
                       root=str(tmp_path))  # fmt: skip
    assert main(["rd-curve", str(plain.path)]) == 2


def test_keras_fit_tells_the_labels(images):
    """(x, y) batches: the loss with labels is not that without."""
    model = told("elbo", "labels", classes=2)
    model.compile("adam")
    x, y = images(32), np.arange(32) % 2
    history = model.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    seed = random_streams.fold_in((0, 0), 1)
    with_labels = model.terms(x, seed=seed, condition=y).log_px
    assert not np.array_equal(with_labels, model.terms(x, seed=seed).log_px)


# --- parts of images -----------------------------------------------------------------------------------------------

ARCHS = ["mlp:widths=16,latent=3", "conv:widths=4,latent=3,hidden=8", "convdraw:steps=2,hidden=4,latent=1",
         "ladder:levels=2,hidden=4,latent=1", "mlp:widths=16,latent=3,conditioning=film"]  # fmt: skip


def test_what_is_shown_of_an_image():
    """Block means by a slow loop; the hidden part is zero and marked; -1 shows nothing."""
    x = np.random.default_rng(0).random((2, 8, 12, 3), np.float32)
    blocks = conditions.parse_condition("upsample:4", image_shape=(8, 12, 3)).visible_part(tf.constant(x)).numpy()
    for i in range(8):
        for j in range(12):
            mean = x[:, i // 4 * 4 : i // 4 * 4 + 4, j // 4 * 4 : j // 4 * 4 + 4].mean((1, 2))
            np.testing.assert_allclose(blocks[:, i, j], np.c_[mean, [1.0, 1.0]], rtol=1e-5)
    hidden = {"left": np.s_[:, :, :6], "right": np.s_[:, :, 6:], "top": np.s_[:, :4], "bottom": np.s_[:, 4:],
              "centre": np.s_[:, 2:6, 3:9]}  # fmt: skip
    for part, region in hidden.items():
        told = conditions.parse_condition(f"inpaint:{part}", image_shape=(8, 12, 3))
        found = told.visible_part(tf.constant(x)).numpy()
        truth = np.concatenate([x, np.ones((2, 8, 12, 1))], axis=-1)
        truth[region] = 0.0
        np.testing.assert_array_equal(found, truth.astype(np.float32))
        assert not told.to_context(told.default_values(2)).numpy().any() and told.to_context(x).shape == (2, told.width)
    share = np.mean(told.resolve_values(tf.constant(x[:1]), 5000, (1, 2), True).numpy()[:, 0, 0, 0] < 0)
    assert abs(share - 0.1) < 0.02  # 4.7 standard errors: false alarm 3e-6


@pytest.mark.parametrize("text", ["upsample:3", "upsample:1", "upsample", "inpaint:middle", "inpaint"])
def test_parts_that_make_no_sense(text):
    with pytest.raises(UsageError, match="xpected|nknown"):
        conditions.parse_condition(text, image_shape=(8, 8, 1))


@pytest.mark.parametrize("arch", ARCHS)
def test_samples_depend_on_what_is_shown_and_not_on_what_is_hidden(arch, images):
    """After a few steps the shown half moves the samples; the hidden half never does."""
    model = tfvae.build("elbo", "gaussian:sigma=0.3", arch, image_shape=(8, 8, 1), condition="inpaint:right")
    model.compile("adam")
    x = images(16)
    for _ in range(3):
        model.optimize(x)
    one = (x[:4] / 255.0).astype(np.float32)
    other = one.copy()
    other[:, :, 4:] = 1.0 - other[:, :, 4:]
    base = model.sample(4, (1, 2), condition=one)
    np.testing.assert_array_equal(model.sample(4, (1, 2), condition=other), base)
    other[:, :, :4] = 1.0 - one[:, :, :4]
    assert np.abs(model.sample(4, (1, 2), condition=other) - base).max() > 1e-4
    assert np.abs(model.sample(4, (1, 2)) - base).max() > 1e-4  # nothing is known
    np.testing.assert_array_equal(model.reconstruct(one, (1, 2)), model.reconstruct(one, (1, 2), condition=one))


def test_convdraw_sees_the_shown_part_where_it_is():
    """A patch of the context moves its own cell of the prior's first step, and no other: its kernel has side 1."""
    model = tfvae.build("elbo", "gaussian:sigma=0.3", "convdraw:steps=1,hidden=4,latent=1,kernel=1",
                        image_shape=(8, 8, 1), condition="upsample:2")  # fmt: skip
    layers, context = model.arch.step_layers[0], model.condition.to_context(tf.zeros([1, 8, 8, 1])).numpy()
    maps = context.reshape(1, 8, 8, 2).copy()
    maps[0, 5, 6, 0] = 1.0  # the cell (1, 1) of the 2 x 2 grid
    zeros = tf.zeros([1, 2, 2, 4])
    moved = layers.apply_layer("prior", zeros, maps.reshape(1, -1)) - layers.apply_layer("prior", zeros, context)
    assert np.abs(moved[0, 1, 1]).max() > 1e-4
    assert not np.delete(np.abs(moved.numpy()).reshape(4, -1), 3, axis=0).any()


@pytest.mark.slow
def test_complete_and_strip_from_the_command_line(tmp_path, capsys):
    run = trainer.train(run_dir=str(tmp_path / "run"), root=str(tmp_path), objective="elbo", dataset="digits", epochs=1,
                     arch="convdraw:steps=2,hidden=4,latent=1", condition="inpaint:bottom", limit=200)  # fmt: skip
    for verb, *flags in (["complete", "--rows", "2", "-n", "3"], ["strip", "-n", "2", "--steps", "3"]):
        out = tmp_path / f"{verb}.png"
        assert main([verb, str(run.path), *flags, "-o", str(out)]) == 0 and out.stat().st_size > 500
    plain = trainer.train(run_dir=str(tmp_path / "plain"), root=str(tmp_path), objective="elbo", dataset="digits",
                       arch="mlp:widths=8,latent=2", epochs=1, limit=200)  # fmt: skip
    capsys.readouterr()
    assert main(["complete", str(plain.path)]) == 2 and "--condition upsample:N" in capsys.readouterr().err
    assert main(["strip", str(plain.path)]) == 2 and "arch=convdraw" in capsys.readouterr().err
