"""The decoder z -> image in other formats, by Keras' own exporters. Only what is deterministic fits into them."""

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.export.decoder_formats import FORMATS, check
from tfvae.export.exporter import check_finite
from tfvae.runtime import files
from tfvae.runtime.environment import silence_stderr
from tfvae.training import trainer

TOLERANCE = 1e-4  # between pixels of the decoder and of what was written


def export_decoder(path, directory, name, say=lambda line: None):
    """Write the decoder of a run as ``directory/<format>/decoder.*`` with a manifest: -> that file.

    The file is read back and asked for images before it is kept: converters leave out ops that they do not know.

    Args:
        name: one of `FORMATS`.
    """
    folder, file = check(name, directory), FORMATS[name][1]
    model = trainer.load_run(path, say)
    check_finite(model)

    def write_and_probe(beside):
        try:
            with silence_stderr():  # the converters log every pass
                convert(model, beside / file, name)
                z = np.random.default_rng(0).standard_normal((2, model.arch.latent)).astype(np.float32)
                error = np.max(np.abs(PROBES[name](str(beside / file), z) - model.decode(z)))
        except Exception as error:  # they raise whatever they stumble over
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise UsageError(f"Expected {name} to take this model. Received: {reason}") from error
        if not error <= TOLERANCE:
            raise UsageError(f"Expected the decoder as {name} to be the model's. Received: pixels differ by {error:g}.")

    files.write_folder(folder, write_and_probe)
    return folder / file


def convert(model, path, name):
    """Write the decoder of a `VAE` with Keras' exporter of this format."""

    class Decoder(keras.Model):
        def __init__(self):
            super().__init__()
            self.model, self.built = model, True

        def call(self, z):
            return model.decode(z)

    spec = tf.TensorSpec([None, model.arch.latent], name="z")
    Decoder().export(str(path), format=name, input_signature=[spec], verbose=False)


def probe_litert(path, z):
    interpreter = tf.lite.Interpreter(path)
    index = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(index, z.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(index, z)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def probe_onnx(path, z):
    from onnx.reference import ReferenceEvaluator

    model = ReferenceEvaluator(path)
    return model.run(None, {model.input_names[0]: z})[0]


def probe_openvino(path, z):
    import openvino

    model = openvino.compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return model(z)[0]


PROBES = {"litert": probe_litert, "onnx": probe_onnx, "openvino": probe_openvino}
