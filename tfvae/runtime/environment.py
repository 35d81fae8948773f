"""What this machine is: for ``env.json`` and ``tfvae doctor``; and a quiet import of TensorFlow."""

import contextlib
import importlib.metadata
import os
import platform
import sys

PACKAGES = ("tensorflow", "keras", "tensorflow-probability", "tensorflow-datasets", "numpy", "scipy")


@contextlib.contextmanager
def silence_stderr():
    """TensorFlow's C++ side logs to descriptor 2 before any logger can be told not to."""
    sys.stderr.flush()
    kept, sink = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(sink)


def import_tensorflow():
    """Import TensorFlow without its start-up lines; a failure is raised as usual."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with silence_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices()  # the search for GPU drivers speaks too
        import tensorflow_probability  # noqa: F401
    tf.get_logger().setLevel("ERROR")  # its advice on retracing is for those who write tf.functions
    return tf


def package_version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def describe_environment():
    """Versions, processor, devices: JSON."""
    import tensorflow as tf

    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "devices": [device.device_type for device in tf.config.list_physical_devices()],
        **{name: package_version(name) for name in ("tfvae", *PACKAGES)},
    }
