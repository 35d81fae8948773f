"""The verb zoo: list, info, verify, get, train, add. TensorFlow is imported by verify, train and add alone."""

from __future__ import annotations

import argparse
import fnmatch
import os
import pathlib
import shutil
import sys
from collections.abc import Callable

from tfvae.cli.output import print_json, print_paragraph, print_table
from tfvae.cli.run_loading import open_trusted_run
from tfvae.errors import DataError, IntegrityError, TfvaeError, UsageError, make_printable
from tfvae.exporting import savedmodel
from tfvae.runtime import files, trust
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.run_metadata import read_config
from tfvae.runtime.tables import format_cell
from tfvae.zoo import index
from tfvae.zoo.entry_metadata import BOUND_IMAGES, BOUND_SAMPLES, read_metrics
from tfvae.zoo.index import VerificationResult, ZooContents

MAX_PROBLEMS = 20  # lines


def zoo(args: argparse.Namespace) -> int:
    """Run ``tfvae zoo list|info|verify|get|train|add`` and return the exit code."""
    return ACTIONS[args.action](args)


def show_list(args: argparse.Namespace) -> int:
    """Print all entries, or those whose name matches a pattern; what is damaged is named on standard error."""
    contents = index.read_zoo()
    print_problems(contents)
    entries = {name: entry for name, entry in contents.entries.items() if fnmatch.fnmatch(name, args.name or "*")}
    if args.json:
        print_json(entries)
        return 0
    if not entries:
        what, received = ("a pattern that matches a name", repr(args.name)) if args.name else ("entries", "none intact")
        raise UsageError(f"Expected {what} in the zoo. Received: {received}.")
    rows = [
        [format_cell((entry | {"name": name}).get(column)) for column in index.COLUMNS]
        for name, entry in entries.items()
    ]
    print_table([index.COLUMNS, *rows])
    print_paragraph("elbo (one draw of z) and error: of the first test images, see  tfvae zoo info NAME")
    return 0


def print_problems(contents: ZooContents) -> None:
    """Print what is wrong with entries of the zoo on standard error, a line each."""
    for name, sentence in list(contents.problems.items())[:MAX_PROBLEMS]:
        print(make_printable(f"damaged: {name}: {sentence}"), file=sys.stderr)
    if len(contents.problems) > MAX_PROBLEMS:
        print(f"damaged: {len(contents.problems) - MAX_PROBLEMS} more", file=sys.stderr)


def show_entry(args: argparse.Namespace) -> int:
    """Print one entry: its numbers, its recipe, where it is."""
    folder = index.find_entry(require_name(args))
    metrics, config = read_metrics(folder), read_config(folder)
    if args.json:
        print_json(metrics | {"config": config.to_dict(), "path": str(folder)})
        return 0
    commands = index.format_commands(config, metrics["second_stage"])
    rows = [("path", str(folder)), *(("recipe", command) for command in commands)]
    images = f"the first {metrics['images']} test images, one draw of z (K=1)"
    rows.append(("measured on", f"{images}; nll: K={BOUND_SAMPLES}, the first {BOUND_IMAGES} of them"))
    print_table(rows + [(name, format_cell(entry["value"])) for name, entry in metrics["numbers"].items()])
    return 0


