"""Metrics of the latent space: active units, posterior collapse, KL(q(z) || p(z)) in its parts, MMD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.distributions.priors import Normal
from tfvae.evaluation import mmd
from tfvae.evaluation.confidence_intervals import Estimate, Z, estimate_by_half_splits, flatten_estimates
from tfvae.evaluation.marginal_kl import estimate_marginal_kl
from tfvae.models import latent_statistics
from tfvae.models.vae import VAE
from tfvae.runtime import random_streams
from tfvae.runtime.random_streams import SeedStream

CODES_FOR_MMD, MIN_CODES_FOR_MMD = 2000, 10
MAX_DENSITIES = 320_000_000  # evaluated at most for the marginal KL of the single dimensions


def has_standard_normal_prior(model: VAE) -> bool:
    """Return whether the model's prior is N(0, I)."""
    return type(model.prior) is Normal


def measure_active_units(
    model: VAE, mean: np.ndarray, log_stddev: np.ndarray, errors: Mapping[str, float]
) -> dict[str, Any]:
    """Return how many latent dimensions are in use; by their KL, too, where the prior is N(0, I).

    Args:
        mean, log_stddev: [N, L] of q(z|x), see `latent_statistics.encode_images`.
        errors: the means over these images of sq_err and mean_picture_error.
    """
    results = {"active_units": latent_statistics.count_active_units(mean), "latent": model.arch.latent}
    if not has_standard_normal_prior(model):
        return results
    return results | latent_statistics.report_collapse(
        mean,
        latent_statistics.compute_kl_per_dimension(mean, log_stddev),
        errors["sq_err"],
        errors["mean_picture_error"],
    )


def measure_marginal_kl(
    model: VAE, mean: np.ndarray, log_stddev: np.ndarray, means: Mapping[str, Any], seed: int
) -> dict[str, Any]:
    """Return KL(q(z) || p(z)), I(x; z) and the four terms of the ELBO; {} where q(z|x) is not one normal.

    Args:
        mean, log_stddev: [N, L] of q(z|x).
        means: the means over these images of rate, distortion and nll, nats.
        seed: of the draws z ~ q(z).
    """
    if not model.arch.has_normal_posterior or model.condition is not None:
        return {}
    log_prior = model.prior.distribution(model.arch.encode).log_prob
    marginal = estimate_marginal_kl(mean, log_stddev, log_prior, seed=seed, rate=means["rate"])
    surgery = latent_statistics.split_elbo(
        means["distortion"], means["rate"], means["nll"], marginal.kl, marginal.posteriors
    )
    half_width, information = Z * marginal.standard_error, surgery["mutual_information"]
    results: dict[str, Any] = dict(
        flatten_estimates(
            {
                "marginal_kl": Estimate(marginal.kl, marginal.kl - half_width, marginal.kl + half_width),
                # the rate of these images is exact, so that the information has the same error
                "mutual_information": Estimate(information, information - half_width, information + half_width),
            }
        )
    )
    results |= {"marginal_kl_standard_error": marginal.standard_error, "marginal_posteriors": marginal.posteriors}
    if has_standard_normal_prior(model):
        draws = max(200, min(2000, MAX_DENSITIES // mean.size))
        dimensions = mmd.estimate_dimension_kl(mean, log_stddev, draws=draws, seed=seed)
        results |= {
            "marginal_kl_moments": mmd.compute_moment_kl(mean, log_stddev),
            "marginal_kl_dims": float(dimensions.kl.sum()),
            "marginal_kl_per_dimension": dimensions.kl.tolist(),
        }
    return results | {"elbo_surgery": surgery}


def measure_mmd(model: VAE, images: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, Any]:
    """Return MMD^2 of codes z ~ q(z) and draws of the prior, for every kind of architecture.

    Args:
        images: [N, H, W, C], of which the first 2,000 are encoded.
        labels: [N].
        seed: of the codes and of the draws of the prior.

    Returns:
        {mmd, mmd_low, mmd_high, mmd_codes}; {} for a model that is conditioned on anything but labels, for which no
        single prior matches, and for fewer than 10 images.
    """
    if model.condition is not None and not model.condition.uses_labels or len(images) < MIN_CODES_FOR_MMD:
        return {}
    parts = []
    for start in range(0, min(len(images), CODES_FOR_MMD), latent_statistics.IMAGES_PER_BATCH):
        rows = slice(start, min(start + latent_statistics.IMAGES_PER_BATCH, CODES_FOR_MMD))
        batch_seed = random_streams.fold_in(random_streams.fold_in((seed, 0), SeedStream.CODES), start)
        terms = model.terms(tf.constant(images[rows]), 1, batch_seed, **model.condition_kwargs(labels[rows]))
        parts.append(terms.z[0])
    codes = np.concatenate(parts)
    prior_seed = random_streams.fold_in((seed, 0), SeedStream.PRIOR_CODES)
    prior_codes = model.prior.sample(len(codes), prior_seed, model.arch.encode).numpy()
    (estimate,) = estimate_by_half_splits(lambda a, b: [mmd.estimate_mmd2(a, b)], (codes, prior_codes), seed=seed)
    return flatten_estimates({"mmd": estimate}) | {"mmd_codes": len(codes)}
