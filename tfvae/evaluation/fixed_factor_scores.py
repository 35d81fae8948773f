"""Disentanglement by holding one factor fixed: the beta-VAE and the FactorVAE score, from codes and known factors.

Both ask which factor was fixed, seen through the codes alone; chance is 1/F for F factors that vary. Each value is
fixed as often as it occurs, each factor equally often, and data are drawn with replacement.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tfvae.errors import UsageError
from tfvae.evaluation.disentanglement import make_linear_classifier, split_in_halves, validate_codes_and_factors

POINTS, VOTES = 4000, 800  # of the beta-VAE and of the FactorVAE score


def draw_with_shared_factor(values: np.ndarray, rows: int, size: int, generator: np.random.Generator) -> np.ndarray:
    """Draw data and return their indices [rows, size]; those of a row share the value of a random datum.

    Args:
        values: of one factor, integers >= 0, [N].
        rows: how many groups.
        size: data of a group.
        generator: of the draws.
    """
    order = np.argsort(values, kind="stable")
    counts = np.bincount(values)
    starts = np.cumsum(counts) - counts
    shared = values[generator.integers(0, len(values), rows)]
    positions = starts[shared, None] + (generator.random((rows, size)) * counts[shared, None]).astype(int)
    return order[positions]


def check_counts(**counts: tuple[float, float]) -> None:
    """Refuse arguments that are too small.

    Args:
        counts: {name: (value, the least that is allowed)}.

    Raises:
        UsageError: one is smaller.
    """
    for name, (value, least) in counts.items():
        if not value >= least:
            raise UsageError(f"Expected {name} >= {least}. Received: {value}.")


def estimate_beta_vae_score(codes: Any, factors: Any, *, points: int = POINTS, pairs: int = 64, seed: int = 0) -> float:
    """Return the accuracy of a linear classifier that names the fixed factor from differences of codes.

    Higgins et al. (2017): its input is the mean of |z - z'| over pairs that share one factor; a code that stands for
    the fixed factor differs least. In [0, 1]; 1 also when a factor is spread over several codes, which this score
    forgives. All codes constant: 1/F.

    Args:
        codes: [N, L].
        factors: integers [N, F].
        points: inputs of the classifier, half to learn from, half to test on, >= 8 for each factor.
        pairs: averaged for each of them, >= 1.
        seed: of the draws.

    Raises:
        UsageError: fewer than two factors vary, or a count is too small.
    """
    codes, factors = validate_codes_and_factors(codes, factors, least=2)
    count = factors.shape[1]
    check_counts(points=(points, 8 * count), pairs=(pairs, 1))
    if not np.ptp(codes, axis=0).any():
        return 1.0 / count
    generator, points_per_factor = np.random.default_rng(seed), points // count
    differences = []
    for v in factors.T:
        for _ in range(points_per_factor):
            indices = draw_with_shared_factor(v, 1, 2 * pairs, generator)[0]
            differences.append(np.abs(codes[indices[:pairs]] - codes[indices[pairs:]]).mean(0))
    inputs, answers = np.array(differences), np.repeat(np.arange(count), points_per_factor)
    learn, test = split_in_halves(len(inputs), seed)
    classifier = make_linear_classifier().fit(inputs[learn], answers[learn])
    return float((classifier.predict(inputs[test]) == answers[test]).mean())


def count_votes(
    codes: np.ndarray, factors: np.ndarray, batches: int, batch: int, generator: np.random.Generator
) -> np.ndarray:
    """Return how often code d varied least when factor k was fixed, [L, F]; variances are relative to all data's.

    Args:
        codes: [N, L], none constant.
        factors: integers >= 0, [N, F].
        batches: for each factor.
        batch: data of a batch.
        generator: of the draws.
    """
    variance, table = codes.var(0), []
    for v in factors.T:
        least = [
            (codes[draw_with_shared_factor(v, 1, batch, generator)[0]].var(0, ddof=1) / variance).argmin()
            for _ in range(batches)
        ]
        table.append(np.bincount(least, minlength=codes.shape[1]))
    return np.array(table).T


def estimate_factor_vae_score(
    codes: Any, factors: Any, *, count: int = VOTES, batch: int = 64, least_variance: float = 0.0, seed: int = 0
) -> float:
    """Return the accuracy of the majority vote "the code that varies least -> the factor that was fixed".

    Kim & Mnih (2018). In [0, 1]; 1 only if each factor has a code of its own that no other factor moves as little. The
    vote is learnt from `count` batches and tested on as many others. All codes constant: 1/F.

    Args:
        codes: [N, L].
        factors: integers [N, F].
        count: votes to learn from, >= F.
        batch: data of a batch that share one factor, >= 2.
        least_variance: codes whose variance over all data is not above it are left out, >= 0; where the prior is
            N(0, I), 0.05 leaves out the collapsed ones.
        seed: of the draws.

    Raises:
        UsageError: fewer than two factors vary, or a count is too small.
    """
    codes, factors = validate_codes_and_factors(codes, factors, least=2)
    check_counts(count=(count, factors.shape[1]), batch=(batch, 2), least_variance=(least_variance, 0))
    codes = codes[:, (codes.var(0) > least_variance) & (np.ptp(codes, axis=0) > 0)]
    if not codes.shape[1]:
        return 1.0 / factors.shape[1]
    generator, batches = np.random.default_rng(seed), count // factors.shape[1]
    majority = count_votes(codes, factors, batches, batch, generator).argmax(1)
    table = count_votes(codes, factors, batches, batch, generator)
    return float(table[np.arange(len(table)), majority].sum() / table.sum())
