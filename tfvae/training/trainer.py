"""`train`, `resume` and `load_run`: a run is one folder that explains itself."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfvae import datasets
from tfvae.config import Config
from tfvae.errors import DataError, IntegrityError, UsageError
from tfvae.models.vae import VAE
from tfvae.objectives.build import build
from tfvae.runtime import files, optimizers, replicas, trust
from tfvae.runtime.environment import describe_environment
from tfvae.runtime.memory import check_count_fits
from tfvae.runtime.progress_reporters import SilentReporter
from tfvae.training import checkpoints
from tfvae.training.automatic_kappa import fill_in_kappa
from tfvae.training.engine import uses_xla
from tfvae.training.loop import Loop, Watch
from tfvae.training.preflight import check_part_names
from tfvae.training.published_model import PublishedModel
from tfvae.training.python_settings import make_config
from tfvae.training.run_data import Split, describe_data, load_run_split, load_split
from tfvae.training.run_folder import Run, create_run, open_run
from tfvae.training.setting_checks import check_trainable


def build_model(config: Config, image_shape: tuple[int, ...], classes: int = 0, class_names: Sequence[str] = ()) -> VAE:
    """Return the model that a config describes, not compiled.

    Args:
        config: the settings.
        image_shape: (H, W, C).
        classes: how many labels the data have.
        class_names: their names; (): none.
    """
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
        condition=config.condition,
        classes=classes,
        class_names=class_names,
    )


def compile_model(model: VAE, config: Config, count: int, halvings: int = 0) -> None:
    """Give the model the optimizer of a config.

    Args:
        model: to be compiled.
        config: the settings.
        count: images of the training set.
        halvings: how often the learning rate was halved, see `tfvae.training.loop`.
    """
    steps = config.epochs * (count // config.batch_size)
    learning_rate = optimizers.LearningRateSchedule(
        config.learning_rate * 0.5**halvings, config.schedule, steps, config.learning_rate_warmup
    )
    model.on_train_begin(steps, learning_rate)
    average = {"use_ema": True, "ema_momentum": config.ema} if config.ema else {}
    optimizer = optimizers.GuardedAdam(learning_rate, global_clipnorm=config.clip_norm or None, **average)
    model.compile(optimizer, jit_compile=uses_xla(model, config.xla))
    model.optimizer.build(model.trainable_variables)


def train(
    config: Config | None = None,
    *,
    run_dir: files.PathLike | None = None,
    root: files.PathLike = "runs",
    reporter: SilentReporter | None = None,
    stop: Callable[[], bool] | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Run:
    """Train what a config, or the settings of `Config` by name, describe, and return the `Run`.

    `tfvae.train` is this with progress and with the figures of a run; arguments and errors are described there, in
    `tfvae.reports.complete_runs`.

    Args:
        reporter: of the progress; None: silent.

    Example:
        >>> run = trainer.train(objective="geco:kappa=2", dataset="digits", epochs=5)
    """
    reporter = reporter or SilentReporter()
    config = make_config(config, settings)
    check_part_names(config)
    strategy = make_run_strategy(config, run_dir)
    training = load_split(config, "train")
    check_trainable(config, training[0], reporter)
    config = fill_in_kappa(config, training[0], reporter)
    data = describe_data(config, training)
    model = build_compiled_model(config, training, strategy, data["class_names"])
    if not replicas.is_chief(strategy):
        replicas.wait_for_all(strategy)  # until the chief has made the folder
        return train_run(open_run(run_dir or ""), config, model, training, reporter, stop, watch, strategy)
    run = create_run(config, describe_environment() | data, run_dir, root)
    replicas.wait_for_all(strategy)
    return train_run(run, config, model, training, reporter, stop, watch, strategy)


def count_classes(training: Split) -> int:
    """Return how many labels there are: one more than the largest."""
    return int(training[1].max()) + 1


def make_run_strategy(config: Config, run_dir: files.PathLike | None) -> tf.distribute.Strategy | None:
    """Return the tf.distribute strategy that a config asks for, or None.

    Raises:
        UsageError: several workers, and no folder that they share.
    """
    if config.strategy == "multi-worker" and not run_dir:
        raise UsageError("Expected --run-dir, a folder that all workers share, with --strategy multi-worker.")
    return replicas.make_strategy(config.strategy, config.replicas)


def writes_files(config: Config) -> bool:
    """Tell whether this process writes the files of its run: worker 0 does."""
    return replicas.is_chief(replicas.make_strategy(config.strategy, config.replicas))


def build_compiled_model(
    config: Config, training: Split, strategy: tf.distribute.Strategy | None, class_names: Sequence[str] = ()
) -> VAE:
    """Return the model of a config, compiled for these training images and labels."""
    images = training[0]
    with replicas.strategy_scope(strategy):
        model = build_model(config, images.shape[1:], count_classes(training), class_names)
        check_count_fits(config.batch_size * model.samples, model.image_shape, "draws in a step (batch_size x samples)")
        compile_model(model, config, len(images))
        model.calibrate(images)
    return model


def resume(
    path: Run | files.PathLike,
    *,
    reporter: SilentReporter | None = None,
    stop: Callable[[], bool] | None = None,
    watch: Watch | None = None,
    epochs: int | None = None,
    trust_code: bool = False,
    dataset: Any = None,
) -> Run:
    """Go on where the newest intact checkpoint of a run stands, and return the `Run`.

    Args:
        path: a run, or its folder.
        reporter: of the progress; None: silent.
        stop: called after each block of steps; True saves and stops.
        watch: called with (run, model, epoch) after each epoch.
        epochs: train up to this epoch; None: the one that was asked for. A finished run may be given more.
        trust_code: import what the config names by import path, also if the run was made elsewhere.
        dataset: the arrays or `tf.data.Dataset` of the training, which another process no longer has; None: the
            config names the data.

    Raises:
        UsageError: not a run folder, or fewer epochs than are done. DataError: the training images are others now.
        UntrustedError: the run is from elsewhere and names foreign code.

    Example:
        >>> run = tfvae.resume("runs/latest", epochs=20)
    """
    reporter = reporter or SilentReporter()
    run = open_run(path)
    if isinstance(run, PublishedModel):
        raise UsageError(
            f"Expected a run folder: to go on takes the optimizer's state. Received: {run.display_path}, a finished "
            f"model without it. {run.way_to_train}"
        )
    trust.check_specs(run.config, run.environment, trust_code)
    config = run.config if epochs is None else dataclasses.replace(run.config, epochs=epochs)
    finished_epochs = len(run.rows)
    if epochs is not None and epochs < finished_epochs:
        raise UsageError(
            f"Expected epochs >= {finished_epochs}, which are done in {run.display_path}. Received: {epochs}. "
            "Begin a new run for a shorter training."
        )
    strategy = make_run_strategy(config, run.path)
    if dataset is not None and (name := datasets.name_data(dataset)) != config.dataset:
        raise DataError(f"Expected the data this run began with, {config.dataset}. Received: {name}.")
    training = load_run_split(run, "train")
    model = build_compiled_model(config, training, strategy, run.class_names)
    if epochs is not None and replicas.is_chief(strategy):
        run.write_config(config)
    return train_run(run, config, model, training, reporter, stop, watch, strategy)


def load_run(
    path: Run | files.PathLike, say: Callable[[str], object] = lambda line: None, trust_code: bool = False
) -> VAE:
    """Return the trained model of a run, ready for `sample`, `encode`, `terms`, ...

    Args:
        path: a run or a published model, or its folder.
        say: called with one line for each damaged checkpoint that is passed over.
        trust_code: import what the config names by import path, also if the run was made elsewhere.

    Raises:
        UsageError: not a run folder. IntegrityError: no intact checkpoint.
        UntrustedError: the run is from elsewhere and names foreign code.
    """
    run = open_run(path)
    trust.check_specs(run.config, run.environment, trust_code)
    model = build_model(run.config, run.image_shape, run.classes, run.class_names)
    if isinstance(run, PublishedModel):
        run.assign_weights(model.variables)
        return model
    if run.config.ema:
        compile_model(model, run.config, run.config.batch_size)  # the optimizer holds the averages
    if checkpoints.restore_newest_checkpoint(run.checkpoints_folder, model, say) is None:
        raise IntegrityError(f"Expected a checkpoint in {run.path}. Received: none; the run has not saved one yet.")
    if run.config.ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def train_run(
    run: Run,
    config: Config,
    model: VAE,
    training: Split,
    reporter: SilentReporter,
    stop: Callable[[], bool] | None,
    watch: Watch | None,
    strategy: tf.distribute.Strategy | None = None,
) -> Run:
    """Train from the newest checkpoint (or the start) to the last epoch; every exit leaves a STATUS that is true."""

    def recompile(halvings: int) -> None:
        with replicas.strategy_scope(strategy):
            compile_model(model, config, len(training[0]), halvings)

    is_chief = replicas.is_chief(strategy)
    held_out = load_run_split(run, "validation") if config.validation else (training[0][:0], training[1][:0])
    with run.locked() if is_chief else contextlib.nullcontext():
        write_status = run.write_status if is_chief else lambda word: None
        write_status("running")
        try:
            loop = Loop(run, config, model, training, held_out, reporter, stop, watch, strategy, recompile)
            loop.prepare()
            is_finished = loop.run_epochs()
        except BaseException as error:
            write_status("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        finally:
            reporter.close()
        write_status("finished" if is_finished else "stopped")
    replicas.wait_for_all(strategy)  # until STATUS is written
    return run
