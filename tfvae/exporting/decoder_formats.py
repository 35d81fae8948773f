"""Formats beside SavedModel that a decoder can be written in; checked before TensorFlow is loaded."""

from __future__ import annotations

import importlib.util
import os
import pathlib

from tfvae.errors import UsageError
from tfvae.runtime import files

# format: (the package that Keras' exporter needs, the file)
FORMATS = {
    "litert": ("tensorflow", "decoder.tflite"),
    "onnx": ("tf2onnx", "decoder.onnx"),
    "openvino": ("openvino", "decoder.xml"),
}


def check_decoder_format(name: str, directory: files.PathLike) -> pathlib.Path:
    """Refuse a format whose package is missing, or a folder that exists; return the folder to create.

    Args:
        name: one of `FORMATS`.
        directory: in which the folder of the format will lie.

    Raises:
        UsageError: the package is not installed, or ``directory/name`` exists.
    """
    package = FORMATS[name][0]
    if importlib.util.find_spec(package) is None:
        raise UsageError(f"--format {name} needs the package {package}. Received: none. Run  pip install {package}")
    folder = pathlib.Path(directory) / name
    if os.path.lexists(folder):
        raise UsageError(f"Expected a new folder. Received: {folder}, which exists. Choose another DIR.")
    return folder
