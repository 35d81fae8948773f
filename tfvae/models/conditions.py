"""What a model is told beside the image: its label, a part of the image, or the trade-off, beta or kappa, to make.

A condition turns values [B, ...] into the context vectors [B, width] that the architecture sees.
"""

import math

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError, describe_unknown
from tfvae.runtime import random_streams

WITHHELD_SHARE = (
    0.1  # share of labels and pictures in training that the model does not see, so that it works without, too
)


class Condition:
    """What all have in common.

    Attributes:
        name: as in the spec.
        shape, dtype: of one value. limits: the least and the greatest.
        width: of the context vector; maps: (H, W, C) if that vector is an image, else ().
        about: what a SavedModel's manifest says of it.
    """

    shape, map_shape, dtype = (), (), tf.float32

    def values_from_images(self, x):
        """The values that the images x themselves give, or None."""
        return None


class LabelCondition(Condition):
    """A class label, one-hot; -1 is 'not known', a vector of zeros.

    Args:
        classes: how many.
    """

    name, dtype = "labels", tf.int32

    def __init__(self, classes):
        if not classes >= 1:
            raise UsageError(f"Expected the number of classes with condition=labels. Received: classes={classes}.")
        self.width = int(classes)
        self.limits, self.metadata = (-1, self.width - 1), {"classes": self.width}

    def default_values(self, count):
        """Not known, [count]."""
        return -tf.ones([count], tf.int32)

    def resolve_values(self, given, count, seed, training):
        """The labels of a batch: those given, in training with some withheld."""
        if given is None:
            return self.default_values(count)
        labels = tf.broadcast_to(tf.cast(given, tf.int32), [count])
        if not training:
            return labels
        return tf.where(random_streams.uniform([count], seed, axis=0) < WITHHELD_SHARE, -1, labels)

    def to_context(self, values):
        """[B] -> [B, classes]."""
        return tf.one_hot(values, self.width)


