"""The folder of a run: its parts, its place, its rows. Nothing here imports TensorFlow."""

import contextlib
import csv
import datetime
import io
import os
import pathlib
import shutil

from tfvae.config import Config
from tfvae.errors import StorageError, TfvaeError, UsageError
from tfvae.runtime import files

FIRST_COLUMNS = ("epoch", "step", "seconds", "loss", "elbo", "rate", "distortion", "sq_err")
CONSTRAINT_COLUMNS = ("lambda", "constraint", "constraint_ma")


def column_order(name):
    """Sort key of metrics.csv: the leading columns, each constraint's three, validation's."""
    if name in FIRST_COLUMNS:
        return (0, FIRST_COLUMNS.index(name), 0)
    stem, _, number = name.rpartition("_")
    stem, number = (stem, int(number)) if number.isdigit() else (name, 1)
    return (1, number, CONSTRAINT_COLUMNS.index(stem)) if stem in CONSTRAINT_COLUMNS else (2, 0, 0)


class Run:
    """A run folder: ``config.json env.json metrics.csv STATUS checkpoints/ plots/ samples/ report.html``."""

    def __init__(self, path):
        self.path = pathlib.Path(path)

    @property
    def config(self):
        return Config.from_dict(files.read_json(self.path / "config.json"))

    @property
    def display_path(self):
        """The path as a person writes it."""
        near = os.path.relpath(self.path)
        return str(self.path) if near.startswith("..") else near

    @property
    def status(self):
        """running, finished, stopped, failed, or interrupted: the process that ran it is gone without a word."""
        word = (self.path / "STATUS").read_text().strip()
        return "interrupted" if word == "running" and not files.is_locked(self.path) else word

    def write_status(self, word):
        """Write STATUS."""
        files.write_bytes(self.path / "STATUS", (word + "\n").encode())

    @contextlib.contextmanager
    def locked(self):
        """Keep other processes from training this run too; the system lets go when this process ends, however."""
        with files.lock_folder(self.path) as held:
            if not held:
                raise UsageError(f"Expected a run that nobody trains at the moment. Received: {self.path}.")
            yield

    @property
    def rows(self):
        """metrics.csv, numbers converted."""
        path = self.path / "metrics.csv"
        if not path.exists():
            return []
        with open(path, newline="") as file:
            return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]

    def write_rows(self, rows):
        """Replace metrics.csv; its columns are those of the first row."""
        if not rows:
            return
        names = sorted(rows[0], key=column_order)
        text = io.StringIO()
        table = csv.DictWriter(text, names, lineterminator="\n")
        table.writeheader()
        table.writerows({**row, "epoch": int(row["epoch"]), "step": int(row["step"])} for row in rows)
        files.write_bytes(self.path / "metrics.csv", text.getvalue().encode())


def check_run_folder(run_dir="", root="runs"):
    """Refuse a run folder that exists, or a place that cannot be written."""
    if run_dir and os.path.lexists(run_dir):
        raise UsageError(
            f"Expected a new run folder. Received: {run_dir}, which exists. Continue it with  tfvae resume {run_dir}  "
            "or choose another --run-dir."
        )
    place = pathlib.Path(run_dir or root).absolute()
    above = next(folder for folder in (place, *place.parents) if folder.exists())
    if not above.is_dir():
        raise UsageError(f"Expected a folder for runs. Received: {place}; {above} is a file. Choose another.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"Expected to write into {above}. Received: no permission. Choose another place.")


def find_unfinished_run(config, run_dir="", root="runs"):
    """The run of exactly these settings that was cut short, for the same command to go on with; None if there is none.

    Args:
        run_dir: the folder that was asked for by name: a finished or failed run counts, too.
    """
    paths = [pathlib.Path(run_dir)] if run_dir else sorted(find_runs_folder(config, root).glob("*-*"), reverse=True)
    for path in paths:
        try:
            run = open_run(path)
            if run.config == config and (run_dir or run.status in ("stopped", "interrupted")):
                return run
        except (TfvaeError, OSError):  # not a run, or not one of this version: nothing to go on with
            continue
    return None


def find_runs_folder(config, root):
    """The folder of all runs of this data set and objective."""
    return pathlib.Path(root) / config.dataset.replace(":", "-").replace("/", "_") / config.objective_name


def create_run(config, environment, run_dir="", root="runs"):
    """Create the folder of a run: -> Run. What cannot be created whole is removed again.

    Raises:
        UsageError: it exists, or cannot be written there.
    """
    check_run_folder(run_dir, root)
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    path = pathlib.Path(run_dir) if run_dir else find_runs_folder(config, root) / f"{stamp}-{config.hash}"
    run = Run(path)
    try:
        with files.translate_os_errors(path):
            for part in ("checkpoints", "plots", "samples"):
                (path / part).mkdir(parents=True)
            files.write_json(path / "config.json", config.to_dict())
            files.write_json(path / "env.json", environment)
            run.write_status("running")
            link_latest(pathlib.Path(root), path)
    except BaseException as error:
        shutil.rmtree(path, ignore_errors=True)
        if isinstance(error, StorageError):
            raise UsageError(str(error)) from error
        raise
    return run


def link_latest(root, path):
    """``runs/latest`` -> the newest run."""
    root.mkdir(parents=True, exist_ok=True)
    beside = root / f".latest-{os.getpid()}"
    beside.unlink(missing_ok=True)
    beside.symlink_to(os.path.relpath(path, root))
    os.replace(beside, root / "latest")


def open_run(path):
    """A run folder by its path, ``latest`` included."""
    path = pathlib.Path(path)
    if not (path / "config.json").is_file():
        raise UsageError(f"Expected a run folder (with config.json). Received: {path}. List them with  tfvae runs.")
    return Run(path.resolve())
