"""When a constraint counts as met, from the violations of each epoch: what plots, reports and GECO's status share."""

TOLERANCE = 0.01  # of the constraint's scale: the band in which a multiplier keeps an active constraint


def met_since(values, scale):
    """First epoch (from 1) from which the constraint stays within the band to the end, or None."""
    since = None
    for epoch, value in enumerate(values, 1):
        if not value <= TOLERANCE * scale:  # NaN is not met
            since = None
        elif since is None:
            since = epoch
    return since


def is_infeasible(values, lams, scale):
    """True if the violation has stopped falling although lambda keeps growing."""
    if len(values) < 8 or values[-1] <= TOLERANCE * scale:
        return False
    quarter = max(2, len(values) // 4)
    stalled = values[-1] > 0.95 * values[-1 - quarter]
    return stalled and lams[-1] > 1.2 * lams[-1 - quarter]
