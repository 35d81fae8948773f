"""config.json and metrics.json of a zoo entry, which somebody else may have written: read through their schemas.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import pathlib
from typing import Any

from tfvae.runtime import files
from tfvae.runtime.run_metadata import read_config
from tfvae.schemas import (
    CLASS_COUNT,
    CLASS_NAMES,
    COUNT,
    FLAG,
    IMAGE_SHAPE,
    MAX_PATH,
    AnyOf,
    Constant,
    Number,
    Record,
    Schema,
    Text,
)

METRICS_FILE = "metrics.json"
SAVEDMODEL_FOLDER = "saved_model"
ENTRY_NAME = Text(100, r"[a-z0-9][a-z0-9_-]*", "a name of a-z, 0-9, - and _,")
BOUND_IMAGES = 200  # test images for the bound on log p(x)
BOUND_SAMPLES = 50  # draws of z for the bound
MEASURED_NUMBERS = ("distortion", "elbo", "error", "nll", "rate")
MAX_TOLERANCE = 0.1  # relative; a card that allows more says nothing
METRICS_FIELDS: dict[str, Schema] = {
    "image_shape": IMAGE_SHAPE,
    "classes": CLASS_COUNT,
    "second_stage": FLAG,
    "minutes": Number(0),
    "images": COUNT,
    "epochs": COUNT,
}
MEASUREMENT = Record({"value": Number(), "tolerance": Number(0, MAX_TOLERANCE)})
OPTIONAL_FIELDS: dict[str, Schema] = {"class_names": CLASS_NAMES, "test_data_sha256": Text()}  # of newer entries
METRICS_BEFORE_MEASUREMENT = Record(METRICS_FIELDS, OPTIONAL_FIELDS, others=True)
METRICS = Record(
    METRICS_FIELDS | {"numbers": Record(dict.fromkeys(MEASURED_NUMBERS, MEASUREMENT))}, OPTIONAL_FIELDS, others=True
)
SUMMARY_SETTINGS = ("dataset", "objective", "arch", "likelihood", "condition")
SUMMARY_NUMBERS = ("elbo", "error")
SUMMARY = Record(  # in index.json
    {},
    dict.fromkeys(SUMMARY_SETTINGS, AnyOf((Constant((None,)), Text(MAX_PATH)), "a word or null"))
    | dict.fromkeys((*SUMMARY_NUMBERS, "MB"), Number()),
    others=True,
)


def read_metrics(folder: pathlib.Path, is_measured: bool = True) -> dict[str, Any]:
    """Return metrics.json of an entry.

    Args:
        folder: of the entry.
        is_measured: whether it has its numbers already; an entry that is being made has not.

    Raises:
        IntegrityError: it is missing, damaged, or holds other JSON.
    """
    return files.read_json(folder / METRICS_FILE, METRICS if is_measured else METRICS_BEFORE_MEASUREMENT)


def summarize_entry(folder: pathlib.Path) -> dict[str, Any]:
    """Return what the index says of an entry: its main settings and numbers, and its size in MB.

    Raises:
        IntegrityError: a file is missing, damaged, or holds other JSON, or there is a link.
        UsageError: config.json has unknown settings, or values that are not allowed.
    """
    files.read_hashed_files(folder)
    settings, numbers = read_config(folder).to_dict(), read_metrics(folder)["numbers"]
    size = sum(path.stat().st_size for path in files.list_files(folder).values())
    summary = {key: settings[key] for key in SUMMARY_SETTINGS}
    summary |= {name: round(numbers[name]["value"], 2) for name in SUMMARY_NUMBERS}
    return summary | {"MB": round(size / 1e6, 1)}
