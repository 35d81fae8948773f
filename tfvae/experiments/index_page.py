"""The index page: every claim of the source documents, where it is checked, what ran, and the verdicts with figures."""

from __future__ import annotations

import pathlib

from tfvae.experiments.recipe_catalogue import CLAIMS, RECIPES, SOURCES
from tfvae.runtime import files
from tfvae.runtime.tables import format_markdown


def read_about(output: pathlib.Path, name: str) -> dict | None:
    """Read what the last run of a recipe found, as `Lab.write_page` wrote it; None if it never ran."""
    path = output / name / "about.json"
    return files.read_json(path) if path.exists() else None


def describe_completeness(about: dict | None) -> str:
    """Say how far a recipe ran: 'in full', 'quick' or 'no'."""
    return "no" if about is None else "quick" if about["quick"] else "in full"


def build_index(output: pathlib.Path) -> str:
    """Build the index page in Markdown from the ``about.json`` of each recipe below `output`."""
    abouts = {name: read_about(output, name) for name in RECIPES}
    recipes = [("experiment", "ran", "training, minutes", "what it shows")]
    for name, recipe in RECIPES.items():
        about = abouts[name]
        minutes = f"{about['training_minutes']:.3g}" if about else "-"
        recipes.append((_format_link(name, abouts), describe_completeness(about), minutes, recipe.description))
    parts = [
        "# Every table and plot of the source documents",
        f"Made by  `tfvae experiment run NAME`.\n\n{format_markdown(recipes)}",
    ]
    for author, title in SOURCES.items():
        rows = [("claim", "what it says or shows", "where", "ran", "verdict, figures")]
        for key, claim in CLAIMS.items():
            if key.startswith(f"{author}: "):
                rows.append((key, claim.text, *_describe_answer(key, claim.where, abouts)))
        parts += [f"## {title}", format_markdown(rows)]
    return "\n\n".join(parts) + "\n"


def _format_link(name: str, abouts: dict) -> str:
    """Return a recipe's name, linked to its page if it ran."""
    return f"[{name}]({name}/README.md)" if abouts[name] else name


def _describe_answer(key: str, where: tuple[str, ...] | str, abouts: dict) -> tuple[str, str, str]:
    """Return the cells (where, ran, verdicts) of one claim; `where` is a text, or names of recipes."""
    if isinstance(where, str):
        return where, "-", "-"
    verdicts = [
        f"{verdict['outcome']}: {verdict['claim']} ({verdict['because']})"
        for name in where
        if abouts[name]
        for verdict in abouts[name]["verdicts"]
        if key in verdict["rows"]
    ]
    states = sorted({describe_completeness(abouts[name]) for name in where})
    return (
        ", ".join(_format_link(name, abouts) for name in where),
        ", ".join(states),
        "<br>".join(verdicts) or "see page",
    )
