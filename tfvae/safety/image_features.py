"""Features of images by a SavedModel that the user names: it is checked, loaded, and asked whether it fits."""

from __future__ import annotations

import pathlib
from typing import Any

import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.safety.foreign_text import escape_text
from tfvae.safety.model_loading import load_savedmodel
from tfvae.safety.savedmodel_check import find_savedmodel

SIGNATURE = "serving_default"


def has_free_rows(shape: tf.TensorShape, rank: int) -> bool:
    """Return whether tensors of any number of rows, and of this rank, fit a shape."""
    return shape.rank is None or shape.rank == rank and shape[0] is None


class SavedModelFeatures:
    """Images [N, H, W, C] in [0, 1] -> features [N, ...], by a SavedModel's ``serving_default``, or the model called.

        compute_features = SavedModelFeatures("my_network")
        features = compute_features(images)

    Args:
        path: the folder of the SavedModel, or of its versions. ``serving_default`` takes one float32 [N, H, W, C],
            N free, and returns one tensor of floats.
        trusted: load a SavedModel that may do more than compute.

    Raises:
        UsageError: there is none, or it takes or returns something else.
        UntrustedError: it may do more than compute, and `trusted` is False.
        DataError: TensorFlow cannot load it.
    """

    def __init__(self, path: str | pathlib.Path, trusted: bool = False) -> None:
        folder = find_savedmodel(path)
        if folder is None:
            raise UsageError(f"Expected the folder of a SavedModel. Received: {path}.")
        self.folder = folder
        self.model = load_savedmodel(folder, trusted, needs_manifest=False)
        self.signature: Any = getattr(self.model, "signatures", {}).get(SIGNATURE)
        if self.signature is not None:
            self.input_name, self.output_name = self.check_signature()
        elif not callable(self.model):
            raise UsageError(f"Expected a SavedModel with {SIGNATURE}. Received: {folder}, without.")

    def check_signature(self) -> tuple[str, str]:
        """Return the names of the input and the output of `SIGNATURE`; refuse another form."""
        inputs = self.signature.structured_input_signature[1]
        outputs = self.signature.structured_outputs
        is_image = [spec.dtype == tf.float32 and has_free_rows(spec.shape, 4) for spec in inputs.values()]
        is_feature = [spec.dtype.is_floating and spec.shape.rank != 0 for spec in outputs.values()]
        if is_image == [True] and is_feature == [True]:
            return next(iter(inputs)), next(iter(outputs))
        sides = [", ".join(f"{x.dtype.name} {x.shape}" for x in side.values()) for side in (inputs, outputs)]
        raise UsageError(
            f"Expected {SIGNATURE} of float32 images (None, H, W, C) that returns one tensor of floats (None, ...). "
            f"Received: {self.folder}, of {sides[0] or 'nothing'}, which returns {sides[1] or 'nothing'}."
        )

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Return the features [N, ...] of images x [N, H, W, C].

        Raises:
            UsageError: the model does not take these images, or does not return a row of floats for each.
        """
        if self.signature is not None:  # TensorFlow itself does not look
            shape = self.signature.structured_input_signature[1][self.input_name].shape
            if not shape.is_compatible_with(x.shape):
                raise UsageError(
                    f"Expected images of shape {tuple(shape[1:])} for {self.folder}. Received: {tuple(x.shape[1:])}."
                )
        try:
            if self.signature is None:
                features = self.model(x)
            else:
                features = self.signature(**{self.input_name: x})[self.output_name]
        except (ValueError, TypeError, tf.errors.OpError) as error:
            raise UsageError(
                f"Expected {self.folder} to take images of shape {tuple(x.shape[1:])}. Received: {escape_text(error)}."
            ) from None
        is_tensor = tf.is_tensor(features) and features.dtype.is_floating
        if not is_tensor or features.shape.rank == 0 or not features.shape[:1].is_compatible_with(x.shape[:1]):
            what = f"{features.dtype.name} {features.shape}" if tf.is_tensor(features) else type(features).__name__
            raise UsageError(f"Expected {self.folder} to return a row of floats for each image. Received: {what}.")
        return features
