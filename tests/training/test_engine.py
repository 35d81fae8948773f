"""The engine: every way of running the same steps gives the same bits, and broken numbers go nowhere."""

import csv
import json
import random
import shutil
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.errors import DivergedError, IntegrityError, UsageError
from tfvae.runtime import optimizers
from tfvae.runtime.progress_reporters import SilentReporter
from tfvae.training import checkpoints, compile_modes, loop, trainer
from tfvae.training.engine import Engine, epoch_order, pack_images, place_images
from tfvae.training.training_state import TrainingState

SETTINGS = dict(objective="geco:kappa=1.5", dataset="digits", arch="mlp:widths=32,latent=4", epochs=3, limit=600)


class Said(SilentReporter):
    """Keeps the lines of a run."""

    def __init__(self):
        self.lines = []

    def line(self, text):
        self.lines.append(text)


def state(model):
    """Every number of a model and its optimizer."""
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


def trained(tiny, data, feed="resident", mode="loop", optimizer=None, **parts):
    """A model after one epoch, and the means of its columns."""
    model = tiny("geco:kappa=2", arch=parts.pop("arch", "mlp:widths=8,latent=2"), **parts)
    model.compile(optimizer or optimizers.GuardedAdam(0.01), jit_compile=mode != "kernels")
    model.optimizer.build(model.trainable_variables)
    engine = Engine(model, 8, mode)
    *_, (_, _, means) = engine.train_blocks(place_images(data, feed), epoch_order(0, 1, len(data), 8))
    return model, means


@pytest.mark.parametrize("mode", ["loop", "step"])
def test_streamed_images_teach_what_resident_ones_do(tiny, images, mode, monkeypatch):
    """Pieces of 2 steps, the last one short. Per step to the bit; a loop is another program, which rounds by itself."""
    monkeypatch.setattr("tfvae.training.engine.PIECE_BYTES", 2 * 8 * 64)
    data = images(56)
    one, two = (trained(tiny, data, feed, mode)[0] for feed in ("resident", "streamed"))
    for a, b in zip(state(one), state(two)):
        np.testing.assert_allclose(a, b, rtol=0 if mode == "step" else 1e-4, atol=0 if mode == "step" else 1e-6)
    assert pack_images(data).dtype == np.int32 and pack_images(images(8, (3, 3, 1))).dtype == np.uint8


