"""What the latents do: active units, the KL of each dimension, posterior collapse, the ELBO taken apart."""

import math

import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import twice_normal_kl_by_dimension

BATCH = 500
ACTIVE_VARIANCE = 0.01  # of a variance (Burda et al.), and nats


def encode_images(model, images, labels=None):
    """Mean and log stddev of q(z|x) for each image, [N, L] each; labels [N] for a model that is told them."""
    known = model.known(labels).get("condition")
    parts = []
    for i in range(0, len(images), BATCH):
        own = None if known is None else tf.constant(known[i : i + BATCH])
        parts.append(model.encode(tf.constant(images[i : i + BATCH]), own))
    mean, stddev = (np.concatenate(values) for values in zip(*parts))
    return mean, np.log(stddev)


def encode_means(model, images):
    """E_q z for each image, [N, L]."""
    return encode_images(model, images)[0]


def count_active_units(means, threshold=ACTIVE_VARIANCE):
    """How many dimensions have Var_x(E_q[z|x]) > threshold (Burda et al., 2016, section 5.2)."""
    return int((means.var(axis=0) > threshold).sum())


def kl_from_posteriors(mean, log_stddev):
    """KL(N(mean_d, stddev_d^2) || N(0, 1)) averaged over the posteriors [n, L]: -> [L], nats."""
    return 0.5 * np.asarray(
        twice_normal_kl_by_dimension(np.asarray(mean, np.float64), np.asarray(log_stddev, np.float64))
    ).mean(0)


def kl_per_dimension(model, images):
    """KL(q(z_d|x) || N(0, 1)) averaged over the images, [L], nats."""
    parts = [
        model.kl_per_dimension(tf.constant(images[i : i + BATCH])).numpy() * len(images[i : i + BATCH])
        for i in range(0, len(images), BATCH)
    ]
    return np.sum(parts, axis=0) / len(images)


def report_collapse(means, kl, threshold=ACTIVE_VARIANCE):
    """Which latent dimensions say nothing: means [N, L] of q(z|x), kl [L] the mean KL of each dimension.

    ``count_active_units`` by the variance of the means (Burda et al., 2016), ``active_units_kl`` by KL > threshold nats;
    ``collapsed_units`` are active by neither: their posterior is the prior for every image. Where the variance calls a
    unit idle and the KL does not, q narrows or widens a code that carries nothing of x. ``collapse`` says it in words.
    """
    varies, told = means.var(axis=0) > threshold, np.asarray(kl) > threshold
    collapsed = int((~varies & ~told).sum())
    used = len(kl) - collapsed
    words = {0: "none: every latent dimension is in use", len(kl): "complete: no latent dimension says anything of x"}
    partial = f"{collapsed} of {len(kl)} latent dimensions are not in use, {used} are"
    return {
        "active_units_kl": int(told.sum()),
        "collapsed_units": collapsed,
        "collapse": words.get(collapsed, partial),
        "kl_per_dimension": np.sort(kl)[::-1].tolist(),
    }


def split_elbo(distortion, rate, nll, marginal_kl, count):
    """The ELBO in four terms, nats per image: ELBO + log n = 1 - 2 - 3 - 4 (Esmaeili et al., 2019; seed 003).

    For q(x) = 1/n on each of n images, so that -KL(q(x, z) || p(x, z)) = ELBO + log n:

    1. ``log_px_ratio`` E log p(x|z) / p(x): what z says of x, as the decoder reads it;
    2. ``mutual_information`` E log q(z|x) / q(z) = I(x; z) of the encoder, at most log n;
    3. ``kl_data`` KL(q(x) || p(x)) = -log n - E log p(x), of a list of images; negative where p(x) is a density > 1;
    4. ``marginal_kl`` KL(q(z) || p(z)).

    rate = 2 + 4 is the surgery of Hoffman & Johnson (2016). nll = -log p(x) is a bound from above; its gap is in 1 and
    in 3 alike and cancels in their difference.
    """
    log_n = math.log(count)
    return {
        "log_px_ratio": nll - distortion,
        "mutual_information": rate - marginal_kl,
        "kl_data": nll - log_n,
        "marginal_kl": marginal_kl,
        "log_n": log_n,
    }