def copy_entry(args: argparse.Namespace) -> int:
    """Copy the SavedModel of an entry, checked as before loading, to a folder that TensorFlow Serving can read."""
    source = index.find_entry_savedmodel(require_name(args))
    if not (versions := savedmodel.list_versions(source)):
        raise IntegrityError(f"Expected in {source} versions of a SavedModel. Received: none.")
    target = pathlib.Path(args.path or str(args.name).removeprefix(index.PREFIX))
    if os.path.lexists(target):
        raise UsageError(f"Expected a new folder. Received: {target}, which exists. Choose another.")
    import_tensorflow()
    from tfvae.safety.savedmodel_check import copy_checked_savedmodel

    beside = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    with files.translate_os_errors(target):
        try:
            for number, version in versions.items():
                (shutil.copytree if args.trust else copy_checked_savedmodel)(version, beside / str(number))
            files.rename_to_new(beside, target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    print(target)
    return 0


def verify_zoo(args: argparse.Namespace) -> int:
    """Check the hashes of all files, and measure every number of the cards again (--quick: hashes only).

    One entry that is damaged, or whose data set is not at hand, does not stop the others.
    """
    zoo_folder = index.find_zoo_folder()
    names, problems = index.read_entry_names(zoo_folder)
    if args.name:
        names, problems = [index.check_entry_name(zoo_folder, args.name)], {}
    print_problems(ZooContents({}, problems))
    failed: dict[str, type[TfvaeError]] = dict.fromkeys(problems, IntegrityError)
    unchecked = []
    for name in names:
        try:
            results = verify_entry(name, args.quick, args.trust)
        except TfvaeError as error:
            results = [VerificationResult("entry", False, detail=str(error))]
            failed[name] = type(error)
        print_results(name, results)
        if any(result.was_checked and not result.passed for result in results):
            failed.setdefault(name, IntegrityError)
        unchecked += [name] * any(not result.was_checked for result in results)
    if failed:
        name, kind = next(iter(failed.items()))
        raise kind(f"Expected every entry as its card says. Received: {len(failed)} that are not: {name}.")
    if unchecked:
        raise DataError(
            f"Expected the data sets of all entries. Received: none for {', '.join(unchecked)}; their files are "
            "intact, their numbers are not verified."
        )
    return 0


def verify_entry(name: str, quick: bool, trusted: bool = False) -> list[VerificationResult]:
    """Return the results for the files of an entry and, unless `quick` or they are damaged, for its numbers."""
    result = index.verify_files(name)
    if quick or not result.passed:
        return [result]
    import_tensorflow()
    from tfvae.zoo.measurements import verify_numbers

    return verify_numbers(index.find_zoo_folder() / name, trusted)


def print_results(name: str, results: list[VerificationResult]) -> None:
    """Print the results for an entry, a line each; one word if its files are intact and no number was measured."""
    is_intact = [result.name for result in results] == ["files"] and results[0].passed
    print(name, "intact" if is_intact else "", sep="  ", flush=True)
    for result in [] if is_intact else results:
        text = f"{result.name}: {result.detail}"
        if result.shipped is not None and result.measured is not None:
            text = f"{result.name}: {result.shipped:.6g}, now {result.measured:.6g}"
        word = "ok" if result.passed else "FAILED" if result.was_checked else "NOT VERIFIED"
        print(f"  {word}  {make_printable(text)}", flush=True)


def train_entry(args: argparse.Namespace) -> int:
    """Train an entry anew, as its config says, into runs/."""
    folder = index.find_entry(require_name(args))
    from tfvae.cli.training_verbs import fit_second_stage, train_or_continue

    config = read_config(folder)
    trust.check_specs(config, {}, args.trust)
    first, prior = index.split_stages(config, read_metrics(folder)["second_stage"])
    code = train_or_continue(first, new=True)
    return code if code or not prior else fit_second_stage("runs/latest", prior)


def add_run(args: argparse.Namespace) -> int:
    """Make an entry of a finished run, in the zoo that the user named or has here, never in another."""
    zoo_folder = index.find_own_zoo_folder()
    run = open_trusted_run(args.path, args.trust)
    import_tensorflow()
    from tfvae.zoo.entries import add_entry

    print(add_entry(zoo_folder, require_name(args), run))
    return 0


def require_name(args: argparse.Namespace) -> str:
    """Return NAME of the command line; UsageError without one."""
    if not args.name:
        raise UsageError(f"Expected a name, as in  tfvae zoo {args.action} NAME. Received: none.")
    return args.name


ACTIONS: dict[str, Callable[[argparse.Namespace], int]] = {
    "list": show_list,
    "info": show_entry,
    "verify": verify_zoo,
    "get": copy_entry,
    "train": train_entry,
    "add": add_run,
}
