"""Scores of held-out images, kept beside a model: what thresholds and p-values of other images are taken from.

A run keeps them in a file of its own, an export in its manifest, and what is published without lies in the user's
cache. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import contextlib
import hashlib
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tfvae.errors import IntegrityError
from tfvae.runtime import files
from tfvae.schemas import COUNT, AnyOf, Constant, ListOf, MapOf, Number, Record, Text

if TYPE_CHECKING:
    from tfvae.models.vae import VAE

CALIBRATION_FILE = "calibration.json"
VERSION = 1  # of the scores: others have to be measured anew
MAX_IMAGES = 2000
FIELDS = Record(
    {
        "version": COUNT,
        "weights_sha256": Text(64, "[0-9a-f]{64}", "a hash"),
        "split": Text(),
        "samples": COUNT,
        "seed": COUNT,
        "condition": AnyOf((Constant((None,)), Number()), "a number or null"),
        "scores": MapOf(Text(), ListOf(Number(), least=2, most=MAX_IMAGES)),
    }
)


class CalibrationKey(NamedTuple):
    """What scores depend on beside the image.

    Attributes:
        weights_sha256: see `hash_weights`.
        split: whose images were scored.
        samples: K of the bound.
        seed: of the draws.
        condition: beta or kappa; None: the middle of the range, or none.
        version: of the scores' definitions.
    """

    weights_sha256: str
    split: str
    samples: int
    seed: int
    condition: float | None
    version: int = VERSION


def hash_weights(model: VAE) -> str:
    """Return the hex SHA-256 of the weights of networks and prior, which every training moves."""
    digest = hashlib.sha256()
    for part in (model.arch, model.prior):
        for variable in part.variables:
            digest.update(np.ascontiguousarray(variable.numpy()).tobytes())
    return digest.hexdigest()


def encode_calibration(key: CalibrationKey, scores: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Return scores {kind: [n]} of held-out images as the JSON object that `decode_calibration` takes."""
    return key._asdict() | {"scores": {name: values.tolist() for name, values in scores.items()}}


def decode_calibration(stored: Mapping[str, Any], key: CalibrationKey) -> dict[str, np.ndarray] | None:
    """Return the scores of a stored calibration; None where it is of other weights, settings or versions, or torn."""
    counts = {len(values) for values in stored["scores"].values()}
    if len(counts) != 1 or any(stored[name] != value for name, value in key._asdict().items()):
        return None
    return {name: np.asarray(values, np.float64) for name, values in stored["scores"].items()}


def read_calibration(path: pathlib.Path) -> dict[str, Any] | None:
    """Return the JSON object in a file; None where there is none, or none that can be used: it can be made anew."""
    with contextlib.suppress(IntegrityError):
        return files.read_json(path, FIELDS)
    return None
