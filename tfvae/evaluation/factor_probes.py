"""What the codes of one run tell of known factors, or of labels, each score with its interval."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvae import datasets
from tfvae.datasets.catalogue import FACTORS
from tfvae.evaluation import disentanglement, fixed_factor_scores
from tfvae.evaluation.confidence_intervals import (
    Estimate,
    estimate_by_half_splits,
    estimate_share,
    flatten_estimates,
)

MAX_CODES = 5000  # the scores learn from half of them
MIN_CODES_FOR_FACTORS, MIN_CODES_FOR_LABELS = 100, 4
MAX_CLASSES = 100  # more labels are names rather than classes
SPLITS = 5
HALF_SPLIT_SCORES = ("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness")


def load_factors(dataset: str, labels: np.ndarray) -> tuple[Sequence[str], np.ndarray] | None:
    """Return the names and values [N, F] of the known factors behind labels, or None for a data set without.

    Args:
        dataset: as in the settings of a run, ``sprites:size=16``.
        labels: [N].
    """
    if dataset.partition(":")[0] not in FACTORS:
        return None
    factors = datasets.factors(dataset)
    return factors.names, factors.values[labels]


def draw_subset(codes: np.ndarray, answers: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw at most 5,000 rows without replacement and return those of both arrays."""
    rows = np.random.default_rng(seed).permutation(len(codes))[:MAX_CODES]
    return codes[rows], answers[rows]


def score_factors(
    codes: np.ndarray, names: Sequence[str], factors: np.ndarray, *, seed: int = 0
) -> dict[str, Estimate]:
    """Return all scores of disentanglement with their intervals.

    Args:
        codes: [N, L], such as the means of q(z|x).
        names: of the F factors.
        factors: their values, integers [N, F].
        seed: of subsets, splits and forests.

    Returns:
        ``mig sap dci_disentanglement dci_completeness dci_informativeness`` with intervals of half splits, and
        ``factor_vae beta_vae`` (with two factors that vary or more) and ``probe[name]`` of each factor that varies,
        which count votes or right answers, with Wilson's.
    """
    codes, factors = draw_subset(codes, factors, seed)

    def score_half(pair: tuple[np.ndarray, np.ndarray]) -> list[float]:
        mig, sap = disentanglement.estimate_mig(*pair), disentanglement.estimate_sap(*pair, seed=seed)
        return [mig, sap, *disentanglement.estimate_dci(*pair, seed=seed)]

    half_splits = estimate_by_half_splits(score_half, [(codes, factors)], splits=SPLITS, seed=seed)
    estimates = dict(zip(HALF_SPLIT_SCORES, half_splits))
    varied = [name for name, v in zip(names, factors.T) if np.ptp(v) > 0]
    if len(varied) > 1:
        votes, points = fixed_factor_scores.VOTES, fixed_factor_scores.POINTS // 2
        factor_vae = fixed_factor_scores.estimate_factor_vae_score(codes, factors, seed=seed)
        beta_vae = fixed_factor_scores.estimate_beta_vae_score(codes, factors, seed=seed)
        estimates["factor_vae"] = estimate_share(round(factor_vae * votes), votes)
        estimates["beta_vae"] = estimate_share(round(beta_vae * points), points)
    return estimates | probe_factors(codes, varied, factors[:, np.ptp(factors, axis=0) > 0], seed)


def probe_factors(codes: np.ndarray, names: Sequence[str], factors: np.ndarray, seed: int) -> dict[str, Estimate]:
    """Return {probe[name]: accuracy} of linear classifiers, tested on the half that they did not learn from.

    Args:
        codes: [N, L].
        names: of the F factors, all of which vary.
        factors: integers [N, F].
        seed: of the split.
    """
    count = len(codes) - len(codes) // 2
    accuracies = disentanglement.measure_probe_accuracy(codes, factors, seed=seed)
    return {
        f"probe[{name}]": estimate_share(round(accuracy * count), count) for name, accuracy in zip(names, accuracies)
    }


def probe_labels(codes: np.ndarray, labels: np.ndarray, *, seed: int = 0) -> dict[str, Estimate]:
    """Return {"probe[labels]": accuracy} of a linear classifier; {} where there is one label, or more than 100.

    Args:
        codes: [N, L].
        labels: integers [N].
        seed: of subset and split.
    """
    codes, labels = draw_subset(codes, labels, seed)
    if not 2 <= len(np.unique(labels)) <= MAX_CLASSES or len(labels) < MIN_CODES_FOR_LABELS:
        return {}
    return probe_factors(codes, ["labels"], labels[:, None], seed)


def measure_factors(dataset: str, mean: np.ndarray, labels: np.ndarray, seed: int) -> dict[str, Any]:
    """Return what the means of q(z|x) tell of the data set's known factors, or else of its labels.

    Args:
        dataset: as in the settings of a run.
        mean: of q(z|x), [N, L].
        labels: [N].
        seed: of subsets, splits and forests.
    """
    factors = load_factors(dataset, labels)
    estimates: dict[str, Estimate] = {}
    if factors is None:
        estimates = probe_labels(mean, labels, seed=seed)
    elif len(mean) >= MIN_CODES_FOR_FACTORS:
        estimates = score_factors(mean, *factors, seed=seed)
    return flatten_estimates(estimates) | ({"probe_codes": min(len(mean), MAX_CODES)} if estimates else {})
