"""How well single codes stand for single known factors: MIG, SAP, DCI and linear probes. NumPy and scikit-learn.

Codes [N, L] are, say, the means of q(z|x); factors [N, F] are integers. What is common to all: factors that never vary
are left out, for there is nothing to find; codes that never vary carry no information, by definition of each score.
The scores that hold one factor fixed are in `fixed_factor`.
"""

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tfvae.errors import UsageError

LEAVES = (1, 4, 16, 64, 256)  # of equally accurate ones the first is taken


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness, each in [0, 1], 1 is best."""

    disentanglement: float
    completeness: float
    informativeness: float


def checked(codes, factors, least=1):
    """float64 codes [N, L], and the factors that vary, their values renumbered 0, 1, ...: [N, <= F]."""
    codes, factors = np.asarray(codes, np.float64), np.asarray(factors)
    if codes.ndim != 2 or factors.ndim != 2 or len(codes) != len(factors) or not codes.shape[1]:
        raise UsageError(
            f"Expected codes [N, L], factors [N, F]. Received: {list(codes.shape)}, {list(factors.shape)}."
        )
    if not np.isfinite(codes).all():
        raise UsageError("Expected finite codes. Received others.")
    if not (np.issubdtype(factors.dtype, np.integer) or factors.dtype == bool):
        raise UsageError(f"Expected integer factors. Received: {factors.dtype}.")
    varied = [np.unique(column, return_inverse=True)[1] for column in factors.T]
    varied = [column for column in varied if column.max() > 0]
    if len(varied) < least:
        raise UsageError(f"Expected at least {least} factor(s) that vary. Received: {len(varied)}.")
    return codes, np.stack(varied, axis=1)


def halves(count, seed):
    """Two halves of 0 ... count - 1 in random order: to learn from, and to test on."""
    order = np.random.default_rng(seed).permutation(count)
    return order[: count // 2], order[count // 2 :]


def gap(scores):
    """The largest score of each factor minus the second largest, [L, F] -> [F]; with one code the second is 0."""
    ordered = np.sort(np.vstack([np.zeros(scores.shape[1]), scores]), axis=0)
    return ordered[-1] - ordered[-2]


def binned(codes, bins):
    """Each code as the index of its bin of equal width between its least and greatest value, [N, L]; constant: 0."""
    low, width = codes.min(0), np.ptp(codes, axis=0)
    shares = (codes - low) / np.where(width > 0, width, 1.0)
    return np.minimum((shares * bins).astype(int), bins - 1)


def entropy(values):
    """-sum p log p of integers [N], nats."""
    shares = np.bincount(values) / len(values)
    return float(-xlogy(shares, shares).sum())


def mig(codes, factors, *, bins=20):
    """Mutual information gap, mean_k [I(z_1st; v_k) - I(z_2nd; v_k)] / H(v_k) (Chen et al., 2018), in [0, 1].

    1: each factor is known from one code, and no other tells of it. Mutual informations are those of the histograms,
    biased upwards by about (bins - 1) (values - 1) / 2N nats each, which cancels in the gap of uninformative codes.
    Constant codes have none, so all constant: 0.

    Args:
        bins: of equal width for each code, >= 2.
    """
    if not bins >= 2:
        raise UsageError(f"Expected bins >= 2. Received: {bins}.")
    codes, factors = checked(codes, factors)
    z = binned(codes, bins)
    shared = np.array([[mutual_info_score(v, code) for v in factors.T] for code in z.T])
    return float((gap(np.maximum(shared, 0.0)) / [entropy(v) for v in factors.T]).mean())


def squared_correlation(codes, v):
    """corr(z_j, v)^2, the R^2 of a straight line, [N, L], [N] -> [L]; 0 for constant codes."""
    centred, v = codes - codes.mean(0), v - v.mean()
    scale = (centred**2).sum(0) * (v**2).sum()
    known = np.ptp(codes, axis=0) > 0
    return np.where(known, (v @ centred) ** 2 / np.where(known, scale, 1.0), 0.0)


def threshold_accuracy(code, v, seed):
    """Held-out balanced accuracy of telling V values by V - 1 thresholds on one code, [N], [N] -> a number."""
    learn, test = halves(len(code), seed)
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, v.max() + 1), class_weight="balanced", random_state=seed)
    right = tree.fit(code[learn, None], v[learn]).predict(code[test, None]) == v[test]
    counts = np.bincount(v[test])
    return float((np.bincount(v[test], right) / np.maximum(counts, 1)).sum() / (counts > 0).sum())


def sap(codes, factors, *, ordinal=False, seed=0):
    """Separated attribute predictability: mean_k of the gap between its two best codes (Kumar et al., 2018).

    The score of a code for an unordered factor is the held-out balanced accuracy of thresholds on it, so that a useless
    code has 1/V and the best possible gap is 1 - 1/V for V values; for an ordered factor it is R^2, and the best is 1.
    At least 0; all codes constant: 0 with two codes or more.

    Args:
        ordinal: whether the factors' integers are a scale; one bool, or one for each factor.
    """
    flags = np.broadcast_to(ordinal, np.asarray(factors).shape[1:])
    kept = np.ptp(factors, axis=0) > 0
    codes, factors = checked(codes, factors)
    scores = [
        squared_correlation(codes, v) if scale else [threshold_accuracy(code, v, seed) for code in codes.T]
        for v, scale in zip(factors.T, flags[kept])
    ]
    return float(gap(np.array(scores).T).mean())


def concentration(weights):
    """1 - H(p) / log K of each row's p = weights / their sum, [M, K] -> [M]; a row of zeros has 0, K = 1 has 1."""
    total = weights.sum(1, keepdims=True)
    p = weights / np.where(total > 0, total, 1.0)
    spread = -xlogy(p, p).sum(1) / np.log(max(weights.shape[1], 2))
    return np.where(total[:, 0] > 0, 1.0 - spread, 0.0)


