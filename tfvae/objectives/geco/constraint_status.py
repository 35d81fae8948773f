"""What a run of GECO comes to, in sentences: while it trains, what is out of reach; at its end, what is met or why not.

All of it is told by the rows of metrics.csv, so that a report says of a run what its training said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tfvae.objectives.geco.constraints import mean_sq_err, sq_err
from tfvae.objectives.geco.controllers import MAX_LOG_MULTIPLIER
from tfvae.objectives.geco.forecast import EXPONENT
from tfvae.runtime.constraint_band import TOLERANCE, is_infeasible, met_since

Row = Mapping[str, Any]

SURE = 1.645  # standard deviations below which 5% of a normal distribution lie
# How fast the squared error can fall in lambda at most, d log error / d log lambda, below the ceiling of lambda: what
# was measured between lambda 2 and 12. Above it lambda no longer matters.
STEEPEST_RESPONSE = 0.5
# Before that much of a training nothing is called out of reach: codes that are still to open look like a plateau.
EARLIEST_SHARE, EARLIEST_STEP = 0.25, 500
FIT_SHARE = 0.5  # of the epochs: the later ones, of which the curve is fitted
MOST_TIMES = 100.0  # as long: more epochs than that are not proposed


def describe_constraints(model: Any, rows: Sequence[Row]) -> list[str]:
    """Return one sentence a constraint on how it ended; none for objectives without.

    Args:
        model: of the run.
        rows: of metrics.csv, one an epoch.
    """
    constraints = getattr(model, "constraints", ()) if rows else ()
    return [_describe_end(model, j, constraint, rows) for j, constraint in enumerate(constraints)]


def find_unreachable(model: Any, rows: Sequence[Row], epochs: int) -> dict[str, str]:
    """Return {text of a constraint: sentence} of those that this training will not meet, at 95%.

    Args:
        model: in training.
        rows: of metrics.csv so far.
        epochs: of the whole training.
    """
    if len(rows) < 2 or rows[-2]["epoch"] < EARLIEST_SHARE * epochs or rows[-2]["step"] < EARLIEST_STEP:
        return {}
    return {
        constraint.text: _describe_unreachable(constraint, j, rows, epochs)
        for j, constraint in enumerate(getattr(model, "constraints", ()))
        if all(_is_unreachable(model, j, constraint.scale, row) for row in rows[-2:])
    }


def _suffix(index: int) -> str:
    return "" if index == 0 else f"_{index + 1}"


def _is_unreachable(model: Any, index: int, scale: float, row: Row) -> bool:
    """Tell whether even the largest useful lambda, from here on, would leave the constraint violated, at 95%."""
    at_end = row.get(f"constraint_at_end{_suffix(index)}", math.nan)
    stddev = row.get(f"constraint_at_end_stddev{_suffix(index)}", math.nan)
    room = max(0.0, _log_ceiling(model, index) - math.log(row[f"lambda{_suffix(index)}"]))
    least = (1.0 + (at_end - SURE * stddev) / scale) * math.exp(-STEEPEST_RESPONSE * room) - 1.0
    return least > TOLERANCE  # False of NaN


def _log_ceiling(model: Any, index: int) -> float:
    """Return the log of the largest lambda that still makes a difference."""
    multipliers = getattr(model, "multipliers", None)
    return min(MAX_LOG_MULTIPLIER, multipliers.log_ceilings[index] if multipliers else math.inf)


def fit_learning_curve(violations: Sequence[float]) -> tuple[float, float]:
    """Return (a, b) of violation = a + b epoch^-0.7, by least squares over the later epochs."""
    count = len(violations)
    first = min(int(count * (1.0 - FIT_SHARE)), max(count - 3, 0))
    powers = (np.arange(first, count) + 0.5) ** -EXPONENT  # the mean over an epoch is that of its middle
    b, a = np.polyfit(powers, violations[first:], 1) if count - first > 1 else (0.0, violations[-1])
    return float(a), float(b)


def format_level(constraint: Any, violation: float) -> str:
    """Return the limited quantity at a violation, in the units of the constraint's text: 're 4.12'."""
    sign = 1.0 if constraint.upper else -1.0
    value = constraint.target + sign * violation
    if constraint.fn in (sq_err, mean_sq_err):
        value = math.sqrt(max(value, 0.0))
    return f"{constraint.text.partition('<=')[0].partition('>=')[0].strip()} {value:.4g}"


def _propose(constraint: Any, violations: Sequence[float]) -> str:
    """Return what to do about a violation: how many epochs would do, or that none would."""
    limit, slope = fit_learning_curve(violations)
    if limit <= 0:
        needed = (max(slope, 0.0) / max(-limit, 1e-12)) ** (1.0 / EXPONENT)
        if needed <= len(violations):
            return "it is about to be met: some more epochs would do"
        if needed < MOST_TIMES * len(violations):
            return f"about {needed:.0f} epochs would do, or a looser target"
        return "it would take more than a hundred times as many epochs; loosen the target, or widen the net"
    level = format_level(constraint, limit if slope > 0 else violations[-1])
    return f"no number of epochs would do: this net stays at {level}; loosen the target, or widen the net"


def _describe_unreachable(constraint: Any, index: int, rows: Sequence[Row], epochs: int) -> str:
    row, suffix = rows[-1], _suffix(index)
    level = format_level(constraint, row[f"constraint_at_end{suffix}"])
    violations = [row[f"constraint{suffix}"] for row in rows]
    return (
        f"constraint {constraint.text} will NOT be met in {epochs} epochs (95% sure): {level} is expected at the end; "
        f"{_propose(constraint, violations)}."
    )


def read_violations(rows: Sequence[Row], suffix: str = "") -> list[float]:
    """Return a constraint's violation in each epoch: its mean, and of the last one its end, where that was estimated.

    Args:
        rows: of metrics.csv.
        suffix: of the constraint's columns, '' or '_2'.
    """
    values = [row[f"constraint{suffix}"] for row in rows]
    return values[:-1] + [row.get(f"constraint_at_end{suffix}", row[f"constraint{suffix}"]) for row in rows[-1:]]


def _describe_end(model: Any, index: int, constraint: Any, rows: Sequence[Row]) -> str:
    scale, suffix = constraint.scale, _suffix(index)
    violations, multipliers = read_violations(rows, suffix), [row[f"lambda{suffix}"] for row in rows]
    last, since = multipliers[-1], met_since(violations, scale)
    percent = 100 * violations[-1] / scale
    state = f"constraint {constraint.text}: violation {violations[-1]:+.4g} ({percent:+.2f}% of {scale:.4g})"
    if since:
        step = int(rows[since - 1]["step"])
        return (
            f"{state}, met within 1% since epoch {since} (step {step}); lambda {last:.4g}, peak {max(multipliers):.4g}"
        )
    if math.log(last) >= MAX_LOG_MULTIPLIER - 1e-3:
        return f"{state}, NOT met although lambda is at its largest, {last:.4g}: it is infeasible. Loosen it."
    if is_infeasible(violations, multipliers, scale):
        return (
            f"{state}, NOT met and no longer falling while lambda grows ({last:.4g}): it looks infeasible for this "
            "model. Loosen it, or give the model more capacity."
        )
    means = [row[f"constraint{suffix}"] for row in rows]
    return f"{state}, NOT met yet; lambda {last:.4g}. By its learning curve, {_propose(constraint, means)}."
