"""Thresholds and p-values of scores by split conformal calibration on images that the model was not trained on.

Where the calibration images and a new normal image are exchangeable, the ranks of their n + 1 scores are too: the
probability that the new score is above the k-th smallest of the n is at most (n + 1 - k) / (n + 1), for every n, model
and score (Vovk et al., 2005; Papadopoulos et al., 2002). k = ceil((n + 1) (1 - alpha)) keeps it at most alpha.
"""

from __future__ import annotations

import contextlib
import fractions
import math
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from tfvae.datasets.image_inputs import ImageInput, count_images
from tfvae.errors import StorageError, UsageError
from tfvae.inference.codes import open_inputs
from tfvae.inference.image_scores import MEASURED, ScoreSettings, iterate_scores
from tfvae.models.vae import VAE
from tfvae.option_values import check_option
from tfvae.runtime import files
from tfvae.runtime.random_streams import SeedWord
from tfvae.training import stored_calibration
from tfvae.training.published_model import PublishedModel
from tfvae.training.run_folder import Run
from tfvae.training.stored_calibration import CALIBRATION_FILE, MAX_IMAGES, CalibrationKey

REFERENCE_SHARE = 5  # one image of so many says what typicality and excess are the distance from
TINY_ERROR = 1e-3  # beside errors and details of pictures that are almost of one grey level


