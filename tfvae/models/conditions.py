"""What a model is conditioned on beside the image: its label, a part of it, or the trade-off (beta or kappa) to make.

A condition turns values [B, ...] into the context vectors [B, width] that the architecture sees.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError, describe_unknown, describe_value
from tfvae.models.condition_base import WITHHELD_SHARE, Condition
from tfvae.models.label_condition import LabelCondition
from tfvae.option_values import parse_number
from tfvae.runtime import random_streams


class ImagePartCondition(Condition):
    """A part of the image, which the model completes; -1 everywhere is 'not known'.

    The context is that part, zero where it is hidden, and a map of what is visible: [H, W, C + 1].

    Args:
        name: ``upsample``, where the mean of each block of pixels is visible, or ``inpaint``.
        part: pixels along a block's side; or what is hidden: left, right, top, bottom, centre (half each way).
        image_shape: (H, W, C).
    """

    def __init__(self, name: str, part: str, image_shape: tuple[int, ...]) -> None:
        height, width, channels = image_shape
        self.name, self.shape, self.map_shape = name, tuple(image_shape), (height, width, channels + 1)
        self.width, self.limits, self.block = math.prod(self.map_shape), (-1.0, 1.0), 1
        self.metadata = {"shape": list(self.shape)}
        self.visible = np.ones((height, width, 1), np.float32)
        if name == "inpaint":
            self.visible[self._hidden_slices(part, height, width)] = 0.0
        else:
            block = parse_number(part)
            self.block = block if isinstance(block, int) else 0
            if self.block < 2 or height % self.block or width % self.block:
                sides = f"{height} x {width}"
                raise UsageError(f"Expected upsample:N with N >= 2 that divides {sides}. Received: upsample:{part}.")

    @staticmethod
    def _hidden_slices(part: str, height: int, width: int) -> Any:
        middle = tuple(slice(side // 4, side - side // 4) for side in (height, width))
        half = height // 2, width // 2
        slices = {
            "left": np.s_[:, : half[1]],
            "right": np.s_[:, half[1] :],
            "top": np.s_[: half[0]],
            "bottom": np.s_[half[0] :],
            "centre": middle,
        }
        if part not in slices:
            raise UsageError(describe_unknown("hidden part", part, slices))
        return slices[part]

    def values_from_images(self, x: Any) -> Any:
        """Return the images themselves: the model sees a part of each."""
        return x

    def default_values(self, count: Any) -> tf.Tensor:
        """Return 'not known' for each image, [count, H, W, C]."""
        return -tf.ones([count, *self.shape])

    def resolve_values(self, given: Any, count: Any, seed: Any, training: bool) -> tf.Tensor:
        """Return images [count, H, W, C]: those given, in training with some withheld."""
        self.check_values(given, count)
        images = tf.broadcast_to(tf.cast(given, tf.float32), [count, *self.shape])
        if not training:
            return images
        hidden = random_streams.uniform([count], seed, axis=0) < WITHHELD_SHARE
        return tf.where(hidden[:, None, None, None], -1.0, images)

    def visible_part(self, values: tf.Tensor) -> tf.Tensor:
        """Return what the model sees of images [B, H, W, C], and where: [B, H, W, C + 1]."""
        is_visible = tf.cast(values[:, :1, :1, :1] >= 0.0, tf.float32) * self.visible
        if self.block > 1:
            values = tf.nn.avg_pool2d(values, self.block, self.block, "VALID")
            values = tf.repeat(tf.repeat(values, self.block, axis=1), self.block, axis=2)
        visible_map = tf.broadcast_to(is_visible, tf.shape(values[..., :1]))
        return tf.concat([values * is_visible, visible_map], axis=-1)

    def to_context(self, values: Any) -> tf.Tensor:
        """Return the visible parts of images [B, H, W, C] as vectors, [B, H W (C + 1)]."""
        return tf.reshape(self.visible_part(values), [-1, self.width])


class RangeCondition(Condition):
    """A number between `low` and `high`, drawn log-uniformly for each image (Dosovitskiy & Djolonga, 2020).

    Args:
        name: ``beta`` or ``kappa``.
        low: the least value, > 0.
        high: the greatest value, > low, finite.
    """

    width, is_range = 1, True

    def __init__(self, name: str, low: float, high: float) -> None:
        if not 0 < low < high < math.inf:
            raise UsageError(f"Expected 0 < LOW < HIGH in condition={name}:LOW-HIGH. Received: {low:g}-{high:g}.")
        self.name, self.low, self.high = name, low, high
        self.limits, self.metadata = (low, high), {"low": low, "high": high}

    def default_values(self, count: Any) -> tf.Tensor:
        """Return the middle of the range on a log scale, [count]."""
        return tf.fill([count], math.sqrt(self.low * self.high))

    def resolve_values(self, given: Any, count: Any, seed: Any, training: bool) -> tf.Tensor:
        """Return the values of a batch, [count]: those given, or draws."""
        if given is not None:
            self.check_values(given, count)
            return tf.broadcast_to(tf.cast(given, tf.float32), [count])
        share = random_streams.uniform([count], seed, axis=0)
        return self.low * tf.exp(share * math.log(self.high / self.low))

    def to_context(self, values: Any) -> tf.Tensor:
        """Return [B, 1], -1 at the lower and 1 at the upper end of the range, of values [B]."""
        share = tf.math.log(values / self.low) / math.log(self.high / self.low)
        return (2.0 * share - 1.0)[:, None]


def make_context(condition: Condition | None, given: Any, count: Any, x: Any = None) -> tf.Tensor | None:
    """Return the context [count, width] of what a user gives; None for a model without a condition.

    Args:
        condition: the model's, or None.
        given: one value, [count, ...], or None for x's own or the default.
        count: images of the batch.
        x: the images, where there are some.

    Raises:
        UsageError: a value is given for a model that was trained without a condition.
    """
    if condition is None:
        if given is not None:
            received = describe_value(given)
            raise UsageError(f"Expected no condition: the model was trained without. Received: {received}.")
        return None
    if given is None and x is not None:
        given = condition.values_from_images(x)
    if given is None:
        return condition.to_context(condition.default_values(count))
    return condition.to_context(condition.resolve_values(given, count, (0, 0), False))


CONDITION_NAMES = ("labels", "upsample", "inpaint", "beta", "kappa")


def parse_condition(
    text: str | None,
    classes: int = 0,
    supported_conditions: tuple[str, ...] = CONDITION_NAMES,
    image_shape: tuple[int, ...] = (28, 28, 1),
    class_names: Sequence[str] = (),
) -> Condition | None:
    """Return the condition that a spec names: 'labels', 'upsample:4', 'inpaint:right', 'beta:0.1-10', 'kappa:2-6'.

    Args:
        text: the spec; None or '': no condition, None.
        classes: how many labels there are.
        supported_conditions: the names that the objective can make use of.
        image_shape: (H, W, C), for parts of images.
        class_names: of the labels from 0; (): they have none.

    Raises:
        UsageError: anything else.
    """
    if not text:
        return None
    name, _, rest = text.partition(":")
    if name in CONDITION_NAMES and name not in supported_conditions:
        raise UsageError(f"Expected condition {' or '.join(supported_conditions)} here. Received: condition={text}.")
    if text == "labels":
        return LabelCondition(classes, class_names)
    if name == "labels":
        raise UsageError(f"Expected condition=labels; the data set says how many there are. Received: {text!r}.")
    if name in ("upsample", "inpaint"):
        return ImagePartCondition(name, rest, image_shape)
    if name not in ("beta", "kappa"):
        known = ("labels", "upsample:N", "inpaint:PART", "beta:LOW-HIGH", "kappa:LOW-HIGH")
        raise UsageError(describe_unknown("condition", name, known))
    low, high = map(parse_number, rest.partition("-")[::2])
    if low is None or high is None:
        raise UsageError(f"Expected condition={name}:LOW-HIGH, such as {name}:2-6. Received: {text!r}.")
    return RangeCondition(name, float(low), float(high))
