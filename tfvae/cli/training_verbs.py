"""The verbs train, resume and second-stage. TensorFlow is imported after all that can be checked without it."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal

from tfvae import part_sources
from tfvae.cli.arguments import read_config
from tfvae.cli.run_loading import open_trusted_run
from tfvae.config import Config
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.interrupts import StopSignal
from tfvae.runtime.progress_reporters import LiveReporter, SilentReporter, make_reporter
from tfvae.training.automatic_kappa import fill_in_kappa, has_automatic_kappa
from tfvae.training.preflight import check_part_names
from tfvae.training.run_data import load_split
from tfvae.training.run_folder import Run, check_run_folder, find_unfinished_run


def train(args: argparse.Namespace) -> int:
    """Run ``tfvae train OBJECTIVE`` and return the exit code."""
    config = read_config(args)
    check_part_names(config)
    if has_automatic_kappa(config):  # an unfinished run of these settings has the number
        config = fill_in_kappa(config, load_split(config, "train")[0], make_reporter())
    if args.dry_run:
        print(json.dumps(config.to_dict(), indent=1))
        return 0
    return train_or_continue(config, args.run_dir, args.root, args.new)


def train_or_continue(config: Config, run_dir: str = "", root: str = "runs", new: bool = False) -> int:
    """Train what `config` describes, or continue its unfinished run unless `new`; return the exit code.

    Args:
        config: the settings.
        run_dir: the folder to create; "": a new one below `root`.
        root: the folder of all runs.
        new: begin a new run even where an unfinished run of these settings exists.
    """
    earlier = None if new else find_unfinished_run(config, run_dir, root)
    reporter = make_reporter()
    if earlier is None:
        check_run_folder(run_dir, root)
    elif earlier.status == "finished":
        print(f"finished already: {os.path.relpath(earlier.path)}")
        return 0
    else:
        open_trusted_run(earlier, trusted=True)  # the user has just written the same settings
        reporter.line(f"going on with {os.path.relpath(earlier.path)} ({earlier.status}); --new begins another run")
    if isinstance(reporter, LiveReporter):  # somebody watches, and TensorFlow takes seconds to load
        reporter.line(f"{config.objective} on {config.dataset}: loading TensorFlow")
    import_tensorflow()
    from tfvae.reports.run_figures import write_epoch_samples
    from tfvae.training import trainer

    with StopSignal() as stop:
        if earlier:
            run = trainer.resume(earlier, reporter=reporter, stop=stop, watch=write_epoch_samples)
        else:
            run = trainer.train(
                config, run_dir=run_dir, root=root, reporter=reporter, stop=stop, watch=write_epoch_samples
            )
    return report_end(run, reporter, stop)


def resume(args: argparse.Namespace) -> int:
    """Run ``tfvae resume RUN`` and return the exit code."""
    run = open_trusted_run(args.run, args.trust)
    reporter = make_reporter()
    import_tensorflow()
    from tfvae.reports.run_figures import write_epoch_samples
    from tfvae.training import trainer

    with StopSignal() as stop:
        run = trainer.resume(run, reporter=reporter, stop=stop, watch=write_epoch_samples, epochs=args.epochs)
    return report_end(run, reporter, stop)


def report_end(run: Run, reporter: SilentReporter, stop: StopSignal | None) -> int:
    """Draw the pictures of a run, print where everything is, and return the exit code.

    A run that was stopped gets no pictures, but the command that continues it.
    """
    if run.status != "finished":
        print(f"stopped and saved: {run.display_path}\ngo on with:  tfvae resume {run.display_path}")
        return 128 + (stop and stop.signal or signal.SIGINT)
    from tfvae.reports.complete_runs import complete_run

    paths = complete_run(run, reporter)
    if not paths:  # another worker of the same run writes them
        return 0
    print(f"run: {run.display_path}")
    for path in paths:
        print(f"  {pathlib.Path(path).relative_to(run.path)}")
    print(f"next:  tfvae evaluate {run.display_path}")
    return 0


def second_stage(args: argparse.Namespace) -> int:
    """Run ``tfvae second-stage RUN`` and return the exit code."""
    open_trusted_run(args.run, args.trust)
    part_sources.check_spec("prior", args.prior)
    check_run_folder(args.run_dir, args.root)
    import_tensorflow()
    return fit_second_stage(args.run, args.prior, args.run_dir, args.root)


def fit_second_stage(run: str, prior: str, run_dir: str = "", root: str = "runs") -> int:
    """Make the run of the second stage with its pictures, and return the exit code.

    Args:
        run: the folder of the first stage.
        prior: the spec of the prior that is fitted to its codes.
        run_dir, root: as for `train_or_continue`.
    """
    from tfvae.training import second_stage

    return report_end(second_stage.train_second_stage(run, prior, run_dir, root), make_reporter(), None)
