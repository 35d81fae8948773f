"""Holes of the prior, overlap of posteriors and the decoder's distance from the best decoder, for one model."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.evaluation import posterior_holes
from tfvae.evaluation.confidence_intervals import Estimate, estimate_mean, flatten_estimates
from tfvae.evaluation.marginal_kl import sample_aggregate
from tfvae.models import latent_statistics, latent_views
from tfvae.models.vae import VAE
from tfvae.runtime import random_streams
from tfvae.runtime.random_streams import SeedStream

MAX_POSTERIORS = 60_000  # of training images
MAX_PIXELS = 100_000_000  # of all these images together, 400 MB


def prepare_flat_pixels(model: VAE, images: np.ndarray) -> np.ndarray:
    """Return the images as the likelihood sees them, float32 [N, H * W * C]."""
    size = latent_statistics.IMAGES_PER_BATCH
    parts = [
        model.prepare_pixels(tf.constant(images[start : start + size]), (0, 0)) for start in range(0, len(images), size)
    ]
    return np.concatenate(parts).reshape(len(images), -1)


def measure_holes(model: VAE, images: np.ndarray, seed: int) -> dict[str, Any]:
    """Return hole mass, KL(p(z) || q(z)), overlap of posteriors and the decoder's gap, by the training images.

    Args:
        images: the training images [n, H, W, C]; at most 60,000 are used, fewer of large images.
        seed: of the draws of the prior and of the aggregate posterior.

    Returns:
        {} where q(z|x) is not one normal, or depends on a condition.
    """
    if not model.arch.has_normal_posterior or model.condition is not None:
        return {}
    images = images[: min(MAX_POSTERIORS, max(2, MAX_PIXELS // math.prod(model.image_shape)))]
    mean, log_stddev = latent_statistics.encode_images(model, images)
    x = prepare_flat_pixels(model, images)
    prior_seed = random_streams.fold_in((seed, 0), SeedStream.PRIOR_DRAWS)
    aggregate_seed = random_streams.fold_in((seed, 0), SeedStream.AGGREGATE_POSTERIOR_DRAWS)
    _, aggregate = sample_aggregate(mean, log_stddev, posterior_holes.DRAWS, aggregate_seed)
    draws = {
        "prior": model.prior.sample(posterior_holes.DRAWS, prior_seed, model.arch.encode).numpy(),
        "posterior": aggregate.astype(np.float32),
    }
    estimates: dict[str, Estimate] = {}
    for name, z in draws.items():
        weights = posterior_holes.compute_posterior_weights(z, mean, log_stddev, x)
        if name == "prior":
            log_p = model.prior.distribution(model.arch.encode).log_prob(tf.constant(z)).numpy()
            estimates["hole_mass"] = posterior_holes.estimate_hole_mass(weights.log_q - log_p)
            estimates["reverse_kl"] = estimate_mean(log_p - weights.log_q)
        estimates[f"overlap_{name}"] = estimate_mean(weights.overlap)
        g = latent_views.decode_codes(model, z).reshape(len(z), -1)
        estimates[f"decoder_gap_{name}"] = estimate_mean(posterior_holes.compute_decoder_gap(g, weights.optimum))
    return flatten_estimates(estimates) | {
        "hole_threshold": posterior_holes.HOLE_THRESHOLD,
        "hole_draws": posterior_holes.DRAWS,
        "hole_posteriors": len(images),
    }
