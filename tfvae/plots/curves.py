"""Curves over epochs, from the rows of metrics.csv: one dict an epoch, "" or None where nothing was measured.

All quantities are in nats per image unless a label says otherwise. Numbers that are not finite become gaps.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from tfvae.errors import UsageError
from tfvae.plots.style import (
    ACCENT,
    BLUE,
    COLOURS,
    INK,
    LIGHT_BLUE,
    MUTED,
    add_legend_above,
    add_title,
    create_figure,
    label_line_ends,
    save_figure,
    style_axes,
)
from tfvae.runtime import constraint_band

NATS = "nats per image"
PANELS = (
    ("elbo", "ELBO (higher is better)", NATS),
    ("rate", "Rate: KL(q(z|x) || p(z))", NATS),
    ("distortion", "Distortion: -log p(x|z)", NATS),
    ("sq_err", "Squared error", "sum over pixels in [0,1]"),
)
BAND = constraint_band.TOLERANCE
BAND_COLOUR = "#dfe9e3"
CONSTRAINT_COLOURS = (ACCENT, *COLOURS)
DASHES = (("-", ""), ("--", " (dashed)"), (":", " (dotted)"))  # where there are more lines than colours
DECADES = [sign * 10.0**k for k in range(7) for sign in (-1, 1)] + [0.0]
FORECAST_DASHES = (0, (4, 2))
NO_NAMES: tuple[dict[str, Any], ...] = ({"text": "constraint", "target": None},)

Rows = Sequence[Mapping[str, Any]]
Label = tuple[float, str, str]


def read_column(rows: Rows, name: str) -> np.ndarray:
    """Return one column of the metrics as float64 [epochs]; NaN where a row has nothing.

    Args:
        rows: dicts of metrics.csv.
        name: the column.

    Raises:
        UsageError: there are no rows, or the column is in none of them.
    """
    if not rows:
        raise UsageError("Expected at least one row of metrics. Received: none; train for an epoch first.")
    if not any(name in row for row in rows):
        columns = ", ".join(sorted(set().union(*rows)))
        raise UsageError(f"Expected a column {name!r} in the metrics. Received columns: {columns}.")
    values = [row.get(name) for row in rows]
    return np.array([np.nan if value is None or value == "" else float(value) for value in values])


def _draw_line(ax: Axes, epochs: np.ndarray, values: np.ndarray, **style: Any) -> np.ndarray:
    """Draw a line with gaps where `values` are not finite, lone points as dots, and return what is drawn."""
    values = np.where(np.isfinite(values), values, np.nan)
    ax.plot(epochs, values, solid_capstyle="round", **style)
    is_drawn = np.concatenate([[False], ~np.isnan(values), [False]])
    lone = is_drawn[1:-1] & ~is_drawn[:-2] & ~is_drawn[2:]
    ax.plot(epochs[lone], values[lone], linestyle="none", marker="o", markersize=4, color=style["color"])
    return values


def _mask_negatives(values: np.ndarray) -> np.ndarray:
    """Return `values` with NaN where a logarithmic axis has no place for them."""
    with np.errstate(invalid="ignore"):
        return np.where(values > 0, values, np.nan)


def _find_last_finite(values: np.ndarray) -> float | None:
    """Return the last finite value, or None."""
    values = values[np.isfinite(values)]
    return values[-1] if len(values) else None


def _set_epoch_axis(ax: Axes, epochs: np.ndarray) -> None:
    """Set limits and whole-number ticks of the horizontal axis."""
    low, high = np.nanmin(epochs), np.nanmax(epochs)
    ax.set_xlim((low - 1, high + 1) if low == high else (low, high))
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))


def _set_log_axis(ax: Axes) -> None:
    """Make heights logarithmic, with ticks 1, 2, 5, 10, ... and room for two of them; not if nothing is drawn."""
    low, high = ax.dataLim.intervaly
    if not 0 < low <= high < np.inf:
        return
    ax.set_yscale("log")
    room = max(1.2, 2.5 * np.sqrt(low / high))
    ax.set_ylim(low / room, high * room)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def _draw_train_and_validation(ax: Axes, rows: Rows, epochs: np.ndarray, name: str) -> None:
    """Draw a column and, where there is one, its val_ twin; write name and last value at their ends."""
    labels: list[Label] = []
    for prefix, word, colour in (("", "train", BLUE), ("val_", "validation", LIGHT_BLUE)):
        if prefix and not any(prefix + name in row for row in rows):
            continue
        values = _draw_line(ax, epochs, read_column(rows, prefix + name), color=colour, linewidth=1.8)
        last = _find_last_finite(values)
        labels += [] if last is None else [(last, f"{word} {last:.4g}", colour)]
    _set_epoch_axis(ax, epochs)
    label_line_ends(ax, labels)


def draw_training_curves(rows: Rows, path: str | pathlib.Path, title: str = "") -> pathlib.Path:
    """Draw ELBO, rate, distortion and squared error over epochs, training and (if measured) validation.

    Args:
        rows: dicts with epoch, elbo, rate, distortion, sq_err and optionally val_elbo, ...
        path: the PNG to write.
        title: text over all panels.

    Returns:
        The path written.

    Raises:
        UsageError: there are no rows, or a column is missing.

    Example:
        draw_training_curves(open_run("runs/latest").rows, "curves.png")
    """
    epochs = read_column(rows, "epoch")
    figure, axes = create_figure(2, 2, 6.4)
    for ax, (name, words, unit) in zip(axes.flat, PANELS):
        style_axes(ax, words, "epoch" if ax in axes[-1] else "", unit)
        _draw_train_and_validation(ax, rows, epochs, name)
    add_title(figure, title)
    return save_figure(figure, path)


def _add_index(name: str, index: int) -> str:
    """Return the column of the constraint with this index: lambda, lambda_2, ..."""
    return name if index == 0 else f"{name}_{index + 1}"


def _read_violations(rows: Rows, index: int) -> np.ndarray:
    """Return a constraint's violation in each epoch: its mean, and of the last one its end if that was estimated."""
    values, name = read_column(rows, _add_index("constraint", index)), _add_index("constraint_at_end", index)
    return np.append(values[:-1], read_column(rows, name)[-1]) if name in rows[-1] else values


