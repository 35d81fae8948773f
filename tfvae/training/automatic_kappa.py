"""GECO's kappa from the images alone: ``kappa=auto``."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from tfvae import specs
from tfvae.config import Config
from tfvae.datasets.image_arrays import check_images
from tfvae.errors import DataError
from tfvae.objectives.geco.water_filling import compute_spectrum, find_knee
from tfvae.option_values import AUTO_WORD
from tfvae.runtime.progress_reporters import SilentReporter


def choose_kappa(images: np.ndarray) -> float:
    """Return a kappa for GECO: where more KL begins to buy little, as in the best linear VAE of the images.

    Args:
        images: uint8, bool or float in [0, 1], [N, H, W] or [N, H, W, C]; of more than 1,000 a sample is taken.

    Returns:
        The root of the squared error summed over pixels in [0, 1], to three digits.

    Raises:
        DataError: no such images, or all are the same.

    Example:
        >>> tfvae.choose_kappa(tfvae.datasets.load("digits", "train")[0])
        1.18
    """
    return _find_kappa(check_images(np.asarray(images), "images"))


def has_automatic_kappa(config: Config) -> bool:
    """Tell whether the objective of a config is a built-in one with ``kappa=auto``."""
    name, options = specs.parse_spec(config.objective)
    return options.get("kappa") == AUTO_WORD and not specs.is_import_path(name)


def fill_in_kappa(config: Config, images: np.ndarray, reporter: SilentReporter) -> Config:
    """Return a config with the number that ``kappa=auto`` stands for; others are returned as they are.

    Args:
        config: the settings.
        images: of the training set, [N, H, W, C].
        reporter: is told the number.

    Raises:
        DataError: all images are the same.
    """
    if not has_automatic_kappa(config):
        return config
    name, options = specs.parse_spec(config.objective)
    kappa = _find_kappa(images)
    per_pixel = kappa / math.sqrt(math.prod(images.shape[1:]))
    reporter.line(f"kappa: {kappa:g}, {per_pixel:.2g} a pixel, at the knee of the best linear VAE's KL over its error")
    return dataclasses.replace(config, objective=specs.format_spec(name, options | {"kappa": kappa}))


def _find_kappa(images: np.ndarray) -> float:
    spectrum = compute_spectrum(images)
    if not len(spectrum):
        raise DataError("Expected images that differ, to choose kappa by. Received: the same image throughout.")
    return float(f"{math.sqrt(find_knee(spectrum)):.3g}")
