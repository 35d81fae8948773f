"""What the latents do: active units and the KL of each dimension."""

import numpy as np
import tensorflow as tf

BATCH = 500


def posteriors(model, images, labels=None):
    """Mean and log stddev of q(z|x) for each image, [N, L] each; labels [N] for a model that is told them."""
    known = model.known(labels).get("condition")
    parts = []
    for i in range(0, len(images), BATCH):
        own = None if known is None else tf.constant(known[i : i + BATCH])
        parts.append(model.encode(tf.constant(images[i : i + BATCH]), own))
    mean, stddev = (np.concatenate(values) for values in zip(*parts))
    return mean, np.log(stddev)


def posterior_means(model, images):
    """E_q z for each image, [N, L]."""
    return posteriors(model, images)[0]


def active_units(means, threshold=0.01):
    """How many dimensions have Var_x(E_q[z|x]) > threshold (Burda et al., 2016, section 5.2)."""
    return int((means.var(axis=0) > threshold).sum())


def kl_per_dimension(model, images):
    """KL(q(z_d|x) || N(0, 1)) averaged over the images, [L], nats."""
    parts = [
        model.kl_per_dimension(tf.constant(images[i : i + BATCH])).numpy() * len(images[i : i + BATCH])
        for i in range(0, len(images), BATCH)
    ]
    return np.sum(parts, axis=0) / len(images)
