"""A run: one folder that explains itself. `train`, `resume` and `load` are the doors for Python and command line."""

import time

import keras
import numpy as np
import tensorflow as tf

from tfvae import checkpoints, datasets, storage
from tfvae.config import Config
from tfvae.engine import Engine, order_of
from tfvae.environment import describe_environment
from tfvae.errors import DataError, DivergedError, IntegrityError, UsageError
from tfvae.factory import build
from tfvae.folders import find, new_run
from tfvae.progress import Silent
from tfvae.verdict import verdict

CHECKPOINT_SECONDS = 20.0  # at most this much work is lost; the last epoch is saved always


def data_of(config, split):
    """The images and labels of a split, as this config asks for them."""
    return datasets.load(
        config.dataset,
        split,
        raw_dir=config.raw_dir,
        limit=config.limit,
        validation=config.validation,
        seed=config.seed,
        binarize=config.binarize,
    )


def model_of(config, image_shape):
    """The model that a config describes, not compiled."""
    return build(
        config.objective,
        likelihood=config.likelihood,
        arch=config.arch,
        prior=config.prior,
        image_shape=image_shape,
        seed=config.seed,
        l2=config.l2,
        binarize=config.binarize,
        dequantize=config.dequantize,
        precision=config.precision,
        samples=config.samples,
    )


def compile_for(model, config, count):
    """Give the model the optimizer of `config` for a training set of `count` images."""
    rate = config.learning_rate
    if config.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, config.epochs * (count // config.batch_size))
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=config.clip_norm or None)
    model.compile(optimizer, jit_compile=config.jit)
    model.optimizer.build(model.trainable_variables)


def check_fit(config, images, reporter):
    """Refuse what cannot be trained; say what is unusual."""
    if config.batch_size > len(images):
        raise UsageError(
            f"Expected batch_size <= the {len(images)} training images. Received: batch_size={config.batch_size}."
        )
    binary = images.dtype == np.uint8 and bool(np.isin(images[:1000], (0, 255)).all())
    bernoulli = config.likelihood.partition(":")[0] == "bernoulli"
    if bernoulli and config.binarize == "none" and not binary:
        reporter.line(
            "note: bernoulli on grey pixels treats grey levels as probabilities, which is no likelihood of the data: "
            "bits/dim are not reported. Use --binarize dynamic or static, or another likelihood."
        )
    if config.binarize != "none" and images.dtype != np.uint8:
        raise UsageError(f"Expected byte images for binarize={config.binarize}. Received: {config.dataset} (floats).")


def train(config=None, *, run_dir="", root="runs", reporter=None, stop=None, watch=None, **settings):
    """Train what `config` (or the settings of `Config` by name) describes: -> Run.

    Args:
        run_dir: the folder to create; default ``root/<dataset>/<objective>/<timestamp>-<hash>``.
        reporter: a `tfvae.progress.Silent` subclass.
        stop: called after each block of steps; True saves and stops.
        watch: called with (run, model, epoch) after each epoch, to look at the model while it learns.

    Raises:
        UsageError (the folder exists or cannot be made, too), DataError: nothing is written.
        StorageError: the disk is full later on; the last checkpoint is intact.
        DivergedError: the loss is no longer finite; STATUS says failed.
    """
    reporter = reporter or Silent()
    config = config or Config(**settings)
    images, _ = data_of(config, "train")
    check_fit(config, images, reporter)
    model = model_of(config, images.shape[1:])
    compile_for(model, config, len(images))
    of_data = {"train_images_sha256": datasets.fingerprint(images), "image_shape": list(images.shape[1:])}
    environment = describe_environment() | of_data
    run = new_run(config, environment, run_dir, root)
    return fit(run, config, model, images, reporter, stop, watch)


def resume(path, *, reporter=None, stop=None, watch=None, epochs=None):
    """Go on where the newest intact checkpoint of a run stands: -> Run. A finished run may be given more epochs."""
    reporter = reporter or Silent()
    run = find(path)
    values = run.config.to_dict()
    if epochs is not None:
        values["epochs"] = epochs
    config = Config.from_dict(values)
    images, _ = data_of(config, "train")
    known = storage.read_json(run.path / "env.json").get("train_images_sha256")
    if known != datasets.fingerprint(images):
        raise DataError(f"Expected the training images this run began with. Received: others for {config.dataset}.")
    model = model_of(config, images.shape[1:])
    compile_for(model, config, len(images))
    if epochs is not None:
        storage.write_json(run.path / "config.json", values)
    run.status = "running"
    return fit(run, config, model, images, reporter, stop, watch)


