"""Fashion-MNIST in the information plane: GECO, beta-VAEs and the ELBO, one panel for each kappa.

The experiment of Parnas and Shazman (Project ML2: Taming VAE): 784-512-256-200 and its mirror image, Adam 1e-3, batch
128, all 60,000 training images; 40 epochs here, 200 there. They train (a) GECO, (b) NLL - kappa^2 + beta KL and (c)
RE - kappa^2 + beta KL at beta 0.5, 1 (which they call ELBO) and 2. kappa^2 is a constant in (b) and (c), so that one
run serves all panels. (c) is a Gaussian of sigma^2 = 1/2; for (b) they give no sigma, here it is one learnt number.
Every model's NLL is that of a Gaussian with its own sigma^2 = E|x - g(z)|^2 / D (they leave out the 1/D), on the test
images.
"""

from tfvae.experiments.information_plane_models import (
    BETAS,
    ELBO,
    FIXED,
    KAPPAS,
    LIKELIHOODS,
    RELATIVE_TOLERANCE,
    PlaneResults,
    build_row,
    find_nearest,
    measure_sharpness,
    name_beta_vae,
    name_geco,
    name_tuned,
)
from tfvae.experiments.information_plane_pictures import add_images, add_traces
from tfvae.experiments.tuning import interpolate_kl, tune_beta
from tfvae.plots import planes


def run(lab):
    """Train and evaluate the models, and write the page."""
    settings_by_label = {
        name_geco(kappa): {"objective": f"geco:kappa={kappa}", "likelihood": "gaussian"} for kappa in KAPPAS
    }
    for error, likelihood in LIKELIHOODS.items():
        for beta in BETAS:
            settings_by_label[name_beta_vae(error, beta)] = {
                "objective": f"beta:beta={beta:g}",
                "likelihood": likelihood,
            }
    runs = lab.train_runs({label: FIXED | settings for label, settings in settings_by_label.items()})
    tuned = {}
    for kappa in KAPPAS:
        last = runs[name_geco(kappa)].rows[-1]
        near, warm = tune_beta(lab, FIXED | {"likelihood": LIKELIHOODS["RE"]}, last["sq_err"], 1.0 / last["lambda"])
        tuned[kappa] = near, interpolate_kl(last["sq_err"], *(one.rows[-1] for _, one in near)), warm
        beta, one = find_nearest(near, last["sq_err"])
        runs[name_tuned(kappa, beta)] = one
    rows = {label: build_row(lab, label, one) for label, one in runs.items()}
    for label, value in measure_sharpness(runs).items():
        rows[label]["sharpness of samples"] = value
    results = PlaneResults(runs, rows, tuned)
    for part in (add_plane, add_tuned_table, add_images, add_traces, add_crossing):
        part(lab, results)
    lab.write_page("The information plane: GECO, beta-VAE, ELBO", __doc__)


def add_plane(lab, results):
    """Add the table of models and figure 3, the information plane, with its verdicts."""
    lab.add_table("models", list(results.rows.values()), "Test images")
    lab.add_text("Sharpness: total variation of 1,000 samples of the prior over that of test images.")
    panels = {}
    for kappa in KAPPAS:
        points = [build_point("GECO", "GECO", results.rows[name_geco(kappa)])]
        for error in LIKELIHOODS:
            points += [
                build_point(f"{beta:g}", f"{error} + beta KL", results.rows[name_beta_vae(error, beta)])
                for beta in BETAS
            ]
        panels[f"kappa {kappa}"] = points
    path = planes.draw_information_plane(
        None,
        lab.build_path("plane.png"),
        y_label="NLL at the optimal sigma, nats",
        title="Figure 3: the information plane, test images",
        panels=panels,
    )
    lab.add_picture(path, "GECO at each kappa beside the same beta-VAEs; labels: beta")
    rows = [results.rows[name_geco(kappa)] for kappa in KAPPAS]
    lab.add_verdict(
        "Parnas: information plane; Parnas: kappa and beta",
        "a larger kappa moves GECO from low NLL and high KL to high NLL and low KL",
        rows[0]["NLL"] < rows[1]["NLL"] < rows[2]["NLL"] and rows[0]["KL"] > rows[1]["KL"] > rows[2]["KL"],
        ", ".join(f"kappa {k}: NLL {r['NLL']:.0f}, KL {r['KL']:.2f}" for k, r in zip(KAPPAS, rows)),
    )
    for error in LIKELIHOODS:
        own = {beta: results.rows[name_beta_vae(error, beta)] for beta in BETAS}
        best = {name: min(own, key=lambda beta: own[beta][name]) for name in ("KL", "NLL")}
        lab.add_verdict(
            "Parnas: three trainings; Parnas: kappa and beta",
            f"{error} + beta KL: beta 0.5 is best both in KL and NLL",
            set(best.values()) == {0.5},
            "least KL at beta {KL:g}, least NLL at beta {NLL:g}: ".format(**best)
            + ", ".join(f"{b:g}: KL {r['KL']:.2f}, NLL {r['NLL']:.0f}" for b, r in own.items()),
        )
    others = {label: results.rows[label]["KL"] for label in (name_beta_vae(e, b) for e in LIKELIHOODS for b in BETAS)}
    least = min(others, key=others.get)
    lab.add_verdict(
        "Parnas: kappa and beta",
        "GECO has the lowest KL for no kappa",
        min(row["KL"] for row in rows) > others[least],
        ", ".join(f"{row['KL']:.2f} (kappa {k})" for k, row in zip(KAPPAS, rows))
        + f" against {others[least]:.2f} at the least ({least}): the KL follows kappa",
    )


