"""The signatures of an exported model: named functions of tensors, with their own checks of what a caller sends."""

from __future__ import annotations

import math
from collections.abc import Callable

import tensorflow as tf

from tfvae.models import conditions, latent_views
from tfvae.models.conditions import Condition
from tfvae.models.vae import VAE

MAX_IMAGES = 4096  # that one call of `sample` may draw
MAX_ELEMENTS = 2**26  # decoder outputs of one call of `sample`: 256 MiB of float32


class ExportedModule(tf.Module):
    """One `tf.function` a signature, the variables they read, and nothing else: a reusable SavedModel.

    Args:
        functions: {signature: `tf.function`}; "decode" is what calling the loaded module runs.
    """

    # Attributes, which are saved, in place of tf.Module's properties.
    variables: list[tf.Variable] = []
    trainable_variables: list[tf.Variable] = []

    def __init__(self, functions: dict[str, tf.types.experimental.PolymorphicFunction]) -> None:
        super().__init__()
        for name, function in functions.items():
            setattr(self, name, function)
        self.__call__ = functions["decode"]
        used = [v for function in functions.values() for v in function.get_concrete_function().variables]
        self.variables = list({id(v): v for v in used}.values())
        self.trainable_variables = [v for v in self.variables if v.trainable]
        self.regularization_losses: list[tf.Tensor] = []


