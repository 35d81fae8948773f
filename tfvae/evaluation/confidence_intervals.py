"""95% intervals (value, low, high) of estimates, each by the way that is valid for it: NumPy, float64.

- means over images, or over independent draws: `of_mean`; shares: `agreement`.
- smooth functions of moments (Frechet distance): `bootstrap`, which also takes the upward bias of few data away.
- unbiased sums over pairs (MMD, KID) and what nearest neighbours or fitted classifiers decide (precision, recall,
  density, coverage, MIG, ...): `half_splits`. Drawn with replacement a picture would be its own pair and its own
  nearest neighbour: the bootstrap's kernels are too large and its balls too small.
"""

import math

import numpy as np
from scipy import stats

ROUNDS = 200  # of the bootstrap
SPLITS = 10  # of the halves
Z = 1.959964


def named(found):
    """{name: (value, low, high)} -> {name: value, name_low: low, name_high: high}, Python's floats."""
    return {
        f"{name}{end}": float(number)
        for name, values in found.items()
        for end, number in zip(("", "_low", "_high"), values)
    }


def of_mean(values):
    """The mean of independent values [N], N >= 2, and mean -+ 1.96 standard errors (their sum is nearly normal)."""
    values = np.asarray(values, np.float64)
    half = Z * values.std(ddof=1) / math.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def agreement(right, count):
    """A share right / count and its 95% interval (Wilson, 1927)."""
    share = right / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    half = Z * np.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2)) / (1 + Z**2 / count)
    # at shares of 0 and 1 one end is the share itself, but for rounding
    return share, float(min(share, middle - half)), float(max(share, middle + half))


def bootstrap(function, a, b, rounds=ROUNDS, seed=0):
    """function(a, b) of two samples, each drawn again with replacement.

    The basic bootstrap: the value minus the quantiles of the resampled deviations, so that the upward bias of doubled
    samples cancels to first order.
    """
    value, draw = function(a, b), np.random.default_rng(seed)
    again = [function(*(u[draw.integers(0, len(u), len(u))] for u in (a, b))) for _ in range(rounds)]
    low, high = np.quantile(again, [0.025, 0.975])
    return value, float(2 * value - high), float(2 * value - low)


def half_splits(function, samples, splits=SPLITS, seed=0):
    """Values of function(*samples), [M], and their intervals, from complementary halves without replacement.

    Half the difference between the values of two halves has the standard deviation of the value of the whole, for a
    sum over data exactly (half-sample replication, McCarthy, 1969); for a sum over pairs of alike samples (MMD where
    it is 0) it is 1.4 times as large, on the safe side. What the size does to the value itself, it does to both halves
    and cancels: the interval is for the expectation at this size.

    Args:
        samples: arrays; those of equal length that belong together go in one tuple, and are split alike.
        function: of as many arguments -> [M].
    """
    value, draw = np.asarray(function(*samples), np.float64), np.random.default_rng(seed)
    differences = []
    for _ in range(splits):
        both = [[], []]
        for sample in samples:
            rows = sample if isinstance(sample, tuple) else (sample,)
            order = draw.permutation(len(rows[0]))
            for part, chosen in zip(both, np.array_split(order, 2)):
                halved = tuple(row[chosen] for row in rows)
                part.append(halved if isinstance(sample, tuple) else halved[0])
        first, second = (np.asarray(function(*part), np.float64) for part in both)
        differences.append((first - second) / 2.0)
    half = stats.t.ppf(0.975, splits) * np.sqrt(np.mean(np.square(differences), axis=0))
    return value, value - half, value + half
