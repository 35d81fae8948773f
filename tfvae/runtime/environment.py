"""What this machine is: for ``env.json`` and ``tfvae doctor``; and a quiet import of TensorFlow."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import tfvae

PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "tensorflow-datasets", "numpy", "scipy")


@contextlib.contextmanager
def silence_stderr() -> Iterator[None]:
    """Send descriptor 2 to nowhere: TensorFlow's C++ side logs there before any logger can stop it."""
    sys.stderr.flush()
    stderr, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(sink)


def import_tensorflow() -> ModuleType:
    """Import TensorFlow without its start-up lines and return it; a failure is raised as usual."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever another project of the user's needs
    with silence_stderr():
        import keras
        import tensorflow as tf

        tf.config.list_physical_devices()  # the search for GPU drivers speaks too
        import tensorflow_probability  # noqa: F401
    if keras.config.backend() == "tensorflow":  # else somebody imported keras before: `check_keras_settings` says so
        keras.config.set_image_data_format("channels_last")
    tf.get_logger().setLevel("ERROR")  # its advice on retracing is for those who write tf.functions
    return tf


def package_version(package: str) -> str:
    """Return the installed version of a package, or 'not installed'; for tfvae that of the code that runs."""
    if package == "tfvae":
        return tfvae.__version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def describe_environment() -> dict[str, Any]:
    """Return versions, processor and devices, as JSON knows them."""
    import tensorflow as tf

    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        **{name: package_version(name) for name in ("tfvae", *PACKAGES)},
    }
