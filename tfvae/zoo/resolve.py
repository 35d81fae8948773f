"""From what a user names to a folder: a run, a SavedModel, or ``zoo:NAME``. Nothing here imports TensorFlow."""

import pathlib

from tfvae.errors import UsageError
from tfvae.export import savedmodel
from tfvae.zoo import index


def resolve_model_folder(path):
    """The folder of a run or of a SavedModel, its highest version; ``zoo:NAME`` is an entry's, its hashes checked."""
    if str(path).startswith(index.PREFIX):
        path = index.saved_model(path)
    folder = savedmodel.find(path) or pathlib.Path(path)
    if not any((folder / name).is_file() for name in (savedmodel.PROTO, "config.json")):
        raise UsageError(f"Expected a run folder or a SavedModel. Received: {path}. List runs with  tfvae runs.")
    return folder
