"""`Condition`, the base of what a model can be conditioned on."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.datasets.image_arrays import is_one_hot
from tfvae.errors import UsageError, describe_value

# Share of labels and images in training that the model does not see, so that it works without, too.
WITHHELD_SHARE = 0.1
SLACK = 1e-5  # by which float32 may round a limit


class Condition:
    """What all conditions have in common.

    Attributes:
        name: as in the spec, ``labels`` or ``beta``.
        width: of the context vector.
        shape: of one value, () for a number.
        dtype: of the values.
        limits: the least and the greatest value.
        map_shape: (H, W, C) if the context vector is an image, else ().
        uses_labels: whether the values are the labels of the data set.
        is_range: whether the values are a number between `low` and `high`.
        metadata: what a SavedModel's manifest says of the condition.
    """

    name: str
    width: int
    limits: tuple[float, float]
    metadata: dict[str, Any]
    shape: tuple[int, ...] = ()
    map_shape: tuple[int, ...] = ()
    dtype: Any = tf.float32
    uses_labels = False
    is_range = False

    def values_from_images(self, x: Any) -> Any:
        """Return the values that the images x themselves give, or None."""
        return None

    def values_for(self, labels: Any, x: Any) -> np.ndarray:
        """Return the values of images x [N, H, W, C] with `labels` [N]: these, the images, or the default."""
        own = self.values_from_images(x)
        return np.asarray(self.default_values(len(x)) if own is None else own)

    def default_values(self, count: Any) -> tf.Tensor:
        """Return what stands for "nothing was given", [count, ...]."""
        raise NotImplementedError

    def to_numbers(self, given: Any) -> Any:
        """Return values that are given by name as numbers, and all others as they are."""
        return given

    def check_values(self, given: Any, count: Any = None) -> None:
        """Refuse values that the condition does not have; tensors of a graph, which have none yet, pass.

        Args:
            given: one value, or one for each image, [count, ...].
            count: images; None: any number.

        Raises:
            UsageError: there are such, or other numbers of them than images.
        """
        if tf.is_symbolic_tensor(given):
            return
        try:
            values = np.asarray(given)
        except ValueError:  # lists of several lengths
            values = np.asarray(None)
        length = None if count is None or tf.is_symbolic_tensor(count) else int(count)
        has_shape = values.shape == self.shape or values.shape[1:] == self.shape and values.ndim > len(self.shape)
        if not has_shape or values.dtype.kind not in "iuf" or not self._fits(values, length):
            item = "".join(f", {side}" for side in self.shape)
            expected = f"one value of condition {self.name}, or [{'N' if length is None else length}{item}]"
            hint = "; of one-hot labels give labels.argmax(axis=1)" if self.uses_labels and is_one_hot(values) else ""
            raise UsageError(f"Expected {expected}. Received: {describe_value(given)}{hint}.")
        self.check_range(values)

    def _fits(self, values: np.ndarray, length: int | None) -> bool:
        """Tell whether there is one value, or as many as images."""
        return length is None or values.shape == self.shape or len(values) in (1, length)

    def check_range(self, values: np.ndarray) -> None:
        """Refuse values out of range, or that are not finite.

        Args:
            values: of the right shape.

        Raises:
            UsageError: there are such.
        """
        low, high = self.limits
        slack = SLACK * max(abs(low), abs(high))  # of float32
        is_within = (values >= low - slack) & (values <= high + slack)  # False for NaN
        if not is_within.all():
            raise UsageError(
                f"Expected {self.name} in [{low:g}, {high:g}]. Received: {values[~is_within].ravel()[0]:g}, "
                f"{int((~is_within).sum())} such in all."
            )

    def resolve_values(self, given: Any, count: Any, seed: Any, training: bool) -> tf.Tensor:
        """Return the values of a batch, [count, ...].

        Args:
            given: one value, [count, ...], or None.
            count: images of the batch.
            seed: of draws.
            training: whether some values are withheld at random.
        """
        raise NotImplementedError

    def to_context(self, values: Any) -> tf.Tensor:
        """Return the context vectors [B, width] of values [B, ...]."""
        raise NotImplementedError
