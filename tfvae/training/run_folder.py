"""`Run`: the folder of a run, opened once and then passed on. Nothing here imports TensorFlow."""

from __future__ import annotations

import contextlib
import csv
import datetime
import functools
import io
import math
import os
import pathlib
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tfvae.config import Config
from tfvae.errors import IntegrityError, StorageError, TfvaeError, UsageError
from tfvae.runtime import files, trust
from tfvae.runtime.run_metadata import CONFIG_FILE, ENVIRONMENT_FILE, read_config, read_environment

FIRST_COLUMNS = ("epoch", "step", "seconds", "loss", "elbo", "rate", "distortion", "sq_err")
CONSTRAINT_COLUMNS = ("lambda", "constraint", "constraint_ma", "constraint_at_end", "constraint_at_end_stddev")
METRICS_FILE, STATUS_FILE = "metrics.csv", "STATUS"
MAX_STATUS_BYTES, MAX_METRICS_BYTES = 100, 256 * 2**20
CHECKPOINTS, PLOTS, SAMPLES = "checkpoints", "plots", "samples"
_OPENERS: list[Callable[[files.PathLike], Run | None]] = []  # see `add_opener`


def column_order(name: str) -> tuple[int, int, int]:
    """Return the sort key of a column of metrics.csv: first columns, each constraint's, validation's."""
    if name in FIRST_COLUMNS:
        return (0, FIRST_COLUMNS.index(name), 0)
    stem, _, number = name.rpartition("_")
    stem, index = (stem, int(number)) if number.isdigit() else (name, 1)
    return (1, index, CONSTRAINT_COLUMNS.index(stem)) if stem in CONSTRAINT_COLUMNS else (2, 0, 0)


class Run:
    """A run folder: ``config.json env.json metrics.csv STATUS checkpoints/ plots/ samples/ report.html``.

    What does not change while the folder is open (config, environment) is read once.

    Args:
        path: of the folder.

    Example:
        >>> run = tfvae.train(objective="elbo", dataset="digits", epochs=1)
        >>> run.status
        'finished'
    """

    def __init__(self, path: files.PathLike) -> None:
        self.path = pathlib.Path(path)

    def __repr__(self) -> str:
        return f"Run({self.display_path!r})"

    def __fspath__(self) -> str:
        """Return the path: a run goes wherever its folder does."""
        return str(self.path)

    @functools.cached_property
    def config(self) -> Config:
        """Return the settings of the run.

        Raises:
            IntegrityError: config.json is damaged. UsageError: it has unknown settings.
        """
        return read_config(self.path)

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """Return env.json: versions and devices, and what the training data were."""
        return read_environment(self.path)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Return (H, W, C) of the training images."""
        return tuple(self.environment["image_shape"])

    @property
    def classes(self) -> int:
        """Return how many labels the training data had."""
        return int(self.environment.get("classes", 0))

    @property
    def class_names(self) -> tuple[str, ...]:
        """Return the name of each label; () where they have none, or the run is of 0.1.0."""
        return tuple(self.environment.get("class_names", ()))

    @property
    def checkpoints_folder(self) -> pathlib.Path:
        """Return the folder of the checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def display_path(self) -> str:
        """Return the path as a person writes it."""
        relative = os.path.relpath(self.path)
        return str(self.path) if relative.startswith("..") else relative

    @property
    def status(self) -> str:
        """Return running, finished, stopped or failed; interrupted: its process is gone without a word."""
        word = files.read_text(self.path / STATUS_FILE, MAX_STATUS_BYTES).strip()
        return "interrupted" if word == "running" and not files.is_locked(self.path) else word

    def write_status(self, word: str) -> None:
        """Write the file STATUS."""
        files.write_bytes(self.path / STATUS_FILE, (word + "\n").encode())

    def write_config(self, config: Config) -> None:
        """Replace config.json."""
        files.write_json(self.path / CONFIG_FILE, config.to_dict())
        self.__dict__["config"] = config

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training this run too; the system lets go when this process ends, however.

        Raises:
            UsageError: another process trains it.
        """
        with files.lock_folder(self.path) as is_free:
            if not is_free:
                raise UsageError(f"Expected a run that nobody trains at the moment. Received: {self.path}.")
            yield

    @property
    def rows(self) -> list[dict[str, float]]:
        """Return metrics.csv, one dict an epoch, numbers converted.

        Raises:
            IntegrityError: it is damaged.
        """
        path = self.path / METRICS_FILE
        if not path.exists():
            return []
        table = csv.DictReader(io.StringIO(files.read_text(path, MAX_METRICS_BYTES), newline=""))
        try:
            rows = [{name: float(value) for name, value in row.items()} for row in table]
            is_whole = all(math.isfinite(row[name]) for row in rows for name in ("epoch", "step", "seconds"))
        except (ValueError, TypeError, KeyError, csv.Error):
            is_whole = False
        if not is_whole:
            raise IntegrityError(
                f"Expected in {path} numbers, with columns for epoch, step and seconds. Received: other text."
            )
        return rows

    def write_rows(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Replace metrics.csv; its columns are those of the first row."""
        if not rows:
            return
        text = io.StringIO()
        table = csv.DictWriter(text, sorted(rows[0], key=column_order), lineterminator="\n")
        table.writeheader()
        table.writerows({**row, "epoch": int(row["epoch"]), "step": int(row["step"])} for row in rows)
        files.write_bytes(self.path / METRICS_FILE, text.getvalue().encode())


