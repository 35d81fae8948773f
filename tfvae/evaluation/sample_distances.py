"""How samples compare with images, by the features of a named extractor."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tfvae.errors import UsageError
from tfvae.evaluation import feature_distances
from tfvae.evaluation.confidence_intervals import (
    Estimate,
    estimate_by_bootstrap,
    estimate_by_half_splits,
    estimate_share,
    flatten_estimates,
)
from tfvae.models.vae import VAE
from tfvae.runtime.random_streams import SeedWord

SAMPLES_AT_ONCE = 500
MAX_FOR_PAIRS = 5000  # images at most for metrics that compare all pairs
MAX_FEATURES_FOR_BOOTSTRAP = 256  # whose Frechet distance is quick enough to be bootstrapped
FRECHET_SPLITS = 3  # of more features: 200 roots of large matrices would take hours
MIN_IMAGES = 12  # so that half of them have 5 neighbours


class FeatureExtractor(Protocol):
    """What measures images: a name and a function of images.

    Attributes:
        name: as it stands in the brackets of metrics' names.
    """

    name: str

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return features [N, D], and logits [N, classes] or None, of images [N, H, W, C]."""


def draw_model_samples(model: VAE, count: int, seed: int = 0, condition: np.ndarray | None = None) -> np.ndarray:
    """Draw samples and return them, [count, H, W, C] in [0, 1].

    Args:
        count: how many.
        seed: of the draws.
        condition: a value for each, [count]; None: no condition is given.
    """
    parts = []
    for start in range(0, count, SAMPLES_AT_ONCE):
        size = min(SAMPLES_AT_ONCE, count - start)
        kwargs = {} if condition is None else {"condition": condition[start : start + size]}
        drawn = SAMPLES_AT_ONCE if condition is None else size
        parts.append(model.sample(drawn, (seed, SeedWord.SAMPLE_METRICS + start), **kwargs).numpy()[:size])
    return np.concatenate(parts)


def compare_features(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> dict[str, Estimate]:
    """Return {frechet, kid, precision, recall, density, coverage} of two sets of features, with intervals.

    Args:
        real, fake: features [N, D] and [M, D]; metrics that compare all pairs take the first 5,000 of each.
        seed: of the resampling.
    """
    pair_samples = real[:MAX_FOR_PAIRS], fake[:MAX_FOR_PAIRS]

    def measure_pairs(u: np.ndarray, v: np.ndarray) -> list[float]:
        return [feature_distances.estimate_kid(u, v), *feature_distances.compute_prdc(u, v).values()]

    def measure_frechet(u: np.ndarray, v: np.ndarray) -> list[float]:
        return [feature_distances.compute_frechet_distance(u, v)]

    names = ("kid", *feature_distances.PRDC)
    estimates = dict(zip(names, estimate_by_half_splits(measure_pairs, pair_samples, seed=seed)))
    for name, highest in feature_distances.PRDC.items():
        estimates[name] = Estimate(*np.clip(estimates[name], 0.0, highest))
    if real.shape[1] <= MAX_FEATURES_FOR_BOOTSTRAP:
        frechet = estimate_by_bootstrap(feature_distances.compute_frechet_distance, real, fake, seed=seed)
    else:
        (frechet,) = estimate_by_half_splits(measure_frechet, (real, fake), splits=FRECHET_SPLITS, seed=seed)
    return {"frechet": frechet} | estimates


def check_sample_count(count: int, images: int) -> None:
    """Refuse fewer than 12 samples or images.

    Raises:
        UsageError: there are fewer.
    """
    if min(count, images) < MIN_IMAGES:
        raise UsageError(f"Expected at least {MIN_IMAGES} samples and images. Received: {count} and {images}.")


def measure_sample_quality(
    model: VAE, extractor: FeatureExtractor, images: np.ndarray, count: int, seed: int = 0
) -> dict[str, Any]:
    """Return how `count` samples compare with `images`: {metric[extractor]: value}, with _low and _high.

    ``frechet`` and ``kid`` are distances, ``precision recall density coverage`` shares (all of at most 5,000 of
    each). For a model with condition=labels, of which every label is drawn equally often, ``label_agreement`` is how
    often the classifier of an extractor that has one sees the label that was asked for.

    Args:
        extractor: see `external_extractors.load_extractor`.
        images: [N, H, W, C], N >= 12.
        count: samples, >= 12.
        seed: of the samples and of the resampling.

    Raises:
        UsageError: too few samples or images.
    """
    check_sample_count(count, len(images))
    labels = None
    if model.condition is not None and model.condition.uses_labels:
        labels = np.arange(count) % model.condition.width
    fake, logits = extractor(draw_model_samples(model, count, seed, labels))
    estimates = compare_features(extractor(images)[0], fake, seed)
    if labels is not None and logits is not None:
        estimates["label_agreement"] = estimate_share(int((logits.argmax(1) == labels).sum()), count)
    rows = {f"{name}[{extractor.name}]": estimate for name, estimate in estimates.items()}
    return flatten_estimates(rows) | {"pictures": count}
