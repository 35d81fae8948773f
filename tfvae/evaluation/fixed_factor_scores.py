"""Disentanglement by holding one factor fixed: the beta-VAE and the FactorVAE score, from codes and known factors.

Both ask which factor was fixed, seen through the codes alone; chance is 1/F for F factors that vary. Each value is
fixed as often as it occurs, each factor equally often, and data are drawn with replacement.
"""

import numpy as np

from tfvae.errors import UsageError
from tfvae.evaluation.disentanglement import checked, classifier, halves

POINTS, VOTES = 4000, 800  # of the beta-VAE and of the FactorVAE score


def alike(values, rows, size, draw):
    """Indices [rows, size] of data; those of a row share the value of a datum drawn at random. values [N]."""
    order = np.argsort(values, kind="stable")
    counts = np.bincount(values)
    starts = np.cumsum(counts) - counts
    chosen = values[draw.integers(0, len(values), rows)]
    places = starts[chosen, None] + (draw.random((rows, size)) * counts[chosen, None]).astype(int)
    return order[places]


def check_counts(**counts):
    for name, (value, least) in counts.items():
        if not value >= least:
            raise UsageError(f"Expected {name} >= {least}. Received: {value}.")


def beta_vae_score(codes, factors, *, points=POINTS, pairs=64, seed=0):
    """Accuracy of a linear classifier that is told the mean of |z - z'| over pairs alike in one factor, and names it.

    Higgins et al. (2017): a code that stands for the fixed factor differs least. In [0, 1]; 1 also when a factor is
    spread over several codes, which this score forgives. All codes constant: 1/F.

    Args:
        points: inputs of the classifier, half to learn from, half to test on, >= 8 for each factor.
        pairs: averaged for each of them, >= 1.
    """
    codes, factors = checked(codes, factors, least=2)
    count = factors.shape[1]
    check_counts(points=(points, 8 * count), pairs=(pairs, 1))
    if not np.ptp(codes, axis=0).any():
        return 1.0 / count
    draw, each = np.random.default_rng(seed), points // count
    inputs = []
    for v in factors.T:
        for _ in range(each):
            pair = alike(v, 1, 2 * pairs, draw)[0]
            inputs.append(np.abs(codes[pair[:pairs]] - codes[pair[pairs:]]).mean(0))
    inputs, answers = np.array(inputs), np.repeat(np.arange(count), each)
    learn, test = halves(len(inputs), seed)
    return float((classifier().fit(inputs[learn], answers[learn]).predict(inputs[test]) == answers[test]).mean())


def votes(codes, factors, each, batch, draw):
    """How often code d varied least when factor k was fixed, [L, F]; variances are relative to those of all data."""
    spread, table = codes.var(0), []
    for v in factors.T:
        least = [(codes[alike(v, 1, batch, draw)[0]].var(0, ddof=1) / spread).argmin() for _ in range(each)]
        table.append(np.bincount(least, minlength=codes.shape[1]))
    return np.array(table).T


def factor_vae_score(codes, factors, *, count=VOTES, batch=64, least_variance=0.0, seed=0):
    """Accuracy of the majority vote "the code that varies least -> the factor that was fixed" (Kim & Mnih, 2018).

    In [0, 1]; 1 only if each factor has a code of its own that no other factor moves as little. The vote is learnt from
    `count` batches and tested on as many others. All codes constant: 1/F.

    Args:
        count: votes to learn from, >= F.
        batch: data of a batch alike in one factor, >= 2.
        least_variance: codes whose variance over all data is not above it are left out, >= 0; where the prior is
            N(0, I), 0.05 leaves out the collapsed ones.
    """
    codes, factors = checked(codes, factors, least=2)
    check_counts(count=(count, factors.shape[1]), batch=(batch, 2), least_variance=(least_variance, 0))
    codes = codes[:, (codes.var(0) > least_variance) & (np.ptp(codes, axis=0) > 0)]
    if not codes.shape[1]:
        return 1.0 / factors.shape[1]
    draw, each = np.random.default_rng(seed), count // factors.shape[1]
    verdict = votes(codes, factors, each, batch, draw).argmax(1)
    table = votes(codes, factors, each, batch, draw)
    return float(table[np.arange(len(table)), verdict].sum() / table.sum())
