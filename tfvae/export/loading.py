"""A SavedModel as an object with methods, after a look at what it may do."""

import re

import numpy as np
import tensorflow as tf

from tfvae.errors import DataError, IntegrityError, TfvaeError, UntrustedError, UsageError
from tfvae.export import savedmodel
from tfvae.export.safety import findings_of, printable
from tfvae.models import conditions
from tfvae.runtime import files

# What the methods below need: signature: (inputs, outputs).
SIGNATURES = {
    "decode": ({"z"}, {"image"}),
    "sample": ({"n", "seed", "temperature"}, {"image"}),
    "encode": ({"x"}, {"mean", "stddev"}),
    "reconstruct": ({"x"}, {"image"}),
}
TRUST = "If you trust where it comes from, say --trust (trust=True)."


def check(folder):
    """Refuse a SavedModel that is not wholly as tfvae writes it."""
    if not (folder / savedmodel.MANIFEST).exists():
        raise UntrustedError(f"Expected a SavedModel by tfvae. Received: {folder}, without manifest.json. {TRUST}")
    try:
        savedmodel.verify(folder)
    except IntegrityError as error:
        raise IntegrityError(f"{printable(error, 300)} {TRUST}") from None
    found = findings_of(savedmodel.parse(folder))
    if found:
        more = f" and {len(found) - 1} more, see  tfvae inspect {folder}" if len(found) > 1 else ""
        raise UntrustedError(f"Expected a SavedModel that only computes. Received: {found[0]}{more}. {TRUST}")


class SavedModel:
    """The exported signatures as methods; images are [N, H, W, C], NumPy or tensors.

    `reconstruct` is from the mean of q(z|x), without noise. `told` is the condition, see `tfvae.models.conditions`, or None;
    the methods take it as a live model's do: one number, one for each image, or None for the default.
    """

    def __init__(self, folder):
        try:
            loaded = tf.saved_model.load(str(folder))
        except (OSError, ValueError, tf.errors.OpError) as error:
            reason = printable(error)
            raise DataError(f"Expected TensorFlow to load {folder}. Received: {reason}.") from None
        self.signatures, self.path, self.condition = loaded.signatures, folder, read_condition(folder)
        decode = self.signature("decode")
        z, image = decode.structured_input_signature[1]["z"].shape, decode.structured_outputs["image"].shape
        if (z.rank, image.rank) != (2, 4):
            raise DataError(f"Expected codes [N, L] and images [N, H, W, C]. Received: {folder} with {z} and {image}.")
        self.latent, self.image_shape = z[1], tuple(image[1:])

    def signature(self, name):
        inputs, outputs = SIGNATURES[name]
        inputs = inputs | {"condition"} if self.condition else inputs
        found = self.signatures.get(name)
        known = (
            found and set(found.structured_input_signature[1]) == inputs and outputs <= set(found.structured_outputs)
        )
        if not known:
            names = ", ".join(map(printable, self.signatures)) or "none"
            raise DataError(
                f"Expected a SavedModel with the signature {name}, of {', '.join(sorted(inputs))}. "
                f"Received: {self.path} with the signatures {names}."
            )
        return found

    def __call__(self, name, **inputs):
        """The outputs of a signature by name."""
        function = self.signature(name)
        for key, spec in function.structured_input_signature[1].items():
            value = np.asarray(inputs[key])
            if not spec.shape.is_compatible_with(value.shape):
                raise DataError(f"Expected {key} of shape {spec.shape.as_list()}. Received: {list(value.shape)}.")
            inputs[key] = tf.constant(value.astype(spec.dtype.as_numpy_dtype))
            if spec.dtype.is_integer and not np.array_equal(inputs[key], value):
                raise UsageError(f"Expected {key} to fit into {spec.dtype.name}. Received: {value.tolist()}.")
        try:
            return function(**inputs)
        except tf.errors.InvalidArgumentError as error:  # the model's own check of its inputs, say
            found = re.search(r"assertion failed: \[(.*)\]", error.message)
            raise UsageError(printable(found[1] if found else error.message)) from None

    def given(self, condition, count, x=None):
        """{"condition": [count, ...]} of one value, [count, ...], or None: x's own or the default; {} without any."""
        if self.condition is None:
            conditions.make_context(None, condition, count)  # refuses one
            return {}
        if condition is None and x is not None:
            condition = self.condition.values_from_images(x)
        values = np.asarray(self.condition.default_values(count) if condition is None else condition)
        return {"condition": values if values.ndim > len(self.condition.shape) else np.stack([values] * count)}

    def sample(self, n, seed=(0, 0), temperature=1.0, condition=None):
        """n mean images g(z) of z ~ p(z) (deviations from its centre times `temperature`), [n, H, W, C]."""
        seed = (seed, 0) if isinstance(seed, int) else seed
        return self("sample", n=n, seed=seed, temperature=temperature, **self.given(condition, 1))["image"]

    def decode(self, z, condition=None):
        """z [N, L] -> mean images [N, H, W, C] in [0, 1]."""
        return self("decode", z=z, **self.given(condition, len(z)))["image"]

    def encode(self, x, condition=None):
        """Images, uint8 or float in [0, 1] -> mean and stddev of q(z|x), each [N, L]."""
        x = unit(x)
        found = self("encode", x=x, **self.given(condition, len(x), x))
        return found["mean"], found["stddev"]

    def reconstruct(self, x, condition=None):
        """g of the mean of q(z|x), [N, H, W, C] in [0, 1]."""
        x = unit(x)
        return self("reconstruct", x=x, **self.given(condition, len(x), x))["image"]


def read_condition(folder):
    """The condition that the manifest names; None without one."""
    try:
        found = files.read_json(folder / savedmodel.MANIFEST).get("condition")
        return found and conditions.parse_condition(
            found["spec"], found.get("classes", 0), image_shape=found.get("shape", ())
        )
    except (TfvaeError, AttributeError, KeyError, TypeError):
        return (
            None  # a manifest of another's, or none, with --trust; signatures that need a condition are refused later
        )


def unit(x):
    """uint8 images -> float32 in [0, 1]; floats are taken as they are."""
    x = np.asarray(x)
    return x.astype(np.float32) / 255 if x.dtype == np.uint8 else x
