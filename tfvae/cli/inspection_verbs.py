"""The verbs that only look: data, runs, inspect, doctor. TensorFlow is imported by the last two alone."""

from __future__ import annotations

import argparse
import os
import pathlib
import shutil
import time
from typing import Any

from tfvae import datasets
from tfvae.cli.output import print_json, print_paragraph, print_table
from tfvae.datasets import catalogue, cifar_archive, idx_files, prepared_copies, tfds_source
from tfvae.errors import TfvaeError, UsageError
from tfvae.runtime import files
from tfvae.runtime.environment import describe_environment, import_tensorflow
from tfvae.runtime.tables import format_cell, to_json_value
from tfvae.schemas import SETTINGS
from tfvae.training.run_folder import MAX_STATUS_BYTES, Run
from tfvae.zoo import resolve

RUN_COLUMNS = ("run", "status", "dataset", "objective", "epochs", "elbo", "rate", "sq_err")


def print_report(report: dict[str, Any], as_json: bool = False) -> int:
    """Print {name: value} as a table of two columns, or as JSON; return the exit code 0."""
    if as_json:
        print_json(report)
    else:
        print_table([(name, format_cell(value)) for name, value in report.items()])
    return 0


def data(args: argparse.Namespace) -> int:
    """Run ``tfvae data list|prepare|info`` and return the exit code."""
    if args.action == "list":
        entries = datasets.names()
        cells = [tuple(format_cell(value or None) for value in entry.values()) for entry in entries]
        print_table([tuple(entries[0]), *cells])
        return 0
    datasets.check_name(args.name)
    if args.action == "prepare":
        print(datasets.prepare(args.name, raw_dir=args.raw_dir))
        return 0
    return print_report(datasets.info(args.name, args.raw_dir))


def find_runs(root: str) -> list[pathlib.Path]:
    """Return the run folders below `root`, oldest first; links such as ``latest`` are not followed."""
    paths = []
    for folder, folders, names in os.walk(root):
        if "config.json" in names and "STATUS" in names:
            folders.clear()
            paths.append(pathlib.Path(folder))
    return sorted(paths, key=lambda path: (path / "config.json").lstat().st_mtime)


def describe_run(path: pathlib.Path) -> dict[str, Any]:
    """Return {column: value} of a run folder: settings, status, last row; damage is reported, not raised."""
    report: dict[str, Any] = {"run": str(path), "status": "damaged"}
    try:
        settings = files.read_json(path / "config.json", SETTINGS)
        rows = Run(path).rows
        report = settings | report | {"status": files.read_text(path / "STATUS", MAX_STATUS_BYTES).strip()}
    except TfvaeError as error:
        return report | {"damage": str(error)}
    last = dict(rows[-1]) if rows else {}  # none: no epoch is finished yet
    finished_epochs = int(last.pop("epoch", 0))
    return report | last | {"epochs": f"{finished_epochs}/{report.get('epochs', '?')}"}


def runs(args: argparse.Namespace) -> int:
    """Run ``tfvae runs [list|show RUN]`` and return the exit code."""
    if args.action == "show":
        path = pathlib.Path(args.run)
        if not (path / "config.json").is_file():
            raise UsageError(f"Expected a run folder. Received: {path}. List them with  tfvae runs")
        return print_report(describe_run(path.resolve()))
    reports = [describe_run(path) for path in find_runs(args.root)]
    if not reports:
        print(f"no runs in {args.root}; begin one with  tfvae train geco --dataset digits")
        return 0
    print_table([RUN_COLUMNS, *([format_cell(report.get(name)) for name in RUN_COLUMNS] for report in reports)])
    print_paragraph("elbo, rate, sq_err: of the training split in the last epoch. tfvae evaluate RUN measures others.")
    return 0


def probe_xla(tf: Any) -> str:
    """Return 'ok', or why XLA cannot compile here."""
    try:
        twice = tf.function(lambda x: 2.0 * x, jit_compile=True)
        return "ok" if float(twice(tf.constant(1.5))) == 3.0 else "computes wrongly"
    except Exception as error:  # whatever the compiler finds missing is the answer
        return (str(error).splitlines() or [type(error).__name__])[0]


def describe_machine() -> dict[str, Any]:
    """Return what reports of problems need: versions, devices, XLA, space, data; no names of people or hosts."""
    begun = time.monotonic()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    report: dict[str, Any] = {"cores_usable": cores}
    try:
        tf = import_tensorflow()
        report |= describe_environment()
        threads = tf.config.threading
        report["threads"] = {
            "inter_op": threads.get_inter_op_parallelism_threads() or "automatic",
            "intra_op": threads.get_intra_op_parallelism_threads() or "automatic",
        }
        report["xla"] = probe_xla(tf)
    except Exception as error:  # a broken installation is what a doctor is asked about
        report["tensorflow_import"] = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    report["disk_free_gb"] = round(shutil.disk_usage(".").free / 1e9, 1)
    report["data_found"] = [name for name in catalogue.CATALOGUE if is_on_disk(name)]
    return report | {"seconds": round(time.monotonic() - begun, 1)}


def is_on_disk(name: str) -> bool:
    """Return whether a data set lies on this disk, prepared or as original files; its content is not checked."""
    if prepared_copies.get_copy_folder(name).is_dir() or (tfds_source.get_tfds_folder() / name).is_dir():
        return True
    try:
        return bool(idx_files.find_idx_source(name) or cifar_archive.find_cifar_source(name))
    except TfvaeError:
        return False


def inspect(args: argparse.Namespace) -> int:
    """Run ``tfvae inspect SAVEDMODEL|RUN`` and return the exit code."""
    from tfvae.exporting import savedmodel

    folder = resolve.resolve_model_folder(args.path)
    if savedmodel.find_savedmodel(folder) != folder:
        return print_report(to_json_value(describe_run(folder.resolve())), args.json)
    import_tensorflow()
    report = savedmodel.describe_savedmodel(folder)
    if args.json:
        print_json(report)
    else:
        print_table(list(savedmodel.format_report_rows(report)))
    return 0


def doctor(args: argparse.Namespace) -> int:
    """Run ``tfvae doctor`` and return the exit code."""
    return print_report(to_json_value(describe_machine()), args.json)
