"""When a constraint counts as met, from its violation in each epoch: what plots, reports and GECO's status share."""

from __future__ import annotations

from collections.abc import Sequence

TOLERANCE = 0.01  # of the constraint's scale: the band in which a multiplier keeps an active constraint


def met_since(violations: Sequence[float], scale: float) -> int | None:
    """Return the first epoch (from 1) from which the constraint stays within the band to the end, or None.

    Args:
        violations: one an epoch; NaN is not met.
        scale: of the constraint, > 0.
    """
    since = None
    for epoch, violation in enumerate(violations, 1):
        if not violation <= TOLERANCE * scale:
            since = None
        elif since is None:
            since = epoch
    return since


def is_infeasible(violations: Sequence[float], multipliers: Sequence[float], scale: float) -> bool:
    """Tell whether the violation has stopped falling although the multiplier keeps growing.

    Args:
        violations: one an epoch.
        multipliers: lambda, one an epoch.
        scale: of the constraint, > 0.
    """
    if len(violations) < 8 or violations[-1] <= TOLERANCE * scale:
        return False
    quarter = max(2, len(violations) // 4)
    has_stalled = violations[-1] > 0.95 * violations[-1 - quarter]
    return has_stalled and multipliers[-1] > 1.2 * multipliers[-1 - quarter]
