"""One table over every objective, likelihood, architecture and prior: each entry learns, repeats, saves, compiles.

Rows in which every pair of entries of two axes occurs (a covering array, built greedily below) run under ``slow``, as
does the full product; the quick suite meets every entry of every axis, but for the deep architectures. A table entry
that `small_parts` does not have fails `test_the_table_is_complete`.
"""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_parts import ARCHITECTURES, LIKELIHOODS, OBJECTIVES, PRIORS

import tfvae
from tfvae.errors import UsageError
from tfvae.training.engine import Engine, epoch_order

AXES = (OBJECTIVES, LIKELIHOODS, ARCHITECTURES, PRIORS)
REFUSED = [("tc", "convdraw"), ("tc", "ladder")]  # q(z_i|x_j) for all i, j needs a q(z|x) that draws z at once
BATCH, STEPS = 16, 16


def is_allowed(row):
    return not any(pair in REFUSED for pair in itertools.combinations(row, 2))


def build_covering_rows(axes):
    """Rows (one name an axis) in which every pair of names of two different axes occurs."""
    names = [list(axis) for axis in axes]
    pairs = {
        ((i, a), (j, b))
        for i, j in itertools.combinations(range(len(names)), 2)
        for a in names[i]
        for b in names[j]
        if is_allowed((a, b))
    }
    rows = []
    while pairs:

        def gain(row):
            return sum(pair in pairs for pair in itertools.combinations(list(enumerate(row)), 2))

        best = max(filter(is_allowed, itertools.product(*names)), key=gain)
        rows.append(best)
        pairs -= set(itertools.combinations(list(enumerate(best)), 2))
    return rows


def make_images(count=64):
    """Return small real-looking data: two blobs that move, bytes [N, 8, 8, 1]."""
    y, x = np.mgrid[0:8, 0:8]
    centre = np.random.default_rng(0).uniform(1, 6, (count, 2, 1, 1))
    blob = np.exp(-((y - centre[:, :1, 0]) ** 2 + (x - centre[:, 1:, 0]) ** 2) / 3.0)
    return np.rint(255 * blob).astype(np.uint8)[..., None]


def make_model(row, **options):
    objective, likelihood, arch, prior = (axis[name] for axis, name in zip(AXES, row))
    model = tfvae.build(objective, likelihood, arch, prior, image_shape=(8, 8, 1), seed=1, **options)
    model.compile(keras.optimizers.Adam(0.01))
    model.optimizer.build(model.trainable_variables)
    return model


