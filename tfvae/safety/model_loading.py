"""The one place that loads models from files: SavedModels, their checkpoints, Keras' and LiteRT's files.

A SavedModel is loaded from a private copy that was checked. Keras' files are loaded in Keras' safe mode.
"""

from __future__ import annotations

import contextlib
import json
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfvae.errors import DataError, UntrustedError
from tfvae.runtime import trust
from tfvae.safety.foreign_text import escape_text
from tfvae.safety.savedmodel_check import TRUST, copy_checked_savedmodel, copy_plain_file

KERAS_CONFIG = "config.json"  # in a .keras file
MAX_KERAS_CONFIG = 64 * 2**20  # bytes
# Keras' own classes that read files or run code which their config names; safe mode refuses some of them only.
UNSAFE_KERAS_CLASSES = frozenset(
    "FlaxLayer IntegerLookup JaxLayer Lambda StringLookup TFSMLayer TextVectorization TorchModuleWrapper".split()
)


def load_savedmodel(folder: pathlib.Path, trusted: bool = False, needs_manifest: bool = True) -> Any:
    """Load a SavedModel and return TensorFlow's object, with `signatures`.

        load_savedmodel(pathlib.Path("export/models/digits/1")).signatures["sample"]

    Args:
        folder: with saved_model.pb.
        trusted: load it as it is, unchecked: the user has said so.
        needs_manifest: see `copy_checked_savedmodel`.

    Raises:
        UntrustedError: it may do more than compute; nothing of it was run.
        IntegrityError: its files are not those of its manifest.
        DataError: TensorFlow cannot load it.
    """
    if trusted:
        return _load_savedmodel(folder, folder)
    with tempfile.TemporaryDirectory(prefix="tfvae-model-") as private:
        copy = pathlib.Path(private) / "1"
        copy_checked_savedmodel(folder, copy, needs_manifest)
        return _load_savedmodel(copy, folder)


def _load_savedmodel(folder: pathlib.Path, original: pathlib.Path) -> Any:
    """Load a SavedModel from `folder`; messages name `original`."""
    try:
        return tf.saved_model.load(str(folder))
    except Exception as error:  # TensorFlow raises almost anything on damaged files
        reason = escape_text(f"{type(error).__name__}: {error}".replace(str(folder), str(original)))
        raise DataError(f"Expected TensorFlow to load {original}. Received: {reason}.") from None


def open_checkpoint(prefix: pathlib.Path) -> Any:
    """Return TensorFlow's reader of a checkpoint, which holds numbers alone.

    Args:
        prefix: such as ``variables/variables``.

    Raises:
        ValueError, tf.errors.OpError: it cannot be read.
    """
    return tf.train.load_checkpoint(str(prefix))


@contextlib.contextmanager
def copy_privately(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Copy a file to where nobody else writes, for the block, and yield the path of the copy.

    Raises:
        DataError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="tfvae-model-") as private:
        copy = pathlib.Path(private) / path.name
        copy_plain_file(path, copy)
        yield copy


def load_keras_model(path: pathlib.Path, trusted: bool = False) -> Any:
    """Load a ``.keras`` file and return the model; classes of one's own are those registered with Keras.

    Args:
        path: of the file.
        trusted: load whatever it names, its Python code included.

    Raises:
        UntrustedError: it names code, or files, of its own.
        DataError: it is no such file.
        ValueError, TypeError and others: Keras cannot load it.
    """
    with copy_privately(path.resolve()) as copy:
        if not trusted:
            check_keras_config(read_keras_config(copy, path), path)
        return keras.saving.load_model(copy, safe_mode=not trusted)


def read_keras_config(copy: pathlib.Path, path: pathlib.Path) -> Any:
    """Return the config in a ``.keras`` file; messages name `path`.

    Raises:
        DataError: there is none.
    """
    try:
        with zipfile.ZipFile(copy) as archive, archive.open(KERAS_CONFIG) as file:
            return json.loads(file.read(MAX_KERAS_CONFIG))
    except Exception as error:  # zipfile raises almost anything on damaged bytes
        raise DataError(f"Expected {path} to be a .keras file. Received: {escape_text(error)}.") from None


def check_keras_config(config: Any, path: pathlib.Path) -> None:
    """Refuse the config of a ``.keras`` file that names code or files.

    Raises:
        UntrustedError: as above.
    """
    pending = [config]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            pending += value.values()
            texts = {key: text for key, text in value.items() if isinstance(text, str)}
            unsafe = {texts.get("class_name", "")} & UNSAFE_KERAS_CLASSES
            specs = {key: text for key, text in texts.items() if key in trust.AXES}
            unsafe |= {f"{key}={text}" for key, text in specs.items() if trust.names_foreign_code(key, text)}
            if unsafe:
                raise UntrustedError(
                    f"Expected layers that only compute in {path}. Received: {escape_text(min(unsafe))}. {TRUST}"
                )
        elif isinstance(value, list):
            pending += value


def open_litert(path: str) -> Any:
    """Return LiteRT's interpreter of a file that this process has just written."""
    return tf.lite.Interpreter(path)
