"""The verb score: how anomalous images are, which exceed a threshold, and how well the score tells them apart."""

from __future__ import annotations

import argparse
import math
import pathlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from tfvae.cli.code_verbs import show_progress
from tfvae.cli.output import print_json
from tfvae.cli.run_loading import open_trusted_run
from tfvae.cli.sampling_verbs import read_condition
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import make_reporter
from tfvae.training.run_folder import Run

if TYPE_CHECKING:
    import numpy as np

    from tfvae.datasets.image_inputs import ImageInput
    from tfvae.inference.score_files import TruthReader
    from tfvae.inference.scores import Ranking, Scores

DEFAULT_OUTPUT = "scores.csv"


def score(args: argparse.Namespace) -> int:
    """Run ``tfvae score MODEL [IMAGES...]``: write the scores of each image, its p-value and whether it is flagged."""
    run = open_trusted_run(args.run, args.trust)
    import_tensorflow()
    from tfvae.datasets.image_inputs import count_images
    from tfvae.evaluation.bounds import IMAGES_PER_BATCH
    from tfvae.inference import codes, image_scores, score_files, table_files
    from tfvae.inference.calibration import find_calibration
    from tfvae.inference.scores import Ranking
    from tfvae.runtime.random_streams import SeedWord
    from tfvae.training import trainer

    if args.sheet:
        score_files.check_sheet_shape(run.image_shape)
    inputs = codes.open_inputs(run, args.images, args.split, args.limit)
    read_truth = find_truth(args, inputs)
    model = trainer.load_run(run, trust_code=args.trust)
    condition, _ = read_condition(args, model)
    settings = image_scores.ScoreSettings(args.samples, args.seed, **condition)
    calibration = find_calibration(run, model, settings, args.calibrate)
    ranking = Ranking(calibration, args.by, args.false_alarms)
    extremes, results = score_files.ExtremeImages(), Results()

    def watch(part: image_scores.ScoredImages, oriented: np.ndarray) -> None:
        results.scores.append(oriented)
        if read_truth:
            results.truth.append(read_truth(part))
        if args.sheet:
            extremes.add(part, oriented)

    measured = image_scores.iterate_scores(run, model, inputs, settings, SeedWord.SCORES)
    count = count_images(inputs)
    parts = show_progress(ranking.rank(measured, watch), count, IMAGES_PER_BATCH)
    ranked = results.watch(parts, ranking, bool(args.json))
    path = pathlib.Path(args.output or DEFAULT_OUTPUT)
    if args.output or not args.json:
        table_files.write_tables(map(score_files.make_table, ranked), path)
    else:
        for _ in ranked:
            pass
    notes = list(describe_calibration(args, run, ranking, calibration.source))
    notes += results.notes
    if args.json:
        print_json({"threshold": ranking.threshold, "scores": results.rows})
        for note in notes:
            make_reporter().line(note)
    else:
        flagged = f"{results.flagged:,} flagged: {args.by if args.by not in ('elbo', 'bound') else f'-{args.by}'}"
        print(f"{path}  {count:,} images, {flagged} above {ranking.threshold:.6g}")
        print("\n".join(notes))
    if args.sheet:
        drawn = extremes.draw(args.sheet)
        make_reporter().line(str(drawn)) if args.json else print(drawn)
    return 0


class Results:
    """What is kept of all images while they pass by.

    Attributes:
        scores: of each batch, [B], higher is more anomalous.
        truth: of each batch, [B] bool, where it is known which are anomalous.
        rows: what ``--json`` prints of each image.
        flagged: how many are.
        notes: sentences on how well the scores tell anomalous images apart, after all of them.
    """

    def __init__(self) -> None:
        self.scores: list[np.ndarray] = []
        self.truth: list[np.ndarray] = []
        self.rows: list[dict[str, Any]] = []
        self.flagged = 0
        self.notes: list[str] = []

    def watch(self, parts: Iterable[Scores], ranking: Ranking, keeps_rows: bool) -> Iterator[Scores]:
        """Yield the parts, and count, or keep, what they say; a file of them is not written where the end refuses.

        Raises:
            UsageError: all images are normal, or all anomalous.
        """
        import numpy as np

        for part in parts:
            self.flagged += int(part.flags.sum())
            if keeps_rows:
                files = [int(name) if name.isdigit() else name for name in part.names]
                columns = zip(files, part.scores.tolist(), part.p_values.tolist(), part.flags.tolist())
                self.rows += [dict(zip(("file", "score", "p_value", "flag"), row)) for row in columns]
            yield part
        if self.truth:
            self.notes.append(describe_detection(np.concatenate(self.scores), np.concatenate(self.truth), ranking))


def find_truth(args: argparse.Namespace, inputs: list[ImageInput]) -> TruthReader | None:
    """Return what tells which images are anomalous: --labels, --normal or folders' names; None where nothing does.

    Raises:
        UsageError, DataError: the file of labels is missing, or is no such file.
    """
    from tfvae.inference import score_files

    if args.labels:
        path = pathlib.Path(args.labels)
        return score_files.make_listed_truth(score_files.read_labels(path), path)
    if args.normal:
        return score_files.make_class_truth(args.normal)
    return score_files.find_folder_truth([name for part in inputs for name in part.names])


def describe_calibration(args: argparse.Namespace, run: Run, ranking: Ranking, source: str) -> Iterator[str]:
    """Yield sentences on where the threshold is from, and on what it is worth."""
    yield f"threshold for {args.false_alarms:.4g} false alarms, calibrated on {ranking.count:,} images of {source}"
    if math.isinf(ranking.threshold):
        least = 1 / (ranking.count + 1)
        yield f"nothing can be flagged: {ranking.count:,} images allow a rate of {least:.2g} or more, not less"
    is_own = not args.images or args.images == [run.config.dataset]
    if is_own and not args.calibrate and source == f"the {args.split} split":
        yield "these images are also those of the calibration: p-values and flags are meant for new ones"


def describe_detection(scores: np.ndarray, is_anomalous: np.ndarray, ranking: Ranking) -> str:
    """Return a sentence on how well the scores tell anomalous images apart."""
    from tfvae.evaluation.detection_quality import measure_detection

    found = measure_detection(scores, is_anomalous)
    areas = [
        f"{name} {estimate.value:.4f} ({estimate.low:.4f} to {estimate.high:.4f})"
        for name, estimate in (("AUROC", found.auroc), ("average precision", found.average_precision))
    ]
    flags = scores > ranking.threshold
    rates = f"flagged {flags[~is_anomalous].mean():.2%} of normal, {flags[is_anomalous].mean():.2%} of anomalous images"
    return f"{', '.join(areas)}; {rates} ({found.normal:,} and {found.anomalous:,})"