def dci_of(importance):
    """(disentanglement, completeness) of importances R [L, F] >= 0 (Eastwood & Williams, 2018).

    D = sum_i rho_i (1 - H_F(R_i.)), rho_i the share of code i in all importance; C = mean_j (1 - H_L(R_.j)).
    """
    importance = np.asarray(importance, np.float64)
    total = importance.sum()
    shares = importance.sum(1) / total if total > 0 else np.zeros(len(importance))
    return float(shares @ concentration(importance)), float(concentration(importance.T).mean())


def forest(codes, v, learn, test, trees, leaf, seed):
    """A random forest fitted to the data `learn`, and its accuracy on the data `test`."""
    # every split may choose among all codes: else useless ones would be used where the right one is not on offer
    fitted = RandomForestClassifier(trees, max_features=None, min_samples_leaf=leaf, random_state=seed)
    fitted.fit(codes[learn], v[learn])
    return fitted, (fitted.predict(codes[test]) == v[test]).mean()


def dci(codes, factors, *, trees=10, leaf=0, seed=0):
    """Disentanglement, completeness, informativeness by random forests (Eastwood & Williams, 2018): -> `DCI`.

    R_ij is how much a forest that predicts factor j gains by splits on code i; informativeness is the forests' mean
    accuracy on held-out data, whose chance level is the share of the commonest value. All codes constant: D = C = 0.
    With one code C is 1, with one factor D is 1, if any importance is found.

    Args:
        trees: of each forest, >= 1.
        leaf: least number of data in a leaf. Trees that learn noise by heart spread importance over useless codes, so
            it decides the score of noisy codes; 0 chooses, for each factor, the most accurate of `LEAVES` on data
            taken from the half to learn from, as the paper chooses the depth.
    """
    if not (trees >= 1 and leaf >= 0):
        raise UsageError(f"Expected trees >= 1 and leaf >= 0. Received: trees={trees}, leaf={leaf}.")
    codes, factors = checked(codes, factors)
    learn, test = halves(len(codes), seed)
    importance, accuracy = [], []
    for v in factors.T:
        quarters = np.array_split(learn, 2)
        size = leaf or max(LEAVES, key=lambda size: forest(codes, v, *quarters, trees, size, seed)[1])
        fitted, right = forest(codes, v, learn, test, trees, size, seed)
        importance.append(fitted.feature_importances_)
        accuracy.append(right)
    return DCI(*dci_of(np.array(importance).T), float(np.mean(accuracy)))


def classifier():
    """Logistic regression on standardised inputs, which its penalty and its solver need."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def linear_probe(codes, factors, *, seed=0):
    """Held-out accuracy of logistic regression from all codes, for each factor that varies: [<= F].

    Informativeness without a claim on disentanglement: it does not change when codes are rotated. Codes that are all
    constant give the share of the commonest value.
    """
    codes, factors = checked(codes, factors)
    learn, test = halves(len(codes), seed)
    found = []
    for v in factors.T:
        if len(set(v[learn])) < 2:  # a value too rare to be in the half to learn from
            found.append((v[test] == v[learn][0]).mean())
            continue
        found.append((classifier().fit(codes[learn], v[learn]).predict(codes[test]) == v[test]).mean())
    return np.array(found)
