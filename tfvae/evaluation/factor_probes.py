"""What codes tell of known factors, or of labels: the scores of `disentanglement` and `fixed_factor` for one run."""

import numpy as np

from tfvae import datasets
from tfvae.datasets.catalogue import FACTORS
from tfvae.evaluation import disentanglement, fixed_factor_scores
from tfvae.evaluation.confidence_intervals import agreement, half_splits

DATA = 5000  # images at most: the scores learn from half of them
CLASSES = 100  # of labels at most: more are names rather than classes
SPLITS = 5


def factors_of(dataset, labels):
    """(names, values [N, F]) of the known factors behind `labels` [N], or None for a data set without."""
    if dataset.partition(":")[0] not in FACTORS:
        return None
    known = datasets.factors(dataset)
    return known.names, known.values[labels]


def chosen(codes, answers, seed):
    """At most `DATA` of both, drawn at random."""
    rows = np.random.default_rng(seed).permutation(len(codes))[:DATA]
    return codes[rows], answers[rows]


def factor_scores(codes, names, factors, *, seed=0):
    """{score: (value, low, high)} of codes [N, L] for the factors [N, F] called `names`.

    ``mig sap dci_disentanglement dci_completeness dci_informativeness factor_vae beta_vae`` and ``probe[name]`` of each
    factor that varies. Intervals of the first five are of halves (`half_splits`), those of the others, which count
    votes or right answers, Wilson's.
    """
    codes, factors = chosen(codes, factors, seed)

    def scores(both):
        mig, sap = disentanglement.mig(*both), disentanglement.sap(*both, seed=seed)
        return [mig, sap, *disentanglement.dci(*both, seed=seed)]

    named = ("mig", "sap", "dci_disentanglement", "dci_completeness", "dci_informativeness")
    found = dict(zip(named, zip(*half_splits(scores, [(codes, factors)], splits=SPLITS, seed=seed))))
    varied = [name for name, v in zip(names, factors.T) if np.ptp(v) > 0]
    if len(varied) > 1:
        for name, score, count in (
            ("factor_vae", fixed_factor_scores.factor_vae_score, fixed_factor_scores.VOTES),
            ("beta_vae", fixed_factor_scores.beta_vae_score, fixed_factor_scores.POINTS // 2),
        ):
            value = score(codes, factors, seed=seed)
            found[name] = agreement(round(value * count), count)
    return found | probe_rows(codes, varied, factors[:, np.ptp(factors, axis=0) > 0], seed)


def probe_rows(codes, names, answers, seed):
    """{probe[name]: (accuracy, low, high)} of `linear_probe`, tested on the half that it did not learn from."""
    count = len(codes) - len(codes) // 2
    accuracy = disentanglement.linear_probe(codes, answers, seed=seed)
    return {f"probe[{name}]": agreement(round(a * count), count) for name, a in zip(names, accuracy)}


def label_probe(codes, labels, *, seed=0):
    """{"probe[labels]": (accuracy, low, high)}; {} where there is one label, or more than 100."""
    codes, labels = chosen(codes, labels, seed)
    if not 2 <= len(np.unique(labels)) <= CLASSES or len(labels) < 4:
        return {}
    return probe_rows(codes, ["labels"], labels[:, None], seed)
