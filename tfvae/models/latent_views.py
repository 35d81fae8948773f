"""What a model shows of its latent space: images [..., H, W, C] in [0, 1], NumPy float32, made from z.

All decode z itself, without noise, so the same model gives the same picture.
"""

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.models import conditions
from tfvae.runtime import random_streams

BATCH = 256  # images decoded at once, so that large grids of large images fit into memory


def decode_codes(model, z):
    """z [..., L] -> mean images [..., H, W, C], in batches."""
    z = np.asarray(z, np.float32)
    flat = z.reshape(-1, z.shape[-1])
    parts = [model.decode(tf.constant(flat[i : i + BATCH])).numpy() for i in range(0, len(flat), BATCH)]
    images = np.concatenate(parts)
    return images.reshape(*z.shape[:-1], *images.shape[1:])


def find_active_dimensions(model, x, count=10):
    """The at most `count` latent dimensions with the largest mean KL over images x [B, H, W, C]."""
    kl = model.kl_per_dimension(tf.convert_to_tensor(x)).numpy()
    return [int(dim) for dim in np.argsort(-kl, kind="stable")[:count]]


def span_values(span=3.0, steps=9):
    """The values that a traversed dimension takes, [S]: from -span to span, in prior standard deviations."""
    if not (span > 0 and steps >= 2):
        raise UsageError(f"Expected span > 0 and steps >= 2. Received: span={span}, steps={steps}.")
    return np.linspace(-span, span, steps, dtype=np.float32)


def traverse(model, x, dims, span=3.0, steps=9):
    """One image, with one latent dimension at a time set to each of `span_values`: [D, S, H, W, C].

    The others stay at the mean of q(z|x).

    Args:
        x: one image [H, W, C] or [1, H, W, C].
        dims: D indices of latent dimensions.

    Raises:
        UsageError: a dimension that the model does not have.
    """
    x = tf.convert_to_tensor(x)
    mean = model.encode(x if x.shape.rank == 4 else x[None])[0].numpy()[0]  # [L]
    for dim in dims:
        if not 0 <= dim < len(mean):
            raise UsageError(f"Expected latent dimensions 0 to {len(mean) - 1}. Received: {dim}.")
    values = span_values(span, steps)
    z = np.broadcast_to(mean, (len(dims), steps, len(mean))).copy()
    for row, dim in enumerate(dims):
        z[row, :, dim] = values
    return decode_codes(model, z)


def interpolate(model, a, b, steps=9):
    """From images a to images b, both [N, H, W, C], in `steps` equal parts: [N, S, H, W, C].

    On the straight line between the means of q(z|x), so that both ends are reconstructions. Spherical
    paths suppose codes of the prior's length, sqrt(L); means are shorter wherever a dimension carries
    little, and for those a sphere would lead through places that no image maps to.
    """
    if not steps >= 2:
        raise UsageError(f"Expected steps >= 2. Received: {steps}.")
    start, end = (model.encode(tf.convert_to_tensor(x))[0].numpy()[:, None] for x in (a, b))  # [N, 1, L]
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]  # [S, 1]
    return decode_codes(model, (1 - share) * start + share * end)


def draw_steps(model, count, seed=0, steps=0, temperature=1.0, condition=None):
    """The picture after each step of `count` samples of a model that draws in steps: [count, S, H, W, C].

    Args:
        steps: S, any number where all steps share their weights; 0: as many as in training.
        temperature: times the prior's stddev.
        condition: what the model is told, one value or [count, ...].

    Raises:
        UsageError: the model does not draw in steps, or not in so many.
    """
    arch = model.arch
    if not arch.draws_in_steps:
        raise UsageError(f"Expected a model that draws in steps (arch=convdraw). Received: {type(arch).__name__}.")
    steps = steps or arch.steps
    if steps != arch.steps and type(model.prior).__name__ != "Normal":
        raise UsageError(f"Expected steps={arch.steps}, which the prior was trained for. Received: steps={steps}.")
    if steps == arch.steps:
        z = temperature * model.prior.sample(count, random_streams.as_seed((seed, 0)), arch.encode)
    else:
        z = temperature * random_streams.normal([count, arch.width(steps)], random_streams.as_seed((seed, 0)), axis=0)
    return decode_steps(model, z, conditions.make_context(model.condition, condition, count)).numpy()


def decode_steps(model, z, context):
    """The picture after each step that z [N, L] is long enough for, [N, S, H, W, C]; the same in a graph."""
    canvases = tf.unstack(model.arch.decode_canvases(z, context))
    return tf.stack([model.likelihood.mean(canvas) for canvas in canvases], axis=1)


def complete_images(model, images, count, seed=0):
    """Images [N, H, W, C] as the model is shown them, and `count` ways to complete each: [N, 1 + count, H, W, C].

    Raises:
        UsageError: the model was not trained with condition=upsample:N or inpaint:PART.
    """
    if not getattr(model.condition, "maps", ()):
        raise UsageError("Expected a model with --condition upsample:N or inpaint:PART. Received: one without.")
    images = tf.convert_to_tensor(images, tf.float32)
    shown = model.condition.visible_part(images)[..., :-1].numpy()
    ways = [model.sample(len(images), (seed, i), condition=images).numpy() for i in range(count)]
    return np.stack([shown, *ways], axis=1)


def decode_manifold(model, side=20):
    """The plane of a two-dimensional latent space as N(0, I) fills it, [R, R, H, W, C]; row 0 is at the top.

    z_1 grows to the right and z_2 upwards, over the (i + 1/2) / R quantiles of N(0, 1), so that each image
    stands for the same share of the prior (Kingma & Welling, 2014, fig. 4).

    Raises:
        UsageError: the latent space has another dimension.
    """
    if model.arch.latent != 2:
        raise UsageError(f"Expected a model with latent=2. Received: latent={model.arch.latent}.")
    quantiles = tf.math.ndtri((tf.range(side, dtype=tf.float32) + 0.5) / side).numpy()
    first, second = np.meshgrid(quantiles, quantiles[::-1])
    return decode_codes(model, np.stack([first, second], axis=-1))
