"""A user's own arrays in a file: npz:PATH."""

from __future__ import annotations

import contextlib
import pathlib
import zipfile
from collections.abc import Iterator, Sequence

import numpy as np

from tfvae.datasets.image_arrays import check_labels, convert_to_bytes
from tfvae.datasets.source import Arrays, Source, split_path
from tfvae.errors import DataError
from tfvae.runtime.memory import fits_into_memory
from tfvae.safety.array_files import open_arrays

IMAGE_KEYS = ("images", "x_train", "x")
LABEL_KEYS = ("labels", "y_train", "y")
NPY_MAGIC = b"\x93NUMPY"
ZIP_MAGIC = b"PK"


def make_npz_source(rest: str) -> Source:
    """Make the source of 'npz:REST', an archive with images or x_train, and possibly labels, x_test and y_test.

    Raises:
        UsageError: no path, or an option.
        DataError: the file is missing, is no archive, or holds no images.
    """
    path = pathlib.Path(split_path("npz", rest)[0])
    keys = list_keys(path)
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
        _check_same_shape(path, [key for key, _ in part_keys.values()])
        images = convert_to_bytes(read_member(path, images_key), f"{images_key} in {path}")
        if labels_key is None:
            return images, np.zeros(len(images), np.int64)
        return images, check_labels(read_member(path, labels_key), len(images), f"{labels_key} in {path}")

    unlabelled_parts = tuple(part for part, (_, labels_key) in part_keys.items() if labels_key is None)
    return Source(tuple(part_keys), read, f"arrays in {path}", unlabelled_parts=unlabelled_parts)


@contextlib.contextmanager
def _open_archive(path: pathlib.Path) -> Iterator[np.lib.npyio.NpzFile]:
    """Open an npz archive for the block."""
    # NumPy leaves the file open if it turns out to be no archive.
    with open(path, "rb") as file, open_arrays(file) as archive:
        yield archive


def _describe_other_file(path: pathlib.Path) -> str:
    """Return what a path is that is no zip archive by its first bytes, with the way out, or ''."""
    if path.is_dir():
        return f"a folder; folder:{path} reads the pictures below it"
    if not path.exists():
        return "a path that does not exist"
    if not path.is_file():
        return "no regular file"
    with open(path, "rb") as file:
        content = file.read(len(NPY_MAGIC))
    if content == NPY_MAGIC:
        return "a single array (.npy); store it with np.savez(PATH, x=array)"
    if not content.startswith(ZIP_MAGIC):
        return "an empty file" if not content else "a file of another format; np.savez(PATH, x=array) writes an archive"
    return ""


def list_keys(path: pathlib.Path) -> set[str]:
    """List the names of the arrays in an npz archive."""
    try:
        description = _describe_other_file(path)
        if not description:
            with _open_archive(path) as archive:
                return set(archive.files)
    except Exception as error:  # zipfile raises almost anything on damaged bytes
        description = f"an archive that is cut, damaged or cannot be read ({error})"
    raise DataError(f"Expected {path} to be an .npz archive of arrays. Received: {description}.")


def _check_same_shape(path: pathlib.Path, keys: Sequence[str]) -> None:
    """Refuse training and test images of different shapes, as their headers say; one that is damaged is refused later.

    Raises:
        DataError: the shapes of the images differ.
    """
    shapes = {key: _read_image_shape(path, key) for key in keys}
    if None not in shapes.values() and len(set(shapes.values())) > 1:
        received = " and ".join(f"{list(shape or ())} in {key}" for key, shape in shapes.items())
        raise DataError(
            f"Expected the images of {' and '.join(keys)} in {path} to have one shape. Received: {received}."
        )


def _read_image_shape(path: pathlib.Path, key: str) -> tuple[int, ...] | None:
    """Read the shape [H,W,C] of one image off the header of an array, or return None where that is not possible."""
    try:
        with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as file:
            version = np.lib.format.read_magic(file)
            read_header = {
                (1, 0): np.lib.format.read_array_header_1_0,
                (2, 0): np.lib.format.read_array_header_2_0,
            }[version]
            shape = read_header(file)[0]
    except Exception:  # zipfile and NumPy raise almost anything on damaged bytes
        return None
    return (*shape[1:], 1) if len(shape) == 3 else shape[1:]


def read_member(path: pathlib.Path, key: str) -> np.ndarray:
    """Read one array of an npz archive."""
    try:
        with _open_archive(path) as archive:
            members = archive.zip.infolist() if archive.zip else []
            size = sum(member.file_size for member in members if member.filename in (key, f"{key}.npy"))
            if not fits_into_memory(size):  # a small file may unpack to any size
                raise MemoryError(f"{size:,} bytes.")
            array = archive[key]
    except MemoryError as error:
        raise DataError(f"Expected {key} in {path} to fit into memory. Received: {error}") from error
    except Exception as error:  # zipfile and NumPy raise almost anything on damaged bytes
        reason = f"bytes that are damaged or cannot be read ({error})"
        if "Object arrays" in str(error):
            reason = (
                f"Python objects (pickled), such as rows of different shapes; give numbers of one type, {key}.dtype"
            )
        raise DataError(f"Expected {key} in {path} to be a plain array. Received: {reason}.") from error
    if not isinstance(array, np.ndarray):  # NumPy returns the bytes of a member that is no .npy file
        raise DataError(f"Expected {key} in {path} to be a plain array. Received: a file of another format.")
    return array
