"""Keras' settings of another project: the command line sets what it needs, the library says what it found."""

import os
import subprocess
import sys

import keras
import pytest

from tfvae.errors import UsageError
from tfvae.runtime.keras_settings import check_keras_settings

TRAIN = "train elbo --dataset digits --limit 64 --batch-size 32 --arch conv:widths=4,hidden=8,latent=2 --epochs 1"
TRAIN += " --xla off"


def test_channels_first_is_refused():
    check_keras_settings()
    keras.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(UsageError, match="channels"):
            check_keras_settings()
    finally:
        keras.config.set_image_data_format("channels_last")


def test_the_command_line_sets_what_it_needs(tmp_path):
    """keras.json with channels_first and KERAS_BACKEND=jax, both in one process."""
    (tmp_path / "keras.json").write_text(
        '{"image_data_format": "channels_first", "backend": "jax", "floatx": "float32"}'
    )
    environment = os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "jax"}
    command = [
        sys.executable,
        "-m",
        "tfvae",
        *TRAIN.split(),
        "--run-dir",
        str(tmp_path / "run"),
        "--root",
        str(tmp_path),
    ]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
