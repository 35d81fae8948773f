"""The settings of Keras that tfvae's networks are made for."""

from __future__ import annotations

import keras

from tfvae.errors import UsageError


def check_keras_settings() -> None:
    """Refuse a process whose Keras has another backend or another order of image axes.

    The command line sets both by itself; a library must not change them under the feet of its user.

    Raises:
        UsageError: it has.
    """
    if keras.config.backend() != "tensorflow":
        raise UsageError(
            f"Expected Keras with the TensorFlow backend. Received: {keras.config.backend()}. Set "
            "KERAS_BACKEND=tensorflow before anything imports keras."
        )
    if keras.config.image_data_format() != "channels_last":
        raise UsageError(
            "Expected images with channels last. Received: image_data_format channels_first. Call "
            "keras.config.set_image_data_format('channels_last')."
        )
