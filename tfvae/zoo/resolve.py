"""From what a user names to a folder: a run, a SavedModel, or ``zoo:NAME``. Nothing here imports TensorFlow."""

from __future__ import annotations

import pathlib

from tfvae.errors import UsageError
from tfvae.exporting import savedmodel
from tfvae.runtime import files
from tfvae.zoo import index


def resolve_model_folder(path: files.PathLike) -> pathlib.Path:
    """Return the folder of a run, or of a SavedModel's highest version.

    Args:
        path: a run folder, the folder of a SavedModel or of one of its versions, or ``zoo:NAME``, whose hashes are
            checked.

    Raises:
        UsageError: it is neither, or the zoo has no such entry.
        IntegrityError: the entry of the zoo is damaged.
    """
    if str(path).startswith(index.PREFIX):
        path = index.find_entry_savedmodel(str(path))
    folder = savedmodel.find_savedmodel(path) or pathlib.Path(path)
    if not any((folder / name).is_file() for name in (savedmodel.PROTO, "config.json")):
        raise UsageError(f"Expected a run folder or a SavedModel. Received: {path}. List runs with  tfvae runs.")
    return folder
