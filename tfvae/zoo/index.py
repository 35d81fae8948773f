"""The zoo: trained models by name, ``zoo:NAME`` wherever a model is asked for. Nothing here imports TensorFlow.

zoo/index.json                a summary of all entries, for readers of the file; tfvae reads the entries themselves
zoo/NAME/saved_model/1/       as ``tfvae export`` writes it; the live model has its weights
zoo/NAME/state.npz            what it leaves out of the live model: steps, multipliers
zoo/NAME/config.json          of the run; ``tfvae zoo train NAME`` repeats it
zoo/NAME/metrics.json         measured from the shipped files, with tolerances; card.md shows them
zoo/NAME/metrics.csv, *.png   how it was trained, what it draws
zoo/NAME/manifest.json        sizes and hashes of all these
"""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterable
from typing import Any

from tfvae import specs
from tfvae.config import Config, format_flags
from tfvae.errors import IntegrityError, TfvaeError, UsageError, suggest_name
from tfvae.runtime import files
from tfvae.schemas import Anything, MapOf, Text
from tfvae.zoo.entry_metadata import ENTRY_NAME, METRICS_FILE, SAVEDMODEL_FOLDER, SUMMARY, summarize_entry

PREFIX = "zoo:"
INDEX_FILE = "index.json"
INDEX = MapOf(Text(files.MAX_TEXT_BYTES), Anything())  # each name and summary is checked by itself
MAX_SHOWN_NAME = 60
COLUMNS = ("name", "dataset", "objective", "arch", "elbo", "error", "MB")


@dataclasses.dataclass(frozen=True)
class VerificationResult:
    """What one check of a zoo entry found.

    Attributes:
        name: of what was checked: a number of the card, or a file.
        passed: whether it is as shipped; False, too, where that could not be found out.
        shipped: the number that the card states; None where the check compares no numbers.
        measured: the number measured now from the shipped files; None as above.
        detail: a sentence that explains; may be empty.
        was_checked: whether the check was made; False where the data that it needs are not at hand.
    """

    name: str
    passed: bool
    shipped: float | None = None
    measured: float | None = None
    detail: str = ""
    was_checked: bool = True


@dataclasses.dataclass(frozen=True)
class ZooContents:
    """What a zoo holds.

    Attributes:
        entries: {name: summary}, see `tfvae.zoo.entry_metadata.summarize_entry`.
        problems: {name of an entry, or index.json: a sentence on what is wrong with it}.
    """

    entries: dict[str, dict[str, Any]]
    problems: dict[str, str]


def find_zoo_folder() -> pathlib.Path:
    """Return the folder of the zoo: ``$TFVAE_ZOO``; without it ``./zoo``, or that beside the package.

    Raises:
        UsageError: the folder that TFVAE_ZOO names is no zoo, or there is none anywhere.
    """
    named = os.environ.get("TFVAE_ZOO")
    candidates: list[files.PathLike] = [named] if named else ["zoo", pathlib.Path(__file__).parents[2] / "zoo"]
    folders = [pathlib.Path(path) for path in candidates if is_zoo(path)]
    if not folders:
        received = f"TFVAE_ZOO={named}, which is none" if named else "neither"
        raise UsageError(f"Expected a zoo: ./zoo of a clone of tfvae, or a folder in TFVAE_ZOO. Received: {received}.")
    return folders[0]


def find_own_zoo_folder() -> pathlib.Path:
    """Return the folder that new entries go to: ``$TFVAE_ZOO``; without it ``./zoo``; never another.

    It may be empty.

    Raises:
        UsageError: there is no such folder, or it holds something else.
    """
    named = os.environ.get("TFVAE_ZOO")
    folder = pathlib.Path(named or "zoo")
    where = f"TFVAE_ZOO={folder}" if named else "./zoo"
    if not folder.is_dir():
        raise UsageError(f"Expected a folder for the zoo. Received: {where}, which is none. Make it first.")
    if not is_zoo(folder) and any(not path.name.startswith(".") for path in folder.iterdir()):
        raise UsageError(
            f"Expected a zoo, or an empty folder for one. Received: {where}, which holds other files. Name another "
            "folder in TFVAE_ZOO."
        )
    return folder


def is_zoo(path: files.PathLike) -> bool:
    """Return whether a folder is a zoo: it has an index, or entries."""
    folder = pathlib.Path(path)
    has_entries = any((entry / METRICS_FILE).is_file() for entry in list_entry_folders(folder))
    return has_entries or (folder / INDEX_FILE).is_file()


