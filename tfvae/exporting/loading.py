"""A SavedModel as an object with methods, after a look at what it may do."""

from __future__ import annotations

import pathlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.datasets.image_arrays import check_pixel_values, has_pixel_type
from tfvae.errors import DataError, TfvaeError, UsageError, describe_value
from tfvae.exporting.export_manifest import read_manifest
from tfvae.models import conditions
from tfvae.models.conditions import Condition
from tfvae.safety.foreign_text import escape_text
from tfvae.safety.model_loading import load_savedmodel

# What the methods below need: signature: (inputs, outputs).
SIGNATURES = {
    "decode": ({"z"}, {"image"}),
    "sample": ({"n", "seed", "temperature"}, {"image"}),
    "encode": ({"x"}, {"mean", "stddev"}),
    "reconstruct": ({"x"}, {"image"}),
    "elbo": ({"x", "seed"}, {"elbo", "rate", "distortion"}),
}


class SavedModel:
    """The exported signatures as methods; images are [N, H, W, C], NumPy or tensors.

    The methods take the condition as those of a model in training do: one value, one for each image, or None for
    the default. `reconstruct` decodes the mean of q(z|x), without noise.

        model = SavedModel(pathlib.Path("export/models/digits/1"))
        images = model.sample(16, seed=1)

    Attributes:
        condition: the model's, see `tfvae.models.conditions`, or None.
        latent: the number of latents.
        image_shape: (H, W, C).
        signatures: {name: function} as TensorFlow loads them.
        path: the folder.

    Args:
        folder: with saved_model.pb.
        trusted: load it unchecked: the user has said so.

    Raises:
        UntrustedError: tfvae did not write it, or it may do more than compute; nothing of it was run.
        IntegrityError: its files are not those of its manifest.
        DataError: TensorFlow cannot load it, or it has other signatures.
    """

    def __init__(self, folder: pathlib.Path, trusted: bool = False) -> None:
        loaded = load_savedmodel(folder, trusted)
        self.signatures, self.path, self.condition = loaded.signatures, folder, read_condition(folder)
        decode = self.get_signature("decode")
        z, image = decode.structured_input_signature[1]["z"].shape, decode.structured_outputs["image"].shape
        if (z.rank, image.rank) != (2, 4):
            raise DataError(f"Expected codes [N, L] and images [N, H, W, C]. Received: {folder} with {z} and {image}.")
        self.latent: int = z[1]
        self.image_shape: tuple[int, int, int] = tuple(image[1:])

    def __repr__(self) -> str:
        return f"<SavedModel {str(self.path)!r}: image_shape={self.image_shape}, latent={self.latent}>"

    def get_signature(self, name: str) -> tf.types.experimental.ConcreteFunction:
        """Return the function of a signature; DataError if the model lacks it, or it has other inputs."""
        inputs, outputs = SIGNATURES[name]
        inputs = inputs | {"condition"} if self.condition else inputs
        function = self.signatures.get(name)
        if function:
            has_inputs = set(function.structured_input_signature[1]) == inputs
            if has_inputs and outputs <= set(function.structured_outputs):
                return function
        names = ", ".join(map(escape_text, self.signatures)) or "none"
        raise DataError(
            f"Expected a SavedModel with the signature {name}, of {', '.join(sorted(inputs))}. "
            f"Received: {self.path} with the signatures {names}."
        )

    def __call__(self, name: str, **inputs: Any) -> dict[str, tf.Tensor]:
        """Call a signature; return its outputs by name.

        Raises:
            UsageError: the model refuses the inputs, or they do not fit into whole numbers.
            DataError: an input has another shape than the signature's.
        """
        function = self.get_signature(name)
        for key, spec in function.structured_input_signature[1].items():
            value = np.asarray(inputs[key])
            if not spec.shape.is_compatible_with(value.shape):
                raise DataError(f"Expected {key} of shape {spec.shape.as_list()}. Received: {list(value.shape)}.")
            inputs[key] = tf.constant(value.astype(spec.dtype.as_numpy_dtype))
            if spec.dtype.is_integer and not np.array_equal(inputs[key], value):
                raise UsageError(f"Expected {key} to fit into {spec.dtype.name}. Received: {value.tolist()}.")
        try:
            return function(**inputs)
        except tf.errors.InvalidArgumentError as error:  # one of the model's own checks, say: its message, for people
            message = re.search(r"assertion failed: \[(.*)\]", error.message)
            raise UsageError(escape_text(message[1] if message else error.message)) from None

    def make_condition_inputs(self, condition: Any, count: int, x: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Return the input {"condition": values [count, ...]} of a signature; {} for a model without a condition.

        Args:
            condition: one value, or [count, ...]; None for what x itself gives, or for the default.
            count: the number of images.
            x: the images [count, H, W, C], where the signature has them.

        Raises:
            UsageError: a condition for a model without one.
        """
        if self.condition is None:
            conditions.make_context(None, condition, count)  # refuses a condition
            return {}
        if condition is None and x is not None:
            condition = self.condition.values_from_images(x)
        if condition is not None:
            condition = self.condition.to_numbers(condition)
            self.condition.check_values(condition)
        values = np.asarray(self.condition.default_values(count) if condition is None else condition)
        return {"condition": values if values.ndim > len(self.condition.shape) else np.stack([values] * count)}

    def sample(
        self, n: int, seed: int | Sequence[int] = (0, 0), temperature: float = 1.0, condition: Any = None
    ) -> tf.Tensor:
        """Draw n mean images g(z), z ~ p(z); return [n, H, W, C] in [0, 1].

        Args:
            n: the number of images.
            seed: of all draws, one or two whole numbers.
            temperature: times the prior's deviations from its centre; 1 is the prior.
            condition: one value, one for each image, or None for the default.
        """
        seed = (seed, 0) if isinstance(seed, int) else seed
        inputs = {"n": n, "seed": seed, "temperature": temperature, **self.make_condition_inputs(condition, 1)}
        return self("sample", **inputs)["image"]

    def decode(self, z: np.ndarray | tf.Tensor, condition: Any = None) -> tf.Tensor:
        """Decode codes z [N, L]; return mean images [N, H, W, C] in [0, 1]."""
        return self("decode", z=z, **self.make_condition_inputs(condition, len(z)))["image"]

    def encode(self, x: np.ndarray | tf.Tensor, condition: Any = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Encode images, uint8 or float in [0, 1]; return mean and standard deviation of q(z|x), each [N, L]."""
        x = to_unit_range(x)
        outputs = self("encode", x=x, **self.make_condition_inputs(condition, len(x), x))
        return outputs["mean"], outputs["stddev"]

    def reconstruct(self, x: np.ndarray | tf.Tensor, condition: Any = None) -> tf.Tensor:
        """Reconstruct images, uint8 or float in [0, 1]; return g(mean of q(z|x)), [N, H, W, C] in [0, 1]."""
        x = to_unit_range(x)
        return self("reconstruct", x=x, **self.make_condition_inputs(condition, len(x), x))["image"]


def read_condition(folder: pathlib.Path) -> Condition | None:
    """Return the condition that the manifest of a SavedModel names; None without one.

    Another's manifest, or none, may be there with --trust: then None, too, and signatures that need a condition are
    refused later.
    """
    try:
        entry = read_manifest(folder).get("condition")
        if not entry:
            return None
        return conditions.parse_condition(
            entry["spec"],
            entry.get("classes", 0),
            image_shape=entry.get("shape", ()),
            class_names=entry.get("class_names", ()),
        )
    except (TfvaeError, ValueError):
        return None


def to_unit_range(x: np.ndarray | tf.Tensor) -> np.ndarray:
    """Return uint8 images as float32 in [0, 1]; floats and bits are taken as they are.

    Raises:
        DataError: other numbers, or floats that are not finite.
    """
    x = np.asarray(x)
    if not has_pixel_type(x.dtype):
        raise DataError(f"Expected uint8 images, or floats in [0, 1]. Received: {describe_value(x)}.")
    check_pixel_values(x, "images")
    return x.astype(np.float32) / 255 if x.dtype == np.uint8 else x