def build_signatures(model: VAE) -> dict[str, tf.types.experimental.PolymorphicFunction]:
    """Build the signatures of a model, {name: `tf.function`}, each from named tensors to a dict of named tensors.

    Pixels x are float32 in [0, 1]. A model that binarises its training images anew in each step takes x as such a
    draw, grey levels rounded to bytes; zeros and ones stay what they are.

    The condition, if the model has one, is the last input of each signature, a vector: clients of a server may send
    it by rows with x or z, a server may join requests into batches, and one seed draws a row of images a class. Only
    `sample`, whose requests no server joins, also takes a single value for all its images.

    Args:
        model: a built model.

    Returns:
        decode, sample, encode, reconstruct, elbo and score; draw if the model draws in steps; decode_png and
        sample_png if its images can be PNG files.
    """
    inputs = make_input_specs(model)
    x, n, seed, temperature = (inputs[name] for name in ("x", "n", "seed", "temperature"))
    condition_specs = make_condition_specs(model.condition)

    def encode(x: tf.Tensor, condition: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        condition = check_condition(model.condition, condition, tf.shape(x)[:1])
        return dict(zip(("mean", "stddev"), model.encode(prepare_images(model, x), condition)))

    encoder = make_graph_function(encode, x, *condition_specs)
    latent_shape = encoder.get_concrete_function().structured_outputs["mean"].shape[1:]
    z = tf.TensorSpec([None, *latent_shape], name="z")

    def decode(z: tf.Tensor, condition: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        z = require_in_graph(z, tf.reduce_all(tf.math.is_finite(z)), "Expected finite z.")
        return {"image": model.decode(z, check_condition(model.condition, condition, tf.shape(z)[:1]))}

    decoder = make_graph_function(decode, z, *condition_specs)

    def sample(
        n: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor, condition: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        n, temperature, condition = check_sample_inputs(model, compute_max_images(model), n, temperature, condition)
        return {"image": model.sample(n, seed, temperature, condition)}

    def reconstruct(x: tf.Tensor, condition: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        return decoder(encoder(x, condition)["mean"], condition)  # noise would make it depend on the place in a batch

    def elbo(x: tf.Tensor, seed: tf.Tensor, condition: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        condition = check_condition(model.condition, condition, tf.shape(x)[:1])
        columns = model.metric_columns(model.terms(prepare_images(model, x), seed=seed, condition=condition))
        return {name: columns[name] for name in ("elbo", "rate", "distortion")}

    def score(x: tf.Tensor, seed: tf.Tensor, condition: tf.Tensor | None = None) -> dict[str, tf.Tensor]:
        measured = elbo(x, seed, condition)
        squares = tf.square(prepare_pixels(model, x) - reconstruct(x, condition)["image"])
        error_map = tf.reduce_sum(squares, axis=-1)
        error = tf.reduce_sum(error_map, axis=[1, 2])
        return {"elbo": measured["elbo"], "rate": measured["rate"], "error": error, "map": error_map}

    sampler = make_graph_function(sample, n, seed, temperature, *condition_specs)
    signatures = {"decode": decoder, "sample": sampler, "encode": encoder}
    signatures["reconstruct"] = make_graph_function(reconstruct, x, *condition_specs)
    signatures["elbo"] = make_graph_function(elbo, x, seed, *condition_specs)
    signatures["score"] = make_graph_function(score, x, seed, *condition_specs)
    if model.arch.draws_in_steps:
        draw = make_draw_function(model)
        signatures["draw"] = make_graph_function(draw, n, seed, temperature, *condition_specs)
    if model.image_shape[-1] in (1, 3, 4):  # the numbers of channels that a PNG file can have
        signatures |= {f"{name}_png": make_png_function(signatures[name]) for name in ("decode", "sample")}
    return signatures


def make_input_specs(model: VAE) -> dict[str, tf.TensorSpec]:
    """Return {input: `tf.TensorSpec`} of all inputs but codes and condition."""
    return {
        "x": tf.TensorSpec([None, *model.image_shape], name="x"),
        "n": tf.TensorSpec([], tf.int32, name="n"),
        "seed": tf.TensorSpec([2], tf.int32, name="seed"),
        "temperature": tf.TensorSpec([], name="temperature"),
    }


def make_condition_specs(condition: Condition | None) -> list[tf.TensorSpec]:
    """Return the list of the one input `condition`; an empty list for a model without a condition."""
    if condition is None:
        return []
    return [tf.TensorSpec([None, *condition.shape], condition.dtype, name="condition")]


def make_draw_function(model: VAE) -> Callable[..., dict[str, tf.Tensor]]:
    """Return the signature that draws in steps: as `sample`, but with the image after each step, [n, S, H, W, C]."""
    max_images = max(1, compute_max_images(model) // model.arch.steps)

    def draw(
        n: tf.Tensor, seed: tf.Tensor, temperature: tf.Tensor, condition: tf.Tensor | None = None
    ) -> dict[str, tf.Tensor]:
        n, temperature, condition = check_sample_inputs(model, max_images, n, temperature, condition)
        z = temperature * model.prior.sample(n, seed, model.arch.encode)
        return {"frames": latent_views.decode_steps(model, z, conditions.make_context(model.condition, condition, n))}

    return draw


def make_png_function(
    function: tf.types.experimental.PolymorphicFunction,
) -> tf.types.experimental.PolymorphicFunction:
    """Return a signature with the same inputs whose outputs are PNG files, 8 bits a channel, in place of images."""

    def encode_png(*inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        images = tf.cast(tf.math.rint(255.0 * function(*inputs)["image"]), tf.uint8)
        return {"png_bytes": tf.io.encode_png(images)}

    return make_graph_function(encode_png, *function.input_signature)


def make_graph_function(
    function: Callable[..., dict[str, tf.Tensor]], *input_specs: tf.TensorSpec
) -> tf.types.experimental.PolymorphicFunction:
    """Return the function as a graph, not as an XLA program: not every server links XLA."""
    return tf.function(function, input_signature=input_specs, autograph=False)


def compute_max_images(model: VAE) -> int:
    """Return the most images that one call of `sample` draws: the model itself bounds what a request may cost."""
    outputs_per_image = math.prod(model.image_shape[:2]) * model.likelihood.output_channels
    return max(1, min(MAX_IMAGES, MAX_ELEMENTS // outputs_per_image))


# --- checks inside the graph ---------------------------------------------------------------------------------------


def require_in_graph(value: tf.Tensor, is_valid: tf.Tensor, message: str) -> tf.Tensor:
    """Return `value`; the call fails with the message if `is_valid` is False, and a server passes it on as a 4xx."""
    with tf.control_dependencies([tf.Assert(is_valid, [message])]):
        return tf.identity(value)


def prepare_images(model: VAE, x: tf.Tensor) -> tf.Tensor:
    """Check pixels x [B, H, W, C] in [0, 1], and return them as the model takes them: bytes if it binarises."""
    x = require_in_graph(x, tf.reduce_all((x >= 0.0) & (x <= 1.0)), "Expected pixels x in [0, 1].")
    return tf.cast(tf.math.rint(255.0 * x), tf.uint8) if model.binarize == "dynamic" else x


def prepare_pixels(model: VAE, x: tf.Tensor) -> tf.Tensor:
    """Return pixels x as `encode` sees them: bits, drawn by a fixed seed, if the model binarises."""
    return model.prepare_pixels(prepare_images(model, x), (0, 0))


def check_sample_inputs(
    model: VAE, max_images: int, n: tf.Tensor, temperature: tf.Tensor, condition: tf.Tensor | None
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor | None]:
    """Check the inputs of a signature that draws at most `max_images`, and return (n, temperature, condition)."""
    n = require_in_graph(n, (n >= 1) & (n <= max_images), f"Expected 1 <= n <= {max_images}.")
    is_valid = tf.math.is_finite(temperature) & (temperature >= 0.0)
    temperature = require_in_graph(temperature, is_valid, "Expected a finite temperature >= 0.")
    return n, temperature, check_condition(model.condition, condition, tf.stack([n, 1]))


def check_condition(condition: Condition | None, values: tf.Tensor | None, lengths: tf.Tensor) -> tf.Tensor | None:
    """Check the condition's values: that their number is one of `lengths`, and each of them; return them."""
    if condition is None or values is None:
        return None
    has_fitting_length = tf.reduce_any(tf.shape(values)[0] == lengths)
    values = require_in_graph(values, has_fitting_length, "Expected as many values of condition as images.")
    low, high = condition.limits
    is_within = tf.reduce_all((values >= low) & (values <= high))  # False for NaN
    return require_in_graph(values, is_within, f"Expected condition {condition.name} in [{low:g}, {high:g}].")