class ImagePartCondition(Condition):
    """A part of the image, to be completed; -1 everywhere is 'not known'.

    The context is that part, zero where it is hidden, and a map of what is shown: [H, W, C + 1].

    Args:
        name: ``upsample``, of which the mean of each block of pixels is shown, or ``inpaint``.
        part: how many pixels a block's side has; or what is hidden: left, right, top, bottom, centre (half each way).
        image_shape: (H, W, C).
    """

    def __init__(self, name, part, image_shape):
        height, width, channels = image_shape
        self.name, self.shape, self.map_shape = name, tuple(image_shape), (height, width, channels + 1)
        self.width, self.limits, self.block = math.prod(self.map_shape), (-1.0, 1.0), 1
        self.metadata = {"shape": list(self.shape)}
        shown = np.ones((height, width, 1), np.float32)
        if name == "inpaint":
            middle = tuple(slice(side // 4, side - side // 4) for side in (height, width))
            half = height // 2, width // 2
            places = {
                "left": np.s_[:, : half[1]], "right": np.s_[:, half[1] :], "top": np.s_[: half[0]],
                "bottom": np.s_[half[0] :], "centre": middle,
            }  # fmt: skip
            if part not in places:
                raise UsageError(describe_unknown("hidden part", part, places))
            shown[places[part]] = 0.0
        else:
            self.block = int(part) if part.isdigit() else 0
            if self.block < 2 or height % self.block or width % self.block:
                sides = f"{height} x {width}"
                raise UsageError(f"Expected upsample:N with N >= 2 that divides {sides}. Received: upsample:{part}.")
        self.shown = shown

    def default_values(self, count):
        """Not known, [count, H, W, C]."""
        return -tf.ones([count, *self.shape])

    def values_from_images(self, x):
        return x

    def resolve_values(self, given, count, seed, training):
        """Images [count, H, W, C]: those given, in training with some withheld."""
        images = tf.broadcast_to(tf.cast(given, tf.float32), [count, *self.shape])
        if not training:
            return images
        hidden = random_streams.uniform([count], seed, axis=0) < WITHHELD_SHARE
        return tf.where(hidden[:, None, None, None], -1.0, images)

    def visible_part(self, values):
        """[B, H, W, C] -> what the model sees of them, and where: [B, H, W, C + 1]."""
        known = tf.cast(values[:, :1, :1, :1] >= 0.0, tf.float32) * self.shown
        if self.block > 1:
            values = tf.nn.avg_pool2d(values, self.block, self.block, "VALID")
            values = tf.repeat(tf.repeat(values, self.block, axis=1), self.block, axis=2)
        return tf.concat([values * known, tf.broadcast_to(known, tf.shape(values[..., :1]))], axis=-1)

    def to_context(self, values):
        """[B, H, W, C] -> [B, H W (C + 1)]."""
        return tf.reshape(self.visible_part(values), [-1, self.width])


class RangeCondition(Condition):
    """A number between `low` and `high`, drawn log-uniformly for each image (Dosovitskiy & Djolonga, 2020).

    Args:
        name: ``beta`` or ``kappa``.
    """

    width = 1

    def __init__(self, name, low, high):
        if not 0 < low < high < math.inf:
            raise UsageError(f"Expected 0 < LOW < HIGH in condition={name}:LOW-HIGH. Received: {low:g}-{high:g}.")
        self.name, self.low, self.high = name, low, high
        self.limits, self.metadata = (low, high), {"low": low, "high": high}

    def default_values(self, count):
        """The middle of the range, [count]."""
        return tf.fill([count], math.sqrt(self.low * self.high))

    def resolve_values(self, given, count, seed, training):
        """The values of a batch: those given, or draws."""
        if given is not None:
            return tf.broadcast_to(tf.cast(given, tf.float32), [count])
        share = random_streams.uniform([count], seed, axis=0)
        return self.low * tf.exp(share * math.log(self.high / self.low))

    def to_context(self, values):
        """[B] -> [B, 1], -1 at the lower and 1 at the upper end of the range."""
        place = tf.math.log(values / self.low) / math.log(self.high / self.low)
        return (2.0 * place - 1.0)[:, None]


def make_context_of_values(told, values):
    """Values [B] of the condition `told` -> [B, width]; None without one."""
    return None if told is None else told.to_context(values)


def make_context(told, given, count, x=None):
    """The context [count, width] of what a user gives: one value, [count, ...], or None for x's own or the default.

    Raises:
        UsageError: something is given for a model that was trained without a condition.
    """
    if told is None and given is not None:
        raise UsageError(f"Expected no condition: the model was trained without. Received: {given}.")
    if told is None:
        return None
    if given is None and x is not None:
        given = told.values_from_images(x)
    return told.to_context(
        told.default_values(count) if given is None else told.resolve_values(given, count, (0, 0), False)
    )


CONDITION_NAMES = ("labels", "upsample", "inpaint", "beta", "kappa")


def parse_condition(text, classes=0, supported_conditions=CONDITION_NAMES, image_shape=(28, 28, 1)):
    """'labels', 'upsample:4', 'inpaint:right', 'beta:0.1-10', 'kappa:2-6' or '' -> a condition, or None.

    Args:
        classes: how many labels there are.
        supported_conditions: the names that the objective can make use of.
        image_shape: (H, W, C), for parts of images.

    Raises:
        UsageError: anything else.
    """
    name, _, rest = text.partition(":")
    if not text:
        return None
    if name in CONDITION_NAMES and name not in supported_conditions:
        raise UsageError(f"Expected condition {' or '.join(supported_conditions)} here. Received: condition={text}.")
    if text == "labels":
        return LabelCondition(classes)
    if name in ("upsample", "inpaint"):
        return ImagePartCondition(name, rest, image_shape)
    if name not in ("beta", "kappa"):
        known = ("labels", "upsample:N", "inpaint:PART", "beta:LOW-HIGH", "kappa:LOW-HIGH")
        raise UsageError(describe_unknown("condition", name, known))
    try:
        low, high = (float(word) for word in rest.split("-"))
    except ValueError:
        raise UsageError(f"Expected condition={name}:LOW-HIGH, such as {name}:2-6. Received: {text!r}.") from None
    return RangeCondition(name, low, high)
