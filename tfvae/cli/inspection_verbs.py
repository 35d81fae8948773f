"""The verbs that only look: data, runs, inspect, doctor. TensorFlow is imported by the last two alone."""

import csv
import io
import json
import math
import numbers
import os
import pathlib
import shutil
import time

import numpy as np

from tfvae import datasets
from tfvae.errors import TfvaeError, UsageError
from tfvae.runtime import files
from tfvae.runtime.environment import describe_environment, import_tensorflow

RUN_COLUMNS = ("run", "status", "dataset", "objective", "epochs", "elbo", "rate", "sq_err")


def aligned(rows):
    """Rows of texts in columns, two spaces apart."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def markdown(rows):
    """Header and rows of texts as a table in Markdown."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows)


def csv_bytes(rows):
    """Dicts of the same keys as CSV with a header, numbers in full."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def plain(value):
    """`value` as JSON knows it: NumPy scalars become Python's, NaN and infinities null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, numbers.Real) and not math.isfinite(value):
        return None
    return value


def text_of(value):
    """A value as one cell of a table."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {text_of(item)}" for key, item in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(text_of, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else f"{value:.5g}" if isinstance(value, float) else str(value)


def data(args):
    """``tfvae data list|prepare|info``."""
    if args.action == "list":
        entries = datasets.names()
        rows = [tuple(entries[0])] + [tuple(text_of(value or None) for value in entry.values()) for entry in entries]
        print(aligned(rows))
        return 0
    if not args.name:
        raise UsageError(f"Expected a name, as in  tfvae data {args.action} fashion_mnist. Received: none.")
    datasets.check_name(args.name)
    if args.action == "prepare":
        print(datasets.prepare(args.name, raw_dir=args.raw_dir))
    else:
        print(aligned([(key, text_of(value)) for key, value in datasets.info(args.name, args.raw_dir).items()]))
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
        print(aligned([(name, text_of(value)) for name, value in describe_run(path.resolve()).items()]))
        return 0
    found = [describe_run(path) for path in find_runs(args.root)]
    if not found:
        print(f"no runs in {args.root}; begin one with  tfvae train geco --dataset digits")
        return 0
    print(aligned([RUN_COLUMNS, *(tuple(text_of(run.get(name)) for name in RUN_COLUMNS) for run in found)]))
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
    report["data_found"] = [name for name in datasets.catalogue.CATALOGUE if is_here(name)]
    return report | {"seconds": round(time.monotonic() - begun, 1)}


def is_here(name):
    """Whether a data set lies on this disk, prepared or as original files; its content is not checked."""
    if datasets.prepared.folder(name).is_dir() or (datasets.tfds_source.data_dir() / name).is_dir():
        return True
    try:
        return bool(datasets.originals.find(name) or datasets.pictures.find_cifar(name, ""))
    except TfvaeError:
        return False


def inspect(args):
    """``tfvae inspect SAVEDMODEL|RUN``."""
    from tfvae.export import loading, savedmodel

    folder = loading.place(args.path)
    if savedmodel.find(folder) != folder:
        report = plain(describe_run(folder.resolve()))
        print(json.dumps(report) if args.json else aligned([(key, text_of(value)) for key, value in report.items()]))
        return 0
    import_tensorflow()
    report = savedmodel.describe(folder)
    print(json.dumps(report) if args.json else aligned(list(savedmodel.rows_of(report))))
    return 0


def doctor(args):
    """``tfvae doctor``."""
    report = plain(examine())
    print(json.dumps(report) if args.json else aligned([(name, text_of(value)) for name, value in report.items()]))
    return 0
