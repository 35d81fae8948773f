"""How well single codes stand for single known factors: MIG, SAP, DCI and linear probes. NumPy and scikit-learn.

Codes [N, L] are, say, the means of q(z|x); factors [N, F] are integers. Common to all scores: factors that never vary
are left out, for there is nothing to find; codes that never vary carry no information, by definition of each score.
The scores that hold one factor fixed are in `fixed_factor_scores`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import xlogy
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import mutual_info_score
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

from tfvae.errors import UsageError

LEAF_SIZES = (1, 4, 16, 64, 256)  # of equally accurate ones the first is taken


class DCI(NamedTuple):
    """Disentanglement, completeness and informativeness, each in [0, 1], 1 is best."""

    disentanglement: float
    completeness: float
    informativeness: float


def validate_codes_and_factors(codes: Any, factors: Any, least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Return float64 codes [N, L], and the factors that vary, their values renumbered 0, 1, ...: [N, <= F].

    Args:
        codes: [N, L], finite.
        factors: integers [N, F].
        least: how many factors must vary.

    Raises:
        UsageError: other arrays.
    """
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


def split_in_halves(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return two halves of 0 ... count - 1 in random order: to learn from, and to test on."""
    order = np.random.default_rng(seed).permutation(count)
    return order[: count // 2], order[count // 2 :]


def compute_gaps(scores: np.ndarray) -> np.ndarray:
    """Return the largest score of each factor minus the second largest, [L, F] -> [F]; of one code the second is 0."""
    ordered = np.sort(np.vstack([np.zeros(scores.shape[1]), scores]), axis=0)
    return ordered[-1] - ordered[-2]


def bin_codes(codes: np.ndarray, bins: int) -> np.ndarray:
    """Return each code as the index of its bin of equal width between its least and greatest value; constant: 0."""
    low, width = codes.min(0), np.ptp(codes, axis=0)
    shares = (codes - low) / np.where(width > 0, width, 1.0)
    return np.minimum((shares * bins).astype(int), bins - 1)


def compute_entropy(values: np.ndarray) -> float:
    """Return -sum p log p of integers [N], nats."""
    shares = np.bincount(values) / len(values)
    return float(-xlogy(shares, shares).sum())


def estimate_mig(codes: Any, factors: Any, *, bins: int = 20) -> float:
    """Return the mutual information gap, mean_k [I(z_1st; v_k) - I(z_2nd; v_k)] / H(v_k), in [0, 1].

    Chen et al. (2018). 1: each factor is known from one code, and no other tells of it. Mutual informations are those
    of the histograms, biased upwards by about (bins - 1) (values - 1) / 2N nats each, which cancels in the gap of
    uninformative codes. Constant codes have none, so all constant: 0.

    Args:
        codes: [N, L].
        factors: integers [N, F].
        bins: of equal width for each code, >= 2.

    Raises:
        UsageError: bins < 2, or arrays of another form.

    Example:
        >>> estimate_mig([[0.0], [1.0]], [[0], [1]])
        1.0
    """
    if not bins >= 2:
        raise UsageError(f"Expected bins >= 2. Received: {bins}.")
    codes, factors = validate_codes_and_factors(codes, factors)
    z = bin_codes(codes, bins)
    information = np.array([[mutual_info_score(v, code) for v in factors.T] for code in z.T])
    return float((compute_gaps(np.maximum(information, 0.0)) / [compute_entropy(v) for v in factors.T]).mean())


def compute_squared_correlations(codes: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Return corr(z_j, v)^2, the R^2 of a straight line, [N, L], [N] -> [L]; 0 for constant codes."""
    centred, v = codes - codes.mean(0), v - v.mean()
    scale = (centred**2).sum(0) * (v**2).sum()
    varies = np.ptp(codes, axis=0) > 0
    return np.where(varies, (v @ centred) ** 2 / np.where(varies, scale, 1.0), 0.0)


def measure_threshold_accuracy(code: np.ndarray, v: np.ndarray, seed: int) -> float:
    """Return the held-out balanced accuracy of telling V values v [N] by V - 1 thresholds on one code [N]."""
    learn, test = split_in_halves(len(code), seed)
    tree = DecisionTreeClassifier(max_leaf_nodes=max(2, v.max() + 1), class_weight="balanced", random_state=seed)
    is_right = tree.fit(code[learn, None], v[learn]).predict(code[test, None]) == v[test]
    counts = np.bincount(v[test])
    return float((np.bincount(v[test], is_right) / np.maximum(counts, 1)).sum() / (counts > 0).sum())


def estimate_sap(codes: Any, factors: Any, *, ordinal: bool | Sequence[bool] = False, seed: int = 0) -> float:
    """Return the separated attribute predictability: mean_k of the gap between its two best codes (Kumar et al., 2018).

    The score of a code for an unordered factor is the held-out balanced accuracy of thresholds on it, so that a useless
    code has 1/V and the best possible gap is 1 - 1/V for V values; for an ordered factor it is R^2, and the best is 1.
    At least 0; all codes constant: 0 with two codes or more.

    Args:
        codes: [N, L].
        factors: integers [N, F].
        ordinal: whether the factors' integers are a scale; one bool, or one for each factor.
        seed: of the split.

    Raises:
        UsageError: arrays of another form.
    """
    is_ordinal = np.broadcast_to(ordinal, np.asarray(factors).shape[1:])
    varies = np.ptp(factors, axis=0) > 0
    codes, factors = validate_codes_and_factors(codes, factors)
    scores = [
        compute_squared_correlations(codes, v)
        if is_scale
        else [measure_threshold_accuracy(code, v, seed) for code in codes.T]
        for v, is_scale in zip(factors.T, is_ordinal[varies])
    ]
    return float(compute_gaps(np.array(scores).T).mean())


def compute_concentration(weights: np.ndarray) -> np.ndarray:
    """Return 1 - H(p) / log K of each row's p = weights / their sum, [M, K] -> [M]; zeros have 0, K = 1 has 1."""
    total = weights.sum(1, keepdims=True)
    p = weights / np.where(total > 0, total, 1.0)
    relative_entropy = -xlogy(p, p).sum(1) / np.log(max(weights.shape[1], 2))
    return np.where(total[:, 0] > 0, 1.0 - relative_entropy, 0.0)


def compute_dci_from_importance(importance: Any) -> tuple[float, float]:
    """Return disentanglement and completeness of importances R >= 0 (Eastwood & Williams, 2018).

    D = sum_i rho_i (1 - H_F(R_i.)), rho_i the share of code i in all importance; C = mean_j (1 - H_L(R_.j)).

    Args:
        importance: of code i for factor j, [L, F].
    """
    importance = np.asarray(importance, np.float64)
    total = importance.sum()
    shares = importance.sum(1) / total if total > 0 else np.zeros(len(importance))
    return float(shares @ compute_concentration(importance)), float(compute_concentration(importance.T).mean())


def fit_forest(
    codes: np.ndarray, v: np.ndarray, learn: np.ndarray, test: np.ndarray, trees: int, leaf: int, seed: int
) -> tuple[RandomForestClassifier, float]:
    """Fit a random forest and return it with its accuracy on other data.

    Args:
        codes: [N, L].
        v: one factor, [N].
        learn, test: indices of the data to fit and to test on.
        trees: of the forest.
        leaf: least number of data in a leaf.
        seed: of the forest.
    """
    # every split may choose among all codes: else useless ones would be used where the right one is not on offer
    forest = RandomForestClassifier(trees, max_features=None, min_samples_leaf=leaf, random_state=seed)
    forest.fit(codes[learn], v[learn])
    return forest, (forest.predict(codes[test]) == v[test]).mean()


def choose_leaf_size(codes: np.ndarray, v: np.ndarray, learn: np.ndarray, trees: int, seed: int) -> int:
    """Return the size of `LEAF_SIZES` with the highest accuracy for one factor, found on the data `learn` alone."""
    fitted, held_out = np.array_split(learn, 2)
    accuracies = [fit_forest(codes, v, fitted, held_out, trees, size, seed)[1] for size in LEAF_SIZES]
    return LEAF_SIZES[int(np.argmax(accuracies))]


def estimate_dci(codes: Any, factors: Any, *, trees: int = 10, leaf: int = 0, seed: int = 0) -> DCI:
    """Return disentanglement, completeness and informativeness by random forests (Eastwood & Williams, 2018).

    R_ij is how much a forest that predicts factor j gains by splits on code i; informativeness is the forests' mean
    accuracy on held-out data, whose chance level is the share of the commonest value. All codes constant: D = C = 0.
    With one code C is 1, with one factor D is 1, if any importance is found.

    Args:
        codes: [N, L].
        factors: integers [N, F].
        trees: of each forest, >= 1.
        leaf: least number of data in a leaf. Trees that learn noise by heart spread importance over useless codes, so
            it decides the score of noisy codes; 0 chooses, for each factor, the most accurate of `LEAF_SIZES` on data
            taken from the half to learn from, as the paper chooses the depth.
        seed: of splits and forests.

    Raises:
        UsageError: trees < 1, leaf < 0, or arrays of another form.
    """
    if not (trees >= 1 and leaf >= 0):
        raise UsageError(f"Expected trees >= 1 and leaf >= 0. Received: trees={trees}, leaf={leaf}.")
    codes, factors = validate_codes_and_factors(codes, factors)
    learn, test = split_in_halves(len(codes), seed)
    importances, accuracies = [], []
    for v in factors.T:
        size = leaf or choose_leaf_size(codes, v, learn, trees, seed)
        forest, accuracy = fit_forest(codes, v, learn, test, trees, size, seed)
        importances.append(forest.feature_importances_)
        accuracies.append(accuracy)
    return DCI(*compute_dci_from_importance(np.array(importances).T), float(np.mean(accuracies)))


def make_linear_classifier() -> Pipeline:
    """Return an untrained logistic regression on standardised inputs, which its penalty and its solver need."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))


def measure_probe_accuracy(codes: Any, factors: Any, *, seed: int = 0) -> np.ndarray:
    """Return the held-out accuracy of logistic regression from all codes, for each factor that varies, [<= F].

    This is informativeness without a claim on disentanglement: it does not change when codes are rotated. Codes that
    are all constant give the share of the commonest value.

    Args:
        codes: [N, L].
        factors: integers [N, F].
        seed: of the split.

    Raises:
        UsageError: arrays of another form.
    """
    codes, factors = validate_codes_and_factors(codes, factors)
    learn, test = split_in_halves(len(codes), seed)
    accuracies = []
    for v in factors.T:
        if len(set(v[learn])) < 2:  # a value too rare to be in the half to learn from
            accuracies.append((v[test] == v[learn][0]).mean())
            continue
        classifier = make_linear_classifier().fit(codes[learn], v[learn])
        accuracies.append((classifier.predict(codes[test]) == v[test]).mean())
    return np.array(accuracies)