def list_entry_folders(zoo_folder: pathlib.Path) -> list[pathlib.Path]:
    """Return the folders of all entries, those that the index does not know included, in order."""
    paths = zoo_folder.glob(f"*/{files.MANIFEST}")
    return sorted(path.parent for path in paths if not path.parent.name.startswith("."))


def read_entry_names(zoo_folder: pathlib.Path) -> tuple[list[str], dict[str, str]]:
    """Return the names of the entries, those of the index and those of folders, and {name: what the index has wrong}.

    A name that cannot be one stands for no folder and is only in the latter.
    """
    names, problems = [], {}
    try:
        indexed = files.read_json(zoo_folder / INDEX_FILE, INDEX)
    except IntegrityError as error:
        indexed, problems[INDEX_FILE] = {}, str(error)
    for name in sorted({*indexed, *(folder.name for folder in list_entry_folders(zoo_folder))}):
        try:
            ENTRY_NAME.check(name, f"a name in {zoo_folder}")
            names.append(name)
            SUMMARY.check(indexed.get(name, {}), f"{zoo_folder / INDEX_FILE}: {name}")
        except IntegrityError as error:
            problems[name[:MAX_SHOWN_NAME]] = str(error)
    return names, problems


def read_zoo() -> ZooContents:
    """Return what the zoo holds, each entry as its own files say; one that is damaged does not hide the others.

    Raises:
        UsageError: there is no zoo.
    """
    zoo_folder = find_zoo_folder()
    names, problems = read_entry_names(zoo_folder)
    entries = {}
    for name in names:
        try:
            entries[name] = summarize_entry(find_entry_folder(zoo_folder, name))
        except TfvaeError as error:
            problems[name] = str(error)
    return ZooContents(entries, problems)


def check_entry_name(zoo_folder: pathlib.Path, name: str) -> str:
    """Return the name of an entry without ``zoo:``.

    Raises:
        UsageError: the zoo has no such entry.
    """
    name = str(name).removeprefix(PREFIX)
    names, _ = read_entry_names(zoo_folder)
    if name not in names:
        hint = suggest_name(name, names) or " List them with  tfvae zoo list."
        raise UsageError(f"Expected the name of a model in the zoo. Received: {name!r}.{hint}")
    return name


def find_entry_folder(zoo_folder: pathlib.Path, name: str) -> pathlib.Path:
    """Return the folder of an entry.

    Raises:
        IntegrityError: there is none, or it is a link, which leads out of the zoo.
    """
    folder = zoo_folder / name
    if folder.is_symlink() or not folder.is_dir():
        received = "a link" if folder.is_symlink() else "none"
        raise IntegrityError(f"Expected the folder {folder}, which the index lists. Received: {received}.")
    return folder


def find_entry(name: str) -> pathlib.Path:
    """Return the folder of an entry, after a check of its files against their hashes.

        find_entry("zoo:fashion_mnist-geco-conv")

    Args:
        name: of the entry, with or without ``zoo:``.

    Raises:
        UsageError: no such entry.
        IntegrityError: a file is missing, is not in the manifest, or differs from it.
    """
    zoo_folder = find_zoo_folder()
    folder = find_entry_folder(zoo_folder, check_entry_name(zoo_folder, name))
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
    return find_entry(name) / SAVEDMODEL_FOLDER


def split_stages(config: Config, second_stage: bool = False) -> tuple[Config, str | None]:
    """Split a config into its two stages: return (the config to train, the prior to fit to its codes or None)."""
    return (dataclasses.replace(config, prior=Config.prior), config.prior) if second_stage else (config, None)


def format_commands(config: Config, second_stage: bool = False) -> list[str]:
    """Return the command lines that make a run of this config."""
    first, prior = split_stages(config, second_stage)
    return [format_train_command(first), *([f"tfvae second-stage runs/latest --prior {prior}"] if prior else [])]


def format_train_command(config: Config) -> str:
    """Return the ``tfvae train`` that makes a run of this config."""
    flags = config.flags()
    flags += [] if dict(flags).get("--dataset") else [("--dataset", config.dataset)]
    return " ".join(["tfvae train", format_objective_words(config.objective), *format_flag_words(flags)])


def format_objective_words(spec: str) -> str:
    """Return an objective and its options as ``tfvae train`` takes them: 'geco --kappa 3'."""
    name, options = specs.parse_spec(spec)
    # The options of a class of the user's own stay in its spec.
    return spec if specs.is_import_path(name) else " ".join([name, *format_flag_words(format_flags(options))])


def format_flag_words(flags: Iterable[tuple[str, Any]]) -> list[str]:
    """Return '--flag value', or the '--flag' of a switch."""
    return [flag if value is None else f"{flag} {value}" for flag, value in flags]