def train(model, jit=True, steps=STEPS):
    """Return the losses of `steps` batches, compiled step by step or eager."""
    tf.config.run_functions_eagerly(not jit)
    try:
        engine = Engine(model, BATCH, mode="step" if jit else "kernels")
        order = np.concatenate([epoch_order(0, epoch, 64, BATCH) for epoch in range(steps // 4)])
        sums = [sums[0] for _, sums, _ in engine.train_blocks(tf.constant(make_images()), order, count=steps)]
    finally:
        tf.config.run_functions_eagerly(False)
    return np.diff([0.0, *sums])


def measure_error(model):
    """Return the mean squared error on the data, with noise of its own."""
    return float(tf.reduce_mean(model.terms(make_images(), seed=(5, 6)).sq_err))


def check_learning(row, jit, steps=STEPS):
    """Train and check that reconstructions get closer, which every objective here wants."""
    model = make_model(row)
    before = measure_error(model)
    losses = train(model, jit=jit, steps=steps)
    assert np.isfinite(losses).all() and measure_error(model) < before
    return model


DEEP = ("convdraw", "ladder")  # compile for long; test_convdraw.py and test_ladder.py have the quick claims


def choose_quick_rows(rows):
    """The first rows that hold a name not yet met, of those that compile soon: mlps, and others with Gaussians."""
    met, chosen = set(), set()
    for row in sorted(rows, key=lambda row: row[2] != "mlp"):
        is_soon = row[2] == "mlp" or row[2] not in DEEP and row[1] == "gaussian"
        if is_soon and not set(enumerate(row)) <= met:
            chosen.add(row)
            met |= set(enumerate(row))
    return chosen


def mark_slow(values, quick):
    """Test parameters of which all but `quick` run under ``slow``."""
    return [
        pytest.param(value, marks=() if value in quick else pytest.mark.slow, id="|".join(np.atleast_1d(value)))
        for value in values
    ]


COVERING = build_covering_rows(AXES)


@pytest.mark.parametrize("row", mark_slow(COVERING, choose_quick_rows(COVERING)))
def test_every_pair_conforms(row, tmp_path):
    """Finite terms of the right shapes; learns; saves and loads."""
    terms = make_model(row).terms(make_images(4), samples=2, seed=(3, 4))
    assert all(np.isfinite(value).all() for value in terms if value is not None)
    assert terms.log_px.shape == (2, 4) and terms.kl.shape == (4,) and terms.mean.shape == (2, 4, 8, 8, 1)

    model = check_learning(row, jit=True)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    again_terms, terms = (m.terms(make_images(), seed=(5, 6)) for m in (again, model))
    np.testing.assert_array_equal(again_terms.log_px, terms.log_px)
    np.testing.assert_array_equal(again.objective(again_terms), model.objective(terms))
    sample = model.sample(5, seed=(1, 2)).numpy()
    assert sample.shape == (5, 8, 8, 1) and sample.min() >= 0 and sample.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("row", COVERING, ids="|".join)
def test_every_pair_is_trained_alike_by_xla_and_eagerly(row):
    """The noise is a function of the seed, not of the compiler: four steps differ by rounding only."""
    eager, compiled = (train(make_model(row), jit=jit, steps=4) for jit in (False, True))
    np.testing.assert_allclose(eager, compiled, rtol=1e-3, atol=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("row", COVERING, ids="|".join)
def test_every_pair_learns_in_low_precision(row):
    """A bfloat16 training moves the weights."""
    low = make_model(row, precision="bfloat16")
    before = [variable.numpy() for variable in low.trainable_variables]
    assert np.isfinite(train(low, jit=False, steps=4)).all()
    moved = [not np.array_equal(old, new) for old, new in zip(before, low.trainable_variables)]
    assert np.mean(moved) > 0.5  # some biases start and stay at zero under a ReLU that is off


@pytest.mark.slow
@pytest.mark.parametrize("row", list(filter(is_allowed, itertools.product(*AXES))), ids="|".join)
def test_every_combination_learns(row):
    check_learning(row, jit=False, steps=8)


@pytest.mark.parametrize("name", mark_slow(OBJECTIVES, ("geco-iwae",)))
def test_compiled_training_repeats_to_the_bit(name):
    row = (name, "gaussian", "mlp", "normal")
    np.testing.assert_array_equal(train(make_model(row), steps=8), train(make_model(row), steps=8))


@pytest.mark.parametrize("name", LIKELIHOODS)
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_moves_weights(name, precision):
    """The loss scale of float16 cancels: the first Adam step is as long as in float32."""
    steps = {}
    for kind in ("float32", precision):
        model = make_model(("elbo", name, "mlp", "normal"), precision=kind)
        before = model.arch.decoder.trainable_variables[-1].numpy()
        model.optimize(tf.constant(make_images(BATCH)))
        steps[kind] = np.abs(model.arch.decoder.trainable_variables[-1].numpy() - before).mean()
        assert np.isfinite(steps[kind])
    assert steps[precision] == pytest.approx(steps["float32"], rel=0.05)


def test_the_table_is_complete():
    """A new part must be listed in `small_parts`, or this fails."""
    assert set(OBJECTIVES) == set(tfvae.OBJECTIVES)
    assert set(LIKELIHOODS) == set(tfvae.LIKELIHOODS)
    assert set(ARCHITECTURES) == set(tfvae.ARCHITECTURES)
    assert set(PRIORS) == set(tfvae.PRIORS)
    pairs = {pair for row in COVERING for pair in itertools.combinations(list(enumerate(row)), 2)}
    sizes = [len(axis) for axis in AXES]
    assert len(pairs) == sum(a * b for a, b in itertools.combinations(sizes, 2)) - len(REFUSED)


@pytest.mark.parametrize("objective, arch", REFUSED)
def test_pairs_that_cannot_be_are_refused(objective, arch):
    with pytest.raises(UsageError, match="all of z at once"):
        make_model((objective, "gaussian", arch, "normal"))


def test_keras_fit_runs_the_same_training():
    """model.fit on a tf.data.Dataset ends with the weights of the engine on the same batches."""
    row = ("geco", "gaussian", "mlp", "normal")
    engine_model, keras_model = make_model(row), make_model(row)
    order = epoch_order(0, 0, 64, BATCH)
    engine_model.calibrate(make_images()[order.ravel()])
    engine_model.on_train_begin(4)
    train(engine_model, steps=4)
    keras_model.compile(keras.optimizers.Adam(0.01), jit_compile=True)
    data = tf.data.Dataset.from_tensor_slices(make_images()[order])
    history = keras_model.fit(data, epochs=1, verbose=0, shuffle=False, callbacks=[keras.callbacks.TerminateOnNaN()])
    for a, b in zip(engine_model.trainable_variables, keras_model.trainable_variables):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    assert {"loss", "elbo", "rate", "distortion", "sq_err", "lambda", "constraint_ma"} <= set(history.history)
    assert "elbo" in keras_model.evaluate(data, verbose=0, return_dict=True)


def test_one_program_equals_single_steps():
    """The whole block in one XLA program gives the weights of the same steps one by one."""
    row = ("geco", "gaussian", "mlp", "normal")
    models = {}
    for mode in ("loop", "step", "kernels"):
        models[mode] = make_model(row)
        engine = Engine(models[mode], BATCH, mode=mode)
        list(engine.train_blocks(tf.constant(make_images()), epoch_order(0, 0, 64, BATCH), count=2))
    for values in zip(*(model.trainable_variables for model in models.values())):
        for value in values[1:]:
            np.testing.assert_allclose(values[0], value, rtol=1e-5, atol=1e-6)
