"""What recipes are written with: runs that are found again by their settings, and a page of tables and pictures."""

import dataclasses
import re
import shutil
import time

from tfvae import specs
from tfvae.config import Config
from tfvae.errors import TfvaeError
from tfvae.plots import grids
from tfvae.reports import comparison
from tfvae.runtime import files
from tfvae.runtime.interrupts import StopSignal
from tfvae.runtime.progress_reporters import PlainReporter
from tfvae.runtime.tables import format_csv, format_markdown
from tfvae.training.preflight import check_part_names
from tfvae.training.run_folder import find_runs_folder, open_run
from tfvae.training.second_stage import train_second_stage
from tfvae.training.sweep import Trial, train_trials
from tfvae.zoo import load as loading

QUICK = {"epochs": 2, "limit": 2000}  # at most; to see that a recipe works
QUICK_IMAGES, QUICK_SAMPLES = 200, 10
OUTCOMES = {True: "reproduced", False: "differs", None: "not comparable"}


class Stopped(TfvaeError):
    """Ctrl-C or SIGTERM while runs were trained; they are saved, and the same command goes on."""

    exit_code = 130


def plain_objective(spec):
    """A spec without the options that are the defaults, as the command line writes it: 'geco:kappa=4' -> 'geco'."""
    name, options = specs.parse_spec(spec)
    defaults = specs.read_signatures(*specs.TABLES["objective"])[name][1]
    return specs.format_spec(name, {key: value for key, value in options.items() if defaults.get(key) != value})


def config_of(settings, quick=False):
    """The `Config` of a recipe's settings; no validation images unless asked for, for tables need the test split."""
    objective = plain_objective(settings.get("objective", "elbo"))
    config = Config.from_dict({"validation": 0.0} | settings | {"objective": objective})
    if not quick:
        return config
    small = {name: min(most, getattr(config, name) or most) for name, most in QUICK.items()}
    return dataclasses.replace(config, **small)


def folder_of(config, root):
    """Where the run of these settings is, whoever trained it, a finished one first; else where to put it."""
    home = find_runs_folder(config, root)
    found = [path for path in sorted(home.glob("*-*")) if same(path, config)]
    found.sort(key=lambda path: open_run(path).status != "finished")
    return found[0] if found else home / f"experiment-{config.hash}"


def same(path, config):
    """Whether `path` is a run of these settings; options of its objective that are the defaults may be spelt out."""
    try:
        stored = open_run(path).config
    except TfvaeError:  # not a run, or not one of this version
        return False
    return dataclasses.replace(stored, objective=plain_objective(stored.objective)) == config


