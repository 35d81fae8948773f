"""From what a user names to a model: a run, a SavedModel, or ``zoo:NAME``. Nothing here imports TensorFlow.

Importing this module teaches `open_run` the latter two, so that whatever takes a run takes them as well.
"""

from __future__ import annotations

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvae.errors import IntegrityError, UsageError
from tfvae.exporting import savedmodel
from tfvae.exporting.exported_model import ExportedModel
from tfvae.runtime import files
from tfvae.safety.array_files import read_arrays
from tfvae.training import run_folder
from tfvae.training.published_model import PublishedModel
from tfvae.training.run_folder import Run
from tfvae.zoo import index
from tfvae.zoo.entry_metadata import METRICS_FILE, SAVEDMODEL_FOLDER, read_metrics

WEIGHTS_FILE = "weights.npz"  # of entries of 0.1.0, whose weights are stored twice
STATE_FILE = "state.npz"  # what a SavedModel leaves out of a model: steps, multipliers


class ZooEntry(PublishedModel):
    """An entry of the zoo, whose files have been checked against their hashes.

    Args:
        path: the folder of the entry.

    Example:
        >>> model = trainer.load_run(ZooEntry(index.find_entry("zoo:fashion_mnist-geco-conv")))
    """

    way_to_train = 'In Python: model = tfvae.load("zoo:NAME"); model.compile("adam"); model.fit(images).'

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """Return the shape of the images, and the number and names of the classes."""
        numbers = read_metrics(self.path, is_measured=False)
        return {name: numbers[name] for name in ("image_shape", "classes", "class_names") if name in numbers}

    @property
    def published_calibration(self) -> dict[str, Any] | None:
        """Return that of the entry's SavedModel."""
        return self.open_savedmodel().published_calibration

    def read_weights(self, variables: Sequence[Any]) -> list[np.ndarray | None]:
        """Return the array of each variable, of the SavedModel or, for state that it leaves out, of state.npz.

        Raises:
            IntegrityError: they are those of another model.
        """
        path = self.path / WEIGHTS_FILE
        arrays: list[np.ndarray | None] = [None] * len(variables)
        if not path.is_file():
            path, arrays = self.path / STATE_FILE, self.open_savedmodel().read_weights(variables)
        stored = read_arrays(path)
        missing = [f"{i:04d}" for i, array in enumerate(arrays) if array is None]
        if sorted(stored) != missing:
            raise IntegrityError(
                f"Expected {path} to hold {len(missing)} arrays of the model of its config. Received: {len(stored)}, "
                "or others."
            )
        return [stored[f"{i:04d}"] if array is None else array for i, array in enumerate(arrays)]

    def open_savedmodel(self) -> ExportedModel:
        """Return the SavedModel of the entry.

        Raises:
            IntegrityError: there is none, or its files are not those of its manifest.
        """
        version = savedmodel.find_savedmodel(self.path / SAVEDMODEL_FOLDER)
        if version is None:
            raise IntegrityError(f"Expected a SavedModel in {self.path / SAVEDMODEL_FOLDER}. Received: none.")
        return ExportedModel(version)


def is_entry_folder(folder: pathlib.Path) -> bool:
    """Return whether a folder looks like an entry of a zoo."""
    return (folder / SAVEDMODEL_FOLDER).is_dir() and (folder / METRICS_FILE).is_file()


def is_keras_path(path: files.PathLike) -> bool:
    """Return whether a path is named as a file of Keras' `save`."""
    return pathlib.Path(path).suffix == ".keras"


def open_published_model(path: files.PathLike) -> Run | None:
    """Return the zoo entry or the exported SavedModel that a path names; None: it may name a run.

    Args:
        path: ``zoo:NAME``, the folder of an entry, or that of a SavedModel or of one of its versions.

    Raises:
        UsageError: the zoo has no such entry, tfvae did not write the SavedModel, or it is a ``.keras`` file.
        IntegrityError: files are not as their hashes say.
    """
    folder = pathlib.Path(path)
    if str(path).startswith(index.PREFIX):
        return ZooEntry(index.find_entry(str(path)))
    if is_entry_folder(folder):
        files.verify_folder(folder)
        return ZooEntry(folder)
    if is_keras_path(path):
        raise UsageError(
            "Expected a run folder, a SavedModel or zoo:NAME, which say what data the model is about. "
            f"Received: {path}. tfvae sample, and tfvae.load in Python, take .keras files."
        )
    version = None if (folder / run_folder.CONFIG_FILE).is_file() else savedmodel.find_savedmodel(folder)
    return None if version is None else ExportedModel(version)


run_folder.add_opener(open_published_model)


def resolve_model_folder(path: files.PathLike) -> pathlib.Path:
    """Return the folder of a run, or of a SavedModel's highest version.

    Args:
        path: a run folder, the folder of a SavedModel or of one of its versions, that of a zoo entry, or ``zoo:NAME``,
            whose hashes are checked.

    Raises:
        UsageError: it is neither, or the zoo has no such entry.
        IntegrityError: the entry of the zoo is damaged.
    """
    if str(path).startswith(index.PREFIX):
        path = index.find_entry_savedmodel(str(path))
    elif is_entry_folder(pathlib.Path(path)):
        files.verify_folder(path)
        path = pathlib.Path(path) / SAVEDMODEL_FOLDER
    folder = savedmodel.find_savedmodel(path) or pathlib.Path(path)
    if not any((folder / name).is_file() for name in (savedmodel.PROTO, "config.json")):
        raise UsageError(f"Expected a run folder or a SavedModel. Received: {path}. List runs with  tfvae runs.")
    return folder
