"""What a model is told beside the image: its label, or the trade-off, beta or kappa, that it shall make.

A condition turns values [B] into the context vectors [B, width] that the architecture sees.
"""

import math

import tensorflow as tf

from tfvae import rng
from tfvae.errors import UsageError, unknown

WITHHELD = 0.1  # share of the labels in training that the model does not see, so that it works without one, too


class Labels:
    """A class label, one-hot; -1 is 'not known', a vector of zeros.

    Args:
        classes: how many.
    """

    name = "labels"

    def __init__(self, classes):
        if not classes >= 1:
            raise UsageError(f"Expected the number of classes with condition=labels. Received: classes={classes}.")
        self.width = int(classes)

    def default(self, count):
        """Not known, [count]."""
        return -tf.ones([count], tf.int32)

    def drawn(self, given, count, seed, training):
        """The labels of a batch: those given, in training with some withheld."""
        if given is None:
            return self.default(count)
        labels = tf.broadcast_to(tf.cast(given, tf.int32), [count])
        if not training:
            return labels
        return tf.where(rng.uniform([count], seed, axis=0) < WITHHELD, -1, labels)

    def vector(self, values):
        """[B] -> [B, classes]."""
        return tf.one_hot(values, self.width)


class Range:
    """A number between `low` and `high`, drawn log-uniformly for each image (Dosovitskiy & Djolonga, 2020).

    Args:
        name: ``beta`` or ``kappa``.
    """

    width = 1

    def __init__(self, name, low, high):
        if not 0 < low < high < math.inf:
            raise UsageError(f"Expected 0 < LOW < HIGH in condition={name}:LOW-HIGH. Received: {low:g}-{high:g}.")
        self.name, self.low, self.high = name, low, high

    def default(self, count):
        """The middle of the range, [count]."""
        return tf.fill([count], math.sqrt(self.low * self.high))

    def drawn(self, given, count, seed, training):
        """The values of a batch: those given, or draws."""
        if given is not None:
            return tf.broadcast_to(tf.cast(given, tf.float32), [count])
        share = rng.uniform([count], seed, axis=0)
        return self.low * tf.exp(share * math.log(self.high / self.low))

    def vector(self, values):
        """[B] -> [B, 1], -1 at the lower and 1 at the upper end of the range."""
        place = tf.math.log(values / self.low) / math.log(self.high / self.low)
        return (2.0 * place - 1.0)[:, None]


def vector(told, values):
    """Values [B] of the condition `told` -> [B, width]; None without one."""
    return None if told is None else told.vector(values)


def context(told, given, count):
    """The context [count, width] of what a user gives: one number, [count], or None for the default.

    Raises:
        UsageError: something is given for a model that was trained without a condition.
    """
    if told is None and given is not None:
        raise UsageError(f"Expected no condition: the model was trained without. Received: {given}.")
    if told is None:
        return None
    return told.vector(told.default(count) if given is None else told.drawn(given, count, (0, 0), False))


def parse(text, classes=0, tellable=("labels", "beta", "kappa")):
    """'labels', 'beta:0.1-10', 'kappa:2-6' or '' -> a condition, or None.

    Args:
        classes: how many labels there are.
        tellable: the names that the objective can make use of.

    Raises:
        UsageError: anything else.
    """
    name, _, rest = text.partition(":")
    if not text:
        return None
    if name in ("labels", "beta", "kappa") and name not in tellable:
        raise UsageError(f"Expected condition {' or '.join(tellable)} here. Received: condition={text}.")
    if text == "labels":
        return Labels(classes)
    if name not in ("beta", "kappa"):
        raise UsageError(unknown("condition", name, ("labels", "beta:LOW-HIGH", "kappa:LOW-HIGH")))
    try:
        low, high = (float(word) for word in rest.split("-"))
    except ValueError:
        raise UsageError(f"Expected condition={name}:LOW-HIGH, such as {name}:2-6. Received: {text!r}.") from None
    return Range(name, low, high)
