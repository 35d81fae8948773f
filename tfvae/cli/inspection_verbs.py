"""The verbs that only look: data, runs, inspect, doctor. TensorFlow is imported by the last two alone."""

import csv
import json
import os
import pathlib
import shutil
import time

from tfvae import datasets
from tfvae.datasets import catalogue, cifar_archive, idx_files, prepared_copies, tfds_source
from tfvae.errors import TfvaeError, UsageError
from tfvae.runtime import files
from tfvae.runtime.environment import describe_environment, import_tensorflow
from tfvae.runtime.tables import format_cell, format_table, to_json_value
from tfvae.zoo import resolve

RUN_COLUMNS = ("run", "status", "dataset", "objective", "epochs", "elbo", "rate", "sq_err")


def data(args):
    """``tfvae data list|prepare|info``."""
    if args.action == "list":
        entries = datasets.names()
        rows = [tuple(entries[0])] + [
            tuple(format_cell(value or None) for value in entry.values()) for entry in entries
        ]
        print(format_table(rows))
        return 0
    if not args.name:
        raise UsageError(f"Expected a name, as in  tfvae data {args.action} fashion_mnist. Received: none.")
    datasets.check_name(args.name)
    if args.action == "prepare":
        print(datasets.prepare(args.name, raw_dir=args.raw_dir))
    else:
        print(
            format_table([(key, format_cell(value)) for key, value in datasets.info(args.name, args.raw_dir).items()])
        )
    return 0


def find_runs(root):
    """Run folders below `root`, oldest first; links such as ``latest`` are not followed."""
    found = []
    for folder, folders, files in os.walk(root):
        if "config.json" in files and "STATUS" in files:
            folders.clear()
            found.append(pathlib.Path(folder))
    return sorted(found, key=lambda path: (path / "config.json").stat().st_mtime)


def describe_run(path):
    """{column: value} of a run folder: settings, status, last row; damage is said, not raised."""
    found = {"run": str(path), "status": "damaged"}
    try:
        found |= files.read_json(path / "config.json")
        found["status"] = (path / "STATUS").read_text().strip()
        with open(path / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        last = {name: float(value) for name, value in rows[-1].items()} if rows else {}
    except FileNotFoundError:  # no epoch is finished yet
        last = {}
    except (OSError, ValueError, TypeError, TfvaeError) as error:
        return found | {"damage": str(error)}
    done = int(last.pop("epoch", 0))
    return found | last | {"epochs": f"{done}/{found.get('epochs', '?')}"}


def runs(args):
    """``tfvae runs [list|show RUN]``."""
    if args.action == "show":
        path = pathlib.Path(args.run)
        if not (path / "config.json").is_file():
            raise UsageError(f"Expected a run folder. Received: {path}. List them with  tfvae runs")
        print(format_table([(name, format_cell(value)) for name, value in describe_run(path.resolve()).items()]))
        return 0
    found = [describe_run(path) for path in find_runs(args.root)]
    if not found:
        print(f"no runs in {args.root}; begin one with  tfvae train geco --dataset digits")
        return 0
    print(format_table([RUN_COLUMNS, *(tuple(format_cell(run.get(name)) for name in RUN_COLUMNS) for run in found)]))
    return 0


def probe_xla(tf):
    """'ok', or why XLA cannot compile here."""
    try:
        twice = tf.function(lambda x: 2.0 * x, jit_compile=True)
        return "ok" if float(twice(tf.constant(1.5))) == 3.0 else "computes wrongly"
    except Exception as error:  # whatever the compiler finds missing is the finding
        return (str(error).splitlines() or [type(error).__name__])[0]


def examine():
    """What reports of problems need: versions, devices, XLA, space, data; no names of people or hosts."""
    begun = time.monotonic()
    report = {"cores_usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()}
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
    report["data_found"] = [name for name in catalogue.CATALOGUE if is_here(name)]
    return report | {"seconds": round(time.monotonic() - begun, 1)}


def is_here(name):
    """Whether a data set lies on this disk, prepared or as original files; its content is not checked."""
    if prepared_copies.get_copy_folder(name).is_dir() or (tfds_source.get_tfds_folder() / name).is_dir():
        return True
    try:
        return bool(idx_files.find_idx_source(name) or cifar_archive.find_cifar_source(name))
    except TfvaeError:
        return False


def inspect(args):
    """``tfvae inspect SAVEDMODEL|RUN``."""
    from tfvae.export import savedmodel

    folder = resolve.resolve_model_folder(args.path)
    if savedmodel.find_savedmodel(folder) != folder:
        report = to_json_value(describe_run(folder.resolve()))
        print(
            json.dumps(report)
            if args.json
            else format_table([(key, format_cell(value)) for key, value in report.items()])
        )
        return 0
    import_tensorflow()
    report = savedmodel.describe_savedmodel(folder)
    print(json.dumps(report) if args.json else format_table(list(savedmodel.format_report_rows(report))))
    return 0


def doctor(args):
    """``tfvae doctor``."""
    report = to_json_value(examine())
    print(
        json.dumps(report)
        if args.json
        else format_table([(name, format_cell(value)) for name, value in report.items()])
    )
    return 0
