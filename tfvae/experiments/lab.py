"""What recipes are written with: runs that are found again by their settings, and a page of tables and pictures."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shutil
import time
from collections.abc import Callable, Mapping
from typing import Any

from tfvae import part_sources, specs
from tfvae.config import Config
from tfvae.errors import TfvaeError
from tfvae.plots import grids
from tfvae.reports import comparison
from tfvae.runtime import files
from tfvae.runtime.interrupts import StopSignal
from tfvae.runtime.progress_reporters import PlainReporter
from tfvae.runtime.tables import format_csv, format_markdown
from tfvae.training.preflight import check_part_names
from tfvae.training.run_folder import Run, find_runs_folder, open_run
from tfvae.training.second_stage import train_second_stage
from tfvae.training.sweep import Trial, train_trials
from tfvae.zoo import load as loading

QUICK_LIMITS = {"epochs": 2, "limit": 2000}  # at most; to see that a recipe works
QUICK_IMAGES, QUICK_SAMPLES = 200, 10
OUTCOMES = {True: "reproduced", False: "differs", None: "not comparable"}


class TrainingStopped(TfvaeError):
    """Ctrl-C or SIGTERM came while runs were trained; they are saved, and the same command continues them."""

    exit_code = 130


def simplify_objective(spec: str) -> str:
    """Return a spec without the options that have their default values: 'geco:kappa=4' -> 'geco'."""
    name, options = specs.parse_spec(spec)
    defaults = part_sources.read_defaults("objective", name)
    return specs.format_spec(name, {key: value for key, value in options.items() if defaults.get(key) != value})


def build_config(settings: Mapping, quick: bool = False) -> Config:
    """Build the `Config` of a recipe's settings.

    Args:
        settings: fields of `Config`. `validation` is 0 unless given, because the tables use the test split.
        quick: whether to cut epochs and images to `QUICK_LIMITS`.
    """
    objective = simplify_objective(settings.get("objective", "elbo"))
    config = Config.from_dict({"validation": 0.0} | dict(settings) | {"objective": objective})
    if not quick:
        return config
    smaller: dict[str, Any] = {name: min(most, getattr(config, name) or most) for name, most in QUICK_LIMITS.items()}
    return dataclasses.replace(config, **smaller)


def find_run_folder(config: Config, root: str | pathlib.Path) -> pathlib.Path:
    """Return the folder of a run with these settings, whoever trained it, a finished one first; else a new path."""
    runs_folder = find_runs_folder(config, root)
    matches = [path for path in sorted(runs_folder.glob("*-*")) if has_same_settings(path, config)]
    matches.sort(key=lambda path: open_run(path).status != "finished")
    return matches[0] if matches else runs_folder / f"experiment-{config.hash}"


def has_same_settings(path: pathlib.Path, config: Config) -> bool:
    """Return whether `path` is a run of these settings; default options of its objective may be spelt out."""
    try:
        stored = open_run(path).config
    except TfvaeError:  # not a run, or not one of this version
        return False
    return dataclasses.replace(stored, objective=simplify_objective(stored.objective)) == config


class Lab:
    """What a recipe gets: it trains and evaluates runs, and collects what the recipe's page shows.

    Args:
        name: the recipe's name, and that of its folder.
        output: the folder above it.
        root: the folder of all runs.
        quick: train at most 2 epochs of 2,000 images and score 200. This shows that all works, and nothing else.
        jobs: how many runs are trained side by side.
        say: takes a line of progress; default: standard error.

    Example:
        lab = Lab("my-table", pathlib.Path("pages"), quick=True)
        run = lab.train_run(objective="geco:kappa=4", dataset="digits")
        lab.add_table("scores", [{"model": "GECO", "error": lab.evaluate_run(run)["sq_err"]}])
        lab.write_page("My table", "What it is.")
    """

    def __init__(
        self,
        name: str,
        output: pathlib.Path,
        root: str | pathlib.Path = "runs",
        quick: bool = False,
        jobs: int = 1,
        say: Callable[[str], None] | None = None,
    ):
        self.name, self.root, self.quick, self.jobs = name, root, quick, jobs
        self.folder, self.say = output / name, say or PlainReporter().line
        self.page_parts: list[str] = []
        self.verdicts: list[dict] = []
        self.training_minutes: dict[pathlib.Path, float] = {}
        self.start_time = time.monotonic()
        files.make_folder(self.folder)

    # --- runs ---

    def train_runs(self, settings_by_label: Mapping) -> dict:
        """Train what is not there yet, and return {label: finished run}.

        Args:
            settings_by_label: {label: settings of a `Config`}.

        Raises:
            TfvaeError: a run failed; its log says why.
            TrainingStopped: somebody pressed Ctrl-C.
        """
        trials = {}
        for label, settings in settings_by_label.items():
            config = build_config(settings, self.quick)
            check_part_names(config)
            trials[label] = Trial(config, f"{self.name}: {label}", find_run_folder(config, self.root))
        waiting = {trial.path: trial for trial in trials.values() if trial.status != "finished"}
        with StopSignal() as stop:
            failed = train_trials(list(waiting.values()), self.jobs, self.root, stop, self.say)
        if stop():
            raise TrainingStopped("stopped and saved; the same command goes on.")
        if failed:
            raise TfvaeError(f"Expected all runs to finish. Received: {failed[0].differs} failed; see {failed[0].log}.")
        runs = {label: open_run(trial.path) for label, trial in trials.items()}
        self.training_minutes |= {run.path: run.rows[-1]["seconds"] / 60 for run in runs.values()}
        return runs

    def train_run(self, **settings) -> Run:
        """Train one run, unless it is there, and return it."""
        label = settings.get("objective", "elbo")
        return self.train_runs({label: settings})[label]

    def fit_second_stage(self, run: Run, prior: str) -> Run:
        """Return the run with another prior, fitted to its codes (`tfvae second-stage`) and stored beside it."""
        path = run.path.with_name(f"{run.path.name}+{re.sub(r'[^a-z0-9]+', '-', prior)}")
        if path.exists():
            return open_run(path)
        return train_second_stage(run.path, prior, run_dir=str(path), root=str(self.root))

    def evaluate_run(self, run: Run, split: str = "test", samples: int = 1, limit: int = 0, pictures: int = 0) -> dict:
        """Return what `tfvae evaluate` measures, cached in the run's folder."""
        if self.quick:
            samples, pictures = min(samples, QUICK_SAMPLES), min(pictures, QUICK_IMAGES)
            limit = min(limit or QUICK_IMAGES, QUICK_IMAGES)
        return comparison.evaluate_with_cache(run, split, samples, limit, self.say, pictures)

    # --- the page ---

    def add_text(self, paragraph: str) -> None:
        """Add a paragraph to the page."""
        self.page_parts.append(paragraph)

    def add_table(self, name: str, rows: list[dict], title: str = "") -> None:
        """Add rows (dicts of the same keys) as a table of the page, and write them in full as ``name.csv``."""
        columns = list(rows[0])
        files.write_bytes(self.folder / f"{name}.csv", format_csv(rows))
        self.page_parts += [f"## {title}"] if title else []
        self.page_parts.append(
            format_markdown([columns, *([format_rounded(row[key]) for key in columns] for row in rows)])
        )

    def build_path(self, name: str) -> pathlib.Path:
        """Return the path of a picture, for a function that writes it; `add_picture` shows it on the page."""
        return self.folder / name

    def add_picture(self, path: pathlib.Path, caption: str) -> None:
        """Show a picture on the page; it lies in the page's folder or is copied there."""
        if path.parent != self.folder:
            path = pathlib.Path(shutil.copy(path, self.folder / path.name))
        self.page_parts.append(f"![{caption}]({path.name})\n\n*{caption}*")

    def add_samples(self, run: Run, name: str, caption: str, count: int = 40, columns: int = 20) -> None:
        """Show `count` samples of a run as the picture `name`, from the same seed in all recipes."""
        images = loading.load(run.path).sample(count, (1, 0)).numpy()
        self.add_picture(grids.draw_image_grid(images, self.build_path(name), columns), caption)

    def add_verdict(self, claims: str, statement: str, outcome: bool | None, because: str) -> None:
        """Record whether the figures bear out what a document claims.

        Args:
            claims: names of `recipe_catalogue.CLAIMS`, '; ' between them: 'Kuzina: MNIST table; Kuzina: GECO+IWAE'.
            statement: what is tested, in words.
            outcome: True if it is reproduced, False if it differs, None if it cannot be compared.
            because: the figures.
        """
        if self.quick:
            outcome, because = None, f"a quick run shows that the recipe works, no more ({because})"
        self.verdicts.append(
            {"rows": claims.split("; "), "claim": statement, "outcome": OUTCOMES[outcome], "because": because}
        )

    def write_page(self, title: str, doc: str) -> dict:
        """Write the page ``README.md``, and ``about.json``, from which the index is made; return the latter's content.

        Args:
            title: the page's title.
            doc: the recipe's docstring; the page begins with what follows its first line.
        """
        minutes = sum(self.training_minutes.values())
        kind = "**A quick run: it shows that the recipe works; its numbers mean nothing.**" if self.quick else ""
        command = f"tfvae experiment run {self.name}{' --quick' * self.quick}"
        budget = (
            f"Budget: {len(self.training_minutes)} runs, {minutes:.1f} minutes of training in all. "
            f"Made by  `{command}`."
        )
        cells = [
            ["; ".join(verdict["rows"]), verdict["claim"], verdict["outcome"], verdict["because"]]
            for verdict in self.verdicts
        ]
        verdicts = format_markdown([["source: claim", "what is tested", "verdict", "figures"], *cells])
        lines = [f"# {title}", doc.split("\n\n", 1)[-1].strip(), kind, budget, "## Verdicts", verdicts]
        text = "\n\n".join(part for part in [*lines, *self.page_parts] if part) + "\n"
        files.write_bytes(self.folder / "README.md", text.encode())
        about = {
            "name": self.name,
            "title": title,
            "quick": self.quick,
            "training_minutes": round(minutes, 2),
            "seconds": round(time.monotonic() - self.start_time, 1),
            "verdicts": self.verdicts,
        }
        files.write_json(self.folder / "about.json", about)
        return about


def format_rounded(value: object) -> str:
    """Format a value for a table, with four significant digits; None becomes '-'."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
