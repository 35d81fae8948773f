"""Curves over epochs, from the rows of metrics.csv: one dict an epoch, "" or None where nothing was measured.

All quantities are in nats per image unless a label says otherwise. Numbers that are not finite become gaps.
"""

import numpy as np
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
    SMALL,
    dress,
    end_labels,
    headline,
    new_figure,
    save_figure,
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
DECADES = [sign * 10.0**k for k in range(7) for sign in (-1, 1)] + [0.0]


def column(rows, name, required=True):
    """One column as float64 [epochs]; NaN where a row has nothing. None if absent and not required.

    Raises:
        UsageError: no rows, or the required column is in none of them.
    """
    if not rows:
        raise UsageError("Expected at least one row of metrics. Received: none; train for an epoch first.")
    if not any(name in row for row in rows):
        if not required:
            return None
        known = ", ".join(sorted(set().union(*rows)))
        raise UsageError(f"Expected a column {name!r} in the metrics. Received columns: {known}.")
    values = [row.get(name) for row in rows]
    return np.array([np.nan if value is None or value == "" else float(value) for value in values])


def _draw(ax, epochs, values, **style):
    """A line with gaps where `values` are not finite; a lone point between gaps is drawn as a dot."""
    values = np.where(np.isfinite(values), values, np.nan)
    ax.plot(epochs, values, solid_capstyle="round", **style)
    there = np.concatenate([[False], ~np.isnan(values), [False]])
    lone = there[1:-1] & ~there[:-2] & ~there[2:]
    ax.plot(epochs[lone], values[lone], linestyle="none", marker="o", markersize=4, color=style["color"])
    return values


def _last(values):
    values = values[np.isfinite(values)]
    return values[-1] if len(values) else None


def _epoch_axis(ax, epochs):
    low, high = np.nanmin(epochs), np.nanmax(epochs)
    ax.set_xlim((low - 1, high + 1) if low == high else (low, high))
    ax.xaxis.set_major_locator(MaxNLocator(7, integer=True, steps=[1, 2, 5, 10]))


def _log_axis(ax):
    """Logarithmic heights with ticks 1, 2, 5, 10, ... room for two of them; linear if nothing is drawn."""
    low, high = ax.dataLim.intervaly
    if not 0 < low <= high < np.inf:
        return
    ax.set_yscale("log")
    room = max(1.2, 2.5 * np.sqrt(low / high))
    ax.set_ylim(low / room, high * room)
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 1000 * low else (1,)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())


def _train_and_validation(ax, rows, epochs, name):
    """Draw a column and its val_ twin; name both at their ends with the last value."""
    labels = []
    for prefix, word, colour in (("", "train", BLUE), ("val_", "validation", LIGHT_BLUE)):
        values = column(rows, prefix + name, required=not prefix)
        if values is not None:
            values = _draw(ax, epochs, values, color=colour, linewidth=1.8)
            last = _last(values)
            labels += [] if last is None else [(last, f"{word} {last:.4g}", colour)]
    _epoch_axis(ax, epochs)
    end_labels(ax, labels)


def training_curves(rows, path, title=""):
    """ELBO, rate, distortion and squared error over epochs, training and (where there) validation.

    Args:
        rows: dicts with epoch, elbo, rate, distortion, sq_err and optionally val_elbo, ...
        path: the PNG to write.

    Returns:
        The path written.

    Raises:
        UsageError: no rows, or a column is missing.
    """
    epochs = column(rows, "epoch")
    figure, axes = new_figure(2, 2, 6.4)
    for ax, (name, words, unit) in zip(axes.flat, PANELS):
        dress(ax, words, "epoch" if ax in axes[-1] else "", unit)
        _train_and_validation(ax, rows, epochs, name)
    headline(figure, title)
    return save_figure(figure, path)


def _indexed(name, j):
    return name if j == 0 else f"{name}_{j + 1}"


def met_since(rows, targets):
    """The first epoch from which all constraints stay met to the end (see `tfvae.objectives.geco.constraint_status`), or None.

    Args:
        rows: dicts with epoch, constraint and for more constraints constraint_2, ...
        targets: one number for each constraint, in the constraint's unit.
    """
    epochs = column(rows, "epoch")
    each = [constraint_band.met_since(column(rows, _indexed("constraint", j)), abs(t)) for j, t in enumerate(targets)]
    return None if None in each else epochs[max(each) - 1]


