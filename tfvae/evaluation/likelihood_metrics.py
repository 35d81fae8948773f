"""Metrics of the likelihood: ELBO, K-sample bound, bits per dimension, rate, distortion, errors and constraints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfvae.distributions.densities import compute_gaussian_distortion
from tfvae.evaluation.bounds import measure_bits_per_dim
from tfvae.evaluation.confidence_intervals import estimate_mean, flatten_estimates
from tfvae.evaluation.reconstruction_quality import measure_mean_picture_error, measure_reconstruction_errors
from tfvae.models.vae import VAE
from tfvae.runtime.constraint_band import TOLERANCE


def average_over_images(values: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the means over images of {name: [N]}, with their intervals; one image has no interval."""
    estimates: dict[str, Sequence[float]] = {
        name: estimate_mean(each) if len(each) > 1 else each.astype(float).tolist() for name, each in values.items()
    }
    return flatten_estimates(estimates)


def measure_likelihood(
    model: VAE,
    images: np.ndarray,
    labels: np.ndarray,
    scores: Mapping[str, np.ndarray],
    samples: int,
    seed: int,
    xla: str = "auto",
) -> dict[str, Any]:
    """Return the ELBO, the K-sample bound and bits per dimension: {elbo, nll, nll_standard_error, bits_per_dim, ...}.

    Args:
        images: [N, H, W, C].
        labels: [N].
        scores: what `score_images` returns for these images.
        samples: K.
        seed: of the draws.
        xla: see `score_images`.
    """
    bits = measure_bits_per_dim(model, images, samples, seed, scores["bound"], labels, xla)
    nll = -scores["bound"]
    return {
        **average_over_images({"elbo": scores["elbo"], "nll": nll}),
        "nll_standard_error": float(nll.std(ddof=1) / math.sqrt(len(nll))) if len(nll) > 1 else None,
        **({"bits_per_dim": None} if bits is None else average_over_images({"bits_per_dim": bits})),
    }


def measure_rate_and_distortion(
    model: VAE, images: np.ndarray, labels: np.ndarray, scores: Mapping[str, np.ndarray], training_mse: float
) -> dict[str, float]:
    """Return the rate, the distortion at three values of sigma and the errors of reconstructions, with intervals.

    Args:
        images: [N, H, W, C].
        labels: [N].
        scores: what `score_images` returns for these images.
        training_mse: sigma^2 of ``distortion_optimal_sigma``, see `measure_training_mse`.
    """
    dims = math.prod(model.image_shape)
    return average_over_images(
        {
            "rate": scores["rate"],
            "distortion": scores["distortion"],
            "distortion_optimal_sigma": compute_gaussian_distortion(scores["sq_err"], training_mse, dims),
            "distortion_unit_sigma": compute_gaussian_distortion(scores["sq_err"], 1.0, dims),
            "sq_err": scores["sq_err"],
            **measure_reconstruction_errors(model, images, labels),
        }
    ) | {"mean_picture_error": measure_mean_picture_error(model, images)}


def measure_constraints(model: VAE, scores: Mapping[str, np.ndarray]) -> list[dict[str, Any]]:
    """Return GECO's constraints on the images scored: [{text, violation, scale, met}]; [] without constraints.

    Args:
        scores: what `score_images` returns.
    """
    return [
        {
            "text": constraint.text,
            "violation": float(violations.mean()),
            "scale": constraint.scale,
            "met": bool(violations.mean() <= TOLERANCE * constraint.scale),
        }
        for constraint, violations in zip(getattr(model, "constraints", ()), scores.get("violations", ()))
    ]
