"""What a run of GECO came to, in sentences: are the constraints met, by how much, since when, and if not, why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tfvae.runtime.constraint_band import is_infeasible, met_since


def describe_constraints(model: Any, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return one sentence a constraint; none for objectives without.

    Args:
        model: of the run.
        rows: of metrics.csv, one an epoch.
    """
    sentences = []
    for j, constraint in enumerate(getattr(model, "constraints", ())):
        suffix = "" if j == 0 else f"_{j + 1}"
        violations = [row["constraint" + suffix] for row in rows]
        multipliers = [row["lambda" + suffix] for row in rows]
        if violations:
            sentences.append(_describe(constraint, rows, violations, multipliers))
    return sentences


def _describe(
    constraint: Any, rows: Sequence[Mapping[str, Any]], violations: list[float], multipliers: list[float]
) -> str:
    scale, last = constraint.scale, multipliers[-1]
    since, percent = met_since(violations, scale), 100 * violations[-1] / scale
    state = f"constraint {constraint.text}: violation {violations[-1]:+.4g} ({percent:+.2f}% of {scale:.4g})"
    if since:
        step = int(rows[since - 1]["step"])
        return (
            f"{state}, met within 1% since epoch {since} (step {step}); lambda {last:.4g}, peak {max(multipliers):.4g}"
        )
    if is_infeasible(violations, multipliers, scale):
        return (
            f"{state}, NOT met and no longer falling while lambda grows ({last:.4g}): it looks infeasible for this "
            "model. Loosen it, or give the model more capacity."
        )
    return f"{state}, NOT met yet; lambda {last:.4g}. Train longer, or loosen it."
