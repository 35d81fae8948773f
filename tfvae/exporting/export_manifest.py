"""manifest.json of a SavedModel, which somebody else may have written: read through its schema.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import pathlib
from typing import Any

from tfvae.runtime import files
from tfvae.schemas import (
    CLASS_NAMES,
    COUNT,
    HASHED_FILES,
    IMAGE_SHAPE,
    MAX_PATH,
    SETTINGS,
    AnyOf,
    Anything,
    Constant,
    MapOf,
    Number,
    Record,
    Schema,
    Text,
)
from tfvae.training import stored_calibration

MAX_CLASSES = 10**6  # each a number of the condition's vector
CONDITION = Record(
    {"name": Text(), "spec": Text(MAX_PATH)},
    {
        "classes": Number(0, MAX_CLASSES, whole=True),
        "class_names": CLASS_NAMES,
        "shape": IMAGE_SHAPE,
        "low": Number(0),
        "high": Number(0),
    },
    others=True,
)
# Everything may be missing: older versions wrote less, and a manifest of others is good for its hashes alone.
MANIFEST_FIELDS: dict[str, Schema] = {
    "tfvae_export": COUNT,
    "files": HASHED_FILES,
    "config": SETTINGS,
    "parts": MapOf(Text(), Text(MAX_PATH)),
    "image_shape": IMAGE_SHAPE,
    "class_names": CLASS_NAMES,
    "condition": AnyOf((Constant((None,)), CONDITION), "a condition with its name and spec"),
    "calibration": stored_calibration.FIELDS,
    "max_n": Number(1, 2**31, whole=True),
    "epoch": COUNT,
    "step": COUNT,
    "variables": Record({"count": COUNT, "numbers": COUNT}),
    "versions": MapOf(Text(), AnyOf((Constant((None,)), Text()), "a version")),
    "ops": MapOf(Text(), COUNT),
    "signatures": MapOf(Text(), Anything()),
}
EXPORT_MANIFEST = Record({}, MANIFEST_FIELDS, others=True)


def read_manifest(folder: files.PathLike) -> dict[str, Any]:
    """Return the manifest of a SavedModel; what it says may be missing, but is of the right kind.

    Args:
        folder: with saved_model.pb.

    Raises:
        IntegrityError: it is missing, damaged, or holds other JSON.
    """
    return files.read_json(pathlib.Path(folder) / files.MANIFEST, EXPORT_MANIFEST)