def find_met_epoch(rows: Rows, targets: Sequence[float]) -> float | None:
    """Return the first epoch from which all constraints stay met to the end, or None.

    Args:
        rows: dicts with epoch, constraint and for more constraints constraint_2, ...
        targets: one number for each constraint, in the constraint's unit; met is within 1 % of it.
    """
    epochs = read_column(rows, "epoch")
    since_each = [
        constraint_band.met_since(_read_violations(rows, j).tolist(), abs(target)) for j, target in enumerate(targets)
    ]
    numbers = [since for since in since_each if since is not None]
    return epochs[max(numbers) - 1] if len(numbers) == len(since_each) else None


def draw_geco_trace(
    rows: Rows,
    path: str | pathlib.Path,
    constraints: Sequence[Mapping[str, Any]] = NO_NAMES,
    title: str = "",
) -> pathlib.Path:
    """Draw how GECO reached its constraints: multipliers, constraints with moving averages, and the KL they cost.

    With targets, constraints are shown in percent of the target, on a scale that is linear within +-1 %
    (the band in which they count as met) and logarithmic outside.

    Args:
        rows: dicts with epoch, rate, lambda, constraint, constraint_ma; for constraint 2: lambda_2, ...
        path: the PNG to write.
        constraints: for each a dict with `text` ('re<=4') and `target`, the level that the metric must not
            exceed, in the metric's unit (16.0: a squared error summed over pixels); C = metric - target.
        title: text over all panels.

    Returns:
        The path written.

    Raises:
        UsageError: there are no rows, or a column is missing.

    Example:
        draw_geco_trace(run.rows, "geco.png", [{"text": "re<=4", "target": 16.0}])
    """
    epochs = read_column(rows, "epoch")
    targets = [constraint.get("target") for constraint in constraints]
    relative = all(targets)
    figure, axes = create_figure(3, 1, 7.6, sharex=True)
    since = find_met_epoch(rows, [target or 0.0 for target in targets])
    state = "not met at the last epoch" if since is None else f"met since epoch {since:g}"
    noun = "Constraint" if len(targets) == 1 else "Constraints"
    style_axes(axes[0, 0], "Multiplier", "", "lambda, log scale")
    style_axes(axes[1, 0], f"{noun}: {state}", "", "excess, % of target" if relative else "excess over target")
    style_axes(axes[2, 0], "Rate: KL(q(z|x) || p(z))", "epoch", NATS)
    _draw_multipliers(axes[0, 0], rows, epochs, constraints)
    _draw_constraints(axes[1, 0], rows, epochs, constraints, relative)
    _draw_train_and_validation(axes[2, 0], rows, epochs, "rate")
    if since is not None:
        for ax in axes.flat:
            ax.axvline(since, color=INK, linewidth=1, linestyle=(0, (1, 2)))
    add_title(figure, title)
    return save_figure(figure, path)


def _draw_multipliers(ax: Axes, rows: Rows, epochs: np.ndarray, constraints: Sequence[Mapping[str, Any]]) -> None:
    """Draw lambda of each constraint on a logarithmic axis."""
    labels: list[Label] = []
    for j, (constraint, colour) in enumerate(zip(constraints, CONSTRAINT_COLOURS)):
        values = _mask_negatives(read_column(rows, _add_index("lambda", j)))
        last = _find_last_finite(_draw_line(ax, epochs, values, color=colour, linewidth=1.8))
        labels += [] if last is None else [(last, f"{constraint['text']}: {last:.3g}", colour)]
    _set_epoch_axis(ax, epochs)
    _set_log_axis(ax)
    label_line_ends(ax, labels, gap=0.12)


