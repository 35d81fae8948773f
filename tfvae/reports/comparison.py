"""Finished runs beside each other: in tables, in two planes, by samples."""

from __future__ import annotations

import contextlib
import math
import os
import pathlib
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tfvae import part_sources, specs
from tfvae.config import Config
from tfvae.errors import IntegrityError, UsageError, describe_value
from tfvae.evaluation import EVALUATION_VERSION, evaluate
from tfvae.evaluation.evaluator import RESULTS
from tfvae.plots import grids, planes, scatter
from tfvae.reports.comparison_tables import (
    CONSTRAINTS_MET,
    SCORES,
    Row,
    Settings,
    format_comparison_csv,
    format_comparison_page,
    format_label,
    format_tables,
    name_rows,
)
from tfvae.runtime import files
from tfvae.runtime.tables import to_json_value
from tfvae.training.published_model import PublishedModel
from tfvae.training.run_folder import Run, open_run
from tfvae.training.trainer import load_run

OPTION_COLUMNS = {name: f"option {name}" for name in SCORES}  # a column is a score or an option, not both
SAMPLES_PER_RUN = 10
POINTS_PER_RUN = 500  # samples of two-dimensional toy data

Say = Callable[[str], Any]


def find_differing_settings(configs: Sequence[Config]) -> list[Settings]:
    """Return {setting: value} of each config, of those settings that are not the same in all; options are settings.

    A value is None where the objective has no such option. Options that only some objectives have are included where
    they are not the defaults; one that is named like a score gets another name.

    Args:
        configs: the configs to compare.
    """
    all_settings: list[Settings] = []
    chosen_options: set[str] = set()
    for config in configs:
        name, options = specs.parse_spec(config.objective)
        defaults = part_sources.read_defaults("objective", name)
        option_values = {OPTION_COLUMNS.get(key, key): value for key, value in {**defaults, **options}.items()}
        rest = {key: value for key, value in config.to_dict().items() if key != "objective"}
        all_settings.append({"objective": name, **option_values, **rest})
        chosen_options |= {OPTION_COLUMNS.get(key, key) for key in options}

    def is_different(name: str) -> bool:
        """Return whether a setting belongs in the comparison."""
        values = [settings[name] for settings in all_settings if name in settings]
        if any(value != values[0] for value in values):
            return True
        return len(values) < len(all_settings) and name in chosen_options

    names = [name for name in dict.fromkeys(name for one in all_settings for name in one) if is_different(name)]
    names.sort(key="seed".__eq__)  # to the end
    return [{name: settings.get(name) for name in names} for settings in all_settings]


def find_newest_checkpoint(run: Run) -> str:
    """Return the name of the newest intact checkpoint, 'step-00000123'.

    Raises:
        IntegrityError: there is none.
    """
    for folder in sorted((run.path / "checkpoints").glob("step-*"), reverse=True):
        with contextlib.suppress(IntegrityError):
            files.verify_folder(folder)
            return folder.name
    raise IntegrityError(f"Expected an intact checkpoint in {run.path}. Received: none. Train it further, or leave it.")


def evaluate_with_cache(run: Run, split: str, samples: int, limit: int, say: Say, pictures: int = 0) -> dict[str, Any]:
    """Return what `tfvae evaluate` measures, read from the run's folder if this checkpoint was measured before.

    Args:
        run: the run.
        split: 'train', 'validation' or 'test'.
        samples: K of the bound on log p(x).
        limit: the first N images; 0: all.
        say: takes a line of progress.
        pictures: how many samples to compare with the images of the split; 0: none.
    """

    def measure() -> dict[str, Any]:
        say(f"measuring {run.display_path}")
        return to_json_value(evaluate(run, split=split, samples=samples, limit=limit, pictures=pictures, say=say))

    if isinstance(run, PublishedModel):  # whose folder stays as it was published
        return measure()
    step = find_newest_checkpoint(run)
    suffix = f"-P{pictures}" if pictures else ""
    cache = run.path / f"evaluate-{split}-K{samples}-{limit or 'all'}{suffix}-{step}-e{EVALUATION_VERSION}.json"
    if cache.exists():
        with contextlib.suppress(IntegrityError):  # damaged: it is measured again
            return files.read_json(cache, RESULTS)
    scores = measure()
    if find_newest_checkpoint(run) == step:  # else somebody trains it meanwhile: which of the two was measured?
        files.write_json(cache, scores)
    return scores


def compare_runs(
    runs: Sequence[Run | files.PathLike],
    split: str = "test",
    samples: int = 100,
    limit: int = 0,
    say: Say = lambda line: None,
) -> list[Row]:
    """Evaluate runs and return one row for each.

    Args:
        runs: the runs, or their folders; one that is not finished is measured as it stands.
        split: 'train', 'validation' or 'test'.
        samples: K of the bound on log p(x).
        limit: the first N images; 0: all.
        say: takes a line of progress.

    Returns:
        Rows {run, settings: those that differ, SCORES..., constraints_met (None without constraints), status, images}.

    Example:
        rows = compare_runs([open_run("runs/a"), open_run("runs/b")], limit=1000)
    """
    if isinstance(runs, (str, os.PathLike)) or not len(runs):
        raise UsageError(f"Expected a list of runs. Received: {describe_value(runs)}.")
    rows, opened = [], [open_run(run) for run in runs]
    for run, settings in zip(opened, find_differing_settings([run.config for run in opened])):
        scores = evaluate_with_cache(run, split, samples, limit, say)
        met = [constraint["met"] for constraint in scores["constraints"]]
        row = {"run": run.display_path, "settings": settings, **{name: scores[name] for name in SCORES}}
        rows.append(
            row | {CONSTRAINTS_MET: all(met) if met else None, "status": run.status, "images": scores["images"]}
        )
        if run.status != "finished":
            say(f"note: {run.display_path} is {run.status}; measured as it stands")
    return rows