def test_every_batch_of_an_evaluation_is_the_same_program(tiny, images):
    """XLA would compile a program anew for each place at which it cuts images out."""
    model = tiny()
    model.compile(optimizers.GuardedAdam(0.01), jit_compile=True)
    engine, data = Engine(model, 8, "loop"), place_images(images(32))
    labels = engine.prepare_labels(data, None)

    def compile_batch(start):
        arguments = (data, labels, tf.constant(start), tf.constant(start // 8), 8)
        return engine._evaluate.experimental_get_compiler_ir(*arguments)(stage="hlo")

    assert compile_batch(0) == compile_batch(16)


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["mlp:widths=8,latent=2", "conv:widths=4,latent=2,hidden=8"])
def test_one_program_per_block_and_one_per_step_learn_the_same(tiny, images, arch):
    """Rounding of XLA's loop aside: Adam divides by moments, so 1e-6 after one epoch of 7 steps."""
    one, two = (trained(tiny, images(56), mode=mode, arch=arch) for mode in ("loop", "step"))
    for a, b in zip(state(one[0]), state(two[0])):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert one[1]["loss"] == pytest.approx(two[1]["loss"], rel=1e-6)


def test_images_go_to_the_device_if_they_fit(monkeypatch, images):
    data = images(8)
    assert isinstance(place_images(data), tf.Tensor)
    monkeypatch.setattr("tfvae.training.engine.count_free_bytes", lambda: 2 * data.nbytes)
    assert isinstance(place_images(data), np.ndarray)
    assert isinstance(place_images(data, "resident"), tf.Tensor)


@pytest.mark.slow
def test_adam_is_keras_adam(tiny, images):
    """Seven steps of ours and of Keras' own class, with clipping."""
    options = dict(learning_rate=0.01, global_clipnorm=1.0)
    ours, theirs = (
        trained(tiny, images(56), optimizer=kind(**options))[0]
        for kind in (optimizers.GuardedAdam, keras.optimizers.Adam)
    )
    for a, b in zip(state(ours), state(theirs)):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("momentum", [0.4, 0.999])
def test_averages_forget_the_start(tiny, images, momentum):
    """The averages of seven steps are those of a loop in float64, whose momentum is t / (t + 9) at most."""
    model = tiny("elbo")
    model.compile(optimizers.GuardedAdam(0.05, use_ema=True, ema_momentum=momentum))
    x, average = images(8).astype(np.float32) / 255.0, 0.0
    for step in range(7):
        model.optimize(x)
        decay = min(momentum, step / (step + 9))
        average = decay * average + (1 - decay) * model.trainable_variables[0].numpy().astype(np.float64)
    with optimizers.use_averaged_weights(model):
        np.testing.assert_allclose(model.trainable_variables[0], average, rtol=1e-5, atol=1e-6)
    assert np.abs(model.trainable_variables[0] - average).max() > 0.01


@pytest.mark.parametrize("kind", ["where", "amsgrad", "keras"])
def test_a_step_that_is_called_off_leaves_every_optimizer_as_it_was(tiny, images, kind):
    """Ours in its quick way, ours with an option that has none, and Keras' SGD with momentum."""
    optimizer = {
        "where": optimizers.GuardedAdam(0.01),
        "amsgrad": optimizers.GuardedAdam(0.01, amsgrad=True, weight_decay=0.1),
        "keras": keras.optimizers.SGD(0.01, momentum=0.9),
    }[kind]
    model = tiny("elbo")
    model.compile(optimizer)
    x = images(8).astype(np.float32) / 255.0
    model.optimize(x)
    before = state(model)
    tf.function(model.optimize)(np.full_like(x, np.nan))  # in a graph, values are not looked at before the step
    for variable, old in zip((*model.variables, *model.optimizer.variables), before):
        if variable is not model.step:
            np.testing.assert_array_equal(variable, old)
    kernel = model.trainable_variables[0].numpy()
    model.optimize(x)
    assert not np.array_equal(model.trainable_variables[0], kernel)


def test_rates():
    """Cosine, warm-up and both at their ends, by hand."""
    rate = optimizers.LearningRateSchedule(0.1, "cosine", 100)
    np.testing.assert_allclose([rate(0), rate(50), rate(100), rate(200)], [0.1, 0.05, 0.0, 0.0], atol=1e-8)
    rate = optimizers.LearningRateSchedule(0.1, "constant", 100, warmup=10)
    np.testing.assert_allclose([rate(0), rate(4), rate(9), rate(99)], [0.01, 0.05, 0.1, 0.1], rtol=1e-6)
    assert optimizers.LearningRateSchedule.from_config(rate.get_config()).get_config() == rate.get_config()
    with pytest.raises(UsageError, match="cosine"):
        optimizers.LearningRateSchedule(0.1, "cosin", 100)


@pytest.mark.slow
def test_the_mode_is_measured_once_and_changes_nothing(tiny, monkeypatch, tmp_path):
    """All modes are timed for a long run, the state is as before, and the second time the cache answers."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compile_modes, "TRIAL_SECONDS", 0.001)
    monkeypatch.setattr(compile_modes, "SLOW_COMPILE_SECONDS", 1e9)
    model = tiny("geco:kappa=2", learning_rate=0.01)
    model.optimizer.build(model.trainable_variables)
    before = state(model)
    assert compile_modes.choose_mode(model, 8, steps=10) == ("loop", "the architecture's default")
    mode, how = compile_modes.choose_mode(model, 8, steps=10_000)
    for a, b in zip(state(model), before):
        np.testing.assert_array_equal(a, b)
    (seconds,) = json.loads(compile_modes.find_cache_file().read_text()).values()
    assert (
        set(seconds) == set(compile_modes.MODES)
        and mode == min(seconds, key=seconds.get)
        and how.startswith("measured:")
    )
    monkeypatch.setattr(compile_modes, "time_modes", lambda *args: pytest.fail("measured twice"))
    assert compile_modes.choose_mode(model, 8, steps=10_000)[0] == mode
    assert compile_modes.choose_mode(model, 8, steps=10_000, xla="on")[0] in ("loop", "step")
    assert compile_modes.choose_mode(model, 8, steps=10_000, xla="off") == ("kernels", "asked for")
    compile_modes.find_cache_file().write_text("{")
    assert compile_modes.read_cache() == {}


@tf.custom_gradient
def poison(values, bad):
    """values, with a gradient that is NaN where `bad`."""
    return values, lambda upstream: (upstream * tf.where(bad, np.nan, 1.0), None)


@pytest.mark.parametrize("mode", ["loop", "kernels"])
def test_nan_in_gradients_alone_is_noticed(tiny, images, mode):
    """A finite loss with a NaN gradient in the second of three steps: skipped, counted, nothing non-finite."""

    class Poisoned(tfvae.VAE):
        def objective(self, terms):
            return poison(terms.kl - terms.log_px[0], tf.equal(self.step, 1))

    model, means = trained(lambda _, **parts: tfvae.build(Poisoned, "gaussian", image_shape=(8, 8, 1), **parts),
                           images(24), mode=mode)  # fmt: skip
    assert all(np.isfinite(values).all() for values in state(model)) and np.isfinite(list(means.values())).all()
    assert int(model.step) == 3 and int(model.optimizer.iterations) == 2


@pytest.mark.slow
@pytest.mark.parametrize("xla", ["on", "off"])
def test_nan_in_weights_goes_back_to_the_last_good_state(tmp_path, xla):
    """A weight turns NaN after epoch 1: the run goes back, at half the rate, and ends with finite files only."""
    spoilt = []

    def spoil(run, model, epoch):
        if not spoilt:
            spoilt.append(epoch)
            weight = model.trainable_variables[0]
            weight.assign(weight * np.nan)

    said = Said()
    run = trainer.train(**SETTINGS | {"batch_size": 16, "xla": xla}, run_dir=str(tmp_path / "run"), root=str(tmp_path),
                     reporter=said, watch=spoil)  # fmt: skip
    assert run.status == "finished" and [row["epoch"] for row in run.rows] == [1, 2, 3]
    assert any("back to step 0 at 0.5 of the learning rate (return 1 of at most 3)" in line for line in said.lines)
    model = tfvae.load(run.path)
    assert all(np.isfinite(v.numpy()).all() for v in model.variables)
    assert all(np.isfinite(list(row.values())).all() for row in run.rows)
    training_state = checkpoints.restore_newest_checkpoint(run.checkpoints_folder, model, pytest.fail)
    assert training_state.rollbacks == 1


def test_a_state_that_is_not_finite_is_never_saved(tiny, tmp_path):
    model = tiny("elbo", learning_rate=0.01)
    model.trainable_variables[0].assign(model.trainable_variables[0] * np.inf)
    with pytest.raises(DivergedError, match="not finite"):
        checkpoints.save_checkpoint(tmp_path, model, TrainingState())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_averaged_weights_are_what_is_used(tmp_path):
    """With ema, `load` gives the averages that NumPy computes from the weights of each step."""
    seen = []
    settings = SETTINGS | {"epochs": 4, "ema": 0.5, "batch_size": 540, "schedule": "cosine", "learning_rate_warmup": 2}
    run = trainer.train(**settings, run_dir=str(tmp_path / "run"), root=str(tmp_path),
                     watch=lambda run, model, epoch: seen.append(model.trainable_variables[0].numpy()))  # fmt: skip
    loaded = tfvae.load(run.path).trainable_variables[0].numpy()
    np.testing.assert_array_equal(loaded, seen[-1])  # the pictures are of the averages, too
    with np.load(sorted((run.path / "checkpoints").glob("step-*"))[-1] / "state.npz") as stored:
        trained = [stored[name] for name in stored.files if stored[name].shape == loaded.shape]
    assert any(np.array_equal(loaded, array) for array in trained) and not np.array_equal(loaded, trained[0])
    stopped = trainer.train(
        **settings, run_dir=str(tmp_path / "two"), root=str(tmp_path), stop=iter([False] * 2 + [True] * 9).__next__
    )
    assert stopped.status == "stopped"
    trainer.resume(stopped.path)
    np.testing.assert_array_equal(tfvae.load(stopped.path).trainable_variables[0], loaded)


def test_a_run_is_trained_by_one_process_at_a_time(tmp_path):
    """The second is refused in one sentence; a run whose process is gone is called interrupted."""
    run = trainer.train(**SETTINGS | {"epochs": 1}, run_dir=str(tmp_path / "run"), root=str(tmp_path))
    with run.locked():
        run.write_status("running")
        assert run.status == "running"
        with pytest.raises(UsageError, match="nobody trains"):
            trainer.resume(run.path, epochs=2)
    assert run.status == "interrupted"


def mutations(draw, whole):
    """200 kinds of damage to a checkpoint folder, as functions that do it."""
    for _ in range(200):
        name = draw.choice(["state.npz", "position.json", "manifest.json"])
        kind = draw.choice(["flip", "truncate", "zeros", "remove", "swap", "append", "stray"])

        def damage(folder, name=name, kind=kind, at=draw.random(), bit=draw.randrange(8)):
            file, other = folder / name, whole / name
            data = bytearray(file.read_bytes())
            place = int(at * len(data))
            if kind == "flip":
                data[place] ^= 1 << bit
            elif kind == "truncate":
                del data[place:]
            elif kind == "zeros":
                data[place : place + 64] = bytes(len(data[place : place + 64]))
            elif kind == "swap":
                data = other.read_bytes()
            elif kind == "append":
                data += b"\0"
            elif kind == "stray":
                (folder / "weights.npz").write_bytes(b"x")
            file.write_bytes(data)
            if kind == "remove":
                file.unlink()

        yield damage


def test_damaged_checkpoints_are_never_loaded(tiny, tmp_path):
    """200 flips, cuts, zeros, mixes of two steps and stray files: refused, or the very state that was saved."""
    model = tiny("elbo", learning_rate=0.01)
    model.optimizer.build(model.trainable_variables)
    other = checkpoints.save_checkpoint(tmp_path / "other", model, TrainingState(epoch=1))
    for variable in model.variables:
        variable.assign_add(tf.ones_like(variable.value))
    good = checkpoints.save_checkpoint(tmp_path / "good", model, TrainingState(epoch=2))
    saved = state(model)
    refused = 0
    for number, damage in enumerate(mutations(random.Random(1), other)):
        folder = tmp_path / f"damaged-{number}" / good.name
        shutil.copytree(good, folder)
        damage(folder)
        try:
            training_state = checkpoints.restore_checkpoint(folder, model)
        except (IntegrityError, OSError, ValueError):
            refused += 1
        else:  # white space of JSON may change without harm
            assert training_state == TrainingState(epoch=2)
        for a, b in zip(state(model), saved):
            np.testing.assert_array_equal(a, b)
        shutil.rmtree(folder.parent)
    assert refused >= 190


class Timed(SilentReporter):
    """Keeps the images per second of each epoch."""

    def __init__(self):
        self.speeds = []

    def epoch(self, row, epochs, images_per_second):
        self.speeds.append(images_per_second)


def test_images_per_second_do_not_count_compiling(tmp_path):
    """The first epoch's time in metrics.csv includes compiling; its speed is above what that time allows."""
    timed = Timed()
    settings = SETTINGS | {"epochs": 1, "run_dir": str(tmp_path / "run"), "root": str(tmp_path)}
    run = trainer.train(**settings, reporter=timed)
    steps, seconds = run.rows[0]["step"], run.rows[0]["seconds"]
    assert timed.speeds[0] > steps * run.config.batch_size / seconds
    engine = types.SimpleNamespace(steps_while_compiling=1, compiled_at=8.0)
    fake = types.SimpleNamespace(engine=engine, config=types.SimpleNamespace(batch_size=10))
    assert loop.Loop._measure_speed(fake, 11, 0.0, 10.0) == 10 * 10 / (10 - 8)
    assert loop.Loop._measure_speed(fake, 11, 9.0, 19.0) == 11.0
    assert np.isnan(loop.Loop._measure_speed(fake, 1, 0.0, 8.1))


def test_nan_in_data_is_skipped_and_said(tmp_path, monkeypatch):
    """One NaN image in float data: its step is skipped each epoch, said, and in no file."""
    points = np.random.default_rng(0).uniform(size=(64, 4, 4, 1)).astype(np.float32)
    np.savez(tmp_path / "points.npz", images=points)
    points = points.copy()
    points[3] = np.nan
    monkeypatch.setattr(trainer, "load_split", lambda config, split: (points, np.zeros(64, int)))
    said = Said()
    settings = dict(objective="elbo", arch="mlp:widths=8,latent=2", epochs=2, batch_size=4, validation=0)
    place = dict(dataset=f"npz:{tmp_path / 'points.npz'}", run_dir=str(tmp_path / "run"), root=str(tmp_path))
    run = trainer.train(**settings, **place, reporter=said)
    with open(run.path / "metrics.csv", newline="") as file:
        assert all(np.isfinite(float(value)) for row in csv.DictReader(file) for value in row.values())
    assert sum("1 of" in line and "skipped" in line for line in said.lines) == 2
