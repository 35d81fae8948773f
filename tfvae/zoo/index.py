"""The zoo: trained models by name, ``zoo:NAME`` wherever a model is asked for. Nothing here imports TensorFlow.

zoo/index.json                what ``tfvae zoo list`` shows
zoo/NAME/saved_model/1/       as ``tfvae export`` writes it
zoo/NAME/config.json          of the run; ``tfvae zoo train NAME`` repeats it
zoo/NAME/weights.npz          of the live model, see `tfvae.zoo.measurements.load_model`
zoo/NAME/metrics.json         measured from the shipped files, with tolerances; card.md shows them
zoo/NAME/metrics.csv, *.png   how it was trained, what it draws
zoo/NAME/manifest.json        sizes and hashes of all these
"""

from __future__ import annotations

import dataclasses
import difflib
import os
import pathlib
from typing import Any

from tfvae import specs
from tfvae.config import Config, format_flags
from tfvae.errors import IntegrityError, UsageError
from tfvae.runtime import files

PREFIX = "zoo:"
COLUMNS = ("name", "dataset", "objective", "arch", "elbo", "error", "MB")


@dataclasses.dataclass(frozen=True)
class VerificationResult:
    """What one check of a zoo entry found.

    Attributes:
        name: of what was checked: a number of the card, or a file.
        passed: whether it is as shipped.
        shipped: the number that the card states; None where the check compares no numbers.
        measured: the number measured now from the shipped files; None as above.
        detail: a sentence that explains; may be empty.
    """

    name: str
    passed: bool
    shipped: float | None = None
    measured: float | None = None
    detail: str = ""


def find_zoo_folder() -> pathlib.Path:
    """Return the folder of the zoo: ``$TFVAE_ZOO``, ``./zoo``, or that beside the package.

    Raises:
        UsageError: none of them has an index.
    """
    candidates = [os.environ.get("TFVAE_ZOO"), "zoo", pathlib.Path(__file__).parents[2] / "zoo"]
    folders = [pathlib.Path(path) for path in candidates if path and (pathlib.Path(path) / "index.json").is_file()]
    if not folders:
        raise UsageError("Expected a zoo: ./zoo of a clone of tfvae, or a folder in TFVAE_ZOO. Received: none.")
    return folders[0]


def read_index() -> dict[str, dict[str, Any]]:
    """Return the index of the zoo, {name: {dataset, objective, arch, elbo, error, MB, ...}}."""
    return files.read_json(find_zoo_folder() / "index.json")


def find_entry(name: str) -> pathlib.Path:
    """Return the folder of an entry, after a check of its files against their hashes.

        find_entry("zoo:fashion_mnist-geco-conv")

    Args:
        name: of the entry, with or without ``zoo:``.

    Raises:
        UsageError: no such entry.
        IntegrityError: a file is missing, is not in the manifest, or differs from it.
    """
    name = str(name).removeprefix(PREFIX)
    entries = read_index()
    if name not in entries:
        near = difflib.get_close_matches(name, entries, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "List them with  tfvae zoo list."
        raise UsageError(f"Expected the name of a model in the zoo. Received: {name!r}. {hint}")
    folder = find_zoo_folder() / name
    files.verify_folder(folder)
    return folder


def verify_files(name: str) -> VerificationResult:
    """Check the files of an entry against their hashes and return the result; see `find_entry`.

    Raises:
        UsageError: no such entry.
    """
    try:
        find_entry(name)
        return VerificationResult("files", True)
    except IntegrityError as error:
        return VerificationResult("files", False, detail=str(error))


def find_entry_savedmodel(name: str) -> pathlib.Path:
    """Return the folder of an entry's SavedModel, see `find_entry`."""
    return find_entry(name) / "saved_model"


def split_stages(config: Config, second_stage: bool = False) -> tuple[Config, str | None]:
    """Split a config into its two stages: return (the config to train, the prior to fit to its codes or None)."""
    return (dataclasses.replace(config, prior=Config.prior), config.prior) if second_stage else (config, None)


def format_commands(config: Config, second_stage: bool = False) -> list[str]:
    """Return the command lines that make a run of this config."""
    first, prior = split_stages(config, second_stage)
    return [format_train_command(first), *([f"tfvae second-stage runs/latest --prior {prior}"] if prior else [])]


def format_train_command(config: Config) -> str:
    """Return the ``tfvae train`` that makes a run of this config."""
    name, options = specs.parse_spec(config.objective)
    if specs.is_import_path(name):  # its options stay in the spec
        name, options = config.objective, {}
    flags = [*format_flags(options), *config.flags()]
    flags += [] if dict(flags).get("--dataset") else [("--dataset", config.dataset)]
    return " ".join(["tfvae train", name, *(flag if value is None else f"{flag} {value}" for flag, value in flags)])
