"""The verb sweep: every combination of lists of settings is trained, and what was trained is compared."""

from __future__ import annotations

import argparse
import itertools
import math
from typing import Any

from tfvae import specs
from tfvae.cli.arguments import make_config
from tfvae.cli.comparison_verb import compare_runs
from tfvae.cli.output import print_table
from tfvae.config import SETTING_ALIASES, list_settings
from tfvae.errors import UsageError
from tfvae.runtime.interrupts import StopSignal
from tfvae.runtime.progress_reporters import PlainReporter
from tfvae.training.automatic_kappa import has_automatic_kappa
from tfvae.training.preflight import check_part_names
from tfvae.training.run_folder import Run, check_run_folder
from tfvae.training.sweep import Trial, find_trial_folder, train_trials

MAX_TRIALS = 10_000  # of one sweep


def make_trials(args: argparse.Namespace) -> list[Trial]:
    """Return a trial for each combination of the values on the command line, checked as `tfvae train` does.

    Raises:
        UsageError: a value that is there twice, an unknown part, settings that do not fit, or too many combinations.
    """
    lists = read_lists(args)
    if (count := math.prod(map(len, lists.values()))) > MAX_TRIALS:
        raise UsageError(f"Expected at most {MAX_TRIALS:,} runs in a sweep. Received: {count:,}.")
    trials = []
    for values in itertools.product(*lists.values()):
        chosen = dict(zip(lists, values))
        config = make_config(args.objective, args.part, chosen, chosen)
        check_part_names(config)
        if has_automatic_kappa(config):
            raise UsageError(
                "Expected kappas of a sweep as numbers. Received: auto. "
                "tfvae train geco --kappa auto --dry-run  tells the number for a data set."
            )
        several = {name: specs.OFF_WORD if value is None else value for name, value in chosen.items()}
        differs = ",".join(f"{name}={value}" for name, value in several.items() if len(lists[name]) > 1)
        trials.append(Trial(config, differs or f"seed={config.seed}", find_trial_folder(config, differs, args.root)))
    return trials


def read_lists(args: argparse.Namespace) -> dict[str, list[Any]]:
    """Return {option or setting: values} of what stands on the command line, old words translated.

    Raises:
        UsageError: a value, or a setting by its old and its new name, that is there twice.
    """
    given = vars(args)
    lists: dict[str, list[Any]] = {}
    names = [*args.part.options, *list_settings(), *args.part.aliases, *SETTING_ALIASES]
    for word in dict.fromkeys(names):
        values = given.get(word)
        if values is None or word == "objective":
            continue
        name = args.part.aliases.get(word, SETTING_ALIASES.get(word, word))
        if name in lists:
            raise UsageError(f"Expected {name} once. Received: it twice, also as {word}.")
        if word in args.part.options or word in args.part.aliases:
            values = [specs.translate_options(args.part, {word: value})[name] for value in values]
        if len(set(values)) < len(values):
            raise UsageError(f"Expected each value of {name} once. Received: {','.join(map(str, values))}.")
        lists[name] = values
    return lists


def sweep(args: argparse.Namespace) -> int:
    """Run ``tfvae sweep OBJECTIVE`` and return the exit code."""
    trials = make_trials(args)
    if args.dry_run:
        print_table([("differs", "status", "run"), *((t.differs, t.status, str(t.path)) for t in trials)])
        return 0
    check_run_folder(root=args.root)
    say = PlainReporter().line
    unfinished = [trial for trial in trials if trial.status != "finished"]
    say(f"{len(trials)} runs, {len(trials) - len(unfinished)} finished already, {args.jobs} side by side")
    with StopSignal() as stop:
        failed = train_trials(unfinished, args.jobs, args.root, stop, say)
    if stop.signal is not None:
        print("stopped and saved; the same command goes on")
        return 128 + stop.signal
    finished = [Run(trial.path.resolve()) for trial in trials if trial not in failed]
    if finished:
        compare_runs(finished, args.output)
    if failed:
        print(f"{len(failed)} of {len(trials)} runs failed: {'; '.join(trial.differs for trial in failed)}")
    return 1 if failed else 0
