"""The rate-distortion curve of one model that is conditioned on its trade-off, beta or kappa."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.models.conditions import RangeCondition
from tfvae.models.vae import VAE
from tfvae.plots.planes import draw_information_plane, find_lower_hull
from tfvae.runtime import files, random_streams
from tfvae.runtime.random_streams import SeedStream, SeedWord
from tfvae.runtime.tables import format_csv
from tfvae.training import trainer
from tfvae.training.engine import uses_xla
from tfvae.training.run_data import load_run_split
from tfvae.training.run_folder import Run, open_run

IMAGES_AT_ONCE = 200
MAX_POINTS = 1000  # of a curve


def measure_rate_distortion_curve(
    run: Run | files.PathLike,
    points: int = 9,
    split: str = "test",
    limit: int = 0,
    seed: int = 0,
    values: Iterable[float] | None = None,
    trust: bool = False,
) -> list[dict[str, float]]:
    """Return one row of means over images for each value of the condition.

    Args:
        run: the run, or the path of its folder.
        points: how many values, equally spaced in the logarithm from one end of the range to the other.
        split: ``train``, ``validation`` or ``test``.
        limit: the first N images; 0: all.
        seed: of the draws z ~ q(z|x).
        values: of the condition, in place of `points`.
        trust: load code that the config of a run from elsewhere names.

    Returns:
        Rows of ``beta`` or ``kappa``, ``rate``, ``distortion``, ``elbo`` (nats per image), ``sq_err`` (pixels in
        [0, 1]); for kappa also ``off``, the relative difference of sq_err from kappa^2.

    Raises:
        UsageError: the model was not trained with condition=beta:... or kappa:..., or too many points.

    Example:
        >>> measure_rate_distortion_curve("runs/latest", points=3)  # doctest: +SKIP
    """
    if points > MAX_POINTS:
        raise UsageError(f"Expected at most {MAX_POINTS:,} points. Received: {points:,}.")
    run, model, condition = open_range_conditioned_run(run, trust)
    images = load_run_split(run, split)[0]
    images = images[: limit or None]
    measure_batch = tf.function(
        lambda x, value, index: model.metric_columns(
            model.terms(x, 1, random_streams.fold_in((seed, SeedWord.RATE_DISTORTION_CURVE), index), condition=value)
        ),
        jit_compile=uses_xla(model, run.config.xla),
        autograph=False,
    )
    rows = []
    for value in np.geomspace(condition.low, condition.high, points) if values is None else values:
        total: dict[str, float] = {}
        for index, start in enumerate(range(0, len(images), IMAGES_AT_ONCE)):
            batch = images[start : start + IMAGES_AT_ONCE]
            columns = measure_batch(batch, tf.constant(value, tf.float32), tf.constant(index))
            total = {name: total.get(name, 0.0) + float(tf.reduce_sum(columns[name])) for name in columns}
        means = {name: total[name] / len(images) for name in ("rate", "distortion", "sq_err", "elbo")}
        off = {"off": means["sq_err"] / value**2 - 1.0} if condition.name == "kappa" else {}
        rows.append({condition.name: float(value), **means, **off})
    return rows


def open_range_conditioned_run(run: Run | files.PathLike, trust: bool = False) -> tuple[Run, VAE, RangeCondition]:
    """Return the run, its model, and the condition on beta or kappa that the model was trained with.

    Raises:
        UsageError: the model was trained without such a condition.
    """
    run = open_run(run)
    model = trainer.load_run(run, trust_code=trust)
    if not isinstance(model.condition, RangeCondition):
        raise UsageError(f"Expected a run with --condition beta:LOW-HIGH or kappa:LOW-HIGH. Received: {run.path}.")
    return run, model, model.condition


def draw_codes_along_range(
    run: Run | files.PathLike,
    points: int = 5,
    split: str = "test",
    limit: int = 2000,
    seed: int = 0,
    trust: bool = False,
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return draws of the aggregate posterior at several values of the condition: {title: (z [N, 2], labels [N])}.

    The two dimensions are the same everywhere, those whose means vary most at the value that uses them most: the
    posteriors of one model stay aligned while they shrink to the prior
    (Kim, "Decoupling beta from sigma_x in the Gaussian VAE", fig. 2).

    Args:
        run: the run, or the path of its folder.
        points: how many values, equally spaced in the logarithm from one end of the range to the other.
        split: ``train``, ``validation`` or ``test``.
        limit: the first N images.
        seed: of the draws.
        trust: load code that the config of a run from elsewhere names.

    Raises:
        UsageError: the model was not trained with condition=beta:... or kappa:...
    """
    run, model, condition = open_range_conditioned_run(run, trust)
    images, labels = (array[:limit] for array in load_run_split(run, split))
    values = np.geomspace(condition.low, condition.high, points)
    posteriors = [[part.numpy() for part in model.encode(tf.constant(images), float(value))] for value in values]
    variances = [mean.var(0) for mean, _ in posteriors]
    dimensions = np.argsort(-max(variances, key=np.sum), kind="stable")[:2]
    stream = random_streams.fold_in((seed, 0), SeedStream.POSTERIOR_CLOUD)
    noise = random_streams.normal([len(images), 2], stream).numpy()
    return {
        f"{condition.name} {value:.3g}": (mean[:, dimensions] + stddev[:, dimensions] * noise, labels)
        for value, (mean, stddev) in zip(values, posteriors)
    }


def compute_area_below_hull(rows: Sequence[Mapping[str, float]], y: str = "sq_err") -> float:
    """Return the area below the lower hull of (rate, y), between the smallest and the largest rate.

    Args:
        rows: see `measure_rate_distortion_curve`.
        y: the column of the vertical axis.
    """
    points = np.array([[row["rate"], row[y]] for row in rows])
    hull = points[find_lower_hull(points)]
    return float(np.trapezoid(hull[:, 1], hull[:, 0]))


def write_rate_distortion_curve(rows: Sequence[Mapping[str, Any]], folder: pathlib.Path) -> list[pathlib.Path]:
    """Write ``rd_curve.csv`` and ``rd_curve.png`` into the folder and return their paths.

    Args:
        rows: see `measure_rate_distortion_curve`.
        folder: where to write.
    """
    name = next(iter(rows[0]))
    files.write_bytes(folder / "rd_curve.csv", format_csv(rows))
    points = [{"label": f"{row[name]:.3g}", "group": name, "x": row["rate"], "y": row["sq_err"]} for row in rows]
    title = f"One model, {name} from {rows[0][name]:.3g} to {rows[-1][name]:.3g}"
    picture = draw_information_plane(
        points, folder / "rd_curve.png", y_label="|x - g(z)|^2, sum over pixels", title=title
    )
    return [folder / "rd_curve.csv", picture]
