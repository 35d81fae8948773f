"""The decoder z -> image in other formats, by Keras' own exporters. Only what is deterministic fits into them."""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.exporting.decoder_formats import FORMATS, check_decoder_format
from tfvae.exporting.exporter import check_finite_weights
from tfvae.models.vae import VAE
from tfvae.runtime import files
from tfvae.runtime.environment import silence_stderr
from tfvae.safety.model_loading import open_litert
from tfvae.training import trainer
from tfvae.training.run_folder import Run, open_run

TOLERANCE = 1e-4  # between pixels of the model's decoder and of the written file's


def export_decoder(
    run: Run | files.PathLike,
    directory: files.PathLike,
    name: str,
    on_warning: Callable[[str], object] = lambda line: None,
    trust_code: bool = False,
) -> pathlib.Path:
    """Write the decoder of a run as ``directory/<format>/decoder.*`` with a manifest; return that file.

    The file is read back and run before it is kept: converters leave out ops that they do not know.

        export_decoder("runs/latest", "export/models", "litert")        # export/models/litert/decoder.tflite

    Args:
        run: an open run, or the path of its folder.
        directory: in which the folder of the format is made.
        name: one of `FORMATS`.
        on_warning: called with one line for each damaged checkpoint that is passed over.
        trust_code: import what the config names by import path, also if the run was made elsewhere.

    Raises:
        UsageError: the folder exists, a package is missing, or the format cannot hold this model.
    """
    folder, filename = check_decoder_format(name, directory), FORMATS[name][1]
    run = open_run(run)
    model = trainer.load_run(run, on_warning, trust_code)
    check_finite_weights(model)

    def write_and_probe(beside: pathlib.Path) -> None:
        try:
            with silence_stderr():  # the converters log every pass
                convert_decoder(model, beside / filename, name)
                z = np.random.default_rng(0).standard_normal((2, model.arch.latent)).astype(np.float32)
                difference = np.max(np.abs(PROBES[name](str(beside / filename), z) - model.decode(z)))
        except Exception as error:  # they raise whatever they stumble over
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(f"Expected {name} to take this model. Received: {reason}") from error
        if not difference <= TOLERANCE:
            reason = f"pixels differ by {difference:g}"
            raise UsageError(f"Expected the decoder as {name} to be the model's. Received: {reason}.")

    files.write_folder(folder, write_and_probe)
    return folder / filename


def convert_decoder(model: VAE, path: pathlib.Path, name: str) -> None:
    """Write the decoder of a model to a file with Keras' exporter of the format `name`."""

    class Decoder(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.built = model, True

        def call(self, z: tf.Tensor) -> tf.Tensor:
            return model.decode(z)

    spec = tf.TensorSpec([None, model.arch.latent], name="z")
    Decoder().export(str(path), format=name, input_signature=[spec], verbose=False)


def probe_litert(path: str, z: np.ndarray) -> np.ndarray:
    """Run a LiteRT file on codes z [N, L]; return its images [N, H, W, C]."""
    interpreter = open_litert(path)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, z.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, z)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def probe_onnx(path: str, z: np.ndarray) -> np.ndarray:
    """Run an ONNX file on codes z [N, L]; return its images [N, H, W, C]."""
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(path)
    return evaluator.run(None, {evaluator.input_names[0]: z})[0]


def probe_openvino(path: str, z: np.ndarray) -> np.ndarray:
    """Run an OpenVINO file on codes z [N, L] in float32; return its images [N, H, W, C]."""
    import openvino

    model = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return model(z)[0]


PROBES: dict[str, Callable[[str, np.ndarray], np.ndarray]] = {
    "litert": probe_litert,
    "onnx": probe_onnx,
    "openvino": probe_openvino,
}
