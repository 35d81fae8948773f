"""Users' own arrays are checked here and brought into the form of all data sets."""

from __future__ import annotations

import hashlib
import math

import numpy as np

from tfvae.errors import DataError

MAX_CHANNELS = 4
MAX_LABEL = 2**31 - 1  # models take labels as int32
MAX_CLASSES = 10**6  # a model that is conditioned on labels has weights for each
PEEK = 1000
MOST_OF_A_PIXEL = 2.0  # real-valued data may lie a little beyond 1; grey levels lie far beyond


def check_images(images: np.ndarray, description: str) -> np.ndarray:
    """Check an array of images and return it with a channel axis: [N,H,W,C], uint8 or float.

    Args:
        images: uint8, bool or float in [0,1], [N,H,W] or [N,H,W,C]. True becomes 255.
        description: what the array is ('x_train in a.npz'), for messages.

    Raises:
        DataError: another type or shape, or values outside [0,1].
    """
    shape = images.shape if images.ndim == 4 else (*images.shape, 1)
    has_good_shape = len(shape) == 4 and shape[3] <= MAX_CHANNELS and 0 not in shape
    if not has_good_shape or _is_like_signals(images.shape) or not has_pixel_type(images.dtype):
        raise DataError(
            f"Expected {description} to be uint8, or float in [0, 1], [N,H,W] or [N,H,W,C] with C <= {MAX_CHANNELS}. "
            f"Received: {images.dtype} {list(images.shape)}{_suggest_shape(images.shape)}."
        )
    if images.dtype == bool:
        images = images * np.uint8(255)
    check_pixel_values(images, description)
    return images.reshape(shape)


def _is_like_signals(shape: tuple[int, ...]) -> bool:
    """Tell whether an array is rather [N, length, channels], or one picture [H,W,C], than images [N,H,W]."""
    return len(shape) == 3 and (1 in shape[1:] or shape[2] <= MAX_CHANNELS < shape[1])


def _suggest_shape(shape: tuple[int, ...]) -> str:
    """Return what an array of this shape may be, with the way out, or ''."""
    if _is_like_signals(shape):
        return (
            ", which may be signals [N, length, channels] or one picture; of grey images that are so narrow, give the "
            "channel axis too, x[..., None]"
        )
    if len(shape) == 4 and shape[1] <= MAX_CHANNELS < shape[3]:
        return "; if channels come first, use x.transpose(0, 2, 3, 1)"
    if len(shape) == 2 and shape[1] > 1 and math.isqrt(shape[1]) ** 2 == shape[1]:
        side = math.isqrt(shape[1])
        return f"; of images as flat rows, use x.reshape(-1, {side}, {side}, 1)"
    return ""


def has_pixel_type(dtype: np.dtype) -> bool:
    """Tell whether numbers of this type are pixels: bytes, floats, or bits."""
    return dtype == np.uint8 or dtype.kind in "bf"


def check_pixel_values(images: np.ndarray, description: str, is_bounded: bool = True) -> None:
    """Refuse floats that are not finite or, where they are bounded, not in [0,1]; bytes and bits pass.

    Args:
        images: of a type that `has_pixel_type`.
        description: what the array is, for messages.
        is_bounded: whether pixels lie in [0,1]; False for models of real numbers.

    Raises:
        DataError: there are such.
    """
    if images.dtype.kind != "f" or not images.size:
        return
    low, high = float(images.min()), float(images.max())
    if low >= 0 and high <= 1 or not is_bounded and np.isfinite([low, high]).all():  # NaN fails both
        return
    bad_count = np.count_nonzero(~np.isfinite(images))
    # Rounded to six digits, the first number beyond 1 would be 1.
    is_rounded = np.isfinite([low, high]).all() and (float(f"{low:g}"), float(f"{high:g}")) != (low, high)
    value_range = f"{low!r} to {high!r}" if is_rounded else f"{low:g} to {high:g}"
    hint = f"; {bad_count} of them are NaN or infinite." if bad_count else _suggest_scale(low, high)
    raise DataError(
        f"Expected {description}, {images.dtype} {list(images.shape)}, to be finite{' and in [0, 1]' * is_bounded}. "
        f"Received: values from {value_range}{hint}"
    )


def _suggest_scale(low: float, high: float) -> str:
    """Return the end of the sentence on floats from `low` to `high`, with their likely scale and the way out."""
    if low >= 0 and MOST_OF_A_PIXEL < high <= 255:
        return "; divide grey levels by 255, or cast them to uint8."
    return "; if they were scaled to [-1,1], use (x + 1) / 2." if -1 <= low < 0 and high <= 1 else "."


def convert_to_bytes(images: np.ndarray, description: str) -> np.ndarray:
    """Check an array of images as `check_images` does and return bytes, uint8 [N,H,W,C]; floats are rounded."""
    images = check_images(images, description)
    if images.dtype == np.uint8:
        return images
    exact = images.astype(np.float32) if images.dtype.itemsize < 4 else images  # half floats do not hold every byte
    return np.rint(exact * 255).astype(np.uint8)


def check_labels(labels: np.ndarray, count: int, description: str) -> np.ndarray:
    """Check that labels are `count` whole numbers from 0, [N] or [N,1], and return them as int64 [N].

    Raises:
        DataError: another type or shape, a negative number, or one beyond 2^31 - 1.
    """
    if labels.dtype.kind not in "iu" or labels.shape not in ((count,), (count, 1)):
        hint = "; of one-hot labels, use labels.argmax(axis=1)" if is_one_hot(labels) else ""
        raise DataError(
            f"Expected {description} to be {count} whole numbers. Received: {labels.dtype} {list(labels.shape)}{hint}."
        )
    low, high = (int(labels.min()), int(labels.max())) if count else (0, 0)
    if low < 0 or high > MAX_LABEL:
        raise DataError(
            f"Expected {description} to be whole numbers from 0 to {MAX_LABEL}. Received: from {low} to {high}; "
            "number the classes from 0."
        )
    return labels.reshape(-1).astype(np.int64)


def is_one_hot(labels: np.ndarray) -> bool:
    """Tell whether labels are rows [N, classes] of which one number is 1 and the others are 0."""
    is_matrix = labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "biuf"
    return bool(is_matrix and np.isin(labels, (0, 1)).all() and (labels.sum(axis=1) == 1).all())


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


def fingerprint(images: np.ndarray) -> str:
    """Return the hex sha256 of an array's dtype, shape and bytes, which names the data of a run in env.json.

    Example:
        >>> fingerprint(np.zeros((1, 2, 2, 1), np.uint8))[:8]
        '26ad1b27'
    """
    images = np.asarray(images)
    digest = hashlib.sha256(f"{images.dtype.str}{images.shape}".encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()


def fingerprint_split(images: np.ndarray, labels: np.ndarray) -> str:
    """Return one hex sha256 of images and their labels."""
    return hashlib.sha256(f"{fingerprint(images)} {fingerprint(labels)}".encode()).hexdigest()
