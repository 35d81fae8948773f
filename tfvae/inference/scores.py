"""`tfvae.score`: how anomalous images are under a trained model, with a threshold for a stated rate of false alarms."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from tfvae.datasets.image_inputs import count_images
from tfvae.errors import UsageError, describe_unknown
from tfvae.inference.calibration import (
    Calibration,
    compute_p_values,
    compute_threshold,
    find_calibration,
    orient_scores,
)
from tfvae.inference.codes import open_inputs
from tfvae.inference.image_scores import DEFAULT_SAMPLES, ScoredImages, ScoreSettings, iterate_scores
from tfvae.models.input_checks import check_count
from tfvae.runtime import files
from tfvae.runtime.memory import check_count_fits
from tfvae.runtime.random_streams import SeedWord
from tfvae.training import trainer
from tfvae.training.run_folder import Run, open_run

KINDS = ("excess", "error", "elbo", "bound", "rate", "typicality")
DEFAULT_KIND = "excess"
DEFAULT_FALSE_ALARMS = 0.05


class Scores(NamedTuple):
    """How anomalous N images are.

    Attributes:
        names: of each image the path of its file, or its number.
        scores: [N], higher is more anomalous.
        p_values: [N], the share of normal images that score at least as high, as `calibration.compute_p_values`.
        flags: [N] bool, whether a score is above the threshold.
        threshold: that normal images exceed at the rate of false alarms; infinite: too few calibration images.
        kinds: {name: [N]} of `KINDS`, as they are: ELBO and bound are higher for normal images.
    """

    names: list[str]
    scores: np.ndarray
    p_values: np.ndarray
    flags: np.ndarray
    threshold: float
    kinds: dict[str, np.ndarray]


def score(
    model: Run | files.PathLike,
    images: Any = (),
    *,
    by: str = DEFAULT_KIND,
    samples: int = DEFAULT_SAMPLES,
    false_alarms: float = DEFAULT_FALSE_ALARMS,
    calibrate: Any = (),
    split: str = "test",
    limit: int = 0,
    seed: int = 0,
    condition: float | None = None,
    trust: bool = False,
) -> Scores:
    """Return how anomalous images are under a trained model, higher is more so, and which exceed a threshold.

    The threshold is that of split conformal calibration on images that the model was not trained on: of normal images
    at most `false_alarms` exceed it in expectation, whatever the model.

    Args:
        model: a run, an exported SavedModel or ``zoo:NAME``, or the folder of one.
        images: names of picture files, folders, .npz files and data sets, or one name, or an array [N, H, W, C], bytes
            or floats in [0, 1]; (): the split of the model's own data.
        by: what is the score. excess: log of the error over that expected of an image with as much detail; error: the
            squared error of the reconstruction from the mean of q(z|x); elbo, bound: minus the ELBO, or the K-sample
            bound; rate: KL(q(z|x) || p(z)); typicality: distance of the bound from its mean.
        samples: K, draws of z of each image for ELBO and bound.
        false_alarms: alpha, the share of normal images that may be flagged, in (0, 1).
        calibrate: normal images that the model was not trained on, like `images`; (): its validation split or, without
            one, its test split.
        split: 'train', 'validation' or 'test', of data sets.
        limit: the first N images of each input; 0: all.
        seed: of the draws.
        condition: beta or kappa, where the model has such a range; None: its middle.
        trust: load code that the config of a model from elsewhere names.

    Raises:
        UsageError: an unknown score, images of another shape, or none at all.
        DataError: a file that is no picture, damaged data, or pixels that are no numbers in [0, 1].

    Example:
        >>> tfvae.score("zoo:fashion_mnist-geco-conv", ["photos"], false_alarms=0.01).flags.mean()  # doctest: +SKIP
    """
    check_ranking(by, false_alarms)
    settings = ScoreSettings(check_count("samples", samples, 1), check_count("seed", seed, 0), condition)
    run = open_run(model)
    inputs = open_inputs(run, images, split, limit)
    check_count_fits(count_images(inputs) * len(KINDS), (), "scores")
    live = trainer.load_run(run, trust_code=trust)
    calibration = find_calibration(run, live, settings, calibrate)
    ranking = Ranking(calibration, by, false_alarms)
    parts = list(ranking.rank(iterate_scores(run, live, inputs, settings, SeedWord.SCORES)))
    joined = {name: np.concatenate([part.kinds[name] for part in parts]) for name in KINDS}
    return Scores(
        names=[name for part in parts for name in part.names],
        scores=np.concatenate([part.scores for part in parts]),
        p_values=np.concatenate([part.p_values for part in parts]),
        flags=np.concatenate([part.flags for part in parts]),
        threshold=ranking.threshold,
        kinds=joined,
    )


def check_ranking(by: str, false_alarms: float) -> None:
    """Refuse an unknown score, or a rate of false alarms that is none.

    Raises:
        UsageError: it is such a one.
    """
    if by not in KINDS:
        raise UsageError(describe_unknown("score", by, KINDS))
    compute_threshold(np.zeros(1), false_alarms)


class Ranking:
    """The place of scores among those of the calibration images.

    Args:
        calibration: scores of normal images.
        by: which of `KINDS` is the score.
        false_alarms: the rate of normal images to be flagged, in (0, 1).

    Attributes:
        count: n, how many scores there are to compare with.
        threshold: above which a score is flagged.
    """

    def __init__(
        self, calibration: Calibration, by: str = DEFAULT_KIND, false_alarms: float = DEFAULT_FALSE_ALARMS
    ) -> None:
        self.by, self._reference = by, calibration.reference
        self._sorted = np.sort(calibration.select_scores(by))
        self.count = len(self._sorted)
        self.threshold = compute_threshold(self._sorted, false_alarms)

    def rank(
        self, parts: Iterable[ScoredImages], watch: Callable[[ScoredImages, np.ndarray], object] = lambda *_: None
    ) -> Iterator[Scores]:
        """Yield the scores of each batch, after `watch` was called with the batch and its oriented scores."""
        for part in parts:
            kinds = part.kinds | self._reference.compare(part.kinds)
            oriented = orient_scores(kinds, self.by)
            watch(part, oriented)
            yield Scores(
                part.names,
                oriented,
                compute_p_values(self._sorted, oriented),
                oriented > self.threshold,
                self.threshold,
                {name: kinds[name] for name in KINDS},
            )
