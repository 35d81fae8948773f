"""The verb zoo: list, info, verify, get, train, add. TensorFlow is imported by verify, train and add alone."""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import pathlib
import shutil
from collections.abc import Callable

from tfvae.cli.output import print_table
from tfvae.cli.run_loading import open_trusted_run
from tfvae.config import Config
from tfvae.errors import IntegrityError, UsageError
from tfvae.runtime import files, trust
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.tables import format_cell, format_table
from tfvae.zoo import index
from tfvae.zoo.index import VerificationResult


def zoo(args: argparse.Namespace) -> int:
    """Run ``tfvae zoo list|info|verify|get|train|add`` and return the exit code."""
    return ACTIONS[args.action](args)


def show_list(args: argparse.Namespace) -> int:
    """Print all entries, or those whose name matches a pattern."""
    entries = {name: entry for name, entry in index.read_index().items() if fnmatch.fnmatch(name, args.name or "*")}
    if args.json:
        print(json.dumps(entries))
        return 0
    if not entries:
        raise UsageError(f"Expected a pattern that matches a name in the zoo. Received: {args.name!r}.")
    rows = [
        [format_cell((entry | {"name": name}).get(column)) for column in index.COLUMNS]
        for name, entry in entries.items()
    ]
    print_table([index.COLUMNS, *rows])
    return 0


def show_entry(args: argparse.Namespace) -> int:
    """Print one entry: its numbers, its recipe, where it is."""
    folder = index.find_entry(require_name(args))
    metrics, values = files.read_json(folder / "metrics.json"), files.read_json(folder / "config.json")
    if args.json:
        print(json.dumps(metrics | {"config": values, "path": str(folder)}))
        return 0
    commands = index.format_commands(Config.from_dict(values), metrics["second_stage"])
    rows = [("path", str(folder)), *(("recipe", command) for command in commands)]
    print(format_table(rows + [(name, format_cell(entry["value"])) for name, entry in metrics["numbers"].items()]))
    return 0


def copy_entry(args: argparse.Namespace) -> int:
    """Copy the SavedModel of an entry to a folder that TensorFlow Serving can read."""
    source = index.find_entry_savedmodel(require_name(args))
    target = pathlib.Path(args.path or str(args.name).removeprefix(index.PREFIX))
    if target.exists():
        raise UsageError(f"Expected a new folder. Received: {target}, which exists. Choose another.")
    beside = target.with_name(f".{target.name}.tmp-{os.getpid()}")
    with files.translate_os_errors(target):
        try:
            shutil.copytree(source, beside)
            beside.rename(target)
        finally:
            shutil.rmtree(beside, ignore_errors=True)
    print(target)
    return 0


def verify_zoo(args: argparse.Namespace) -> int:
    """Check the hashes of all files, and measure every number of the cards again (--quick: hashes only)."""
    names = [str(args.name).removeprefix(index.PREFIX)] if args.name else list(index.read_index())
    failed = []
    for name in names:
        results = verify_entry(name, args.quick, args.trust)
        failed += [name] * any(not result.passed for result in results)
        print_results(name, results)
    if failed:
        raise IntegrityError(
            f"Expected every entry as its card says. Received: {len(failed)} that are not: {failed[0]}."
        )
    return 0


def verify_entry(name: str, quick: bool, trusted: bool = False) -> list[VerificationResult]:
    """Return the results for the files of an entry and, unless `quick` or they are damaged, for its numbers."""
    result = index.verify_files(name)
    if quick or not result.passed:
        return [result]
    read_trusted_config(index.find_zoo_folder() / name, trusted)
    import_tensorflow()
    from tfvae.zoo.measurements import verify_numbers

    return verify_numbers(index.find_zoo_folder() / name)


def print_results(name: str, results: list[VerificationResult]) -> None:
    """Print the results for an entry, a line each; one word if its files are intact and no number was measured."""
    is_intact = [result.name for result in results] == ["files"] and results[0].passed
    print(name, "intact" if is_intact else "", sep="  ", flush=True)
    for result in [] if is_intact else results:
        text = f"{result.name}: {result.detail}"
        if result.shipped is not None and result.measured is not None:
            text = f"{result.name}: {result.shipped:.6g}, now {result.measured:.6g}"
        print(f"  {'ok' if result.passed else 'FAILED'}  {text}", flush=True)


def train_entry(args: argparse.Namespace) -> int:
    """Train an entry anew, as its config says, into runs/."""
    folder = index.find_entry(require_name(args))
    from tfvae.cli.training_verbs import fit_second_stage, train_or_continue

    config = read_trusted_config(folder, args.trust)
    first, prior = index.split_stages(config, files.read_json(folder / "metrics.json")["second_stage"])
    code = train_or_continue(first, new=True)
    return code if code or not prior else fit_second_stage("runs/latest", prior)


def add_run(args: argparse.Namespace) -> int:
    """Make an entry of a finished run."""
    run = open_trusted_run(args.path, args.trust)
    import_tensorflow()
    from tfvae.zoo.entries import add_entry

    print(add_entry(index.find_zoo_folder(), require_name(args), run))
    return 0


def read_trusted_config(folder: pathlib.Path, trusted: bool) -> Config:
    """Return the config of an entry; UntrustedError if it names code of its own and the user did not say --trust."""
    config = Config.from_dict(files.read_json(folder / "config.json"))
    trust.check_specs(config, {}, trusted)
    return config


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
