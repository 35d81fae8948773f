"""A user's own arrays in a file: npz:PATH."""

from __future__ import annotations

import contextlib
import pathlib
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from tfvae.datasets.image_arrays import check_labels, convert_to_bytes
from tfvae.datasets.source import Arrays, Source
from tfvae.errors import DataError, UsageError

IMAGE_KEYS = ("images", "x_train", "x")
LABEL_KEYS = ("labels", "y_train", "y")


def make_npz_source(rest: str) -> Source:
    """Make the source of 'npz:REST', an archive with images or x_train, and possibly labels, x_test and y_test.

    Raises:
        UsageError: no path.
        DataError: the file is missing, is no archive, or holds no images.
    """
    if not rest:
        raise UsageError("Expected npz:PATH. Received: no path.")
    path = pathlib.Path(rest).expanduser()
    keys = _list_keys(path)
    images_key = next((key for key in IMAGE_KEYS if key in keys), None)
    if images_key is None:
        raise DataError(
            f"Expected {path} to hold images, x_train or x. Received: {', '.join(sorted(keys)) or 'nothing'}."
        )
    labels_key = next((key for key in LABEL_KEYS if key in keys), None)
    part_keys: dict[str, tuple[str, str | None]] = {"all": (images_key, labels_key)}
    if "x_test" in keys:
        part_keys = {
            "train": (images_key, labels_key),
            "test": ("x_test", "y_test" if "y_test" in keys else None),
        }

    def read(part: str) -> Arrays:
        images_key, labels_key = part_keys[part]
        images = convert_to_bytes(_read_member(path, images_key), f"{images_key} in {path}")
        if labels_key is None:
            return images, np.zeros(len(images), np.int64)
        return images, check_labels(_read_member(path, labels_key), len(images), f"{labels_key} in {path}")

    return Source(tuple(part_keys), read, f"arrays in {path}")


@contextlib.contextmanager
def _open_archive(path: pathlib.Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an npz archive for the block."""
    # np.load leaves the file open if it turns out to be no archive.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        yield archive


def _list_keys(path: pathlib.Path) -> set[str]:
    """List the names of the arrays in an npz archive."""
    if not path.is_file():
        raise DataError(f"Expected an .npz file. Received: {str(path)!r}, which does not exist.")
    try:
        with _open_archive(path) as archive:
            return set(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise DataError(f"Expected {path} to be an .npz archive of arrays. Received: {error}.") from error


def _read_member(path: pathlib.Path, key: str) -> np.ndarray:
    """Read one array of an npz archive."""
    try:
        with _open_archive(path) as archive:
            return archive[key]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"Expected {key} in {path} to be a plain array. Received: {error}.") from error
