"""An exported SavedModel opened as a live model again: its manifest has the config, its checkpoint the weights.

Nothing of its graph is loaded or run: the model is built anew from the config.
"""

from __future__ import annotations

import functools
import pathlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfvae.config import Config
from tfvae.errors import IntegrityError, UsageError
from tfvae.exporting import savedmodel
from tfvae.exporting.export_manifest import read_manifest
from tfvae.runtime import files
from tfvae.training.published_model import PublishedModel

VARIABLES = pathlib.Path("variables", "variables")  # the prefix of the checkpoint in a SavedModel


class ExportedModel(PublishedModel):
    """A SavedModel that `tfvae export` wrote.

    Args:
        path: the folder of a version, with saved_model.pb.

    Raises:
        UsageError: tfvae has not written it.
        IntegrityError: its files are not those of its manifest.

    Example:
        >>> model = trainer.load_run(ExportedModel("export/models/digits/1"))
    """

    way_to_train = "Resume the run that it was exported from; models of the zoo have model.fit in Python."

    def __init__(self, path: files.PathLike) -> None:
        super().__init__(path)
        if not (self.path / savedmodel.MANIFEST).is_file():
            raise UsageError(
                f"Expected a SavedModel that  tfvae export  wrote, whose manifest.json says how to build the model "
                f"and what its data are. Received: {self.path}, without one."
            )
        savedmodel.verify_savedmodel(self.path)
        self.manifest = read_manifest(self.path)
        if not {"config", "image_shape"} <= set(self.manifest):
            path = self.path / savedmodel.MANIFEST
            raise IntegrityError(f"Expected config and image_shape in {path}. Received: none.")

    @functools.cached_property
    def config(self) -> Config:
        """Return the settings of the run that was exported, without paths of the machine that trained it."""
        return Config.from_dict(self.manifest["config"])

    @functools.cached_property
    def environment(self) -> dict[str, Any]:
        """Return the shape of the images and the number of classes."""
        condition = self.manifest.get("condition") or {}
        known = {"classes": condition.get("classes", 0), "class_names": condition.get("class_names", [])}
        return {"image_shape": self.manifest["image_shape"]} | known

    @property
    def published_calibration(self) -> dict[str, Any] | None:
        """Return the scores of held-out images of the run that was exported; None where it had none yet."""
        return self.manifest.get("calibration")

    def read_weights(self, variables: Sequence[Any]) -> list[np.ndarray | None]:
        """Return the array of each variable; None for state that an export leaves out: steps, multipliers.

        Raises:
            IntegrityError: the weights are those of another model.
        """
        stored = read_checkpoint(self.path / VARIABLES)
        names = match_names([variable.path for variable in variables], stored)
        missing = [v.path for v, name in zip(variables, names) if name is None and v.trainable]
        if missing or len(set(names) - {None}) != len(stored):
            raise IntegrityError(
                f"Expected in {self.path} the weights of the model that its config describes. Received: "
                f"{f'none for {missing[0]}' if missing else 'others'}. Was it made by another version?"
            )
        return [None if name is None else stored[name] for name in names]


def read_checkpoint(prefix: pathlib.Path) -> dict[str, np.ndarray]:
    """Return {name: array} of the variables in a checkpoint of TensorFlow; nothing but numbers is read.

    Raises:
        IntegrityError: it cannot be read.
    """
    import tensorflow as tf
    from tensorflow.core.protobuf.trackable_object_graph_pb2 import TrackableObjectGraph

    from tfvae.safety.model_loading import open_checkpoint

    try:
        reader = open_checkpoint(prefix)
        graph = TrackableObjectGraph.FromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
        attributes = [attribute for node in graph.nodes for attribute in node.attributes]
        return {a.full_name: np.asarray(reader.get_tensor(a.checkpoint_key)) for a in attributes}
    except (tf.errors.OpError, ValueError) as error:
        reason = (str(error).splitlines() or [""])[0]
        raise IntegrityError(f"Expected a readable checkpoint {prefix}. Received: {reason}.") from None


def split_counters(name: str) -> tuple[str, tuple[int, ...]]:
    """Split 'sequential_2/dense_14/kernel' into ('sequential/dense/kernel', (2, 14, 0))."""
    parts = [re.fullmatch(r"(.+?)(?:_(\d+))?", part) for part in name.split("/")]
    return "/".join(m[1] for m in parts if m), tuple(int(m[2] or 0) for m in parts if m)


def match_names(names: Sequence[str], stored: Iterable[str]) -> list[str | None]:
    """Return for each name of a variable the stored name of the same one; None where there is none.

    Keras counts layers of a kind within a process, so that names of the same model differ in their numbers, but not
    in the order of these.

    Raises:
        IntegrityError: there are more of a kind on one side than on the other.

    Example:
        >>> match_names(["dense/kernel", "dense_1/kernel", "step"], ["dense_8/kernel", "dense_7/kernel"])
        ['dense_7/kernel', 'dense_8/kernel', None]
    """
    ours, theirs = group_by_kind(names), group_by_kind(stored)
    matches: dict[str, str] = {}
    for kind, found in theirs.items():
        wanted = ours.get(kind, [])
        if len(wanted) != len(found):
            raise IntegrityError(f"Expected {len(wanted)} weights named {kind}. Received: {len(found)}.")
        matches |= zip(wanted, found)
    return [matches.get(name) for name in names]


def group_by_kind(names: Iterable[str]) -> dict[str, list[str]]:
    """Return {name without numbers: the names of this kind, in the order of their numbers}."""
    groups: dict[str, list[str]] = {}
    for name in sorted(names, key=lambda name: split_counters(name)[1]):
        groups.setdefault(split_counters(name)[0], []).append(name)
    return groups
