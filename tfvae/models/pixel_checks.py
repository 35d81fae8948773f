"""Checks of images that a user hands to a model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfvae.errors import DataError

MOST_OF_A_PIXEL = 2.0  # real-valued data may lie a little beyond 1; grey levels lie far beyond


def check_float_pixels(x: Any) -> None:
    """Refuse float images that are grey levels from 0 to 255 and not pixels in [0, 1].

    Args:
        x: an array, or a `tf.data.Dataset`, of which the first batch is looked at; anything else passes.

    Raises:
        DataError: the images are such.
    """
    if isinstance(x, tf.data.Dataset):
        x = next(iter(x.take(1)), None)
        x = x[0] if isinstance(x, (tuple, list)) else x
    if x is None or not hasattr(x, "dtype") or not tf.as_dtype(x.dtype).is_floating:
        return
    largest = float(tf.reduce_max(x))
    if largest > MOST_OF_A_PIXEL:
        raise DataError(
            f"Expected float images in [0, 1], or uint8 images. Received: floats up to {largest:g}. Divide by 255, or "
            "cast them to uint8."
        )
