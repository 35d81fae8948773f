"""Runs beside each other: in tables, in two planes, by samples."""

import contextlib
import math
import statistics

import numpy as np

from tfvae import specs
from tfvae.errors import IntegrityError
from tfvae.evaluation import evaluate
from tfvae.plots import grids, planes
from tfvae.runtime import files
from tfvae.runtime.tables import format_cell, format_csv, format_markdown, to_json_value
from tfvae.training.trainer import load_run

SCORES = ("elbo", "nll", "rate", "distortion", "sq_err", "bits_per_dim", "active_units")
MET = "constraints_met"
OPTION = {name: f"option {name}" for name in SCORES}  # a column is a score or an option, not both
SHOWN = 10  # samples of each run
EDITION = 2  # of what `evaluate` finds; more of it, or another estimator, is another edition, measured anew


def what_differs(configs):
    """[{setting: value}] for each `Config`, of the settings that are not the same in all; options count as settings.

    None: its objective has no such option. Options that only some objectives have are named where they are not the
    defaults; one that is called like a score gets another name.
    """
    full, given = [], set()
    for config in configs:
        name, options = specs.parse_spec(config.objective)
        defaults = specs.read_signatures(*specs.TABLES["objective"])[name][1]
        own = {OPTION.get(key, key): value for key, value in {**defaults, **options}.items()}
        full.append({"objective": name, **own, **{k: v for k, v in config.to_dict().items() if k != "objective"}})
        given |= {OPTION.get(key, key) for key in options}

    def differs(name):
        values = [one[name] for one in full if name in one]
        return any(value != values[0] for value in values) or len(values) < len(full) and name in given

    names = [name for name in dict.fromkeys(name for one in full for name in one) if differs(name)]
    names.sort(key="seed".__eq__)  # to the end
    return [{name: one.get(name) for name in names} for one in full]


def newest(run):
    """The name of the newest intact checkpoint, 'step-00000123'; IntegrityError: there is none."""
    for folder in sorted((run.path / "checkpoints").glob("step-*"), reverse=True):
        with contextlib.suppress(IntegrityError):
            files.verify_folder(folder)
            return folder.name
    raise IntegrityError(f"Expected an intact checkpoint in {run.path}. Received: none. Train it further, or leave it.")


def measured(run, split, samples, limit, say, pictures=0):
    """What `tfvae evaluate` finds, from the run's own folder if it was measured at this checkpoint before."""
    step = newest(run)
    drawn = f"-P{pictures}" if pictures else ""
    kept = run.path / f"evaluate-{split}-K{samples}-{limit or 'all'}{drawn}-{step}-e{EDITION}.json"
    if kept.exists():
        return files.read_json(kept)
    say(f"measuring {run.display_path}")
    found = to_json_value(evaluate(run.path, split=split, samples=samples, limit=limit, pictures=pictures, say=say))
    if newest(run) == step:  # else somebody trains it meanwhile, and which of the two this was is not known
        files.write_json(kept, found)
    return found


def rows_of(runs, split="test", samples=100, limit=0, say=lambda line: None):
    """One row a run: {run, settings: what differs, SCORES..., constraints_met (None: it has none), status, images}."""
    rows = []
    for run, settings in zip(runs, what_differs([run.config for run in runs])):
        found = measured(run, split, samples, limit, say)
        met = [bound["met"] for bound in found["constraints"]]
        row = {"run": run.display_path, "settings": settings, **{name: found[name] for name in SCORES}}
        rows.append(row | {MET: all(met) if met else None, "status": run.status, "images": found["images"]})
        if run.status != "finished":
            say(f"note: {run.display_path} is {run.status}; measured as it stands")
    return rows


def over_seeds(rows):
    """Rows that differ in the seed only as one: {settings (no seed), n, SCORES, SCORES_se..., constraints_met: [0, 1]}.

    SCORES are means, _se their standard errors s / sqrt(n), s with n - 1 (None for one run). A seed that is there twice
    counts once: the same run again says nothing about the spread.
    """
    groups = {}
    for row in rows:
        rest = {name: value for name, value in row["settings"].items() if name != "seed"}
        groups.setdefault(tuple(rest.values()), (rest, {}))[1][row["settings"].get("seed")] = row
    found = []
    for rest, seeds in groups.values():
        group = {"settings": rest, "n": len(seeds)}
        for name in (*SCORES, MET):
            values = [row[name] for row in seeds.values() if row[name] is not None]
            whole = len(values) == len(seeds)
            group[name] = statistics.fmean(values) if whole else None
            if name != MET:
                spread = statistics.stdev(values) if whole and len(values) > 1 else None
                group[f"{name}_se"] = spread and spread / math.sqrt(len(values))
        found.append(group)
    return found


