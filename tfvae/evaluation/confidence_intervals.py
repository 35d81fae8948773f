"""95% confidence intervals of estimates, each by the method that is valid for it. NumPy, float64.

- Means over images, or over independent draws: `estimate_mean`. Shares: `estimate_share`.
- Smooth functions of moments (Frechet distance): `estimate_by_bootstrap`, which also removes the upward bias of small
  samples.
- Unbiased sums over pairs (MMD, KID) and statistics of nearest neighbours or of fitted classifiers (precision, recall,
  density, coverage, MIG, ...): `estimate_by_half_splits`. In a bootstrap sample an image would be its own pair and its
  own nearest neighbour: kernel values would be too large and neighbourhoods too small.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

BOOTSTRAP_ROUNDS = 200
HALF_SPLITS = 10
Z = 1.959964  # the 97.5% quantile of the standard normal distribution


class Estimate(NamedTuple):
    """A number and its 95% confidence interval, all three in the same unit.

    Example:
        >>> Estimate(value=1.0, low=0.5, high=1.5).low
        0.5
    """

    value: float
    low: float
    high: float


def flatten_estimates(estimates: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Write estimates as the flat dict of a JSON file and return it.

    Args:
        estimates: {name: Estimate}; a value without an interval is a sequence of one number.

    Returns:
        {name: value, name_low: low, name_high: high}, Python floats.
    """
    return {
        f"{name}{end}": float(number)
        for name, estimate in estimates.items()
        for end, number in zip(("", "_low", "_high"), estimate)
    }


def estimate_mean(values: Any) -> Estimate:
    """Return the mean of independent values and the interval of 1.96 standard errors around it.

    Args:
        values: [N], N >= 2, so many or so regular that their sum is nearly normal.

    Example:
        >>> estimate_mean([1.0, 2.0, 3.0]).value
        2.0
    """
    values = np.asarray(values, np.float64)
    half_width = Z * values.std(ddof=1) / math.sqrt(len(values))
    return Estimate(float(values.mean()), float(values.mean() - half_width), float(values.mean() + half_width))


def estimate_share(hits: int, count: int) -> Estimate:
    """Return the share hits / count and its interval (Wilson, 1927).

    Example:
        >>> estimate_share(0, 20).high < 0.17
        True
    """
    share = hits / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half_width = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    # at shares of 0 and 1 one end is the share itself, but for rounding
    return Estimate(share, float(min(share, middle - half_width)), float(max(share, middle + half_width)))


def estimate_by_bootstrap(
    function: Callable[[np.ndarray, np.ndarray], float],
    a: np.ndarray,
    b: np.ndarray,
    rounds: int = BOOTSTRAP_ROUNDS,
    seed: int = 0,
) -> Estimate:
    """Return function(a, b) of two samples and its interval, from samples drawn again with replacement.

    This is the basic bootstrap: the value minus the quantiles of the resampled deviations, so that the upward bias of
    repeated data cancels to first order.

    Args:
        function: takes two samples and returns one number.
        a, b: the samples, [N, ...] and [M, ...].
        rounds: how many times both are resampled.
        seed: of the resampling.
    """
    value, generator = function(a, b), np.random.default_rng(seed)
    resampled = [function(*(u[generator.integers(0, len(u), len(u))] for u in (a, b))) for _ in range(rounds)]
    low, high = np.quantile(resampled, [0.025, 0.975])
    return Estimate(value, float(2 * value - high), float(2 * value - low))


def estimate_by_half_splits(
    function: Callable[..., Sequence[float]], samples: Sequence[Any], splits: int = HALF_SPLITS, seed: int = 0
) -> list[Estimate]:
    """Return each of the M values of function(*samples) and its interval, from complementary halves of the data.

    Half the difference between the values of two halves has the standard deviation of the value of the whole, for a
    sum over data exactly (half-sample replication, McCarthy, 1969). For a sum over pairs of equally distributed
    samples (MMD where it is 0) it is 1.4 times as large, on the safe side. A bias that depends on the sample size is
    the same in both halves and cancels: the interval is for the expectation at this size.

    Args:
        function: takes as many arguments as there are samples and returns M numbers.
        samples: arrays [N, ...]; arrays whose rows belong together form one tuple and are split alike.
        splits: how many times the data are halved, without replacement.
        seed: of the splits.
    """
    values, generator = np.asarray(function(*samples), np.float64), np.random.default_rng(seed)
    differences = []
    for _ in range(splits):
        halves: tuple[list[Any], list[Any]] = ([], [])
        for sample in samples:
            arrays = sample if isinstance(sample, tuple) else (sample,)
            order = generator.permutation(len(arrays[0]))
            for half, rows in zip(halves, np.array_split(order, 2)):
                halved = tuple(array[rows] for array in arrays)
                half.append(halved if isinstance(sample, tuple) else halved[0])
        first, second = (np.asarray(function(*half), np.float64) for half in halves)
        differences.append((first - second) / 2.0)
    half_widths = stats.t.ppf(0.975, splits) * np.sqrt(np.mean(np.square(differences), axis=0))
    return [Estimate(value, value - half, value + half) for value, half in zip(values, half_widths)]