def average_over_seeds(rows: Sequence[Row]) -> list[Row]:
    """Average rows that differ in the seed only, and return one row for each other setting.

    A seed that occurs twice counts once: the same run again says nothing about the spread.

    Args:
        rows: what `compare_runs` returns.

    Returns:
        Rows {settings (no seed), n, SCORES: means, SCORES_se..., constraints_met: share in [0, 1]}. _se is the standard
        error s / sqrt(n), s with n - 1; None for one run.
    """
    groups: dict[tuple[Any, ...], tuple[Settings, dict[Any, Row]]] = {}
    for row in rows:
        settings = {name: value for name, value in row["settings"].items() if name != "seed"}
        groups.setdefault(tuple(settings.values()), (settings, {}))[1][row["settings"].get("seed")] = row
    averages = []
    for settings, rows_by_seed in groups.values():
        average: Row = {"settings": settings, "n": len(rows_by_seed)}
        for name in (*SCORES, CONSTRAINTS_MET):
            values = [row[name] for row in rows_by_seed.values() if row[name] is not None]
            is_complete = len(values) == len(rows_by_seed)
            average[name] = statistics.fmean(values) if is_complete else None
            if name != CONSTRAINTS_MET:
                spread = statistics.stdev(values) if is_complete and len(values) > 1 else None
                average[f"{name}_se"] = spread and spread / math.sqrt(len(values))
        averages.append(average)
    return averages


def build_plane_points(groups: Sequence[Row], objective: str, height: str) -> list[dict[str, Any]]:
    """Return points of `tfvae.plots.planes`: numbers that differ name a point, words that differ name its line.

    Args:
        groups: what `average_over_seeds` returns.
        objective: the name for groups whose settings do not contain one.
        height: the score on the vertical axis.
    """
    points = []
    for group in groups:
        settings = {"objective": objective, **group["settings"]}
        words = [name for name, value in settings.items() if isinstance(value, (str, bool))]
        label = format_label(settings, settings.keys() - words)
        x, y = (math.nan if group[name] is None else group[name] for name in ("rate", height))
        points.append({"label": label, "group": format_label(settings, words), "x": x, "y": y})
    return points


def draw_samples(runs: Sequence[Run], rows: Sequence[Row], folder: pathlib.Path, say: Say) -> list[pathlib.Path]:
    """Draw a row of samples for each run, all from the same seed, and return the paths: a file for each image shape."""
    samples_by_shape: dict[tuple[int, ...], dict[str, np.ndarray]] = {}
    for run, name in zip(runs, name_rows(rows)):
        model = load_run(run, say)
        count = POINTS_PER_RUN if grids.is_points(model.image_shape) else SAMPLES_PER_RUN
        samples_by_shape.setdefault(model.image_shape, {})[name] = model.sample(count, (0, 0)).numpy()
    paths = []
    for shape, samples in samples_by_shape.items():
        is_only = len(samples_by_shape) == 1
        path = folder / ("samples.png" if is_only else f"samples-{'x'.join(map(str, shape))}.png")
        if grids.is_points(shape):
            panels = {name: (points, None) for name, points in samples.items()}
            paths.append(scatter.draw_scatter(path, panels, shared=list(panels)))
        else:
            images = np.concatenate(list(samples.values()))
            paths.append(grids.draw_image_grid(images, path, SAMPLES_PER_RUN, row_labels=list(samples)))
    return paths


def write_comparison(
    runs: Sequence[Run],
    rows: Sequence[Row],
    groups: Sequence[Row],
    request: Mapping[str, Any],
    folder: pathlib.Path,
    say: Say,
) -> list[pathlib.Path]:
    """Write ``compare.csv``, ``compare_seeds.csv`` (with several seeds), ``compare.md`` and pictures.

    Args:
        runs: the runs.
        rows: what `compare_runs` returned for them.
        groups: what `average_over_seeds` returned for the rows.
        request: {split, samples, limit} of `compare_runs`.
        folder: where to write.
        say: takes a line of progress.

    Returns:
        The paths written.
    """
    has_seeds = len(format_tables(rows, groups)) > 1
    objective, title = runs[0].config.objective_name, "Means over seeds" if has_seeds else ""
    nll, distortion = (build_plane_points(groups, objective, height) for height in ("nll", "distortion"))
    pictures = [
        planes.draw_information_plane(nll, folder / "information_plane.png", title=title),
        planes.draw_rate_distortion(distortion, folder / "rate_distortion.png", title),
        *draw_samples(runs, rows, folder, say),
    ]
    contents = {
        "compare.csv": format_comparison_csv(rows),
        "compare.md": format_comparison_page(rows, groups, request, pictures),
    }
    contents |= {"compare_seeds.csv": format_comparison_csv(groups)} if has_seeds else {}
    for name, data in contents.items():
        files.write_bytes(folder / name, data)
    return [*(folder / name for name in contents), *pictures]
