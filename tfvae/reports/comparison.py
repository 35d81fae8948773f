"""Finished runs beside each other: in tables, in two planes, by samples."""

from __future__ import annotations

import contextlib
import math
import pathlib
import statistics
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np

from tfvae import part_sources, specs
from tfvae.config import Config
from tfvae.errors import IntegrityError
from tfvae.evaluation import EVALUATION_VERSION, evaluate
from tfvae.plots import grids, planes, scatter
from tfvae.runtime import files
from tfvae.runtime.tables import format_cell, format_csv, format_markdown, to_json_value
from tfvae.training.run_folder import Run, open_run
from tfvae.training.trainer import load_run

SCORES = ("elbo", "nll", "rate", "distortion", "sq_err", "bits_per_dim", "active_units")
CONSTRAINTS_MET = "constraints_met"
OPTION_COLUMNS = {name: f"option {name}" for name in SCORES}  # a column is a score or an option, not both
SAMPLES_PER_RUN = 10
POINTS_PER_RUN = 500  # samples of two-dimensional toy data

Settings = dict[str, Any]
Row = dict[str, Any]
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
    step = find_newest_checkpoint(run)
    suffix = f"-P{pictures}" if pictures else ""
    cache = run.path / f"evaluate-{split}-K{samples}-{limit or 'all'}{suffix}-{step}-e{EVALUATION_VERSION}.json"
    if cache.exists():
        return files.read_json(cache)
    say(f"measuring {run.display_path}")
    scores = to_json_value(evaluate(run, split=split, samples=samples, limit=limit, pictures=pictures, say=say))
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


def format_label(settings: Settings, names: Collection[str] | None = None) -> str:
    """Return settings in short: 'geco kappa=3 seed=0'.

    Args:
        settings: {setting: value}; None values are left out.
        names: the settings to include; default: all.
    """
    included = [name for name, value in settings.items() if value is not None and (names is None or name in names)]
    return " ".join(("" if name == "objective" else f"{name}=") + format_cell(settings[name]) for name in included)


def name_rows(rows: Sequence[Row]) -> list[str]:
    """Return what to call each row: its settings where they distinguish all rows, else its folder."""
    labels = [format_label(row["settings"]) for row in rows]
    return labels if all(labels) and len(set(labels)) == len(rows) else [row["run"] for row in rows]


def format_run_table(rows: Sequence[Row]) -> list[list[str]]:
    """Return header and cells of the runs; with their folders where settings do not distinguish them."""
    first = ["run"] if name_rows(rows)[0] == rows[0]["run"] else []
    names = [*first, *rows[0]["settings"], *SCORES, CONSTRAINTS_MET]
    return [names, *([format_cell((row | row["settings"])[name]) for name in names] for row in rows)]


def format_seed_table(groups: Sequence[Row]) -> list[list[str]]:
    """Return header and cells: mean +- standard error, and of constraints how many runs meet them."""
    body = []
    for group in groups:
        met = None if group[CONSTRAINTS_MET] is None else f"{round(group[CONSTRAINTS_MET] * group['n'])}/{group['n']}"
        errors = [group[f"{name}_se"] for name in SCORES]
        scores = [
            format_cell(group[name]) + ("" if error is None else f" +- {error:.2g}")
            for name, error in zip(SCORES, errors)
        ]
        body.append([*map(format_cell, (*group["settings"].values(), group["n"])), *scores, format_cell(met)])
    return [[*groups[0]["settings"], "n", *SCORES, CONSTRAINTS_MET], *body]


def format_tables(rows: Sequence[Row], groups: Sequence[Row]) -> dict[str, list[list[str]]]:
    """Return {title: header and cells}: the runs, and the means where a setting has several seeds."""
    tables = {"runs": format_run_table(rows)}
    if any(group["n"] > 1 for group in groups):
        tables["mean +- standard error over seeds"] = format_seed_table(groups)
    return tables


def format_comparison_csv(rows: Sequence[Row]) -> bytes:
    """Return rows as CSV, settings as columns of their own, numbers in full."""
    lines = [row["settings"] | {name: value for name, value in row.items() if name != "settings"} for row in rows]
    return format_csv(lines)


def format_comparison_page(
    rows: Sequence[Row], groups: Sequence[Row], request: Mapping[str, Any], pictures: Sequence[pathlib.Path]
) -> bytes:
    """Return the tables and pictures as one Markdown page."""
    images = f"{request['split']} split, {rows[0]['images']} images"
    parts = [f"# {len(rows)} runs", f"{images}, nll from K={request['samples']} samples; nats per image."]
    for title, lines in format_tables(rows, groups).items():
        parts += [f"## {title[0].upper()}{title[1:]}", format_markdown(lines)]
    parts += [f"![{path.stem}]({path.name})" for path in pictures]
    return ("\n\n".join(parts) + "\n").encode()


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
        model = load_run(run.path, say)
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
