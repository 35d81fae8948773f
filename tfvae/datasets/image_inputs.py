"""Images that a user names beside a verb: picture files, folders, .npz files and data sets, read a batch at a time."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from tfvae.datasets.dataset_loading import has_labels, load
from tfvae.datasets.image_decoding import convert_to_array, crop_centre_square, describe_damage, open_picture
from tfvae.datasets.name_resolution import find_source
from tfvae.datasets.picture_folders import SUFFIXES, list_pictures
from tfvae.datasets.splits import select_part
from tfvae.errors import DataError, UsageError
from tfvae.runtime.memory import check_count_fits


class ImageInput(NamedTuple):
    """Images of one origin.

    Attributes:
        names: of each the path of its file, or its number in the data set.
        labels: [N] int64; None where nothing tells them.
        has_classes: whether the labels are classes of a data set, not numbers of sub-folders.
        read: (start, stop) -> these images, [stop - start, H, W, C], bytes or floats in [0, 1].
    """

    names: list[str]
    labels: np.ndarray | None
    has_classes: bool
    read: Callable[[int, int], np.ndarray]


def open_image_input(
    name: str, shape: Sequence[int], *, split: str = "test", raw_dir: str = "", limit: int = 0
) -> ImageInput:
    """Return the images that a name means, none of which is decoded yet where they are pictures.

    Args:
        name: a picture file, a folder with pictures, an .npz file, or the name of a data set, see `datasets.load`.
        shape: (H, W, C) of the model. Pictures are cut to squares and resized; images of data sets have to have it.
        split: of a data set, and of an .npz file with x_test; of others all images are taken.
        raw_dir: folder with original files of a data set.
        limit: the first N images; 0: all.

    Raises:
        UsageError: no such data set, or images of another shape.
        DataError: no such file or folder, damaged data, or a folder without pictures.
    """
    path = pathlib.Path(name)
    if path.is_dir():
        files, kinds, classes = list_pictures(path)
        labels = np.asarray(kinds[: limit or None], np.int64) if len(classes) > 1 else None
        return _list_files(files[: limit or None], labels, shape)
    is_archive = path.suffix.lower() == ".npz"
    if path.is_file() and not is_archive:
        return _list_files([path], None, shape)
    if not path.exists() and (path.suffix.lower() in (*SUFFIXES, ".npz") or path.is_absolute()) and ":" not in name:
        raise DataError(f"Expected pictures, an .npz file or a data set. Received: {name}, which does not exist.")
    if path.is_file():
        return _open_archive(path, shape, split, limit)
    images, labels = load(name, split, raw_dir=raw_dir, limit=limit)
    return wrap_arrays(images, labels if has_labels(name, split, raw_dir) else None, shape, name)


def _open_archive(path: pathlib.Path, shape: Sequence[int], split: str, limit: int) -> ImageInput:
    """Return all images of an .npz file, not only the tenth that is held out for tests in training; x_test is kept."""
    source = find_source(f"npz:{path}")
    part = "all" if "all" in source.parts else select_part(split, source.parts)
    images, labels = (array[: limit or None] for array in source.read(part))
    return wrap_arrays(images, None if part in source.unlabelled_parts else labels, shape, str(path))


def wrap_arrays(images: np.ndarray, labels: np.ndarray | None, shape: Sequence[int], name: str) -> ImageInput:
    """Return images that are in memory, as `datasets.load` gives them, under their numbers.

    Raises:
        UsageError: they do not have this shape.
    """
    if images.shape[1:] != tuple(shape):
        raise UsageError(
            f"Expected images of the shape {tuple(shape)} that the model was trained on. Received: {name} of "
            f"{images.shape[1:]}. An option of its name resizes a published set:  mnist:size={shape[0]}"
        )
    names = [str(number) for number in range(len(images))]
    return ImageInput(names, labels, labels is not None, lambda start, stop: images[start:stop])


def _list_files(paths: Sequence[pathlib.Path], labels: np.ndarray | None, shape: Sequence[int]) -> ImageInput:
    height, width, channels = shape
    if height != width or channels not in (1, 3):
        raise UsageError(f"Expected a model of square grey or RGB images. Received: {list(shape)}.")

    def read(start: int, stop: int) -> np.ndarray:
        return np.stack([read_picture(path, shape) for path in paths[start:stop]])

    return ImageInput([str(path) for path in paths], labels, False, read)


def read_picture(path: pathlib.Path, shape: Sequence[int]) -> np.ndarray:
    """Return a picture file cut to a square and resized: uint8 [*shape].

    Args:
        path: of the file.
        shape: (size, size, 1 or 3).

    Raises:
        DataError: it is no picture.
    """
    try:
        with open(path, "rb") as file:
            return convert_to_array(crop_centre_square(open_picture(file, shape[2]), shape[0]))
    except Exception as error:  # Pillow raises almost anything on damaged bytes
        raise DataError(f"Expected {path} to be a picture. Received: {describe_damage(error)}.") from None


def iterate_batches(images: ImageInput, size: int) -> Iterator[tuple[list[str], np.ndarray, np.ndarray | None]]:
    """Yield (names, images, labels) of at most `size` images at a time."""
    for start in range(0, len(images.names), size):
        stop = min(start + size, len(images.names))
        labels = None if images.labels is None else images.labels[start:stop]
        yield images.names[start:stop], images.read(start, stop), labels


def count_images(inputs: Sequence[ImageInput]) -> int:
    """Return how many images there are."""
    return sum(len(images.names) for images in inputs)


def read_all(inputs: Sequence[ImageInput]) -> np.ndarray:
    """Return all images in one array.

    Raises:
        UsageError: bytes and floats, or more than fit into memory.
    """
    shape = inputs[0].read(0, 1).shape[1:]
    check_count_fits(count_images(inputs), shape, "pictures")
    parts = [images.read(0, len(images.names)) for images in inputs]
    if len({part.dtype for part in parts}) > 1:
        raise UsageError("Expected images that are all bytes, or all floats. Received: both; take them one by one.")
    return np.concatenate(parts)
