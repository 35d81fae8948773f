"""What the methods of a model take from a user, lists and NumPy's numbers too, in the form they compute with.

Tensors of a graph have no values yet: of these only the static shape is looked at.
"""

from __future__ import annotations

import inspect
import math
import numbers
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import DataError, UsageError, describe_unknown, describe_value
from tfvae.models.pixel_checks import check_float_pixels
from tfvae.runtime.memory import check_count_fits


def to_array(value: Any, expected: str) -> Any:
    """Return a tensor or an array as it is, and a list of numbers as an array.

    Args:
        value: what was received.
        expected: what was expected, for the message.

    Raises:
        DataError: it is no array of numbers.
    """
    if hasattr(value, "shape") and hasattr(value, "dtype"):
        return value
    try:
        array = np.asarray(value)
    except ValueError:  # lists of several lengths
        array = np.asarray(None)
    if array.dtype.kind not in "biuf":
        raise DataError(f"Expected {expected}. Received: {describe_value(value)}.")
    return array


def to_images(x: Any, image_shape: tuple[int, ...], is_bounded: bool = True) -> Any:
    """Return images [B, H, W, C] as they are; grey ones may lack the axis of channels, [B, H, W].

    Args:
        x: the images.
        image_shape: (H, W, C).
        is_bounded: whether pixels lie in [0, 1]; False for a likelihood of real numbers.

    Raises:
        DataError: another shape, or floats that are not finite or not in [0, 1].
    """
    shape = f"[N, {', '.join(map(str, image_shape))}]"
    x = to_array(x, f"images {shape}")
    if len(x.shape) == 3 and image_shape[-1] == 1 and tuple(x.shape[1:]) == image_shape[:2]:
        x = x[..., None]
    if len(x.shape) != 4 or tuple(x.shape[1:]) != image_shape:
        one = " For one image give x[None]." if tuple(x.shape) in (image_shape, image_shape[:2]) else ""
        raise DataError(f"Expected images {shape}. Received: {describe_value(x)}.{one}")
    check_pixel_type(x)
    if not tf.is_symbolic_tensor(x):
        check_float_pixels(x, is_bounded)
    return x


def check_pixel_type(x: Any) -> None:
    """Refuse numbers that are neither bytes nor floats nor bits; tensors of a graph, too.

    Raises:
        DataError: they are such.
    """
    try:
        dtype = tf.as_dtype(x.dtype)
        is_good = dtype.is_floating or dtype in (tf.uint8, tf.bool)
    except TypeError:  # a type that only NumPy has
        is_good = False
    if not is_good:
        raise DataError(
            f"Expected uint8 images, or floats in [0, 1]. Received: {describe_value(x)}. Bytes in another type "
            'are x.astype("uint8").'
        )


def to_codes(z: Any, latent: int) -> Any:
    """Return codes [..., L] as floats.

    Raises:
        DataError: another number of latent dimensions.
    """
    z = to_array(z, f"codes [N, {latent}]")
    if len(z.shape) < 2 or z.shape[-1] != latent:
        one = " For one code give z[None]." if tuple(z.shape) == (latent,) else ""
        raise DataError(f"Expected codes [N, {latent}]. Received: {describe_value(z)}.{one}")
    return z if tf.as_dtype(z.dtype).is_floating else tf.cast(z, tf.float32)


def check_count(name: str, count: Any, least: int, shape: tuple[int, ...] = ()) -> Any:
    """Return a count as Python's number; tensors, which graphs compute, as they are.

    Args:
        name: of the argument.
        count: how many.
        least: the smallest that makes sense.
        shape: of one of what is counted: as many must fit into memory.

    Raises:
        UsageError: no whole number, too few, or more than fit.
    """
    if tf.is_tensor(count):
        return count
    if not isinstance(count, numbers.Integral) or isinstance(count, bool) or count < least:
        raise UsageError(f"Expected {name} to be a whole number >= {least}. Received: {describe_value(count)}.")
    if shape:
        check_count_fits(int(count), shape)
    return int(count)


def check_number(name: str, value: Any) -> Any:
    """Return a finite number; tensors, which graphs compute, as they are.

    Raises:
        UsageError: it is something else.
    """
    if tf.is_tensor(value):
        return value
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        raise UsageError(f"Expected {name} to be a finite number. Received: {describe_value(value)}.")
    return float(value)


def check_fit_data(x: Any, image_shape: tuple[int, ...], is_bounded: bool = True) -> Any:
    """Return what Keras' `fit` can go through: arrays checked by `to_images`, generators as they are.

    Args:
        x, image_shape, is_bounded: as for `to_images`.

    Raises:
        UsageError: there are no images. DataError: see `to_images`.
    """
    if x is None or isinstance(x, (str, Mapping)):
        raise UsageError(f"Expected images, or a tf.data.Dataset of them. Received: {describe_value(x)}.")
    if isinstance(x, (list, tuple)) or hasattr(x, "shape"):
        return to_images(x, image_shape, is_bounded)
    return x


def check_keyword_names(method: Callable[..., Any], names: Iterable[str]) -> None:
    """Refuse keyword arguments that a method of Keras does not take.

    Raises:
        UsageError: there is one; the message names the nearest that is taken.
    """
    known = [name for name in inspect.signature(method).parameters if name != "self"]
    for name in names:
        if name not in known:
            raise UsageError(describe_unknown(f"an argument of {method.__name__}", name, known))
