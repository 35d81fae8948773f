"""What this machine is: for ``env.json`` and ``tfvae doctor``; and a quiet import of TensorFlow."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import sys
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import tfvae

# What TensorFlow logs whenever it starts, whatever TF_CPP_MIN_LOG_LEVEL says.
CHATTER = re.compile(
    r"^I\d{4} |^[-\d]{10} [:.\d]+: I |All log messages before absl::InitializeLog|To enable the following instructions"
    r"|Attempting to register factory for plugin|Unable to register cu"
)
GPU_CHATTER = re.compile(r"failed call to cuInit|Cannot dlopen some GPU libraries|Skipping registering GPU|TensorRT")
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


@contextlib.contextmanager
def hold_back_chatter() -> Iterator[None]:
    """Hold back what is written to descriptor 2, and pass on at the end what is not TensorFlow's usual chatter."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held:
        stderr = os.dup(2)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held.seek(0)
            sys.stderr.write(drop_chatter(held.read().decode(errors="replace")))


def drop_chatter(log: str) -> str:
    """Return the lines of a log that matter: not what always comes, nor that a machine without a GPU has none."""
    is_chatter = CHATTER if has_nvidia_driver() else re.compile(f"{CHATTER.pattern}|{GPU_CHATTER.pattern}")
    return "".join(line for line in log.splitlines(keepends=True) if not is_chatter.search(line))


def has_nvidia_driver() -> bool:
    """Tell whether this machine can drive an NVIDIA GPU: then that TensorFlow does not find it matters."""
    return os.path.exists("/proc/driver/nvidia/version")


def start_tensorflow() -> ModuleType:
    """Import TensorFlow without the lines that it always logs when it starts, and return it.

    Its warnings are shown, and a failure is raised as usual. TF_CPP_MIN_LOG_LEVEL=0 shows all.
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")
    with contextlib.nullcontext() if level == "0" else hold_back_chatter():
        import keras  # noqa: F401
        import tensorflow as tf

        tf.config.list_physical_devices()  # the search for GPU drivers speaks too
        import tensorflow_probability  # noqa: F401
    return tf


def import_tensorflow() -> ModuleType:
    """Import TensorFlow for the command line, which has the process for itself, and return it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # whatever another project of the user's needs
    tf = start_tensorflow()
    import keras

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
