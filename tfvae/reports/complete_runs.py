"""`tfvae.train` and `tfvae.resume`: the training with its progress, and the figures and report of the finished run."""

from __future__ import annotations

import inspect
import pathlib
from collections.abc import Callable
from typing import Any

from tfvae.config import Config
from tfvae.errors import UsageError, describe_unknown, describe_value
from tfvae.models.vae import VAE
from tfvae.reports.run_figures import draw_run_figures, write_epoch_samples
from tfvae.runtime import files
from tfvae.runtime.progress_reporters import ProgressChoice, SilentReporter, choose_reporter
from tfvae.training import trainer
from tfvae.training.loop import Watch
from tfvae.training.python_settings import make_config
from tfvae.training.run_folder import Run


def train(
    config: Config | None = None,
    *,
    run_dir: files.PathLike | None = None,
    root: files.PathLike = "runs",
    progress: ProgressChoice = True,
    figures: bool = True,
    stop: Callable[[], bool] | None = None,
    watch: Watch | None = None,
    **settings: Any,
) -> Run:
    """Train what a config, or the settings of `Config` by name, describe, and return the `Run`.

    ``objective``, ``likelihood``, ``arch`` and ``prior`` are names with options, or classes of your own at the top
    level of a file or notebook; the last three may be objects, too. ``dataset`` is a name, or images [N, H, W, C],
    (images, labels), ((images, labels), (test images, test labels)), or a `tf.data.Dataset` of such. Arrays are named
    by their content in config.json and not stored: see `tfvae.datasets.from_arrays`.

    Args:
        config: the settings; None: those given by name.
        run_dir: the folder to create; None: ``root/<dataset>/<objective>/<timestamp>-<hash>``.
        root: the folder of all runs.
        progress: True: a bar on a terminal, elsewhere (in notebooks and logs) a line an epoch, about a hundred in all;
            False: nothing; or a function that is called with the row of metrics.csv, a dict, after each epoch.
        figures: whether to draw ``plots/``, ``samples/`` and ``report.html``, as the command line does.
        stop: called after each block of steps; True saves and stops.
        watch: called with (run, model, epoch) after each epoch, to look at the model while it learns.
        **settings: of `Config`, by name.

    Raises:
        UsageError (the folder exists or cannot be made, too), DataError: nothing is written.
        StorageError: the disk is full later on; the last checkpoint is intact.
        DivergedError: the loss is no longer finite; STATUS says failed.

    Example:
        >>> run = tfvae.train(objective="geco:kappa=2", dataset="digits", epochs=5)
        >>> run.rows[-1]["elbo"]
    """
    check_callables(stop=stop, watch=watch)
    reporter = choose_reporter(progress)
    config = make_config(config, settings, list_arguments(train))
    run = trainer.train(
        config, run_dir=run_dir, root=root, reporter=reporter, stop=stop, watch=combine_watches(watch, figures)
    )
    if figures:
        complete_run(run, reporter)
    return run


def resume(
    path: Run | files.PathLike,
    *,
    epochs: int | None = None,
    dataset: Any = None,
    progress: ProgressChoice = True,
    figures: bool = True,
    stop: Callable[[], bool] | None = None,
    watch: Watch | None = None,
    trust_code: bool = False,
    **unknown: Any,
) -> Run:
    """Go on where the newest intact checkpoint of a run stands, and return the `Run`.

    Args:
        path: a run, or its folder.
        epochs: train up to this epoch; None: the one that was asked for. A finished run may be given more.
        dataset: of a run that was trained on arrays, in another process: the same arrays again.
        progress, figures: as for `tfvae.train`.
        stop: called after each block of steps; True saves and stops.
        watch: called with (run, model, epoch) after each epoch.
        trust_code: import what the config names by import path, also if the run was made elsewhere.
        **unknown: none is taken: the other settings are those of the run.

    Raises:
        UsageError: not a run folder, or fewer epochs than are done. DataError: the training images are others now.
        UntrustedError: the run is from elsewhere and names foreign code.

    Example:
        >>> run = tfvae.resume("runs/latest", epochs=20)
    """
    for name in unknown:
        raise UsageError(describe_unknown("an argument", name, list_arguments(resume)))
    check_callables(stop=stop, watch=watch)
    reporter = choose_reporter(progress)
    run = trainer.resume(
        path,
        reporter=reporter,
        stop=stop,
        watch=combine_watches(watch, figures),
        epochs=epochs,
        trust_code=trust_code,
        dataset=dataset,
    )
    if figures:
        complete_run(run, reporter)
    return run


def complete_run(run: Run, reporter: SilentReporter) -> list[pathlib.Path]:
    """Draw the figures and the report of a finished run; return their paths, none if it is not finished.

    Args:
        run: the run.
        reporter: told that the figures are drawn, which takes some seconds.
    """
    if run.status != "finished" or not trainer.writes_files(run.config):
        return []
    reporter.line("drawing pictures")
    return draw_run_figures(run)


def combine_watches(watch: Watch | None, figures: bool) -> Watch | None:
    """Return a function that draws the samples of an epoch, if `figures`, and then calls the user's `watch`."""
    if not figures:
        return watch

    def watch_epoch(run: Run, model: VAE, epoch: int) -> None:
        write_epoch_samples(run, model, epoch)
        if watch is not None:
            watch(run, model, epoch)

    return watch_epoch


def list_arguments(function: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a function's keyword-only arguments."""
    return tuple(p.name for p in inspect.signature(function).parameters.values() if p.kind is p.KEYWORD_ONLY)


def check_callables(**functions: Any) -> None:
    """Refuse what cannot be called, before the training in which it would be.

    Raises:
        UsageError: there is such a one.
    """
    for name, function in functions.items():
        if function is not None and not callable(function):
            raise UsageError(f"Expected {name} to be a function. Received: {describe_value(function)}.")
