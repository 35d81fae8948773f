"""Arrays that are given in Python as a data set: they get a name that is made of their content.

A config can hold that name, so a run knows what it was trained on; the arrays themselves stay in this process. In
another one they are given again, and the name tells whether they are the same.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import psutil

from tfvae.datasets.image_arrays import fingerprint, is_one_hot
from tfvae.datasets.source import Source
from tfvae.datasets.user_functions import read_mapping
from tfvae.errors import DataError, UsageError, describe_value

PREFIX = "arrays"
WAYS_IN = (
    "a name of  tfvae data list, images [N, H, W, C], (images, labels), a dict of these, a tf.data.Dataset, or a "
    "function that returns such"
)
INFINITE = -1  # what tf.data calls the size of a data set without an end
_SOURCES: dict[str, Source] = {}  # of this process, by name


def from_arrays(images: Any, labels: Any = None, *, test_images: Any = None, test_labels: Any = None) -> str:
    """Make a data set of arrays and return its name, which `tfvae.train` and `tfvae.datasets.load` take.

    The name is made of the arrays' content. They stay in memory as long as this process lasts; in another one, call
    this with the same arrays again before you evaluate or resume a run that was trained on them.

    Args:
        images: [N, H, W, C] or [N, H, W]: uint8, bool, or floats in [0, 1].
        labels: whole numbers [N], or one-hot [N, classes]; None: the images have none.
        test_images: as `images`; None: a fixed tenth of `images` is the test split.
        test_labels: as `labels`, of the test images.

    Raises:
        DataError: arrays of another type or shape.

    Example:
        >>> name = from_arrays(np.zeros((20, 8, 8), np.uint8))
        >>> name.split("-")[0]
        'arrays:20x8x8x1'
    """
    given = {"images": images, "labels": labels, "test_images": test_images, "test_labels": test_labels}
    if test_images is not None:
        given = {"train_images": images, "train_labels": labels, "test_images": test_images, "test_labels": test_labels}
    return register_mapping({key: value for key, value in given.items() if value is not None})


def register_mapping(mapping: Mapping[str, Any]) -> str:
    """Register arrays by the keys that users' own functions return, see `user_functions`, and return their name."""
    arrays, has_labels = read_mapping("the data", {key: decode_one_hot(key, value) for key, value in mapping.items()})
    digests = [f"{part} {fingerprint(images)} {fingerprint(labels)}" for part, (images, labels) in arrays.items()]
    digest = hashlib.sha256("\n".join([str(has_labels), *digests]).encode()).hexdigest()[:16]
    first = next(iter(arrays.values()))[0]
    name = f"{PREFIX}:{'x'.join(map(str, first.shape))}-{digest}"
    unlabelled_parts = () if has_labels else tuple(arrays)
    _SOURCES[name] = Source(
        tuple(arrays), arrays.__getitem__, "arrays given in Python", unlabelled_parts=unlabelled_parts
    )
    return name


def decode_one_hot(key: str, value: Any) -> np.ndarray:
    """Return a copy of an array; of labels that are one-hot [N, classes], the whole numbers [N] they stand for."""
    try:
        array = np.array(value)  # a copy: what the user changes later must not change what the name stands for
    except ValueError:  # lists of lists of several lengths
        raise DataError(f"Expected {key} to be one array. Received: {describe_value(value)}.") from None
    return array.argmax(axis=1) if key.endswith("labels") and is_one_hot(array) else array


def find_given_source(name: str) -> Source:
    """Return the source of arrays that were given to this process.

    Raises:
        DataError: they were not.
    """
    if name not in _SOURCES:
        raise DataError(
            f"Expected the arrays {name!r}, which were given in Python, in this process. Received: none such. Give "
            "them again with  tfvae.datasets.from_arrays(images, labels), or train on a file: npz:PATH."
        )
    return _SOURCES[name]


