"""What a run came to, in sentences: are the constraints met, by how much, since when, and if not, why."""

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


def infeasible(values, lams, scale):
    """True if the violation has stopped falling although lambda keeps growing."""
    if len(values) < 8 or values[-1] <= TOLERANCE * scale:
        return False
    quarter = max(2, len(values) // 4)
    stalled = values[-1] > 0.95 * values[-1 - quarter]
    return stalled and lams[-1] > 1.2 * lams[-1 - quarter]


def verdict(model, rows):
    """One sentence a constraint; none for objectives without."""
    lines = []
    for j, bound in enumerate(getattr(model, "bounds", ())):
        tail = "" if j == 0 else f"_{j + 1}"
        values = [row["constraint" + tail] for row in rows]
        lams = [row["lambda" + tail] for row in rows]
        if not values:
            continue
        since, off = met_since(values, bound.scale), 100 * values[-1] / bound.scale
        state = f"constraint {bound.text}: violation {values[-1]:+.4g} ({off:+.2f}% of {bound.scale:.4g})"
        if since:
            step = int(rows[since - 1]["step"])
            lines.append(
                f"{state}, met within 1% since epoch {since} (step {step}); lambda {lams[-1]:.4g}, peak {max(lams):.4g}"
            )
        elif infeasible(values, lams, bound.scale):
            lines.append(
                f"{state}, NOT met and no longer falling while lambda grows ({lams[-1]:.4g}): it looks infeasible "
                "for this model. Loosen it, or give the model more capacity."
            )
        else:
            lines.append(f"{state}, NOT met yet; lambda {lams[-1]:.4g}. Train longer, or loosen it.")
    return lines
