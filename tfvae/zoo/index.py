"""The zoo: trained models by name, ``zoo:NAME`` wherever a model is asked for. Nothing here imports TensorFlow.

zoo/index.json                what ``tfvae zoo list`` shows
zoo/NAME/saved_model/1/       as ``tfvae export`` writes it
zoo/NAME/config.json          of the run; ``tfvae zoo train NAME`` repeats it
zoo/NAME/weights.npz          of the live model, see `tfvae.zoo.entries.live`
zoo/NAME/metrics.json         measured from the shipped files, with tolerances; card.md shows them
zoo/NAME/metrics.csv, *.png   how it was trained, what it draws
zoo/NAME/manifest.json        sizes and hashes of all these
"""

import dataclasses
import difflib
import fnmatch
import json
import os
import pathlib
import shutil

from tfvae import specs
from tfvae.runtime import files
from tfvae.config import Config, format_flags
from tfvae.errors import IntegrityError, UsageError
from tfvae.runtime.tables import format_cell, format_table

PREFIX = "zoo:"
COLUMNS = ("name", "dataset", "objective", "arch", "elbo", "error", "MB")


def root():
    """The folder of the zoo: ``$TFVAE_ZOO``, ``./zoo``, or that beside the package.

    Raises:
        UsageError: none of them has an index.
    """
    places = [os.environ.get("TFVAE_ZOO"), "zoo", pathlib.Path(__file__).parents[2] / "zoo"]
    found = [pathlib.Path(place) for place in places if place and (pathlib.Path(place) / "index.json").is_file()]
    if not found:
        raise UsageError("Expected a zoo: ./zoo of a clone of tfvae, or a folder in TFVAE_ZOO. Received: none.")
    return found[0]


def index():
    """{name: {dataset, objective, arch, elbo, error, MB, ...}}."""
    return files.read_json(root() / "index.json")


def folder(name):
    """The folder of an entry, its files checked against their hashes.

    Raises:
        UsageError: no such entry. IntegrityError: a file is missing, more or other than the manifest says.
    """
    name = str(name).removeprefix(PREFIX)
    known = index()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "List them with  tfvae zoo list."
        raise UsageError(f"Expected the name of a model in the zoo. Received: {name!r}. {hint}")
    found = root() / name
    files.verify_folder(found)
    return found


def saved_model(name):
    """The SavedModel of an entry, see `folder`."""
    return folder(name) / "saved_model"


def recipe(config, second_stage=False):
    """The configs and the prior of the two stages: (config to train, prior to fit to its codes or None)."""
    return (dataclasses.replace(config, prior=Config.prior), config.prior) if second_stage else (config, None)


def commands_of(config, second_stage=False):
    """The command lines that make a run of this config."""
    first, prior = recipe(config, second_stage)
    return [command_of(first), *([f"tfvae second-stage runs/latest --prior {prior}"] if prior else [])]


def command_of(config):
    """The ``tfvae train`` that makes a run of this config."""
    name, options = specs.parse_spec(config.objective)
    flags = [*format_flags(options), *config.flags()]
    flags += [] if dict(flags).get("--dataset") else [("--dataset", config.dataset)]
    return " ".join(["tfvae train", name, *(flag if value is None else f"{flag} {value}" for flag, value in flags)])
