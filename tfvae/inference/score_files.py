"""Files around scores: the table of ``tfvae score``, the labels of images, and the sheet of the extreme ones."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Callable, Mapping, Sequence

import matplotlib
import numpy as np

from tfvae.errors import DataError, UsageError
from tfvae.inference.image_scores import ScoredImages
from tfvae.inference.scores import KINDS, Scores
from tfvae.inference.table_files import Table
from tfvae.plots import grids
from tfvae.safety.foreign_text import escape_text

WORDS = {"normal": False, "anomalous": True, "0": False, "1": True}  # what a label may be
SHEET_IMAGES = 10  # of each end
TruthReader = Callable[[ScoredImages], np.ndarray]  # a batch -> [B] bool, whether an image is anomalous


def make_table(scores: Scores) -> Table:
    """Return scores as columns: file, flag (0 or 1), score, p_value and those of `KINDS`."""
    names = np.array(scores.names, dtype=object)
    table = {"file": names, "flag": scores.flags.astype(np.int64), "score": scores.scores, "p_value": scores.p_values}
    return table | {name: scores.kinds[name] for name in KINDS}


# --- which images are anomalous ------------------------------------------------------------------------------------


def read_labels(path: pathlib.Path) -> dict[str, bool]:
    """Return {file: whether it is anomalous} of a CSV file with the columns file and label.

    Paths are absolute in it, those of the file itself beginning where it is read; numbers of images stay numbers.

    Args:
        path: of the file; a label is normal, anomalous, 0 or 1.

    Raises:
        UsageError: no such file.
        DataError: other columns or labels.
    """
    if not path.is_file():
        raise UsageError(f"Expected a CSV file of labels. Received: {path}, which does not exist.")
    truth: dict[str, bool] = {}
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.DictReader(file)
            if not {"file", "label"} <= set(reader.fieldnames or ()):
                received = escape_text(",".join(reader.fieldnames or ()))
                raise DataError(f"Expected columns file and label in {path}. Received: {received or 'none'}.")
            for row in reader:
                word = (row["label"] or "").strip().lower()
                if word not in WORDS:
                    raise DataError(f"Expected labels {', '.join(WORDS)} in {path}. Received: {escape_text(word)!r}.")
                truth[_normalize_name(row["file"])] = WORDS[word]
    except csv.Error as error:
        raise DataError(f"Expected CSV in {path}. Received: {escape_text(str(error))}.") from None
    return truth


def _normalize_name(name: str) -> str:
    return name if name.isdigit() else str(pathlib.Path(name).absolute())


def make_listed_truth(truth: Mapping[str, bool], path: pathlib.Path) -> TruthReader:
    """Return the reader of labels that a file lists; an image that it does not list is a DataError."""

    def read(part: ScoredImages) -> np.ndarray:
        names = [_normalize_name(name) for name in part.names]
        if missing := [name for name in names if name not in truth]:
            raise DataError(f"Expected a label of each image in {path}. Received: none of {escape_text(missing[0])}.")
        return np.array([truth[name] for name in names])

    return read


def make_class_truth(normal: Sequence[int]) -> TruthReader:
    """Return the reader for which images of these classes are normal, all others anomalous."""

    def read(part: ScoredImages) -> np.ndarray:
        if part.labels is None:
            raise UsageError(f"Expected images with classes for --normal. Received: {part.names[0]}, without.")
        return ~np.isin(part.labels, list(normal))

    return read


def find_folder_truth(names: Sequence[str]) -> TruthReader | None:
    """Return the reader for images in folders named normal and anomalous; None where there are others, or one alone."""
    if {pathlib.Path(name).parent.name for name in names} != {"normal", "anomalous"}:
        return None
    return lambda part: np.array([WORDS[pathlib.Path(name).parent.name] for name in part.names])


# --- sheet ---------------------------------------------------------------------------------------------------------


class ExtremeImages:
    """The images with the highest and the lowest scores so far, with their maps; memory does not grow.

    Args:
        count: how many of each end.
    """

    def __init__(self, count: int = SHEET_IMAGES) -> None:
        self.count = count
        self._ends: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, part: ScoredImages, scores: np.ndarray) -> None:
        """Take a batch with its scores, [B], higher is more anomalous."""
        ends = self._ends or [(scores[:0], part.images[:0], part.maps[:0])] * 2
        self._ends = []
        for sign, end in zip((-1, 1), ends):
            joined = [np.concatenate(pair) for pair in zip(end, (scores, part.images, part.maps))]
            order = np.argsort(sign * joined[0], kind="stable")[: self.count]
            self._ends.append(tuple(array[order] for array in joined))  # type: ignore[arg-type]

    def draw(self, path: str | pathlib.Path) -> pathlib.Path:
        """Draw the most anomalous images above their maps, and the most typical ones above theirs; return the path.

        All maps have one scale, on which the greatest error that is shown is white.
        """
        greatest = max(float(maps.max()) for _, _, maps in self._ends) or 1.0
        rows = []
        for _, images, maps in self._ends:
            colours = matplotlib.colormaps["inferno"](np.sqrt(maps / greatest))[..., :3]
            rows += [np.broadcast_to(np.clip(images, 0, 1), colours.shape), colours]
        labels = ["most anomalous", "squared error", "most typical", "squared error"]
        return grids.draw_image_grid(np.concatenate(rows), path, len(rows[0]), row_labels=labels, group=2)


def check_sheet_shape(image_shape: Sequence[int]) -> None:
    """Refuse a sheet of what is no picture.

    Raises:
        UsageError: points, or another number of channels than 1 or 3.
    """
    if grids.is_points(image_shape) or image_shape[-1] not in (1, 3):
        raise UsageError(f"Expected a model of grey or RGB pictures for --sheet. Received: {list(image_shape)}.")
