"""A run: one folder that explains itself. `train`, `resume` and `load` are the doors for Python and command line."""

import contextlib

import numpy as np

from tfvae import datasets
from tfvae.config import Config
from tfvae.errors import DataError, IntegrityError, UsageError
from tfvae.objectives.build import build
from tfvae.runtime import files, optimizers, replicas
from tfvae.runtime.environment import describe_environment
from tfvae.runtime.progress_reporters import Silent
from tfvae.training import checkpoints
from tfvae.training.engine import compiles
from tfvae.training.loop import Loop
from tfvae.training.run_folder import find, new_run


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


def model_of(config, image_shape, classes=0):
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


def compile_for(model, config, count, slower=0):
    """Give the model the optimizer of `config` for a training set of `count` images.

    Args:
        slower: how often the learning rate was halved, see `tfvae.training.loop`.
    """
    steps = config.epochs * (count // config.batch_size)
    model.plan(steps)
    rate = optimizers.Rate(config.learning_rate * 0.5**slower, config.schedule, steps, config.rate_warmup)
    average = {"use_ema": True, "ema_momentum": config.ema} if config.ema else {}
    optimizer = optimizers.Adam(rate, global_clipnorm=config.clip_norm or None, **average)
    model.compile(optimizer, jit_compile=compiles(model, config.xla))
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
        reporter: a `tfvae.runtime.progress_reporters.Silent` subclass.
        stop: called after each block of steps; True saves and stops.
        watch: called with (run, model, epoch) after each epoch, to look at the model while it learns.

    Raises:
        UsageError (the folder exists or cannot be made, too), DataError: nothing is written.
        StorageError: the disk is full later on; the last checkpoint is intact.
        DivergedError: the loss is no longer finite; STATUS says failed.
    """
    reporter = reporter or Silent()
    config = config or Config(**settings)
    strategy = strategy_for(config, run_dir)
    training = data_of(config, "train")
    check_fit(config, training[0], reporter)
    model = ready(config, training, strategy)
    if not replicas.is_chief(strategy):
        replicas.barrier(strategy)  # until the chief has made the folder
        return fit(find(run_dir), config, model, training, reporter, stop, watch, strategy)
    of_data = {
        "train_images_sha256": datasets.fingerprint(training[0]),
        "image_shape": list(training[0].shape[1:]),
        "classes": classes_of(training),
    }
    run = new_run(config, describe_environment() | of_data, run_dir, root)
    replicas.barrier(strategy)
    return fit(run, config, model, training, reporter, stop, watch, strategy)


def classes_of(training):
    """How many labels there are: one more than the largest."""
    return int(training[1].max()) + 1


def strategy_for(config, run_dir):
    """The tf.distribute strategy that `config` asks for, or None."""
    if config.strategy == "multi-worker" and not run_dir:
        raise UsageError("Expected --run-dir, a folder that all workers share, with --strategy multi-worker.")
    return replicas.strategy_of(config.strategy, config.replicas)


def is_writer(config):
    """Whether this process writes the files of its run: worker 0 does."""
    return replicas.is_chief(replicas.strategy_of(config.strategy, config.replicas))


def ready(config, training, strategy):
    """The model of `config`, compiled for these training images and labels."""
    images = training[0]
    with replicas.scope(strategy):
        model = model_of(config, images.shape[1:], classes_of(training))
        compile_for(model, config, len(images))
    return model


def resume(path, *, reporter=None, stop=None, watch=None, epochs=None):
    """Go on where the newest intact checkpoint of a run stands: -> Run. A finished run may be given more epochs."""
    reporter = reporter or Silent()
    run = find(path)
    values = run.config.to_dict()
    if epochs is not None:
        values["epochs"] = epochs
    config = Config.from_dict(values)
    strategy = strategy_for(config, path)
    training = data_of(config, "train")
    known = files.read_json(run.path / "env.json").get("train_images_sha256")
    if known != datasets.fingerprint(training[0]):
        raise DataError(f"Expected the training images this run began with. Received: others for {config.dataset}.")
    model = ready(config, training, strategy)
    if epochs is not None and replicas.is_chief(strategy):
        files.write_json(run.path / "config.json", values)
    return fit(run, config, model, training, reporter, stop, watch, strategy)


def load(path, say=lambda line: None):
    """The trained model of a run folder, ready for `sample`, `encode`, `terms`, ...

    Args:
        say: called with one line for each damaged checkpoint that is passed over.

    Raises:
        UsageError: not a run folder. IntegrityError: no intact checkpoint.
    """
    run = find(path)
    environment = files.read_json(run.path / "env.json")
    model = model_of(run.config, tuple(environment["image_shape"]), environment.get("classes", 0))
    if run.config.ema:
        compile_for(model, run.config, run.config.batch_size)  # the optimizer holds the averages
    if checkpoints.restore_newest(run.path / "checkpoints", model, say) is None:
        raise IntegrityError(f"Expected a checkpoint in {run.path}. Received: none; the run has not saved one yet.")
    if run.config.ema:
        model.optimizer.finalize_variable_values(model.trainable_variables)
    return model


def fit(run, config, model, training, reporter, stop, watch, strategy=None):
    """Train from the newest checkpoint (or the start) to the last epoch; every exit leaves a STATUS that is true."""

    def recompile(slower):
        with replicas.scope(strategy):
            compile_for(model, config, len(training[0]), slower)

    chief = replicas.is_chief(strategy)
    held_out = data_of(config, "validation") if config.validation else (training[0][:0], training[1][:0])
    with run.held() if chief else contextlib.nullcontext():
        said = run.says if chief else lambda word: None
        said("running")
        try:
            loop = Loop(run, config, model, training, held_out, reporter, stop, watch, strategy, recompile)
            finished = loop.run_all()
        except BaseException as error:
            said("stopped" if isinstance(error, KeyboardInterrupt) else "failed")
            raise
        finally:
            reporter.close()
        said("finished" if finished else "stopped")
    replicas.barrier(strategy)  # until STATUS is written
    return run
