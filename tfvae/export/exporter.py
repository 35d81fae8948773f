"""A trained model as a SavedModel: named signatures, a free batch size, seeds as inputs, its own checks of them.

What is written runs in TensorFlow's C++ loader, TF Serving's, and knows nothing of tfvae: the graph holds the model's
forward maths and its variables, no optimizer, no multipliers, and nothing that must be compiled.
"""

import math
import pathlib
import platform

import numpy as np
import tensorflow as tf

from tfvae.errors import DivergedError
from tfvae.export import model_card, savedmodel
from tfvae.models import conditions, latent_views
from tfvae.runtime import files
from tfvae.runtime.environment import package_version
from tfvae.training import trainer
from tfvae.training.run_folder import open_run

PACKAGES = ("tfvae", "tensorflow", "keras", "tensorflow-probability")
WARMUP = pathlib.Path("assets.extra", "tf_serving_warmup_requests")  # where TF Serving looks for it
MAX_IMAGES, MAX_ELEMENTS = 4096, 2**26  # of one `sample`: images, and decoder outputs (256 MiB of float32)


def export_run(path, directory, number=None, say=lambda line: None):
    """Write the newest intact checkpoint of a run as ``directory/<version>/``: -> that folder, whole or not at all.

    Args:
        number: of the version, > 0; by default the next free one.
        say: called with one line for each damaged checkpoint that is passed over.

    Raises:
        UsageError: not a run, or the version exists. IntegrityError: no intact checkpoint.
        DivergedError: the weights are not finite. StorageError: it cannot be written.
    """
    run, folder = open_run(path), savedmodel.version_folder(directory, number)
    model = trainer.load_run(run.path, say)
    check_finite(model)
    step = int(model.step.numpy())
    rows = [row for row in run.rows if row["step"] <= step]

    def write(beside):
        about = write_model(model, beside, pathlib.Path(directory).absolute().name)
        about |= {"config": run.config.to_dict(), "step": step, "epoch": int(rows[-1]["epoch"]) if rows else 0}
        files.write_bytes(beside / "model_card.md", model_card.text(about, rows[-1] if rows else {}).encode())
        return about

    files.write_folder(folder, write)
    return folder


def check_finite(model):
    """Refuse weights that are not finite."""
    for variable in model.variables:
        if not np.isfinite(np.asarray(variable, np.float64)).all():
            raise DivergedError(f"Expected finite weights. Received: NaN or infinity in {variable.path}.")


def write_model(model, folder, name):
    """Write SavedModel and warm-up requests of a `VAE` into `folder`: -> what a manifest says of it.

    Args:
        name: of the model in the warm-up requests.
    """
    functions = functions_of(model)
    exported = Exported(functions)
    signatures = {key: function.get_concrete_function() for key, function in functions.items()}
    tf.saved_model.save(exported, str(folder), {**signatures, "serving_default": signatures["decode"]})
    graph = savedmodel.parse(folder).meta_graphs[0]
    about = {
        "tfvae_export": 1,
        "parts": {part: model.get_config()[part] for part in ("likelihood", "arch", "prior")},
        "image_shape": list(model.image_shape),
        "max_n": max_images(model),
        "variables": {"count": len(exported.variables), "numbers": sum(math.prod(v.shape) for v in exported.variables)},
        "signatures": savedmodel.signatures_of(graph),
        "ops": savedmodel.ops_of(graph),
        "versions": {"python": platform.python_version(), **{name: package_version(name) for name in PACKAGES}},
        **about_condition(model),
    }
    write_warmup(folder / WARMUP, name, about["signatures"], model.condition)
    return about


def about_condition(model):
    """{"condition": name, range, and the spec that `conditions.parse` reads}; {} for a model without one."""
    told = model.condition
    if told is None:
        return {}
    return {"condition": {"name": told.name, "spec": model.condition_spec, **told.metadata}}


# --- the signatures ----------------------------------------------------------------------------------------------


class Exported(tf.Module):
    """One `tf.function` a signature, the variables they read, and nothing else: a reusable SavedModel."""

    variables = trainable_variables = None  # attributes, which are saved, in place of tf.Module's properties

    def __init__(self, functions):
        super().__init__()
        for name, function in functions.items():
            setattr(self, name, function)
        self.__call__ = functions["decode"]
        used = [v for function in functions.values() for v in function.get_concrete_function().variables]
        self.variables = list({id(v): v for v in used}.values())
        self.trainable_variables = [v for v in self.variables if v.trainable]
        self.regularization_losses = []