def geco_trace(rows, path, constraints=({"text": "constraint", "target": None},), title=""):
    """How GECO got there: multipliers, constraints with their moving averages, and the KL they cost.

    With targets, constraints are shown in percent of the target, on a scale that is linear within +-1 %
    (the band in which they count as met) and logarithmic outside.

    Args:
        rows: dicts with epoch, rate, lambda, constraint, constraint_ma; for constraint 2: lambda_2, ...
        path: the PNG to write.
        constraints: for each a dict with `text` ('re<=4') and `target`, the level that the metric must not
            exceed, in the metric's unit (16.0: a squared error summed over pixels); C = metric - target.

    Returns:
        The path written.

    Raises:
        UsageError: no rows, or a column is missing.
    """
    epochs = column(rows, "epoch")
    targets = [constraint.get("target") for constraint in constraints]
    relative = all(targets)
    colours = (ACCENT, *COLOURS)
    figure, axes = new_figure(3, 1, 7.6, sharex=True)
    since = met_since(rows, [target or 0.0 for target in targets])
    state = "not met at the last epoch" if since is None else f"met since epoch {since:g}"
    noun = "Constraint" if len(targets) == 1 else "Constraints"
    dress(axes[0, 0], "Multiplier", "", "lambda, log scale")
    dress(axes[1, 0], f"{noun}: {state}", "", "excess, % of target" if relative else "excess over target")
    dress(axes[2, 0], "Rate: KL(q(z|x) || p(z))", "epoch", NATS)
    _multipliers(axes[0, 0], rows, epochs, constraints, colours)
    _constraints(axes[1, 0], rows, epochs, constraints, colours, relative)
    _train_and_validation(axes[2, 0], rows, epochs, "rate")
    for ax in axes.flat if since is not None else ():
        ax.axvline(since, color=INK, linewidth=1, linestyle=(0, (1, 2)))
    headline(figure, title)
    return save_figure(figure, path)


def _multipliers(ax, rows, epochs, constraints, colours):
    labels = []
    for j, constraint in enumerate(constraints):
        values = column(rows, _indexed("lambda", j))
        with np.errstate(invalid="ignore"):
            values = _draw(ax, epochs, np.where(values > 0, values, np.nan), color=colours[j], linewidth=1.8)
        last = _last(values)
        labels += [] if last is None else [(last, f"{constraint['text']}: {last:.3g}", colours[j])]
    _epoch_axis(ax, epochs)
    _log_axis(ax)
    end_labels(ax, labels, gap=0.12)


def _constraints(ax, rows, epochs, constraints, colours, relative):
    labels = []
    if relative:
        ax.set_yscale("symlog", linthresh=100 * BAND, linscale=0.6)
        ax.yaxis.set_major_locator(FixedLocator(sorted(DECADES)))
        ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:+g}" if value else "0"))
        ax.yaxis.set_minor_locator(NullLocator())
        ax.axhspan(-100 * BAND, 100 * BAND, color="#dfe9e3", linewidth=0, zorder=0)
    ax.axhline(0, color=MUTED, linewidth=1)
    for j, constraint in enumerate(constraints):
        scale = 100 / abs(constraint["target"]) if relative else 1.0
        now, average = (column(rows, _indexed(name, j)) * scale for name in ("constraint", "constraint_ma"))
        _draw(ax, epochs, now, color=colours[j], linewidth=1, alpha=0.4)
        last = _last(_draw(ax, epochs, average, color=colours[j], linewidth=1.8))
        unit = " %" if relative else ""
        labels += [] if last is None else [(last, f"{constraint['text']}: {last:+.3g}{unit}", colours[j])]
    keys = [Line2D([], [], color=MUTED, linewidth=1, alpha=0.5, label="epoch"),
            Line2D([], [], color=MUTED, linewidth=1.8, label="moving average")]  # fmt: skip
    if relative:
        keys.append(Line2D([], [], color="#dfe9e3", linewidth=7, label="within 1 %"))
    ax.legend(handles=keys, loc="upper right", ncols=3, fontsize=SMALL, frameon=False, labelcolor=MUTED)
    end_labels(ax, labels, gap=0.12)


def compare_curves(runs, metric, path, log=False, hlines=None, title=""):
    """One metric of several runs over epochs, each named at its end.

    Args:
        runs: {run name: rows}.
        metric: the column, e.g. 'rate' or 'val_elbo'.
        path: the PNG to write.
        log: logarithmic vertical axis; values <= 0 become gaps.
        hlines: {text: height} of dashed reference lines.

    Returns:
        The path written.

    Raises:
        UsageError: no run, no rows, or the column is missing in a run.
    """
    if not runs:
        raise UsageError("Expected at least one run to compare. Received: none.")
    columns = {name: (column(rows, "epoch"), column(rows, metric)) for name, rows in runs.items()}
    figure, axes = new_figure(1, 1, 5.4)
    ax, labels = axes[0, 0], []
    dress(ax, title or metric, "epoch", unit_of(metric) + (", log scale" if log else ""))
    for n, (name, (epochs, values)) in enumerate(columns.items()):
        colour, dash = COLOURS[n % len(COLOURS)], ("-", "--", ":")[n // len(COLOURS) % 3]
        with np.errstate(invalid="ignore"):
            values = np.where(values > 0, values, np.nan) if log else values
        last = _last(_draw(ax, epochs, values, color=colour, linewidth=1.8, linestyle=dash))
        labels += [] if last is None else [(last, f"{name}: {last:.4g}", colour)]
    for text, height in (hlines or {}).items():
        ax.axhline(height, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
        labels.append((height, text, MUTED))
    _epoch_axis(ax, np.concatenate([epochs for epochs, _ in columns.values()]))
    if log:
        _log_axis(ax)
    end_labels(ax, labels, gap=0.05)
    return save_figure(figure, path)


def unit_of(metric):
    """The unit that belongs on the axis of a metrics.csv column."""
    name = metric.removeprefix("val_")
    if name in ("loss", "elbo", "rate", "distortion"):
        return NATS
    return {"sq_err": "sum over pixels in [0,1]", "seconds": "seconds"}.get(name, name)