def _draw_constraints(
    ax: Axes, rows: Rows, epochs: np.ndarray, constraints: Sequence[Mapping[str, Any]], relative: bool
) -> None:
    """Draw each constraint's values and moving average, in percent of the target if `relative`."""
    labels: list[Label] = []
    if relative:
        ax.set_yscale("symlog", linthresh=100 * BAND, linscale=0.6)
        ax.yaxis.set_major_locator(FixedLocator(sorted(DECADES)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.axhspan(-100 * BAND, 100 * BAND, color=BAND_COLOUR, linewidth=0, zorder=0)
    ax.axhline(0, color=MUTED, linewidth=1)
    for j, (constraint, colour) in enumerate(zip(constraints, CONSTRAINT_COLOURS)):
        scale = 100 / abs(constraint["target"]) if relative else 1.0
        now, average = (read_column(rows, _add_index(name, j)) * scale for name in ("constraint", "constraint_ma"))
        _draw_line(ax, epochs, average, color=colour, linewidth=1, alpha=0.4)
        _draw_line(ax, epochs, now, color=colour, linewidth=1.8)
        if _add_index("constraint_at_end", j) in rows[-1]:
            _draw_forecast(ax, epochs, rows, j, scale, colour)
        last = _find_last_finite(scale * _read_violations(rows, j))
        if last is not None:  # the figure of the report's sentence
            number = f"{last:+.2f}%" if relative else f"{last:+.4g}"
            labels.append((last, f"{constraint['text']}: {number}", colour))
    keys = [
        Line2D([], [], color=MUTED, linewidth=1.8, label="mean of the epoch"),
        Line2D([], [], color=MUTED, linewidth=1, alpha=0.5, label="moving average at its end"),
    ]
    if "constraint_at_end" in rows[-1]:
        keys.append(Line2D([], [], color=MUTED, linewidth=1.2, linestyle=FORECAST_DASHES, label="expected of the end"))
    if relative:
        keys.append(Line2D([], [], color=BAND_COLOUR, linewidth=7, label="within 1%, which counts as met"))
    add_legend_above(ax, keys)
    label_line_ends(ax, labels, gap=0.12)


def _draw_forecast(ax: Axes, epochs: np.ndarray, rows: Rows, index: int, scale: float, colour: str) -> None:
    """Draw what was expected of the end of the training, with two standard deviations."""
    mean = scale * read_column(rows, _add_index("constraint_at_end", index))
    two_stddevs = 2 * scale * read_column(rows, _add_index("constraint_at_end_stddev", index))
    ax.fill_between(epochs, mean - two_stddevs, mean + two_stddevs, color=colour, alpha=0.12, linewidth=0)
    _draw_line(ax, epochs, mean, color=colour, linewidth=1.2, linestyle=FORECAST_DASHES)


def draw_compared_curves(
    runs: Mapping[str, Rows],
    metric: str,
    path: str | pathlib.Path,
    log: bool = False,
    hlines: Mapping[str, float] | None = None,
    title: str = "",
) -> pathlib.Path:
    """Draw one metric of several runs over epochs, each named at its end.

    Args:
        runs: {run name: rows}.
        metric: the column, e.g. 'rate' or 'val_elbo'.
        path: the PNG to write.
        log: whether the vertical axis is logarithmic; values <= 0 then become gaps.
        hlines: {text: height} of dashed reference lines; default: none.
        title: text over the axes; default: the metric's name.

    Returns:
        The path written.

    Raises:
        UsageError: there is no run, a run has no rows, or the column is missing in a run.

    Example:
        draw_compared_curves({"kappa 3": one.rows, "kappa 4": two.rows}, "rate", "rate.png", log=True)
    """
    if not runs:
        raise UsageError("Expected at least one run to compare. Received: none.")
    columns = {name: (read_column(rows, "epoch"), read_column(rows, metric)) for name, rows in runs.items()}
    figure, axes = create_figure(1, 1, 5.4)
    ax, labels = axes[0, 0], []
    style_axes(ax, title or metric, "epoch", describe_unit(metric) + (", log scale" if log else ""))
    for n, (name, (epochs, values)) in enumerate(columns.items()):
        colour, (dash, word) = COLOURS[n % len(COLOURS)], DASHES[n // len(COLOURS) % len(DASHES)]
        values = _mask_negatives(values) if log else values
        last = _find_last_finite(_draw_line(ax, epochs, values, color=colour, linewidth=1.8, linestyle=dash))
        labels += [] if last is None else [(last, f"{name}: {last:.4g}{word}", colour)]
    for text, height in (hlines or {}).items():
        ax.axhline(height, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        labels.append((height, text, MUTED))
    _set_epoch_axis(ax, np.concatenate([epochs for epochs, _ in columns.values()]))
    if log:
        _set_log_axis(ax)
    label_line_ends(ax, labels, gap=0.05)
    return save_figure(figure, path)


def describe_unit(metric: str) -> str:
    """Return the unit that belongs on the axis of a metrics.csv column."""
    name = metric.removeprefix("val_")
    if name in ("loss", "elbo", "rate", "distortion"):
        return NATS
    return {"sq_err": "sum over pixels in [0,1]", "seconds": "seconds"}.get(name, name)