def build_point(label, group, row):
    """Return a point of the information plane."""
    return {"label": label, "group": group, "x": row["KL"], "y": row["NLL"]}


def add_tuned_table(lab, results):
    """Add GECO's KL beside that of a beta-VAE with the same error; of training images, whose error GECO controls."""
    rows = []
    for kappa, (near, kl, warm) in results.tuned.items():
        own = results.rows[name_geco(kappa)]
        beta, _ = find_nearest(near, own["RE, training"])
        other = results.rows[name_tuned(kappa, beta)]
        rows.append(
            {
                "kappa": kappa,
                "GECO RE": own["RE, training"],
                "GECO KL": own["KL, training"],
                "betas tried": ", ".join(f"{b:.3g}" for b, _ in near),
                "KL warm-up": warm,
                "beta-VAE's KL at that RE": kl,
                "GECO KL / its": own["KL, training"] / kl,
                "GECO marginal KL, test": own["marginal KL"],
                "marginal KL of the nearer beta-VAE": other["marginal KL"],
                "+-": own["+-"] + other["+-"],
                "its RE, test": other["RE"],
                "GECO RE, test": own["RE"],
            }
        )
    lab.add_table("tuned", rows, "At equal error: a beta-VAE tuned to GECO's, training images")
    lab.add_text("The KL at just GECO's error is read off the line through the two runs nearest, both logarithmic.")
    ratios = [row["GECO KL / its"] for row in rows]
    lab.add_verdict(
        "Parnas: kappa and beta; Parnas: GECO's advantages",
        "at equal error GECO's KL is at most a tuned beta-VAE's",
        max(ratios) < 1 + RELATIVE_TOLERANCE,
        "GECO's KL over its: " + ", ".join(f"{r:.3f} at kappa {k}" for k, r in zip(KAPPAS, ratios)),
    )
    gaps = [row["GECO marginal KL, test"] - row["marginal KL of the nearer beta-VAE"] for row in rows]
    lab.add_verdict(
        "Parnas: GECO's advantages",
        "GECO has the more robust latent space: q(z) nearer the prior at equal error",
        all(gap < -row["+-"] for gap, row in zip(gaps, rows)),
        "marginal KL, GECO less tuned beta-VAE: "
        + ", ".join(f"{gap:+.2f} +- {row['+-']:.2f} at kappa {row['kappa']}" for gap, row in zip(gaps, rows)),
    )


def add_crossing(lab, results):
    """Add the first epoch with RE <= kappa^2 of each model, and how its KL goes on."""
    rows = []
    for kappa in KAPPAS:
        for label in (name_geco(kappa), *(name_beta_vae(error, beta) for error in LIKELIHOODS for beta in BETAS)):
            own = results.runs[label].rows
            first = next((row for row in own if row["sq_err"] <= kappa**2), None)
            there = first or dict.fromkeys(("epoch", "rate"))
            rows.append(
                {
                    "kappa": kappa,
                    "model": label,
                    "first epoch with RE <= kappa^2": first and int(first["epoch"]),
                    "KL there": there["rate"],
                    "KL at the end": own[-1]["rate"],
                    "RE at the end": own[-1]["sq_err"],
                    "KL after it": first and own[-1]["rate"] - first["rate"],
                }
            )
    lab.add_table("crossing", rows, "The epoch that reaches kappa^2, and KL after it; training images")
    lab.add_text(
        "- : the error never falls to kappa^2. A VAE that reaches it in its first epochs still has a rising KL."
    )
    elbo = [row for row in rows if row["model"] == ELBO and row["KL there"] is not None]
    lab.add_verdict(
        "Parnas: ELBO's error",
        "the ELBO reaches kappa^2 early, then cuts the error further at the KL's expense",
        bool(elbo) and all(row["KL after it"] > 0 and row["RE at the end"] < row["kappa"] ** 2 for row in elbo),
        "; ".join(
            f"kappa {row['kappa']}: epoch {row['first epoch with RE <= kappa^2']}, KL {row['KL there']:.1f} "
            f"then, {row['KL at the end']:.1f} at RE {row['RE at the end']:.1f} in the end"
            for row in elbo
        )
        or "it reached none of them",
    )
    own = [row for row in rows if row["model"].startswith("GECO") and row["KL there"] is not None]
    lab.add_verdict(
        "Parnas: ELBO's error; Parnas: GECO's advantages",
        "GECO lowers its KL after it has met kappa",
        len(own) == len(KAPPAS) and all(row["KL after it"] < 0 for row in own),
        "; ".join(
            f"kappa {row['kappa']}: KL {row['KL there']:.1f} at epoch "
            f"{row['first epoch with RE <= kappa^2']}, {row['KL at the end']:.1f} in the end"
            for row in own
        )
        or "it met none of them",
    )