def label_of(settings, names=None):
    """'geco kappa=3 seed=0': settings in short, all that there are or those among `names`."""
    told = [name for name, value in settings.items() if value is not None and (names is None or name in names)]
    return " ".join(("" if name == "objective" else f"{name}=") + format_cell(settings[name]) for name in told)


def names_of(rows):
    """What to call each row: its settings where they tell all apart, else its folder."""
    labels = [label_of(row["settings"]) for row in rows]
    return labels if all(labels) and len(set(labels)) == len(rows) else [row["run"] for row in rows]


def run_table(rows):
    """Header and cells, texts; with the folders where settings do not tell one run from another."""
    first = ["run"] if names_of(rows)[0] == rows[0]["run"] else []
    names = [*first, *rows[0]["settings"], *SCORES, MET]
    return [names, *([format_cell((row | row["settings"])[name]) for name in names] for row in rows)]


def seed_table(groups):
    """Header and cells, texts: mean +- standard error, and of constraints the share of runs that meet them."""
    body = []
    for group in groups:
        met = None if group[MET] is None else f"{round(group[MET] * group['n'])}/{group['n']}"
        errors = [group[f"{name}_se"] for name in SCORES]
        scores = [format_cell(group[n]) + ("" if e is None else f" +- {e:.2g}") for n, e in zip(SCORES, errors)]
        body.append([*map(format_cell, (*group["settings"].values(), group["n"])), *scores, format_cell(met)])
    return [[*groups[0]["settings"], "n", *SCORES, MET], *body]


def tables(rows, groups):
    """{what a table holds: header and cells}: the runs, and the means where a setting has several seeds."""
    found = {"runs": run_table(rows)}
    if any(group["n"] > 1 for group in groups):
        found["mean +- standard error over seeds"] = seed_table(groups)
    return found


def as_csv(rows):
    """Rows as CSV, settings as columns of their own, numbers in full."""
    lines = [row["settings"] | {name: value for name, value in row.items() if name != "settings"} for row in rows]
    return format_csv(lines)


def as_markdown(rows, groups, asked, pictures):
    """The tables and pictures as one Markdown page."""
    told = f"{asked['split']} split, {rows[0]['images']} images, nll from K={asked['samples']} samples; nats per image."
    parts = [f"# {len(rows)} runs", told]
    for title, lines in tables(rows, groups).items():
        parts += [f"## {title[0].upper()}{title[1:]}", format_markdown(lines)]
    parts += [f"![{path.stem}]({path.name})" for path in pictures]
    return ("\n\n".join(parts) + "\n").encode()


def points_of(groups, objective, height):
    """Points of `tfvae.plots.planes`: numbers that differ name a point, words that differ name the line it is on."""
    points = []
    for group in groups:
        settings = {"objective": objective, **group["settings"]}
        words = [name for name, value in settings.items() if isinstance(value, (str, bool))]
        label = label_of(settings, settings.keys() - words)
        x, y = (math.nan if group[name] is None else group[name] for name in ("rate", height))
        points.append({"label": label, "group": label_of(settings, words), "x": x, "y": y})
    return points


def draw_samples(runs, rows, folder, say):
    """A row of samples for each run, all from the same seed; a file for each shape of images."""
    boards = {}
    for run, name in zip(runs, names_of(rows)):
        model = load_run(run.path, say)
        count = 500 if grids.is_points(model.image_shape) else SHOWN
        boards.setdefault(model.image_shape, {})[name] = model.sample(count, (0, 0)).numpy()
    paths = []
    for shape, board in boards.items():
        path = folder / ("samples.png" if len(boards) == 1 else f"samples-{'x'.join(map(str, shape))}.png")
        if grids.is_points(shape):
            panels = {name: (points, None) for name, points in board.items()}
            paths.append(grids.points_scatter(path, panels, shared=list(panels)))
        else:
            images = np.concatenate(list(board.values()))
            paths.append(grids.image_grid(images, path, SHOWN, row_labels=list(board)))
    return paths


def write(runs, rows, groups, asked, folder, say):
    """``compare.csv``, ``compare_seeds.csv`` (several seeds), ``compare.md`` and pictures: -> paths."""
    several = len(tables(rows, groups)) > 1
    objective, title = runs[0].config.objective_name, "Means over seeds" if several else ""
    pictures = [
        planes.information_plane(points_of(groups, objective, "nll"), folder / "information_plane.png", title=title),
        planes.rate_distortion(points_of(groups, objective, "distortion"), folder / "rate_distortion.png", title),
        *draw_samples(runs, rows, folder, say),
    ]
    found = {"compare.csv": as_csv(rows), "compare.md": as_markdown(rows, groups, asked, pictures)}
    found |= {"compare_seeds.csv": as_csv(groups)} if several else {}
    for name, data in found.items():
        files.write_bytes(folder / name, data)
    return [*(folder / name for name in found), *pictures]
