"""What a run came to, in sentences: are the constraints met, by how much, since when, and if not, why."""

from tfvae.runtime.constraint_band import is_infeasible, met_since


def describe_constraints(model, rows):
    """One sentence a constraint; none for objectives without."""
    lines = []
    for j, bound in enumerate(getattr(model, "constraints", ())):
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
        elif is_infeasible(values, lams, bound.scale):
            lines.append(
                f"{state}, NOT met and no longer falling while lambda grows ({lams[-1]:.4g}): it looks infeasible "
                "for this model. Loosen it, or give the model more capacity."
            )
        else:
            lines.append(f"{state}, NOT met yet; lambda {lams[-1]:.4g}. Train longer, or loosen it.")
    return lines