class Reference(NamedTuple):
    """What scores of normal images are on average.

    Attributes:
        mean_bound: nats.
        intercept, slope: of log error over log detail, by least squares.
    """

    mean_bound: float
    intercept: float
    slope: float

    def compare(self, kinds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return {excess, typicality: [N]} of {kind: [N]}, higher is more anomalous.

        - excess: the log of the error, divided by the error that is expected of an image with as much detail. Plain
          errors and likelihoods rank images with little detail as normal, whatever they show; Serra et al. (2020,
          arXiv 1909.11480) correct likelihoods by complexity for the same reason.
        - typicality: the distance of the bound from its mean (Nalisnick et al., 2019, arXiv 1906.02994, eq. 4, of
          single images).
        """
        expected = self.intercept + self.slope * np.log(kinds["detail"] + TINY_ERROR)
        return {
            "excess": np.log(kinds["error"] + TINY_ERROR) - expected,
            "typicality": np.abs(kinds["bound"] - self.mean_bound),
        }


class Calibration(NamedTuple):
    """The scores of n images that are normal, and on which the model was not trained.

    Attributes:
        source: which images, in words.
        scores: {kind: [n]}, as `scores.iterate_scores` measures them, in random order.
    """

    source: str
    scores: dict[str, np.ndarray]

    @property
    def reference(self) -> Reference:
        """Return the averages of the first fifth of the images."""
        bound, error, detail = (self.scores[name][: self._reference_count] for name in ("bound", "error", "detail"))
        columns = np.stack([np.ones(len(detail)), np.log(detail + TINY_ERROR)], axis=1)
        intercept, slope = np.linalg.lstsq(columns, np.log(error + TINY_ERROR), rcond=None)[0]
        return Reference(float(bound.mean()), float(intercept), float(slope))

    @property
    def _reference_count(self) -> int:
        return math.ceil(len(self.scores["bound"]) / REFERENCE_SHARE)

    def select_scores(self, by: str) -> np.ndarray:
        """Return what scores of a kind are ranked among, [m], higher is more anomalous.

        Excess and typicality are those of images which had no part in the reference; otherwise m = n.
        """
        compared = self.reference.compare(self.scores)
        oriented = orient_scores(self.scores | compared, by)
        return oriented[self._reference_count :] if by in compared else oriented


def orient_scores(kinds: Mapping[str, np.ndarray], by: str) -> np.ndarray:
    """Return the scores of a kind, [N], turned so that higher is more anomalous: those of elbo and bound are."""
    return -kinds[by] if by in ("elbo", "bound") else kinds[by]


def compute_threshold(calibration_scores: np.ndarray, false_alarms: float) -> float:
    """Return the least threshold that at most a share of normal images exceeds, in expectation.

    It is the ceil((n + 1) (1 - alpha))-th smallest of n scores, and infinite where n is too small for that.

    Args:
        calibration_scores: [n].
        false_alarms: alpha, in (0, 1).

    Raises:
        UsageError: alpha is not in (0, 1).

    Example:
        >>> compute_threshold(np.arange(1.0, 20.0), 0.05)
        19.0
    """
    check_option(0 < false_alarms < 1, "false_alarms", "a number between 0 and 1", false_alarms)
    # The decimal number that was written: in binary, 20 * (1 - 0.05) might be more than 19.
    rank = math.ceil((len(calibration_scores) + 1) * (1 - fractions.Fraction(str(false_alarms))))
    return float(np.sort(calibration_scores)[rank - 1]) if rank <= len(calibration_scores) else math.inf


def compute_p_values(sorted_scores: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Return (1 + #{calibration scores >= score}) / (n + 1) of each score, [N].

    p <= alpha exactly where the score is above `compute_threshold` of alpha.

    Args:
        sorted_scores: those of calibration, ascending, [n].
        scores: [N].
    """
    above = len(sorted_scores) - np.searchsorted(sorted_scores, scores, side="left")
    return (1 + above) / (len(sorted_scores) + 1)


def find_calibration(run: Run, model: VAE, settings: ScoreSettings, images: Any = ()) -> Calibration:
    """Return the scores of normal images: of those given, or stored ones of the model, or measured and stored now.

    Args:
        run: a run or a published model.
        model: of the run.
        settings: K, seed and condition.
        images: as for `open_inputs`; (): the validation split or, without one, the test split.

    Raises:
        UsageError: fewer than two images.
        DataError: the model's data are not at hand, or others.
    """
    if isinstance(images, np.ndarray) or len(images):
        inputs = open_inputs(run, images, "test", 0)
        return Calibration("the images given", measure_calibration(run, model, inputs, settings))
    split = "validation" if run.config.validation else "test"
    key = CalibrationKey(
        stored_calibration.hash_weights(model), split, settings.samples, settings.seed, settings.condition
    )
    source = f"the {split} split"
    path = find_calibration_file(run, key)
    published = run.published_calibration if isinstance(run, PublishedModel) else None
    for stored in (published, stored_calibration.read_calibration(path)):
        scores = stored_calibration.decode_calibration(stored, key) if stored else None
        if scores is not None and set(scores) == set(MEASURED):
            return Calibration(source, scores)
    scores = measure_calibration(run, model, open_inputs(run, (), split, 0), settings)
    with contextlib.suppress(StorageError):  # where nothing can be written they are measured anew each time
        files.make_folder(path.parent)
        files.write_json(path, stored_calibration.encode_calibration(key, scores))
    return Calibration(source, scores)


def find_calibration_file(run: Run, key: CalibrationKey) -> pathlib.Path:
    """Return where a calibration is kept: in the run's folder or, of what is published, in the user's cache."""
    if isinstance(run, PublishedModel):
        return files.cache_folder() / "calibrations" / f"{key.weights_sha256}.json"
    return run.path / CALIBRATION_FILE


def measure_calibration(
    run: Run, model: VAE, inputs: Sequence[ImageInput], settings: ScoreSettings
) -> dict[str, np.ndarray]:
    """Return {kind: [n]} of at most 2,000 images, chosen and put in order at random.

    Raises:
        UsageError: fewer than two images.
    """
    count = count_images(inputs)
    if count < 2:  # typicality and excess need one for the reference, and one to rank among
        raise UsageError(f"Expected at least 2 images to calibrate on. Received: {count}.")
    chosen = np.random.default_rng((settings.seed, SeedWord.CALIBRATION)).permutation(count)[:MAX_IMAGES]
    picked = [pick_images(inputs, chosen)]
    parts = list(iterate_scores(run, model, picked, settings, SeedWord.CALIBRATION))
    return {name: np.concatenate([part.kinds[name] for part in parts]) for name in MEASURED}


def pick_images(inputs: Sequence[ImageInput], chosen: np.ndarray) -> ImageInput:
    """Return the images with these numbers, of all inputs one after the other, in this order, still unread."""
    starts = np.cumsum([0, *(len(part.names) for part in inputs)])
    owners = np.searchsorted(starts, chosen, side="right") - 1
    places = [(inputs[owner], int(number - starts[owner])) for owner, number in zip(owners, chosen)]

    def read(start: int, stop: int) -> np.ndarray:
        return np.concatenate([part.read(number, number + 1) for part, number in places[start:stop]])

    return ImageInput([part.names[number] for part, number in places], None, False, read)
