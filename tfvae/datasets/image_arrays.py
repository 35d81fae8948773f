"""Users' own arrays are checked here and brought into the form of all data sets."""

from __future__ import annotations

import numpy as np

from tfvae.errors import DataError

MAX_CHANNELS = 4


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
            raise DataError(
                f"Expected {description}, {images.dtype} {list(images.shape)}, to be finite and in [0,1]. "
                f"Received: values from {low:g} to {high:g}."
            )
    return images.reshape(shape)


def convert_to_bytes(images: np.ndarray, description: str) -> np.ndarray:
    """Check an array of images as `check_images` does and return bytes, uint8 [N,H,W,C]; floats are rounded."""
    images = check_images(images, description)
    return images if images.dtype == np.uint8 else np.rint(images * 255).astype(np.uint8)


def check_labels(labels: np.ndarray, count: int, description: str) -> np.ndarray:
    """Check that labels are `count` whole numbers, [N] or [N,1], and return them as int64 [N].

    Raises:
        DataError: another type or shape.
    """
    if labels.dtype.kind not in "iu" or labels.shape not in ((count,), (count, 1)):
        raise DataError(
            f"Expected {description} to be {count} whole numbers. Received: {labels.dtype} {list(labels.shape)}."
        )
    return labels.reshape(-1).astype(np.int64)
