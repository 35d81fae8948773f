"""The verb sweep: every combination of lists of settings is trained, and what was trained is compared."""

import argparse
import dataclasses
import itertools

from tfvae.cli.command_line import settings_of
from tfvae.cli.comparison_verb import report
from tfvae.config import Config
from tfvae.errors import UsageError
from tfvae.runtime.interrupts import StopSignal
from tfvae.runtime.progress_reporters import PlainReporter
from tfvae.runtime.tables import format_table
from tfvae.training.preflight import check_part_names
from tfvae.training.run_folder import Run, check_run_folder
from tfvae.training.sweep import Trial, find_trial_folder, train_trials


def trials_of(args):
    """The product of all lists of values on the command line, each combination checked as `tfvae train` does.

    Raises:
        UsageError: a value that is there twice, an unknown part, or settings that do not fit.
    """
    plain = args.own | {field.name: field.default for field in dataclasses.fields(Config) if field.name != "objective"}
    lists = {name: getattr(args, name) for name in plain if getattr(args, name) is not None}
    for name, values in lists.items():
        if len(set(values)) < len(values):
            raise UsageError(f"Expected each value of {name} once. Received: {','.join(map(str, values))}.")
    trials = []
    for values in itertools.product(*lists.values()):
        chosen = dict(zip(lists, values))
        config = settings_of(argparse.Namespace(objective=args.objective, own=args.own, **(plain | chosen)))
        check_part_names(config)
        differs = ",".join(f"{name}={value}" for name, value in chosen.items() if len(lists[name]) > 1)
        trials.append(Trial(config, differs or f"seed={config.seed}", find_trial_folder(config, differs, args.root)))
    return trials


def sweep(args):
    """``tfvae sweep OBJECTIVE``."""
    trials = trials_of(args)
    if args.dry_run:
        print(format_table([("differs", "status", "run"), *((t.differs, t.status, str(t.path)) for t in trials)]))
        return 0
    check_run_folder(root=args.root)
    say = PlainReporter().line
    begun = [trial for trial in trials if trial.status != "finished"]
    say(f"{len(trials)} runs, {len(trials) - len(begun)} finished already, {args.jobs} side by side")
    with StopSignal() as stop:
        failed = train_trials(begun, args.jobs, args.root, stop, say)
    if stop():
        print("stopped and saved; the same command goes on")
        return 128 + stop.signal
    done = [Run(trial.path.resolve()) for trial in trials if trial not in failed]
    if done:
        report(done, args.output)
    if failed:
        print(f"{len(failed)} of {len(trials)} runs failed: {'; '.join(trial.differs for trial in failed)}")
    return 1 if failed else 0
