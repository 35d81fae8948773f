"""Checks of the pixels and labels that a user hands to a model: the same rules as for files, `datasets.image_arrays`.

Tensors of a graph have no values yet. Batches of a `tf.data.Dataset` are checked as they come.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.datasets.image_arrays import check_pixel_values
from tfvae.errors import DataError, UsageError

PIXELS_MESSAGE = "Expected float images in [0, 1], or uint8 images, in each batch. Received: others in a later one."
LABELS_MESSAGE = "Expected labels that the model knows in each batch. Received: others in a later one."


def check_float_pixels(x: Any, is_bounded: bool = True) -> None:
    """Refuse float images that are not finite, or are no pixels in [0, 1].

    Args:
        x: an array, or a tensor that has values.
        is_bounded: whether pixels lie in [0, 1]; False for a likelihood of real numbers.

    Raises:
        DataError: the images are such.
    """
    dtype = tf.as_dtype(x.dtype)
    if dtype.is_floating:
        array = np.asarray(tf.cast(x, tf.float32) if dtype == tf.bfloat16 else x)
        check_pixel_values(array, "images", is_bounded)


def peek_batch(data: Any) -> tuple[Any, Any] | None:
    """Return images and labels (None: none) of the first batch of a data set, or None where looking would use it up.

    Args:
        data: a `tf.data.Dataset` or a `keras.utils.PyDataset`; None comes back for anything else.

    Raises:
        UsageError: it is empty.
    """
    if isinstance(data, tf.data.Dataset):
        batch = next(iter(data.take(1)), None)
    elif isinstance(data, keras.utils.PyDataset):
        batch = data[0]
    else:
        return None
    if batch is None:
        raise UsageError("Expected a tf.data.Dataset with at least one batch. Received: an empty one.")
    x, labels, _ = keras.utils.unpack_x_y_sample_weight(batch)
    return x, labels


def guard_batches(dataset: tf.data.Dataset, is_bounded: bool, classes: int) -> tf.data.Dataset:
    """Return a data set that fails at the first batch of impossible pixels or labels; others pass unchanged.

    NaN passes: a training skips such a step, and says so.

    Args:
        dataset: of batches of images, or (images, labels).
        is_bounded: as for `check_float_pixels`.
        classes: labels are -1 to `classes` - 1; 0: they are not looked at.
    """

    def check(*element: Any) -> Any:
        x, labels, _ = keras.utils.unpack_x_y_sample_weight(element if len(element) > 1 else element[0])
        checks = []
        if is_bounded and x.dtype.is_floating:
            checks.append(tf.Assert(~tf.reduce_any((x < 0.0) | (x > 1.0)), [PIXELS_MESSAGE]))
        if classes and labels is not None:
            number = tf.cast(labels, tf.float64)
            is_known = (number >= -1.0) & (number < classes) & (number == tf.math.floor(number))
            checks.append(tf.Assert(tf.reduce_all(is_known), [LABELS_MESSAGE]))
        with tf.control_dependencies(checks):
            return tf.nest.map_structure(tf.identity, element if len(element) > 1 else element[0])

    return dataset.map(check)


@contextlib.contextmanager
def translate_guard_errors() -> Iterator[None]:
    """Turn what a data set of `guard_batches` raises within the block into a DataError of one line."""
    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        for message in (PIXELS_MESSAGE, LABELS_MESSAGE):
            if message in error.message:
                raise DataError(message) from None
        raise
