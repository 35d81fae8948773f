"""Settings against the images: what cannot be trained is refused, and what has less effect than it says is remarked."""

from __future__ import annotations

import pathlib

import numpy as np

from tfvae import specs
from tfvae.config import Config
from tfvae.datasets.name_resolution import find_source
from tfvae.errors import UsageError
from tfvae.runtime.progress_reporters import SilentReporter


def check_trainable(config: Config, images: np.ndarray, reporter: SilentReporter) -> None:
    """Refuse what cannot be trained, and report what is unusual.

    Args:
        config: the settings.
        images: the training images [N, H, W, C], binarised if the settings say static.
        reporter: is told the notes.

    Raises:
        UsageError: a batch larger than the training set, or floats that are to be binarised or dequantised.
    """
    if config.batch_size > len(images):
        raise UsageError(
            f"Expected batch_size <= the {len(images)} training images. Received: batch_size={config.batch_size}."
        )
    for name, default in (("binarize", "none"), ("dequantize", False)):
        if getattr(config, name) != default and images.dtype != np.uint8:
            raise UsageError(
                f"Expected byte images for {name}={getattr(config, name)}. Received: {config.dataset} (floats)."
            )
    for note in list_setting_notes(config, images):
        reporter.line(f"note: {note}")


def list_setting_notes(config: Config, images: np.ndarray) -> list[str]:
    """Return sentences about settings whose effect is not what one would expect of these images [N, H, W, C]."""
    notes = []
    is_binary = images.dtype == np.uint8 and bool(np.isin(images[:1000], (0, 255)).all())
    if specs.read_name(config.likelihood) == "bernoulli" and config.binarize == "none" and not is_binary:
        notes.append(
            "bernoulli on grey pixels treats grey levels as probabilities, which is no likelihood of the data: "
            "bits/dim are not reported. Use --binarize dynamic or static, or another likelihood."
        )
    if config.binarize == "dynamic" and is_binary:
        notes.append("binarize=dynamic changes no pixel: all are 0 or 255 already.")
    if config.limit and config.limit > len(images):
        notes.append(f"limit={config.limit} leaves nothing out: there are {len(images)} training images.")
    steps = config.epochs * (len(images) // config.batch_size)
    if config.learning_rate_warmup > steps:
        notes.append(
            f"learning_rate_warmup={config.learning_rate_warmup} is longer than this training of {steps} steps: the "
            f"learning rate reaches {100 * steps / config.learning_rate_warmup:.0f}% of its value."
        )
    if config.raw_dir:
        origin = find_source(config.dataset, config.raw_dir).origin
        if str(pathlib.Path(config.raw_dir).expanduser()) not in origin:
            notes.append(f"raw_dir={config.raw_dir} has no effect: the images are {origin}.")
    return notes