def name_data(data: Any) -> str:
    """Return the name of a data set, however it is given in Python; arrays are registered, see `from_arrays`.

    Args:
        data: a name; the path of a folder of pictures or of an npz file; images; (images, labels), also one pair for
            training and one for tests, as Keras' own data sets are; a mapping with the keys that users' own functions
            return; a `tf.data.Dataset` of images or of (images, labels), in batches or not; or such a function.

    Raises:
        UsageError: something else.
        DataError: arrays of another type or shape.
    """
    if isinstance(data, str):
        return data
    if isinstance(data, os.PathLike):
        path = pathlib.Path(data)
        return f"{'npz' if path.suffix == '.npz' else 'folder'}:{path}"
    if hasattr(data, "as_numpy_iterator"):
        return from_arrays(*read_tf_dataset(data))
    if isinstance(data, Mapping):
        return register_mapping(data)
    if isinstance(data, tuple):
        return _register_tuple(data)
    if callable(data) and hasattr(data, "__qualname__"):
        return name_function(data)
    if isinstance(data, list) or hasattr(data, "__array__"):
        return from_arrays(data)
    raise UsageError(f"Expected dataset to be {WAYS_IN}. Received: {describe_value(data)}.")


def _register_tuple(data: tuple[Any, ...]) -> str:
    if len(data) == 2 and all(isinstance(pair, tuple) and len(pair) == 2 for pair in data):
        (images, labels), (test_images, test_labels) = data
        return from_arrays(images, labels, test_images=test_images, test_labels=test_labels)
    if len(data) == 2:
        return from_arrays(*data)
    raise UsageError(
        f"Expected dataset to be images, (images, labels), or ((images, labels), (test images, test labels)). "
        f"Received: a tuple of {len(data)}."
    )


def name_function(function: Callable[..., Any]) -> str:
    """Return the import path of a function or class that returns arrays.

    Raises:
        UsageError: it stands inside another one, so that no other process could import it.
    """
    path = f"{function.__module__}.{function.__qualname__}"
    if "<" in path:
        raise UsageError(
            f"Expected dataset to be a function that can be imported. Received: {path}. Define it at the top level of "
            "a file, or give the arrays that it returns."
        )
    return path


def read_tf_dataset(dataset: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Read a `tf.data.Dataset` to its end and return images and labels (None: it has none).

    Raises:
        DataError: it has no end, is empty, or its elements are neither images nor (images, labels).
        UsageError: it does not fit into memory.
    """
    if int(dataset.cardinality()) == INFINITE:
        raise DataError("Expected a tf.data.Dataset with an end. Received: an endless one; leave out repeat().")
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    size = 0
    for element in dataset.as_numpy_iterator():
        pair = element if isinstance(element, tuple) else (element,)
        if len(pair) > 2 or not all(hasattr(part, "shape") for part in pair):
            raise DataError(
                "Expected a tf.data.Dataset of images or of (images, labels). "
                f"Received: elements such as {describe_value(element)}."
            )
        batch = to_batch(pair[0])
        images.append(batch)
        labels += [np.reshape(part, (len(batch), -1)) for part in pair[1:]]
        size += batch.nbytes
        if size > psutil.virtual_memory().available:  # as much again is needed to join the batches
            raise UsageError(
                f"Expected a tf.data.Dataset that fits into memory. Received: more than {len(batch) * len(images):,} "
                "images; take fewer with take(), or train on files: folder:PATH."
            )
    if not images:
        raise DataError("Expected images in the tf.data.Dataset. Received: none.")
    if len({(batch.shape[1:], batch.dtype) for batch in images}) > 1:
        raise DataError("Expected images of one shape in the tf.data.Dataset. Received: several shapes.")
    return np.concatenate(images), np.concatenate(labels) if labels else None


def to_batch(images: np.ndarray) -> np.ndarray:
    """Return one image [H, W] or [H, W, C] as a batch of one; batches [B, H, W] and [B, H, W, C] as they are."""
    is_single = images.ndim == 2 or images.ndim == 3 and images.shape[-1] <= 4
    return images[None] if is_single else images
