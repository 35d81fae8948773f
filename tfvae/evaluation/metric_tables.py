"""What `evaluate` found, as readable text: groups, each number with its 95% interval and its unit."""

from tfvae.runtime.tables import format_cell, format_table

NATS, SHARE = "nats per image", "share"
# {title: {name: unit}}; a name with [...] behind it is of its family.
GROUPS = {
    "bound on log p(x)": {"elbo": NATS, "nll": NATS, "bits_per_dim": "bits per dimension"},
    "rate and distortion": {
        "rate": NATS, "distortion": NATS, "distortion_optimal_sigma": NATS, "distortion_unit_sigma": NATS,
        "sq_err": "sum over pixels in [0, 1]", "ssim": "of mean reconstructions, at most 1", "psnr": "dB",
    },
    "latent": {
        "active_units": "of {latent}, by variance", "active_units_kl": "of {latent}, by KL", "collapse": "",
        "kl_per_dimension": "nats, sorted", "marginal_kl": "nats, {marginal_posteriors} posteriors",
        "marginal_kl_moments": "nats, of the moments alone", "marginal_kl_dims": "nats, sum over single dimensions",
        "mutual_information": "nats, at most log n", "mmd": "MMD^2, {mmd_codes} codes and draws of the prior",
    },
    "ELBO + log n = 1 - 2 - 3 - 4": {
        "log_px_ratio": "1: E log p(x|z)/p(x), nats", "mutual_information": "2: I(x; z), nats",
        "kl_data": "3: KL(q(x) || p(x)), nats", "marginal_kl": "4: KL(q(z) || p(z)), nats", "log_n": "nats",
    },
    "holes and blur": {
        "hole_mass": "share of the prior where q(z) < p(z) / 100; {hole_posteriors} posteriors",
        "reverse_kl": "KL(p(z) || q(z)), nats", "overlap_prior": "posteriors at z ~ p(z)",
        "overlap_posterior": "posteriors at z ~ q(z)", "decoder_gap_prior": "|g - g*|^2 at z ~ p(z)",
        "decoder_gap_posterior": "|g - g*|^2 at z ~ q(z)",
    },
    "what codes tell": {
        "mig": "", "sap": "", "dci_disentanglement": "", "dci_completeness": "", "dci_informativeness": "",
        "factor_vae": SHARE, "beta_vae": SHARE, "probe": "accuracy of a linear classifier",
    },
    "pictures": {
        "frechet": "distance, {pictures} samples", "kid": "MMD^2", "precision": SHARE, "recall": SHARE, "density": "",
        "coverage": SHARE, "label_agreement": SHARE,
    },
}  # fmt: skip
SHOWN = 8  # numbers of a list


def cells(value, unit):
    """(value, unit) as texts; words and lists, which would widen the column of numbers, stand where units do."""
    if isinstance(value, list):
        numbers = " ".join(f"{number:.3g}" for number in value[:SHOWN])
        return "", f"{numbers}{' ...' if len(value) > SHOWN else ''} {unit}"
    if isinstance(value, str):
        return "", value
    return f"{value:.6g}" if isinstance(value, float) else format_cell(value), unit


def interval_text(found, name):
    """'-1.2 to 3.4', or nothing."""
    ends = [found.get(f"{name}_{end}") for end in ("low", "high")]
    return "" if None in ends else f"{ends[0]:.5g} to {ends[1]:.5g}"


def group_rows(found, units, about):
    """[(name, value, interval, unit)] of those names in `found` that belong to the group."""
    names = [name for unit in units for name in found if name.partition("[")[0] == unit and is_value(name)]
    rows = []
    for name in names:
        value, unit = cells(found[name], units[name.partition("[")[0]].format_map(about))
        rows.append(("  " + name, value, interval_text(found, name), unit))
    return rows


def is_value(name):
    """Whether it is the name of a number rather than of an end of its interval."""
    return not name.endswith(("]_low", "]_high"))


def constraint_rows(found):
    """One row for each of GECO's constraints."""
    return [
        (f"  {bound['text']}", "met" if bound["met"] else "NOT met", "", f"violation {bound['violation']:+.4g}")
        for bound in found["constraints"]
    ]


def table(found):
    """The text of `tfvae evaluate`: aligned columns below one line that says what was measured."""
    head = f"{found['run']}: {found['images']} images of the {found['split']} split, K={found['samples']}; " \
           f"95% intervals; {found['seconds']} s"  # fmt: skip
    lines = []
    for title, units in GROUPS.items():
        inside = found.get("elbo_surgery", {}) if title.startswith("ELBO") else found
        if rows := group_rows(inside, units, found):
            lines += [(title, "", "", ""), *rows]
    if found["constraints"]:
        lines += [("constraints", "", "", ""), *constraint_rows(found)]
    return head + "\n" + format_table(lines)
