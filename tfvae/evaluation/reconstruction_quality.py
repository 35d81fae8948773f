"""SSIM and PSNR of reconstructions g(E q(z|x)), image by image, and the error of the mean picture beside them."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfvae.models.vae import VAE

IMAGES_AT_ONCE = 500
SSIM_WINDOW = 11  # pixels


def compute_psnr(x: np.ndarray, g: np.ndarray) -> np.ndarray:
    """Return 10 log10(1 / mean squared error) of each image, decibels, [N]; equal images give infinity.

    Args:
        x, g: images and their reconstructions [N, H, W, C] in [0, 1].
    """
    mse = np.square(np.asarray(x, np.float64) - g).mean((1, 2, 3))
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(mse)


def compute_ssim(x: np.ndarray, g: np.ndarray) -> np.ndarray | None:
    """Return the structural similarity of each image (Wang et al., 2004, eq. 13), in [-1, 1], [N].

    An 11 x 11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, range 1, the mean over all positions where the window
    fits, then over channels.

    Args:
        x, g: images and their reconstructions [N, H, W, C] in [0, 1].

    Returns:
        None where the images are smaller than the window.
    """
    if min(x.shape[1:3]) < SSIM_WINDOW:
        return None
    return tf.image.ssim(
        tf.constant(x, tf.float32), tf.constant(g, tf.float32), 1.0, SSIM_WINDOW, filter_sigma=1.5, k1=0.01, k2=0.03
    ).numpy()


def measure_mean_picture_error(model: VAE, images: np.ndarray) -> float:
    """Return the squared error of the images' mean picture: what a decoder attains that knows nothing of x.

    Args:
        images: [N, H, W, C].

    Returns:
        The sum over pixels in [0, 1], the mean over the images: the images' total variance.
    """
    total, squares = np.zeros(images.shape[1:]), 0.0
    for start in range(0, len(images), IMAGES_AT_ONCE):
        x = model.prepare_pixels(tf.constant(images[start : start + IMAGES_AT_ONCE]), (0, 0)).numpy()
        total += x.sum(axis=0, dtype=np.float64)
        squares += float(np.square(x, dtype=np.float64).sum())
    return squares / len(images) - float(np.square(total / len(images)).sum())


def measure_reconstruction_errors(
    model: VAE, images: np.ndarray, labels: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Return SSIM and PSNR of the reconstructions from the means of q(z|x).

    Args:
        images: [N, H, W, C].
        labels: [N], for a model that is conditioned on labels.

    Returns:
        {"ssim": [N], "psnr": [N]}; no "ssim" of images below 11 x 11 pixels.
    """
    values = model.condition_kwargs(labels).get("condition")
    parts: dict[str, list[np.ndarray]] = {"ssim": [], "psnr": []}
    for start in range(0, len(images), IMAGES_AT_ONCE):
        x = model.prepare_pixels(tf.constant(images[start : start + IMAGES_AT_ONCE]), (0, 0))
        condition = None if values is None else tf.constant(values[start : start + IMAGES_AT_ONCE])
        if model.condition is not None and condition is None:
            condition = model.condition.values_from_images(x)
        g = model.decode(model.encode(x, condition)[0], condition).numpy()
        for name, errors in (("ssim", compute_ssim(x.numpy(), g)), ("psnr", compute_psnr(x.numpy(), g))):
            if errors is not None:
                parts[name].append(errors)
    return {name: np.concatenate(arrays) for name, arrays in parts.items() if arrays}