def check_run_folder(run_dir: files.PathLike | None = None, root: files.PathLike = "runs") -> None:
    """Refuse a run folder that exists, or a place that cannot be written.

    Raises:
        UsageError: it is such a one, or no path at all.
    """
    for place in (run_dir or ".", root):
        files.check_path(place, "the path of a folder for runs")
    if run_dir and os.path.lexists(run_dir):
        raise UsageError(
            f"Expected a new run folder. Received: {run_dir}, which exists. Continue it with  tfvae resume {run_dir}  "
            "or choose another --run-dir."
        )
    target = pathlib.Path(run_dir or root).absolute()
    above = next(folder for folder in (target, *target.parents) if folder.exists())
    if not above.is_dir():
        raise UsageError(f"Expected a folder for runs. Received: {target}; {above} is a file. Choose another.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise UsageError(f"Expected to write into {above}. Received: no permission. Choose another place.")


def find_unfinished_run(
    config: Config, run_dir: files.PathLike | None = None, root: files.PathLike = "runs"
) -> Run | None:
    """Return the run of exactly these settings that was cut short, for the same command to go on with, or None.

    Args:
        config: the settings.
        run_dir: the folder that was asked for by name: a finished or failed run counts, too.
        root: the folder of all runs.
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


def find_runs_folder(config: Config, root: files.PathLike) -> pathlib.Path:
    """Return the folder of all runs of this data set and objective; its name holds no path and no options."""
    return pathlib.Path(root) / to_folder_name(config.dataset) / to_folder_name(config.objective_name)


def to_folder_name(text: str, length: int = 60) -> str:
    """Return a text as the name of one folder: letters, digits, '.', '_' and '-' only, of limited length.

    Of a path within the text, as in folder:PATH, the last part stands for all of it.
    """
    text = re.sub(r"(?<=[:=])[^,:=]*[/\\](?=[^,/\\])", "", text)
    return re.sub(r"[^\w.-]+", "-", text.replace("/", "_"))[-length:].strip("-._") or "unnamed"


def create_run(
    config: Config, environment: Mapping[str, Any], run_dir: files.PathLike | None = None, root: files.PathLike = "runs"
) -> Run:
    """Create the folder of a run and return it; what cannot be created whole is removed again.

    Args:
        config: the settings.
        environment: the content of env.json.
        run_dir: the folder to create; None: ``root/<dataset>/<objective>/<timestamp>-<hash>``.
        root: the folder of all runs, where ``latest`` points to the new one.

    Raises:
        UsageError: it exists, or cannot be written there.
    """
    check_run_folder(run_dir, root)
    path = pathlib.Path(run_dir) if run_dir else _claim_new_folder(find_runs_folder(config, root), config.hash)
    run, is_ours = Run(path), not run_dir
    try:
        with translate_creation_errors(path):
            if run_dir:
                path.mkdir(parents=True)
                is_ours = True
            for part in (CHECKPOINTS, PLOTS, SAMPLES):
                (path / part).mkdir()
            run.write_config(config)
            files.write_json(path / ENVIRONMENT_FILE, trust.add_signature(config, environment))
            run.write_status("running")
            link_latest(pathlib.Path(root), path)
    except BaseException:
        if is_ours:  # never a folder that another process made
            shutil.rmtree(path, ignore_errors=True)
        raise
    return run


def _claim_new_folder(parent: pathlib.Path, config_hash: str) -> pathlib.Path:
    """Create and return a folder whose name is unique, also among runs that begin in the same second."""
    stamp = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
    with translate_creation_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for number in range(1, 10_000):
            path = parent / (f"{stamp}-{config_hash}" + (f"-{number}" if number > 1 else ""))
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path
    raise UsageError(f"Expected a free name for a run in {parent}. Received: none.")


@contextlib.contextmanager
def translate_creation_errors(path: pathlib.Path) -> Iterator[None]:
    """Turn an operating system's refusal to create a run's folder into a `UsageError`."""
    try:
        with files.translate_os_errors(path):
            yield
    except StorageError as error:
        raise UsageError(str(error)) from error


def link_latest(root: pathlib.Path, path: pathlib.Path) -> None:
    """Let ``runs/latest`` point to the newest run."""
    root.mkdir(parents=True, exist_ok=True)
    beside = root / f".latest-{os.getpid()}"
    beside.unlink(missing_ok=True)
    beside.symlink_to(os.path.relpath(path, root))
    os.replace(beside, root / "latest")


def add_opener(opener: Callable[[files.PathLike], Run | None]) -> None:
    """Let `open_run` open models of another kind; this package does not know the zoo and exports, which are above it.

    Args:
        opener: returns the model that a path names; None: it names none of this kind.
    """
    _OPENERS.append(opener)


def open_run(path: Run | files.PathLike) -> Run:
    """Return the run in a folder, ``latest`` included, or the model that an opener finds; a `Run` as it is.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(path, Run):
        return path
    files.check_path(path, "a run or its folder")
    for opener in _OPENERS:
        if (model := opener(path)) is not None:
            return model
    path = pathlib.Path(path)
    if not (path / CONFIG_FILE).is_file():
        raise UsageError(f"Expected a run folder (with config.json). Received: {path}. List them with  tfvae runs.")
    return Run(path.resolve())
