"""Users' own arrays are checked here and brought into the form of all data sets."""

from __future__ import annotations

import numpy as np

from tfvae.errors import DataError

MAX_CHANNELS = 4
MAX_LABEL = 2**31 - 1  # models take labels as int32
MAX_CLASSES = 10**6  # a model that is conditioned on labels has weights for each
PEEK = 1000


def check_images(images: np.ndarray, description: str) -> np.ndarray:
    """Check an array of images and return it with a channel axis: [N,H,W,C], uint8 or float.

    Args:
        images: uint8, bool or float in [0,1], [N,H,W] or [N,H,W,C]. True becomes 255.
        description: what the array is ('x_train in a.npz'), for messages.

    Raises:
        DataError: another type or shape, or values outside [0,1].
    """
    is_float = images.dtype.kind == "f"
    shape = images.shape if images.ndim == 4 else (*images.shape, 1)
    has_good_type = images.dtype == np.uint8 or images.dtype == bool or is_float
    if not has_good_type or len(shape) != 4 or shape[3] > MAX_CHANNELS or 0 in shape:
        raise DataError(
            f"Expected {description} to be uint8, or float in [0,1], [N,H,W] or [N,H,W,C] with C <= {MAX_CHANNELS}. "
            f"Received: {images.dtype} {list(images.shape)}."
        )
    if images.dtype == bool:
        images = images * np.uint8(255)
    elif is_float:
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):  # NaN fails this too
            bad_count = np.count_nonzero(~np.isfinite(images))
            # Rounded to six digits, the first number beyond 1 would be 1.
            is_rounded = np.isfinite([low, high]).all() and (float(f"{low:g}"), float(f"{high:g}")) != (low, high)
            value_range = f"{low!r} to {high!r}" if is_rounded else f"{low:g} to {high:g}"
            raise DataError(
                f"Expected {description}, {images.dtype} {list(images.shape)}, to be finite and in [0,1]. "
                f"Received: values from {value_range}"
                + (f"; {bad_count} of them are NaN or infinite." if bad_count else ".")
            )
    return images.reshape(shape)


def convert_to_bytes(images: np.ndarray, description: str) -> np.ndarray:
    """Check an array of images as `check_images` does and return bytes, uint8 [N,H,W,C]; floats are rounded."""
    images = check_images(images, description)
    return images if images.dtype == np.uint8 else np.rint(images * 255).astype(np.uint8)


def check_labels(labels: np.ndarray, count: int, description: str) -> np.ndarray:
    """Check that labels are `count` whole numbers from 0, [N] or [N,1], and return them as int64 [N].

    Raises:
        DataError: another type or shape, a negative number, or one beyond 2^31 - 1.
    """
    if labels.dtype.kind not in "iu" or labels.shape not in ((count,), (count, 1)):
        raise DataError(
            f"Expected {description} to be {count} whole numbers. Received: {labels.dtype} {list(labels.shape)}."
        )
    low, high = (int(labels.min()), int(labels.max())) if count else (0, 0)
    if low < 0 or high > MAX_LABEL:
        raise DataError(
            f"Expected {description} to be whole numbers from 0 to {MAX_LABEL}. Received: from {low} to {high}; "
            "number the classes from 0."
        )
    return labels.reshape(-1).astype(np.int64)


def check_classes(labels: np.ndarray, name: str, least: int) -> None:
    """Check the labels of a part, int64 [N], for a model that is conditioned on them.

    Args:
        labels: of all images of the part.
        name: the data set, for messages.
        least: how many different labels there must be.

    Raises:
        DataError: fewer different labels, negative ones, or one so large that the model would not fit into memory.
    """
    low, high = (int(labels.min()), int(labels.max())) if len(labels) else (0, 0)
    if least > 1 and low == high:
        raise DataError(
            f"Expected {name!r} to have labels of at least {least} classes, because the model is conditioned on them. "
            f"Received: the label {low} on all {len(labels)} images; leave out condition=labels."
        )
    if low < 0 or high >= MAX_CLASSES:
        raise DataError(
            f"Expected {name!r} to have labels from 0 to {MAX_CLASSES - 1}, because the model has "
            f"weights for each class. Received: from {low} to {high}; number the classes from 0."
        )


def has_only_darkest_bytes(images: np.ndarray) -> bool:
    """Tell whether images are bytes of 0 and 1 alone, with a 1 among them, as a mask has that was not scaled to 255."""
    # Nearly all sets are told apart by their first images, so that a large one is not read from the disk twice.
    is_dark = images.dtype == np.uint8 and images.size > 0 and images[:PEEK].max() <= 1
    return bool(is_dark and images.max() == 1)
