"""config.json and env.json of runs and zoo entries, which somebody else may have written: read through their schemas.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import pathlib
from typing import Any

from tfvae.config import Config
from tfvae.errors import UsageError
from tfvae.runtime import files
from tfvae.schemas import CLASS_COUNT, CLASS_NAMES, IMAGE_SHAPE, MAX_PATH, SETTINGS, MapOf, Record, Text

CONFIG_FILE, ENVIRONMENT_FILE = "config.json", "env.json"
# What the package acts upon; the rest (versions, devices) is only shown.
ENVIRONMENT = Record(
    {"image_shape": IMAGE_SHAPE},
    {
        "classes": CLASS_COUNT,
        "class_names": CLASS_NAMES,
        "config_signature": Text(),
        "second_stage_of": Text(MAX_PATH),
        "train_images_sha256": Text(),
        "data_sha256": MapOf(Text(), Text(), most=10),
    },
    others=True,
)


def read_config(folder: files.PathLike) -> Config:
    """Return the settings in config.json of a run or of a zoo entry.

    Args:
        folder: of the run or the entry.

    Raises:
        IntegrityError: the file is missing, damaged, or holds other JSON.
        UsageError: it has unknown settings, or values that are not allowed; the sentence begins with its path.
    """
    path = pathlib.Path(folder) / CONFIG_FILE
    values = files.read_json(path, SETTINGS)
    try:
        return Config.from_dict(values)
    except UsageError as error:
        raise UsageError(f"{path}: {error}") from None


def read_environment(folder: files.PathLike) -> dict[str, Any]:
    """Return env.json of a run: versions and devices, and what the training data were.

    Raises:
        IntegrityError: it is missing, damaged, or holds other JSON.
    """
    return files.read_json(pathlib.Path(folder) / ENVIRONMENT_FILE, ENVIRONMENT)
