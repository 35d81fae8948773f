"""The verb experiment: ``list``, ``run NAME...|all``."""

from __future__ import annotations

import argparse
import importlib
import pathlib

from tfvae.cli.output import print_table
from tfvae.errors import UsageError, describe_unknown
from tfvae.experiments.index_page import build_index, describe_completeness, read_about
from tfvae.experiments.recipe_catalogue import RECIPES
from tfvae.runtime import files
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import PlainReporter
from tfvae.training.run_folder import check_run_folder


def experiment(args: argparse.Namespace) -> int:
    """Run ``tfvae experiment list|run`` and return the exit code."""
    output = pathlib.Path(args.output)
    if args.action == "list":
        rows = [
            (name, describe_completeness(read_about(output, name)), recipe.description)
            for name, recipe in RECIPES.items()
        ]
        print_table([("name", "ran", "what it shows"), *rows])
        return 0
    names = list(RECIPES) if args.names == ["all"] else args.names
    for name in names:
        if name not in RECIPES:
            raise UsageError(describe_unknown("an experiment", name, RECIPES))
    check_run_folder(root=args.root)
    import_tensorflow()
    for name in names:
        print(run_experiment(name, output, args.root, args.quick, args.jobs))
    return 0


def run_experiment(
    name: str, output: pathlib.Path, root: str = "runs", quick: bool = False, jobs: int = 1
) -> pathlib.Path:
    """Run a recipe, renew the index and return the path of the recipe's page."""
    from tfvae.experiments.lab import Lab

    PlainReporter().line(f"experiment {name}{', quick' if quick else ''}")
    lab = Lab(name, output, root, quick, jobs)
    importlib.import_module(f"tfvae.experiments.{RECIPES[name].module}").run(lab)
    files.write_bytes(output / "README.md", build_index(output).encode())
    return lab.folder / "README.md"
