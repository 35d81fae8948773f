"""`LabelCondition`: a model that is conditioned on the labels of its data, by number or by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError, describe_value, suggest_name
from tfvae.models.condition_base import WITHHELD_SHARE, Condition
from tfvae.runtime import random_streams

MAX_NAMES = 20  # of classes, in a sentence


class LabelCondition(Condition):
    """A class label, one-hot; -1 is 'not known', a vector of zeros.

    Args:
        classes: how many, >= 1.
        class_names: of the labels from 0; (): they have none.
    """

    name, dtype, uses_labels = "labels", tf.int32, True

    def __init__(self, classes: int, class_names: Sequence[str] = ()) -> None:
        if not classes >= 1:
            raise UsageError(f"Expected the number of classes with condition=labels. Received: classes={classes}.")
        if class_names and (len(class_names) != classes or not all(isinstance(name, str) for name in class_names)):
            raise UsageError(f"Expected {classes} class names. Received: {describe_value(class_names)}.")
        self.width, self.class_names = int(classes), tuple(class_names)
        self.limits, self.metadata = (-1, self.width - 1), {"classes": self.width}
        if self.class_names:
            self.metadata["class_names"] = list(self.class_names)

    def values_for(self, labels: Any, x: Any) -> np.ndarray:
        """Return the labels, int32 [N]."""
        return np.asarray(labels).astype(np.int32)

    def default_values(self, count: Any) -> tf.Tensor:
        """Return 'not known' for each image, [count]."""
        return -tf.ones([count], tf.int32)

    def check_range(self, values: np.ndarray) -> None:
        """Refuse labels beyond the classes, or that are no whole numbers.

        Raises:
            UsageError: there are such.
        """
        is_known = (values >= -1) & (values < self.width) & (values == np.floor(values))
        if not is_known.all():
            raise UsageError(
                f"Expected labels from 0 to {self.width - 1}, or -1 for not known. Received: "
                f"{values[~is_known].ravel()[0]}, {int((~is_known).sum())} such in all."
            )

    def find_label(self, text: str) -> int:
        """Return the label that a text means: its number or its name; number:N and name:TEXT say which of both.

        Args:
            text: compared with the names as it is, and if it is none of them, regardless of capital letters.

        Raises:
            UsageError: no label, or several.

        Example:
            >>> LabelCondition(2, ["circle", "square"]).find_label("Square")
            1
        """
        kind, _, rest = text.partition(":")
        word = rest if kind in ("number", "name") and text not in self.class_names else text
        labels = {i for i, name in enumerate(self.class_names) if name == word}
        if not labels:
            labels = {i for i, name in enumerate(self.class_names) if name.casefold() == word.casefold()}
        numbers = {int(word)} if word.isascii() and word.isdigit() and int(word) < self.width else set()
        if word != text:
            labels, numbers = (set(), numbers) if kind == "number" else (labels, set())
        found = sorted(labels | numbers)
        if len(found) == 1:
            return found[0]
        named = f", or one of {self.describe_names()}" if self.class_names else ""
        expected = f"a label from 0 to {self.width - 1}{named}"
        if found:
            means = " or ".join(f"{i} ({self.class_names[i]!r})" for i in found)
            raise UsageError(
                f"Expected {expected}. Received: {text!r}, which means {means}. Say number:{word} or name:{word}."
            )
        raise UsageError(f"Expected {expected}. Received: {text!r}.{suggest_name(word, self.class_names)}")

    def describe_names(self) -> str:
        """Return the first class names, as many as fit into a sentence."""
        shown = ", ".join(self.class_names[:MAX_NAMES])
        return shown + f" and {len(self.class_names) - MAX_NAMES} more" * (len(self.class_names) > MAX_NAMES)

    def to_numbers(self, given: Any) -> Any:
        """Return labels that are given by name as numbers, and all others as they are."""
        if isinstance(given, str):
            return self.find_label(given)
        is_list = isinstance(given, (list, tuple)) or isinstance(given, np.ndarray) and given.ndim == 1
        if is_list and len(given) and all(isinstance(label, str) for label in given):
            return np.array([self.find_label(label) for label in given], np.int32)
        return given

    def check_values(self, given: Any, count: Any = None) -> None:
        """Refuse labels that the model does not have; see `Condition.check_values`."""
        super().check_values(self.to_numbers(given), count)

    def resolve_values(self, given: Any, count: Any, seed: Any, training: bool) -> tf.Tensor:
        """Return the labels of a batch: those given, in training with some withheld."""
        if given is None:
            return self.default_values(count)
        given = self.to_numbers(given)
        self.check_values(given, count)
        labels = tf.broadcast_to(tf.cast(given, tf.int32), [count])
        if not training:
            return labels
        return tf.where(random_streams.uniform([count], seed, axis=0) < WITHHELD_SHARE, -1, labels)

    def to_context(self, values: Any) -> tf.Tensor:
        """Return one-hot vectors [B, classes] of labels [B]."""
        return tf.one_hot(values, self.width)
