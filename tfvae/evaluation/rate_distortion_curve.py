"""The rate-distortion curve of one model that was told its trade-off (beta or kappa) in training."""

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.plots.planes import information_plane, lower_hull
from tfvae.runtime import files, random_streams
from tfvae.runtime.tables import format_csv
from tfvae.training import run_folder, trainer
from tfvae.training.engine import uses_xla

BATCH = 200


def rd_curve(run, points=9, split="test", limit=0, seed=0, values=None):
    """One row for each of `values` of the condition; default: `points`, equally spaced in its logarithm, ends included.

    Each row: ``beta`` or ``kappa``, rate (nats per image), distortion (nats per image), sq_err (pixels in [0, 1]),
    elbo; for kappa also ``off``, the relative difference of sq_err from kappa^2.

    Raises:
        UsageError: the model was not trained with condition=beta:... or kappa:...
    """
    found, model = open_range_conditioned_run(run)
    images = trainer.load_split(found.config, split)[0]
    images = images[: limit or None]
    measure = tf.function(
        lambda x, value, index: model.metric_columns(
            model.terms(x, 1, random_streams.fold_in((seed, 3), index), condition=value)
        ),
        jit_compile=uses_xla(model),
        autograph=False,
    )
    rows = []
    for value in np.geomspace(model.condition.low, model.condition.high, points) if values is None else values:
        total = {}
        for index, start in enumerate(range(0, len(images), BATCH)):
            logs = measure(images[start : start + BATCH], tf.constant(value, tf.float32), tf.constant(index))
            total = {name: total.get(name, 0.0) + float(tf.reduce_sum(logs[name])) for name in logs}
        means = {name: total[name] / len(images) for name in ("rate", "distortion", "sq_err", "elbo")}
        off = {"off": means["sq_err"] / value**2 - 1.0} if model.condition.name == "kappa" else {}
        rows.append({model.condition.name: float(value), **means, **off})
    return rows


def open_range_conditioned_run(run):
    """(run, model) of a run that was told beta or kappa.

    Raises:
        UsageError: it was not.
    """
    found, model = run_folder.open_run(run), trainer.load_run(run)
    if getattr(model.condition, "name", "") not in ("beta", "kappa"):
        raise UsageError(f"Expected a run with --condition beta:LOW-HIGH or kappa:LOW-HIGH. Received: {found.path}.")
    return found, model


def codes(run, points=5, split="test", limit=2000, seed=0):
    """Draws of the aggregated posterior at `points` values of the condition: {title: (z [N, 2], labels [N])}.

    The same two dimensions everywhere, those whose means vary most at the value that uses them most (seed 003, fig. 2:
    the posteriors of one model stay aligned while they shrink to the prior).
    """
    found, model = open_range_conditioned_run(run)
    images, labels = (array[:limit] for array in trainer.load_split(found.config, split))
    values = np.geomspace(model.condition.low, model.condition.high, points)
    ends = [[part.numpy() for part in model.encode(tf.constant(images), float(value))] for value in values]
    spread = [mean.var(0) for mean, _ in ends]
    first, second = np.argsort(-max(spread, key=np.sum), kind="stable")[:2]
    noise = random_streams.normal([len(images), 2], random_streams.fold_in((seed, 0), 19)).numpy()
    return {
        f"{model.condition.name} {value:.3g}": (mean[:, [first, second]] + stddev[:, [first, second]] * noise, labels)
        for value, (mean, stddev) in zip(values, ends)
    }


def area(rows, y="sq_err"):
    """The area below the lower hull of (rate, y), between the smallest and the largest rate."""
    points = np.array([[row["rate"], row[y]] for row in rows])
    hull = points[lower_hull(points)]
    return float(np.trapezoid(hull[:, 1], hull[:, 0]))


def write_curve(rows, folder):
    """``rd_curve.csv`` and ``rd_curve.png`` in `folder`: -> their paths."""
    name = next(iter(rows[0]))
    files.write_bytes(folder / "rd_curve.csv", format_csv(rows))
    points = [{"label": f"{row[name]:.3g}", "group": name, "x": row["rate"], "y": row["sq_err"]} for row in rows]
    title = f"One model, {name} from {rows[0][name]:.3g} to {rows[-1][name]:.3g}"
    picture = information_plane(points, folder / "rd_curve.png", y_label="|x - g(z)|^2, sum over pixels", title=title)
    return [folder / "rd_curve.csv", picture]
