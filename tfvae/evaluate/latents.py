"""What the latents do: active units and the KL of each dimension."""

import numpy as np
import tensorflow as tf

BATCH = 500


def posterior_means(model, images):
    """E_q z for each image, [N, L]."""
    return np.concatenate([model.encode(tf.constant(images[i : i + BATCH]))[0] for i in range(0, len(images), BATCH)])


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