def functions_of(model):
    """{signature: tf.function} of a `VAE`, each from named tensors to a dict of them.

    Pixels x are float32 in [0, 1]. A model that binarises its training images anew in each step is given x as such a
    draw, grey levels rounded to bytes; zeros and ones stay what they are.

    A model with a condition has it as the last input of each, a vector: so a server's clients may send it by rows with
    x or z, a server may join requests into batches, and one seed draws a row of images a class. Only `sample`, which
    no server joins, takes one value alone for all its images, too.
    """
    x = tf.TensorSpec([None, *model.image_shape], name="x")
    n, seed = tf.TensorSpec([], tf.int32, name="n"), tf.TensorSpec([2], tf.int32, name="seed")
    temperature = tf.TensorSpec([], name="temperature")
    told = condition_specs(model.condition)

    def given(x):
        x = checked(x, tf.reduce_all((x >= 0.0) & (x <= 1.0)), "Expected pixels x in [0, 1].")
        return tf.cast(tf.math.rint(255.0 * x), tf.uint8) if model.binarize == "dynamic" else x

    def encode(x, condition=None):
        condition = sound(model.condition, condition, tf.shape(x)[:1])
        return dict(zip(("mean", "stddev"), model.encode(given(x), condition)))

    encode = compiled(encode, x, *told)
    z = tf.TensorSpec([None, *encode.get_concrete_function().structured_outputs["mean"].shape[1:]], name="z")

    def decode(z, condition=None):
        z = checked(z, tf.reduce_all(tf.math.is_finite(z)), "Expected finite z.")
        return {"image": model.decode(z, sound(model.condition, condition, tf.shape(z)[:1]))}

    def sample(n, seed, temperature, condition=None):
        n, temperature, condition = asked(model, max_images(model), n, temperature, condition)
        return {"image": model.sample(n, seed, temperature, condition)}

    def reconstruct(x, condition=None):  # from the mean: noise would make an answer depend on its place in a batch
        return decode_(encode(x, condition)["mean"], condition)

    def elbo(x, seed, condition=None):
        condition = sound(model.condition, condition, tf.shape(x)[:1])
        found = model.metric_columns(model.terms(given(x), seed=seed, condition=condition))
        return {name: found[name] for name in ("elbo", "rate", "distortion")}

    decode_, sample_ = compiled(decode, z, *told), compiled(sample, n, seed, temperature, *told)
    found = {"decode": decode_, "sample": sample_, "encode": encode}
    found |= {"reconstruct": compiled(reconstruct, x, *told), "elbo": compiled(elbo, x, seed, *told)}
    if model.arch.draws_in_steps:
        found["draw"] = compiled(drawing(model), n, seed, temperature, *told)
    if model.image_shape[-1] in (1, 3, 4):  # those that a PNG can have
        found |= {f"{name}_png": as_png(found[name]) for name in ("decode", "sample")}
    return found


def drawing(model):
    """The function of a model that draws in steps: as `sample`, but the picture after each of them, [n, S, H, W, C]."""
    most = max(1, max_images(model) // model.arch.steps)

    def draw(n, seed, temperature, condition=None):
        n, temperature, condition = asked(model, most, n, temperature, condition)
        z = temperature * model.prior.sample(n, seed, model.arch.encode)
        return {"frames": latent_views.decode_steps(model, z, conditions.make_context(model.condition, condition, n))}

    return draw


def asked(model, most, n, temperature, condition):
    """(n, temperature, condition) of a signature that draws at most `most` images, after checks."""
    n = checked(n, (n >= 1) & (n <= most), f"Expected 1 <= n <= {most}.")
    fine = tf.math.is_finite(temperature) & (temperature >= 0.0)
    temperature = checked(temperature, fine, "Expected a finite temperature >= 0.")
    return n, temperature, sound(model.condition, condition, tf.stack([n, 1]))


def compiled(function, *specs):
    """A graph, not an XLA program: not every server links XLA."""
    return tf.function(function, input_signature=specs, autograph=False)


def checked(value, good, sentence):
    """`value`, unless `good` is False: then the call fails with the sentence, which a server passes on as a 4xx."""
    with tf.control_dependencies([tf.Assert(good, [sentence])]):
        return tf.identity(value)


def condition_specs(told):
    """[the input `condition`], or none."""
    if told is None:
        return []
    return [tf.TensorSpec([None, *told.shape], told.dtype, name="condition")]


def sound(told, condition, lengths):
    """`condition` after checks of its length, one of `lengths`, and of its values; None for a model without one."""
    if condition is None:
        return None
    fits = tf.reduce_any(tf.shape(condition)[0] == lengths)
    condition = checked(condition, fits, "Expected as many values of condition as images.")
    low, high = told.limits
    within = tf.reduce_all((condition >= low) & (condition <= high))  # False for NaN
    return checked(condition, within, f"Expected condition {told.name} in [{low:g}, {high:g}].")


def as_png(function):
    """The signature of the same inputs that gives PNG files, 8 bits a channel, in place of images in [0, 1]."""

    def call(*inputs):
        images = tf.cast(tf.math.rint(255.0 * function(*inputs)["image"]), tf.uint8)
        return {"png_bytes": tf.io.encode_png(images)}

    return compiled(call, *function.input_signature)


def max_images(model):
    """The most images that one call of `sample` draws: what a request may cost is bounded by the model itself."""
    each = math.prod(model.image_shape[:2]) * model.likelihood.output_channels
    return max(1, min(MAX_IMAGES, MAX_ELEMENTS // each))


# --- warm-up -----------------------------------------------------------------------------------------------------


def example(spec):
    """The smallest plausible input of a signature: free dimensions 1, whole numbers 1, others 1/2."""
    dtype = tf.as_dtype(spec["dtype"])
    return tf.fill([side or 1 for side in spec["shape"]], tf.constant(1 if dtype.is_integer else 0.5, dtype))


def write_warmup(path, name, signatures, told):
    """One request for each signature, which TF Serving runs before it says that the model is ready.

    Args:
        told: the model's condition, of which each request has the default, or None.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as records:
        for key, signature in signatures.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = name, key
            for field, spec in signature["inputs"].items():
                value = told.default_values(1) if field == "condition" else example(spec)
                request.inputs[field].CopyFrom(tf.make_tensor_proto(value))
            records.write(log.SerializeToString())
