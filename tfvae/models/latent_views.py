"""Views of a model's latent space: images [..., H, W, C] in [0, 1], NumPy float32, made from codes z.

All decode z itself, without noise, so that the same model gives the same picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.models import conditions
from tfvae.models.vae import VAE
from tfvae.runtime import random_streams

BATCH = 256  # images decoded at once, so that large grids of large images fit into memory


def decode_codes(model: VAE, z: Any) -> np.ndarray:
    """Return the mean images [..., H, W, C] of codes z [..., L], decoded in batches."""
    z = np.asarray(z, np.float32)
    flat = z.reshape(-1, z.shape[-1])
    parts = [model.decode(tf.constant(flat[i : i + BATCH])).numpy() for i in range(0, len(flat), BATCH)]
    images = np.concatenate(parts)
    return images.reshape(*z.shape[:-1], *images.shape[1:])


def find_active_dimensions(model: VAE, x: Any, count: int = 10) -> list[int]:
    """Return the at most `count` latent dimensions with the largest mean KL over images x [B, H, W, C]."""
    kl = model.kl_per_dimension(tf.convert_to_tensor(x)).numpy()
    return [int(dim) for dim in np.argsort(-kl, kind="stable")[:count]]


def span_values(span: float = 3.0, steps: int = 9) -> np.ndarray:
    """Return the values that a traversed dimension takes, [S]: from -span to span, in prior standard deviations."""
    if not (span > 0 and steps >= 2):
        raise UsageError(f"Expected span > 0 and steps >= 2. Received: span={span}, steps={steps}.")
    return np.linspace(-span, span, steps, dtype=np.float32)


def traverse(model: VAE, x: Any, dims: Sequence[int], span: float = 3.0, steps: int = 9) -> np.ndarray:
    """Return one image with one latent dimension at a time set to each of `span_values`: [D, S, H, W, C].

    The other dimensions stay at the mean of q(z|x).

    Args:
        model: trained.
        x: one image [H, W, C] or [1, H, W, C].
        dims: D indices of latent dimensions.
        span: in prior standard deviations, > 0.
        steps: S, >= 2.

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


def interpolate(model: VAE, a: Any, b: Any, steps: int = 9) -> np.ndarray:
    """Return the ways from images a to images b, both [N, H, W, C], in `steps` equal parts: [N, S, H, W, C].

    They are on the straight line between the means of q(z|x), so that both ends are reconstructions. Spherical
    paths suppose codes of the prior's length, sqrt(L); means are shorter wherever a dimension carries
    little, and for those a sphere would lead through places that no image maps to.
    """
    if not steps >= 2:
        raise UsageError(f"Expected steps >= 2. Received: {steps}.")
    start, end = (model.encode(tf.convert_to_tensor(x))[0].numpy()[:, None] for x in (a, b))  # [N, 1, L]
    share = np.linspace(0, 1, steps, dtype=np.float32)[:, None]  # [S, 1]
    return decode_codes(model, (1 - share) * start + share * end)


def draw_steps(
    model: VAE, count: int, seed: int = 0, steps: int = 0, temperature: float = 1.0, condition: Any = None
) -> np.ndarray:
    """Return the picture after each step of `count` samples of a model that draws in steps: [count, S, H, W, C].

    Args:
        model: trained, of an architecture with `draws_in_steps`.
        count: samples.
        seed: of the draws.
        steps: S, any number where all steps share their weights; 0: as many as in training.
        temperature: times the prior's stddev.
        condition: what the samples are conditioned on, one value or [count, ...].

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
        z = temperature * random_streams.normal(
            [count, arch.count_latents(steps)], random_streams.as_seed((seed, 0)), axis=0
        )
    return decode_steps(model, z, conditions.make_context(model.condition, condition, count)).numpy()


def decode_steps(model: VAE, z: tf.Tensor, context: tf.Tensor | None) -> tf.Tensor:
    """Return the picture after each step that z [N, L] is long enough for, [N, S, H, W, C]; in a graph, too."""
    canvases = tf.unstack(model.arch.decode_canvases(z, context))
    return tf.stack([model.likelihood.mean(canvas) for canvas in canvases], axis=1)


def complete_images(model: VAE, images: Any, count: int, seed: int = 0) -> np.ndarray:
    """Return the visible part of images [N, H, W, C] and `count` ways to complete each: [N, 1 + count, H, W, C].

    Raises:
        UsageError: the model was not trained with condition=upsample:N or inpaint:PART.
    """
    if not isinstance(model.condition, conditions.ImagePartCondition):
        raise UsageError("Expected a model with --condition upsample:N or inpaint:PART. Received: one without.")
    images = model.prepare_pixels(images, (0, 0))
    visible = model.condition.visible_part(images)[..., :-1].numpy()
    ways = [model.sample(len(images), (seed, i), condition=images).numpy() for i in range(count)]
    return np.stack([visible, *ways], axis=1)


def decode_manifold(model: VAE, side: int = 20) -> np.ndarray:
    """Return the plane of a two-dimensional latent space as N(0, I) fills it, [R, R, H, W, C]; row 0 is at the top.

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
