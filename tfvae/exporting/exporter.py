"""A trained model as a SavedModel: named signatures, a free batch size, seeds as inputs, its own checks of them.

What is written runs in TensorFlow's C++ loader, TF Serving's, and knows nothing of tfvae: the graph holds the model's
forward maths and its variables, no optimizer, no multipliers, and nothing that must be compiled.
"""

from __future__ import annotations

import math
import pathlib
import platform
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import DivergedError
from tfvae.exporting import model_card, savedmodel
from tfvae.exporting.signatures import ExportedModule, build_signatures, compute_max_images
from tfvae.models.conditions import Condition
from tfvae.models.vae import VAE
from tfvae.runtime import files
from tfvae.runtime.environment import package_version
from tfvae.training import stored_calibration, trainer
from tfvae.training.run_folder import Run, open_run

PACKAGES = ("tfvae", "tensorflow", "keras", "tensorflow-probability")  # whose versions the manifest names
WARMUP_FILE = pathlib.Path("assets.extra", "tf_serving_warmup_requests")  # where TF Serving looks for it


def export_run(
    run: Run | files.PathLike,
    directory: files.PathLike,
    number: int | None = None,
    on_warning: Callable[[str], object] = lambda line: None,
    trust_code: bool = False,
) -> pathlib.Path:
    """Write the newest intact checkpoint of a run as ``directory/<version>/``, whole or not at all; return that folder.

        export_run("runs/latest", "export/models/digits")        # export/models/digits/1

    Args:
        run: an open run, or the path of its folder.
        directory: the folder of all versions; its name is the model's in the warm-up requests.
        number: of the version, > 0; None is the next free one.
        on_warning: called with one line for each damaged checkpoint that is passed over.
        trust_code: import what the config names by import path, also if the run was made elsewhere.

    Returns:
        The folder of the new version.

    Raises:
        UsageError: not a run, or the version exists.
        IntegrityError: no intact checkpoint.
        DivergedError: the weights are not finite.
        StorageError: it cannot be written.
        UntrustedError: the run is from elsewhere, and its config names code of its own.
    """
    run = open_run(run)
    directory = files.check_path(directory, "the path of a folder for the export")
    folder = savedmodel.make_version_path(directory, number)
    model = trainer.load_run(run, on_warning, trust_code)
    check_finite_weights(model)
    config, step = run.config, int(model.step.numpy())
    rows = [row for row in run.rows if row["step"] <= step]
    last_row = rows[-1] if rows else {}

    def write(beside: pathlib.Path) -> dict[str, Any]:
        manifest = write_model(model, beside, directory.absolute().name)
        manifest |= {"config": config.to_public_dict(), "step": step, "epoch": int(last_row.get("epoch", 0))}
        calibration = stored_calibration.read_calibration(run.path / stored_calibration.CALIBRATION_FILE)
        if calibration and calibration["weights_sha256"] == stored_calibration.hash_weights(model):
            manifest["calibration"] = calibration
        card = model_card.format_model_card(manifest, last_row)
        files.write_bytes(beside / "model_card.md", card.encode())
        return manifest

    files.write_folder(folder, write)
    return folder


def check_finite_weights(model: VAE) -> None:
    """Raise DivergedError if a weight of the model is not finite."""
    for variable in model.variables:
        if not np.isfinite(np.asarray(variable, np.float64)).all():
            raise DivergedError(f"Expected finite weights. Received: NaN or infinity in {variable.path}.")


def write_model(model: VAE, folder: pathlib.Path, name: str) -> dict[str, Any]:
    """Write the SavedModel of a model and its warm-up requests into a folder; return what its manifest says.

    Args:
        model: a built model.
        folder: an existing folder.
        name: of the model in the warm-up requests.

    Returns:
        The manifest without config, step, epoch and hashes.
    """
    functions = build_signatures(model)
    module = ExportedModule(functions)
    signatures = {key: function.get_concrete_function() for key, function in functions.items()}
    tf.saved_model.save(module, str(folder), {**signatures, "serving_default": signatures["decode"]})
    graph = savedmodel.parse_savedmodel(folder).meta_graphs[0]
    parts = model.get_config()
    manifest = {
        "tfvae_export": 1,
        "parts": {part: parts[part] for part in ("likelihood", "arch", "prior")},
        "image_shape": list(model.image_shape),
        "max_n": compute_max_images(model),
        "variables": {"count": len(module.variables), "numbers": sum(math.prod(v.shape) for v in module.variables)},
        "signatures": savedmodel.describe_signatures(graph),
        "ops": savedmodel.count_ops(graph),
        "versions": {"python": platform.python_version(), **{key: package_version(key) for key in PACKAGES}},
        **make_condition_metadata(model),
    }
    write_warmup_requests(folder / WARMUP_FILE, name, manifest["signatures"], model.condition)
    return manifest


def make_condition_metadata(model: VAE) -> dict[str, Any]:
    """Return {"condition": its name, range and spec, as `conditions.parse_condition` reads it}; {} without one."""
    if model.condition is None:
        return {}
    return {"condition": {"name": model.condition.name, "spec": model.condition_spec, **model.condition.metadata}}


# --- warm-up -----------------------------------------------------------------------------------------------------


def make_example_input(spec: dict[str, Any]) -> tf.Tensor:
    """Return the smallest plausible input for {dtype, shape}: free sides are 1, whole numbers 1, others 1/2."""
    dtype = tf.as_dtype(spec["dtype"])
    return tf.fill([side or 1 for side in spec["shape"]], tf.constant(1 if dtype.is_integer else 0.5, dtype))


def write_warmup_requests(
    path: pathlib.Path, name: str, signatures: dict[str, Any], condition: Condition | None
) -> None:
    """Write one request for each signature, which TF Serving runs before it says that the model is ready.

    Args:
        path: of the file; its folder is made.
        name: of the model.
        signatures: as `savedmodel.describe_signatures` gives them.
        condition: the model's, of which each request has the default value; None for a model without one.
    """
    from tensorflow_serving.apis import prediction_log_pb2

    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as records:
        for key, signature in signatures.items():
            log = prediction_log_pb2.PredictionLog()
            request = log.predict_log.request
            request.model_spec.name, request.model_spec.signature_name = name, key
            for field, spec in signature["inputs"].items():
                value = condition.default_values(1) if condition and field == "condition" else make_example_input(spec)
                request.inputs[field].CopyFrom(tf.make_tensor_proto(value))
            records.write(log.SerializeToString())
