"""A run: one folder that explains itself. `train`, `resume` and `load_run` are the doors for Python and command line."""

import contextlib

import numpy as np

from tfvae import datasets
from tfvae.config import Config
from tfvae.errors import DataError, IntegrityError, UsageError
from tfvae.objectives.build import build
from tfvae.runtime import files, optimizers, replicas
from tfvae.runtime.environment import describe_environment
from tfvae.runtime.progress_reporters import SilentReporter
from tfvae.training import checkpoints
from tfvae.training.engine import uses_xla
from tfvae.training.loop import Loop
from tfvae.training.run_folder import create_run, open_run


def load_split(config, split):
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


def build_model(config, image_shape, classes=0):
    """The model that a config describes, not compiled; `classes`: how many labels the data have."""
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
    )


def compile_model(model, config, count, slower=0):
    """Give the model the optimizer of `config` for a training set of `count` images.

    Args:
        slower: how often the learning rate was halved, see `tfvae.training.loop`.
    """
    steps = config.epochs * (count // config.batch_size)
    model.on_train_begin(steps)
    rate = optimizers.Schedule(config.learning_rate * 0.5**slower, config.schedule, steps, config.rate_warmup)
    average = {"use_ema": True, "ema_momentum": config.ema} if config.ema else {}
    optimizer = optimizers.GuardedAdam(rate, global_clipnorm=config.clip_norm or None, **average)
    model.compile(optimizer, jit_compile=uses_xla(model, config.xla))
    model.optimizer.build(model.trainable_variables)


def check_trainable(config, images, reporter):
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
        reporter: a `tfvae.runtime.progress_reporters.SilentReporter` subclass.
        stop: called after each block of steps; True saves and stops.
        watch: called with (run, model, epoch) after each epoch, to look at the model while it learns.

    Raises:
        UsageError (the folder exists or cannot be made, too), DataError: nothing is written.
        StorageError: the disk is full later on; the last checkpoint is intact.
        DivergedError: the loss is no longer finite; STATUS says failed.
    """
    reporter = reporter or SilentReporter()
    config = config or Config(**settings)
    strategy = make_run_strategy(config, run_dir)
    training = load_split(config, "train")
    check_trainable(config, training[0], reporter)
    model = build_compiled_model(config, training, strategy)
    if not replicas.is_chief(strategy):
        replicas.wait_for_all(strategy)  # until the chief has made the folder
        return train_run(open_run(run_dir), config, model, training, reporter, stop, watch, strategy)
    of_data = {
        "train_images_sha256": datasets.fingerprint(training[0]),
        "image_shape": list(training[0].shape[1:]),
        "classes": count_classes(training),
    }
    run = create_run(config, describe_environment() | of_data, run_dir, root)
    replicas.wait_for_all(strategy)
    return train_run(run, config, model, training, reporter, stop, watch, strategy)


def count_classes(training):
    """How many labels there are: one more than the largest."""
    return int(training[1].max()) + 1


def make_run_strategy(config, run_dir):
    """The tf.distribute strategy that `config` asks for, or None."""
    if config.strategy == "multi-worker" and not run_dir:
        raise UsageError("Expected --run-dir, a folder that all workers share, with --strategy multi-worker.")
    return replicas.make_strategy(config.strategy, config.replicas)


def writes_files(config):
    """Whether this process writes the files of its run: worker 0 does."""
    return replicas.is_chief(replicas.make_strategy(config.strategy, config.replicas))


def build_compiled_model(config, training, strategy):
    """The model of `config`, compiled for these training images and labels."""
    images = training[0]
    with replicas.strategy_scope(strategy):
        model = build_model(config, images.shape[1:], count_classes(training))
        compile_model(model, config, len(images))
    return model


def resume(path, *, reporter=None, stop=None, watch=None, epochs=None):
    """Go on where the newest intact checkpoint of a run stands: -> Run. A finished run may be given more epochs."""
    reporter = reporter or SilentReporter()
    run = open_run(path)
    values = run.config.to_dict()
    if epochs is not None:
        values["epochs"] = epochs
    config = Config.from_dict(values)
    strategy = make_run_strategy(config, path)
    training = load_split(config, "train")
    known = files.read_json(run.path / "env.json").get("train_images_sha256")
    if known != datasets.fingerprint(training[0]):
        raise DataError(f"Expected the training images this run began with. Received: others for {config.dataset}.")
    model = build_compiled_model(config, training, strategy)
    if epochs is not None and replicas.is_chief(strategy):
        files.write_json(run.path / "config.json", values)
    return train_run(run, config, model, training, reporter, stop, watch, strategy)


def load_run(path, say=lambda line: None):
    """The trained model of a run folder, ready for `sample`, `encode`, `terms`, ...

    Args:
        say: called with one line for each damaged checkpoint that is passed over.

    Raises:
        UsageError: not a run folder. IntegrityError: no intact checkpoint.
    """
    run = open_run(path)
    environment = files.read_json(run.path / "env.json")
    model = build_model(run.config, tuple(environment["image_shape"]), environment.get("classes", 0))
    if run.config.ema:
        compile_model(model, run.config, run.config.batch_size)  # the optimizer holds the averages
    if checkpoints.restore_newest_checkpoint(run.path / "checkpoints", model, say) is None:
        raise IntegrityError(f"Expected a checkpoint in {run.path}. Received: none; the run has not saved one yet.")
    if run.config.ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def train_run(run, config, model, training, reporter, stop, watch, strategy=None):
    """Train from the newest checkpoint (or the start) to the last epoch; every exit leaves a STATUS that is true."""

    def recompile(slower):
        with replicas.strategy_scope(strategy):
            compile_model(model, config, len(training[0]), slower)

    chief = replicas.is_chief(strategy)
    held_out = load_split(config, "validation") if config.validation else (training[0][:0], training[1][:0])
    with run.locked() if chief else contextlib.nullcontext():
        said = run.write_status if chief else lambda word: None
        said("running")
        try:
            loop = Loop(run, config, model, training, held_out, reporter, stop, watch, strategy, recompile)
            finished = loop.run_epochs()
        except BaseException as error:
            said("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        finally:
            reporter.close()
        said("finished" if finished else "stopped")
    replicas.wait_for_all(strategy)  # until STATUS is written
    return run
