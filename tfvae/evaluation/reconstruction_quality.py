"""SSIM and PSNR of reconstructions g(E q(z|x)), image by image."""

import numpy as np
import tensorflow as tf

BATCH = 500
WINDOW = 11


def psnr(x, g):
    """10 log10(1 / mean squared error) of each image, decibels: x, g [N, H, W, C] in [0, 1] -> [N]; equal: infinite."""
    mse = np.square(np.asarray(x, np.float64) - g).mean((1, 2, 3))
    with np.errstate(divide="ignore"):
        return -10.0 * np.log10(mse)


def ssim(x, g):
    """Structural similarity of each image (Wang et al., 2004, eq. 13), in [-1, 1]: x, g [N, H, W, C] -> [N] or None.

    An 11 x 11 Gaussian window of sigma 1.5, K1 = 0.01, K2 = 0.03, range 1, the mean over all places where the window
    fits, then over channels. None where the images are smaller than the window.
    """
    if min(x.shape[1:3]) < WINDOW:
        return None
    return tf.image.ssim(
        tf.constant(x, tf.float32), tf.constant(g, tf.float32), 1.0, WINDOW, filter_sigma=1.5, k1=0.01, k2=0.03
    ).numpy()


def reconstruction_errors(model, images, labels=None):
    """{"ssim": [N] (images of 11 x 11 pixels or more), "psnr": [N]} of the reconstructions from the means of q(z|x)."""
    known = model.known(labels).get("condition")
    found = {"ssim": [], "psnr": []}
    for start in range(0, len(images), BATCH):
        x = model.prepare_pixels(tf.constant(images[start : start + BATCH]), (0, 0))
        told = None if known is None else tf.constant(known[start : start + BATCH])
        if model.condition is not None and told is None:
            told = model.condition.values_from_images(x)
        g = model.decode(model.encode(x, told)[0], told).numpy()
        for name, values in (("ssim", ssim(x.numpy(), g)), ("psnr", psnr(x.numpy(), g))):
            if values is not None:
                found[name].append(values)
    return {name: np.concatenate(parts) for name, parts in found.items() if parts}