def load(path):
    """The trained model of a run folder, ready for `sample`, `encode`, `terms`, ...

    Raises:
        UsageError: not a run folder. IntegrityError: no intact checkpoint.
    """
    run = find(path)
    shape = storage.read_json(run.path / "env.json")["image_shape"]
    model = model_of(run.config, tuple(shape))
    if checkpoints.restore_newest(run.path / "checkpoints", model, lambda line: None) is None:
        raise IntegrityError(f"Expected a checkpoint in {run.path}. Received: none; the run has not saved one yet.")
    return model


def fit(run, config, model, images, reporter, stop, watch):
    """Train from the newest checkpoint (or the start) to the last epoch; every exit leaves a STATUS that is true."""
    try:
        finished = Loop(run, config, model, images, reporter, stop, watch).run_all()
    except BaseException as error:
        run.status = "stopped" if isinstance(error, KeyboardInterrupt) else "failed"
        raise
    finally:
        reporter.close()
    run.status = "finished" if finished else "stopped"
    return run


class Loop:
    """The epochs of one run."""

    def __init__(self, run, config, model, images, reporter, stop, watch):
        self.run, self.config, self.model, self.reporter = run, config, model, reporter
        self.stop, self.watch = stop or (lambda: False), watch or (lambda *_: None)
        self.engine = Engine(model, config.batch_size, jit=config.jit)
        self.images = tf.constant(images)
        held_out = data_of(config, "validation")[0] if config.validation else ()
        self.held_out = tf.constant(held_out) if len(held_out) else None
        position = checkpoints.restore_newest(run.path / "checkpoints", model, reporter.line)
        self.position = position or {"epoch": 0, "done": 0, "sums": None, "seconds": 0.0}
        self.rows = [row for row in run.rows if row["epoch"] <= self.position["epoch"]]
        self.saved, self.skipped = time.monotonic(), 0

    def run_all(self):
        """True if the last epoch was reached, False if `stop` ended it."""
        self.reporter.line(self.engine.header)
        self.reporter.line(f"run: {self.run.path}")
        for epoch in range(self.position["epoch"] + 1, self.config.epochs + 1):
            if not self.one(epoch):
                return False
        self.save()
        for line in verdict(self.model, self.rows):
            self.reporter.line(line)
        return True

    def one(self, epoch):
        """Run an epoch; False if it was cut short (and saved)."""
        begun = time.monotonic()
        order = order_of(self.config.seed, epoch, len(self.images), self.config.batch_size)
        first, seconds = self.position["done"], self.position["seconds"]
        blocks = self.engine.blocks(self.images, order, self.position["done"], self.position["sums"])
        for done, sums, means in blocks:
            self.position |= {"done": done, "sums": sums, "seconds": seconds + time.monotonic() - begun}
            self.check_sound(epoch, done, done - int(sums[-1]))
            self.reporter.block(epoch, self.config.epochs, done, len(order), means)
            if done < len(order) and self.stop():
                self.save()
                return False
        row = {
            "epoch": epoch,
            "step": int(self.model.step.numpy()),
            "seconds": round(self.position["seconds"], 3),
        }
        row |= means | {name: float(value) for name, value in self.model.state_logs().items()}
        speed = (len(order) - first) * self.config.batch_size / (time.monotonic() - begun)
        if self.held_out is not None:
            row |= {f"val_{name}": value for name, value in self.engine.measure(self.held_out).items()}
        self.finish_epoch(row, speed)
        return not self.stop() or epoch == self.config.epochs

    def check_sound(self, epoch, done, skipped):
        """Say that steps were skipped for numbers that are not finite; give up when most of an epoch's are."""
        if skipped > max(10, done // 2):
            raise DivergedError(
                f"Expected finite numbers. Received: {skipped} of {done} steps of epoch {epoch} skipped for NaN or "
                f"infinity. The last checkpoint is in {self.run.path / 'checkpoints'}; lower --learning-rate or set "
                "--clip-norm 1."
            )
        if skipped > self.skipped:
            self.reporter.line(f"epoch {epoch}: {skipped} of {done} steps skipped, their numbers were not finite")
        self.skipped = skipped

    def finish_epoch(self, row, speed):
        """Write the row, check it, save if it is time."""
        self.position = {"epoch": row["epoch"], "done": 0, "sums": None, "seconds": self.position["seconds"]}
        self.skipped = 0
        broken = [name for name, value in row.items() if not np.isfinite(value)]
        if broken:
            raise DivergedError(
                f"Expected finite numbers. Received: {broken[0]} = {row[broken[0]]} in epoch {row['epoch']}. The last "
                f"checkpoint is in {self.run.path / 'checkpoints'}; lower --learning-rate or set --clip-norm 1."
            )
        self.rows.append(row)
        self.run.write_rows(self.rows)
        self.reporter.epoch(row, self.config.epochs, speed)
        self.watch(self.run, self.model, row["epoch"])
        if self.stop() or time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.save()

    def save(self):
        checkpoints.save(self.run.path / "checkpoints", self.model, self.position)
        self.saved = time.monotonic()