class Lab:
    """One recipe's place: its runs below `root`, its page in `output`/`name`.

    Args:
        quick: at most 2 epochs of 2,000 images, scored on 200: shows that all works, and nothing else.
        jobs: runs trained side by side.
    """

    def __init__(self, name, output, root="runs", quick=False, jobs=1, say=None):
        self.name, self.root, self.quick, self.jobs = name, root, quick, jobs
        self.folder, self.say = output / name, say or PlainReporter().line
        self.parts, self.verdicts, self.begun, self.minutes = [], [], time.monotonic(), {}
        files.make_folder(self.folder)

    # --- runs ---

    def runs(self, asked):
        """{label: settings of a `Config`} -> {label: finished run}; what is not there yet is trained.

        Raises:
            TfvaeError: a run failed; its log says why.
            Stopped: somebody pressed Ctrl-C.
        """
        trials = {}
        for label, settings in asked.items():
            config = config_of(settings, self.quick)
            check_part_names(config)
            trials[label] = Trial(config, f"{self.name}: {label}", folder_of(config, self.root))
        waiting = {trial.path: trial for trial in trials.values() if trial.status != "finished"}
        with StopSignal() as stop:
            failed = train_trials(waiting.values(), self.jobs, self.root, stop, self.say)
        if stop():
            raise Stopped("stopped and saved; the same command goes on.")
        if failed:
            raise TfvaeError(f"Expected all runs to finish. Received: {failed[0].differs} failed; see {failed[0].log}.")
        found = {label: open_run(trial.path) for label, trial in trials.items()}
        self.minutes |= {run.path: run.rows[-1]["seconds"] / 60 for run in found.values()}
        return found

    def run(self, **settings):
        """One run."""
        return self.runs({settings.get("objective", "elbo"): settings})[settings.get("objective", "elbo")]

    def staged(self, run, prior):
        """The run with another prior, fitted to its codes (`tfvae second-stage`), cached beside it."""
        path = run.path.with_name(f"{run.path.name}+{re.sub(r'[^a-z0-9]+', '-', prior)}")
        return (
            open_run(path)
            if path.exists()
            else train_second_stage(run.path, prior, run_dir=str(path), root=str(self.root))
        )

    def measured(self, run, split="test", samples=1, limit=0, pictures=0):
        """What `tfvae evaluate` finds, cached in the run's folder."""
        if self.quick:
            samples, pictures = min(samples, QUICK_SAMPLES), min(pictures, QUICK_IMAGES)
            limit = min(limit or QUICK_IMAGES, QUICK_IMAGES)
        return comparison.measured(run, split, samples, limit, self.say, pictures)

    # --- the page ---

    def text(self, paragraph):
        self.parts.append(paragraph)

    def table(self, name, rows, title=""):
        """Rows (dicts of the same keys) as a table of the page, and in full as ``name.csv``."""
        columns = list(rows[0])
        files.write_bytes(self.folder / f"{name}.csv", format_csv(rows))
        self.parts += [f"## {title}"] if title else []
        self.parts.append(format_markdown([columns, *([cell(row[key]) for key in columns] for row in rows)]))

    def place(self, name):
        """The path of a picture, for a function that writes it; the page shows it with `picture`."""
        return self.folder / name

    def picture(self, path, caption):
        """A picture of the page, which lies in its folder or is copied there."""
        if path.parent != self.folder:
            path = shutil.copy(path, self.folder / path.name)
        self.parts.append(f"![{caption}]({path.name})\n\n*{caption}*")

    def samples(self, one, name, caption, count=40, columns=20):
        """`count` samples of a run as the picture `name`, from the same seed in all recipes."""
        images = loading.load(one.path).sample(count, (1, 0)).numpy()
        self.picture(grids.image_grid(images, self.place(name), columns), caption)

    def verdict(self, rows, claim, outcome, because):
        """What the figures say of a seed's claim.

        Args:
            rows: of the seeds, '1.5' or '1.5 1.9'.
            outcome: True reproduced, False differs, None not comparable.
            because: the figures.
        """
        if self.quick:
            outcome, because = None, f"a quick run shows that the recipe works, no more ({because})"
        self.verdicts.append({"rows": rows.split(), "claim": claim, "outcome": OUTCOMES[outcome], "because": because})

    def publish(self, title, doc):
        """Write the page, ``README.md``, and ``about.json``, from which the index is made: -> what the latter holds.

        Args:
            doc: the recipe's docstring; the page begins with what follows its first line.
        """
        minutes = sum(self.minutes.values())
        kind = "**A quick run: it shows that the recipe works; its numbers mean nothing.**" if self.quick else ""
        command = f"tfvae experiment run {self.name}{' --quick' * self.quick}"
        budget = f"Budget: {len(self.minutes)} runs, {minutes:.1f} minutes of training in all. Made by  `{command}`."
        lines = [f"# {title}", doc.split("\n\n", 1)[-1].strip(), kind, budget]
        lines += ["## Verdicts", format_markdown([["seed rows", "claim", "verdict", "figures"], *(
            [", ".join(v["rows"]), v["claim"], v["outcome"], v["because"]] for v in self.verdicts)])]  # fmt: skip
        text = "\n\n".join(part for part in [*lines, *self.parts] if part) + "\n"
        files.write_bytes(self.folder / "README.md", text.encode())
        found = {"name": self.name, "title": title, "quick": self.quick, "training_minutes": round(minutes, 2),
                 "seconds": round(time.monotonic() - self.begun, 1), "verdicts": self.verdicts}  # fmt: skip
        files.write_json(self.folder / "about.json", found)
        return found


def cell(value):
    """A value in a table: numbers with four significant digits."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
