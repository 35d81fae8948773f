"""Statistics of the latent space: active units, the KL of each dimension, collapse, the ELBO in four terms."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import compute_twice_normal_kl_by_dimension
from tfvae.models.vae import VAE

IMAGES_PER_BATCH = 500
ACTIVE_VARIANCE = 0.01  # of a variance (Burda et al., 2016), and in nats of a KL
COLLAPSED_RATE = 0.1  # nats
MOST_OF_MEAN_PICTURE_ERROR = 0.95  # a squared error above this share tells no image from another


def encode_images(model: VAE, images: np.ndarray, labels: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean and log stddev of q(z|x) for each image, [N, L] each.

    Args:
        images: [N, H, W, C], uint8 or float in [0, 1].
        labels: [N], for a model that is conditioned on labels; None: not known.

    Example:
        >>> mean, log_stddev = encode_images(model, images)  # doctest: +SKIP
    """
    values = model.condition_kwargs(labels).get("condition")
    parts = []
    for start in range(0, len(images), IMAGES_PER_BATCH):
        condition = None if values is None else tf.constant(values[start : start + IMAGES_PER_BATCH])
        parts.append(model.encode(tf.constant(images[start : start + IMAGES_PER_BATCH]), condition))
    mean, stddev = (np.concatenate(arrays) for arrays in zip(*parts))
    return mean, np.log(stddev)


def encode_means(model: VAE, images: np.ndarray) -> np.ndarray:
    """Return E_q z for each image [N, H, W, C], [N, L]."""
    return encode_images(model, images)[0]


def count_active_units(means: np.ndarray, threshold: float = ACTIVE_VARIANCE) -> int:
    """Return how many dimensions have Var_x(E_q[z|x]) > threshold (Burda et al., 2016, section 5.2).

    Args:
        means: of q(z|x), [N, L].
        threshold: of the variance over the images.
    """
    return int((means.var(axis=0) > threshold).sum())


def compute_kl_per_dimension(mean: np.ndarray, log_stddev: np.ndarray) -> np.ndarray:
    """Return KL(N(mean_d, stddev_d^2) || N(0, 1)) averaged over the posteriors, [L], nats.

    Args:
        mean, log_stddev: of n posteriors, [n, L].
    """
    twice_kl = compute_twice_normal_kl_by_dimension(np.asarray(mean, np.float64), np.asarray(log_stddev, np.float64))
    return 0.5 * np.asarray(twice_kl).mean(0)


def measure_kl_per_dimension(model: VAE, images: np.ndarray) -> np.ndarray:
    """Return KL(q(z_d|x) || N(0, 1)) averaged over images [N, H, W, C], [L], nats."""
    batches = [images[start : start + IMAGES_PER_BATCH] for start in range(0, len(images), IMAGES_PER_BATCH)]
    parts = [model.kl_per_dimension(tf.constant(batch)).numpy() * len(batch) for batch in batches]
    return np.sum(parts, axis=0) / len(images)


def report_collapse(
    means: np.ndarray, kl: np.ndarray, sq_err: float, mean_picture_error: float, threshold: float = ACTIVE_VARIANCE
) -> dict[str, Any]:
    """Return which latent dimensions carry no information, as numbers and in words.

    ``active_units_kl`` counts dimensions with KL > threshold nats; ``collapsed_units`` are active neither by that nor
    by the variance of their means (Burda et al., 2016): their posterior is the prior for every image. Where the
    variance calls a unit inactive and the KL does not, q narrows or widens a code that carries nothing of x: the words
    count it as not in use.

    Args:
        means: of q(z|x), [N, L].
        kl: the mean KL of each dimension, [L], nats.
        sq_err: of the reconstructions, summed over pixels, the mean over the images.
        mean_picture_error: the same of the images' mean picture.
        threshold: of the variance, and of the KL in nats.

    Returns:
        {active_units_kl, collapsed_units, collapse: words, kl_per_dimension: sorted, the largest first}.
    """
    varies, has_kl = means.var(axis=0) > threshold, np.asarray(kl) > threshold
    says_something = sq_err < MOST_OF_MEAN_PICTURE_ERROR * mean_picture_error
    return {
        "active_units_kl": int(has_kl.sum()),
        "collapsed_units": int((~varies & ~has_kl).sum()),
        "collapse": describe_collapse(int(varies.sum()), len(kl), float(np.sum(kl)), says_something),
        "kl_per_dimension": np.sort(kl)[::-1].tolist(),
    }


def describe_collapse(used: int, latent: int, rate: float, is_decoded: bool) -> str:
    """Return in words how far the posterior has collapsed.

    Args:
        used: dimensions whose mean differs between images.
        latent: dimensions in all.
        rate: KL(q(z|x) || p(z)), nats.
        is_decoded: whether reconstructions are nearer to the images than the images' mean picture.
    """
    if not used:
        return "complete: no latent dimension says anything of x"
    if rate < COLLAPSED_RATE:
        return f"complete: codes hold {rate:.2g} nats of x"
    partly = f"{used} of {latent} latent dimensions {'is' if used == 1 else 'are'} in use"
    if not is_decoded:
        return f"complete in what is decoded: reconstructions are no nearer than the images' mean picture; {partly}"
    return "none: every latent dimension is in use" if used == latent else partly


def split_elbo(distortion: float, rate: float, nll: float, marginal_kl: float, count: int) -> dict[str, float]:
    """Return the ELBO in four terms, nats per image: ELBO + log n = 1 - 2 - 3 - 4 (Esmaeili et al., 2019).

    For q(x) = 1/n on each of n images, so that -KL(q(x, z) || p(x, z)) = ELBO + log n:

    1. ``log_px_ratio`` E log p(x|z) / p(x): what z says of x, as the decoder reads it;
    2. ``mutual_information`` E log q(z|x) / q(z) = I(x; z) of the encoder, at most log n;
    3. ``kl_data`` KL(q(x) || p(x)) = -log n - E log p(x), of a list of images; negative where p(x) is a density > 1;
    4. ``marginal_kl`` KL(q(z) || p(z)).

    rate = 2 + 4 is the surgery of Hoffman & Johnson (2016). nll = -log p(x) is an upper bound; its gap is in 1 and in 3
    alike and cancels in their difference.

    Args:
        distortion, rate, nll, marginal_kl: means over the images, nats.
        count: n.

    Returns:
        The four terms and ``log_n``.
    """
    log_n = math.log(count)
    return {
        "log_px_ratio": nll - distortion,
        "mutual_information": rate - marginal_kl,
        "kl_data": nll - log_n,
        "marginal_kl": marginal_kl,
        "log_n": log_n,
    }
