"""The tables of a comparison as text: cells for the screen, a page of Markdown, CSV; and what was measured."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from tfvae.runtime.tables import format_cell, format_csv, format_markdown

SCORES = ("elbo", "nll", "rate", "distortion", "sq_err", "bits_per_dim", "active_units")
CONSTRAINTS_MET = "constraints_met"

Settings = dict[str, Any]
Row = dict[str, Any]


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


def describe_measurement(rows: Sequence[Row], request: Mapping[str, Any]) -> str:
    """Return one sentence about what the tables show: which images, and how many draws the bound takes.

    Args:
        rows: what `compare_runs` returns.
        request: {split, samples} of `compare_runs`.
    """
    counts = sorted({row["images"] for row in rows})
    images = " to ".join(f"{count:,}" for count in (counts if len(counts) == 1 else (counts[0], counts[-1])))
    bound = f"nll: minus the bound on log p(x) from K={request['samples']} draws"
    return f"{request['split']} split, {images} images; {bound}; nats per image."


def format_comparison_page(
    rows: Sequence[Row], groups: Sequence[Row], request: Mapping[str, Any], pictures: Sequence[pathlib.Path]
) -> bytes:
    """Return the tables and pictures as one Markdown page."""
    parts = [f"# {len(rows)} runs", describe_measurement(rows, request)]
    for title, lines in format_tables(rows, groups).items():
        parts += [f"## {title[0].upper()}{title[1:]}", format_markdown(lines)]
    parts += [f"![{path.stem}]({path.name})" for path in pictures]
    return ("\n\n".join(parts) + "\n").encode()
