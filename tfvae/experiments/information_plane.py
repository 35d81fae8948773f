"""Seed 000's experiment on Fashion-MNIST: GECO, beta-VAEs and the ELBO in the information plane, one panel a kappa.

784-512-256-200 and its mirror image, Adam 1e-3, batch 128, all 60,000 training images; 40 epochs, the seed's 200. The
seed trains (a) GECO, (b) NLL - kappa^2 + beta KL and (c) RE - kappa^2 + beta KL at beta 0.5, 1 (which it calls ELBO)
and 2. kappa^2 is a constant in (b) and (c), so that one run serves all panels. (c) is a Gaussian of sigma^2 = 1/2; for
(b) the seed does not give sigma, here it is one learnt number. Every model's NLL is that of a Gaussian with its own
sigma^2 = E|x - g(z)|^2 / D (the seed drops the 1/D), on the test images.
"""

from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.distributions.densities import gaussian_distortion
from tfvae.experiments.tuning import SQUARED_ERROR, between, tuned_beta
from tfvae.models import latent_views
from tfvae.plots import curves, grids, planes
from tfvae.runtime import random_streams
from tfvae.training import trainer
from tfvae.zoo import load

FIXED = {"dataset": "fashion_mnist", "arch": "mlp:widths=512-256,latent=200", "epochs": 40}
KAPPAS, BETAS = (3, 4, 5), (0.5, 1.0, 2.0)
LIKELIHOODS = {"RE": SQUARED_ERROR, "NLL": "gaussian:sigma=shared"}
PIXELS = 784
LATENT = 200
DRAWN = 1000  # samples whose sharpness is measured
SHOWN = 10  # images of figure 4
NEAR = 0.02


class Found(NamedTuple):
    """What the pages of this recipe are about: label -> run, and -> the row of the table."""

    runs: dict
    rows: dict
    tuned: dict  # {kappa: ([(beta, run)], a beta-VAE's KL at GECO's training error, whether it took a KL warm-up)}


def geco(kappa):
    return f"GECO kappa {kappa}"


def beta_vae(error, beta):
    """'NLL + KL' is the ELBO."""
    return f"{error} + {beta:g} KL"


ELBO = beta_vae("NLL", 1.0)
HALF = beta_vae("RE", 0.5)


def run(lab):
    asked = {geco(kappa): {"objective": f"geco:kappa={kappa}", "likelihood": "gaussian"} for kappa in KAPPAS}
    for error, likelihood in LIKELIHOODS.items():
        for beta in BETAS:
            asked[beta_vae(error, beta)] = {"objective": f"beta:beta={beta:g}", "likelihood": likelihood}
    found = lab.runs({label: FIXED | settings for label, settings in asked.items()})
    tuned = {}
    for kappa in KAPPAS:
        last = found[geco(kappa)].rows[-1]
        near, warm = tuned_beta(lab, FIXED | {"likelihood": LIKELIHOODS["RE"]}, last["sq_err"], 1.0 / last["lambda"])
        tuned[kappa] = near, between(last["sq_err"], *(one.rows[-1] for _, one in near)), warm
        beta, one = nearest(near, last["sq_err"])
        found[tuned_name(kappa, beta)] = one
    rows = {label: row_of(lab, label, one) for label, one in found.items()}
    for label, value in sharpness(found).items():
        rows[label]["sharpness of samples"] = value
    all_found = Found(found, rows, tuned)
    for part in (plane, tuned_table, images, traces, crossing):
        part(lab, all_found)
    lab.publish("The information plane of seed 000: GECO, beta-VAE, ELBO", __doc__)


def nearest(near, error):
    """The (beta, run) of `near` whose training error is nearest."""
    return min(near, key=lambda each: abs(each[1].rows[-1]["sq_err"] / error - 1))


def tuned_name(kappa, beta):
    return f"RE + {beta:.3g} KL, near kappa {kappa}"


def row_of(lab, label, one):
    scores = lab.measured(one)
    return {
        "model": label, "KL": scores["rate"], "RE": scores["sq_err"],
        "NLL": gaussian_distortion(scores["sq_err"], scores["sq_err"] / PIXELS, PIXELS),
        "marginal KL": scores["marginal_kl"], "+-": 1.96 * scores["marginal_kl_standard_error"],
        "active units": scores["active_units"], "RE, training": one.rows[-1]["sq_err"],
        "KL, training": one.rows[-1]["rate"],
    }  # fmt: skip


def total_variation(images):
    """Sum of |differences| of neighbouring pixels, mean over images [N, H, W, C]: what blur takes away."""
    images = np.asarray(images, np.float64)
    return sum(np.abs(np.diff(images, axis=axis)).sum() for axis in (1, 2)) / len(images)


def sharpness(found):
    """{label: total variation of samples of the prior, over that of test images}."""
    test = trainer.load_split(found[ELBO].config, "test")[0][:DRAWN] / 255
    return {
        label: total_variation(load.load(one.path).sample(DRAWN, (1, 0)).numpy()) / total_variation(test)
        for label, one in found.items()
    }


def plane(lab, found):
    """Figure 3."""
    lab.table("models", list(found.rows.values()), "Test images")
    lab.text("Sharpness: total variation of 1,000 samples of the prior over that of test images.")
    panels = {}
    for kappa in KAPPAS:
        points = [point("GECO", "GECO", found.rows[geco(kappa)])]
        for error in LIKELIHOODS:
            points += [point(f"{beta:g}", f"{error} + beta KL", found.rows[beta_vae(error, beta)]) for beta in BETAS]
        panels[f"kappa {kappa}"] = points
    path = planes.information_plane(None, lab.place("plane.png"), y_label="NLL at the optimal sigma, nats",
                                    title="Figure 3: the information plane, test images", panels=panels)  # fmt: skip
    lab.picture(path, "GECO at each kappa beside the same beta-VAEs; labels: beta")
    rows = [found.rows[geco(kappa)] for kappa in KAPPAS]
    lab.verdict(
        "0.17 0.18",
        "a larger kappa moves GECO from low NLL and high KL to high NLL and low KL",
        rows[0]["NLL"] < rows[1]["NLL"] < rows[2]["NLL"] and rows[0]["KL"] > rows[1]["KL"] > rows[2]["KL"],
        ", ".join(f"kappa {k}: NLL {r['NLL']:.0f}, KL {r['KL']:.2f}" for k, r in zip(KAPPAS, rows)),
    )
    for error in LIKELIHOODS:
        own = {beta: found.rows[beta_vae(error, beta)] for beta in BETAS}
        best = {name: min(own, key=lambda beta: own[beta][name]) for name in ("KL", "NLL")}
        lab.verdict("0.16 0.18", f"{error} + beta KL: beta 0.5 is best both in KL and NLL", set(best.values()) == {0.5},
                    "least KL at beta {KL:g}, least NLL at beta {NLL:g}: ".format(**best)
                    + ", ".join(f"{b:g}: KL {r['KL']:.2f}, NLL {r['NLL']:.0f}" for b, r in own.items()))  # fmt: skip
    others = {label: found.rows[label]["KL"] for label in (beta_vae(e, b) for e in LIKELIHOODS for b in BETAS)}
    least = min(others, key=others.get)
    lab.verdict("0.18", "GECO has the lowest KL for no kappa", min(row["KL"] for row in rows) > others[least],
                ", ".join(f"{row['KL']:.2f} (kappa {k})" for k, row in zip(KAPPAS, rows))
                + f" against {others[least]:.2f} at the least ({least}): the KL follows kappa")  # fmt: skip


def point(label, group, row):
    return {"label": label, "group": group, "x": row["KL"], "y": row["NLL"]}


def tuned_table(lab, found):
    """GECO's KL beside that of a beta-VAE with its error; training images, so that both errors are those aimed at."""
    rows = []
    for kappa, (near, kl, warm) in found.tuned.items():
        own = found.rows[geco(kappa)]
        beta, _ = nearest(near, own["RE, training"])
        other = found.rows[tuned_name(kappa, beta)]
        rows.append({"kappa": kappa, "GECO RE": own["RE, training"], "GECO KL": own["KL, training"],
                     "betas tried": ", ".join(f"{b:.3g}" for b, _ in near), "KL warm-up": warm,
                     "beta-VAE's KL at that RE": kl, "GECO KL / its": own["KL, training"] / kl,
                     "GECO marginal KL, test": own["marginal KL"],
                     "marginal KL of the nearer beta-VAE": other["marginal KL"], "+-": own["+-"] + other["+-"],
                     "its RE, test": other["RE"], "GECO RE, test": own["RE"]})  # fmt: skip
    lab.table("tuned", rows, "At equal error: a beta-VAE tuned to GECO's, training images")
    lab.text("The KL at just GECO's error is read off the line through the two runs nearest, both logarithmic.")
    ratios = [row["GECO KL / its"] for row in rows]
    lab.verdict(
        "0.18 0.21",
        "at equal error GECO's KL is at most a tuned beta-VAE's",
        max(ratios) < 1 + NEAR,
        "GECO's KL over its: " + ", ".join(f"{r:.3f} at kappa {k}" for k, r in zip(KAPPAS, ratios)),
    )
    gaps = [row["GECO marginal KL, test"] - row["marginal KL of the nearer beta-VAE"] for row in rows]
    lab.verdict(
        "0.21",
        "GECO has the more robust latent space: q(z) nearer the prior at equal error",
        all(gap < -row["+-"] for gap, row in zip(gaps, rows)),
        "marginal KL, GECO less tuned beta-VAE: "
        + ", ".join(f"{gap:+.2f} +- {row['+-']:.2f} at kappa {row['kappa']}" for gap, row in zip(gaps, rows)),
    )


def images(lab, found):
    """Figures 4 and 5."""
    told = [*map(geco, KAPPAS), HALF, ELBO]
    models = {label: load.load(found.runs[label].path) for label in told}
    x = tf.constant(trainer.load_split(found.runs[ELBO].config, "test")[0][:SHOWN], tf.float32) / 255
    board = [x.numpy(), *(model.reconstruct(x, (1, 1)).numpy() for model in models.values())]
    path = grids.image_grid(
        np.concatenate(board), lab.place("reconstructions.png"), SHOWN, row_labels=["test images", *told]
    )
    lab.picture(path, "Figure 4: reconstructions of the same test images")
    z = random_streams.normal([3, LATENT], random_streams.as_seed((0, 5)))
    decoded = [latent_views.decode_codes(model, z) for model in models.values()]
    path = grids.image_grid(np.stack(decoded, axis=1).reshape(-1, *x.shape[1:]), lab.place("samples.png"), len(told), 4,
                            row_labels=["z1", "z2", "z3"], column_labels=told)  # fmt: skip
    lab.picture(path, "Figure 5: the same z1, z2, z3 in R^200 decoded by each model")
    for label in (geco(3), HALF, ELBO):
        stem = label.lower().replace(" ", "-").replace("+-", "")
        lab.samples(found.runs[label], f"samples-{stem}.png", f"{label}: samples of the prior", count=20)
    sharp = {label: found.rows[label]["sharpness of samples"] for label in told}
    lab.verdict(
        "0.19 0.21",
        "GECO's samples are sharper than those of beta 0.5 and of the ELBO, for every kappa",
        min(sharp[geco(k)] for k in KAPPAS) > max(sharp[HALF], sharp[ELBO]),
        "total variation over that of test images: " + ", ".join(f"{n} {s:.2f}" for n, s in sharp.items()),
    )
    lab.verdict(
        "0.19",
        "beta-VAE and ELBO decode z2 as a bag, GECO as a shoe",
        None,
        "the seed's z1, z2, z3 are not published, and what a z means is any model's own; ours are in the picture",
    )


def traces(lab, found):
    """Figure 6."""
    told = [*map(geco, KAPPAS), *(beta_vae(error, beta) for error in LIKELIHOODS for beta in BETAS[:2])]
    rows = {label: found.runs[label].rows for label in told}
    lab.picture(
        curves.compare_curves(rows, "rate", lab.place("kl.png"), log=True, title="Figure 6: KL during training"),
        "KL over the epochs, training images",
    )
    lab.picture(
        curves.compare_curves({geco(k): rows[geco(k)] for k in KAPPAS}, "lambda", lab.place("lambda.png"), log=True),
        "GECO's lambda over the epochs",
    )
    kls = {label: [row["rate"] for row in own] for label, own in rows.items()}
    elbo = {error: kls[beta_vae(error, 1.0)][-1] for error in LIKELIHOODS}
    lab.verdict(
        "0.20",
        "GECO's KL stays above the ELBO's to the end",
        min(kls[geco(kappa)][-1] for kappa in KAPPAS) > max(elbo.values()),
        "peak and end "
        + ", ".join(f"{max(kls[geco(k)]):.1f} and {kls[geco(k)][-1]:.1f} (kappa {k})" for k in KAPPAS)
        + "; the ELBO's end "
        + ", ".join(f"{kl:.1f} ({error} + KL)" for error, kl in elbo.items()),
    )
    falls = [kls[geco(kappa)][-1] < max(kls[geco(kappa)]) for kappa in KAPPAS]
    lab.verdict(
        "0.20 0.21",
        "GECO's KL rises first and falls once the error is met",
        all(falls),
        ", ".join(f"kappa {k}: {100 * (1 - kls[geco(k)][-1] / max(kls[geco(k)])):.0f}% below its peak" for k in KAPPAS),
    )


def crossing(lab, found):
    """0.22: the first epoch with RE <= kappa^2, and what happens to KL after it."""
    rows = []
    for kappa in KAPPAS:
        for label in (geco(kappa), *(beta_vae(error, beta) for error in LIKELIHOODS for beta in BETAS)):
            own = found.runs[label].rows
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
    lab.table("crossing", rows, "The epoch that reaches kappa^2, and KL after it; training images")
    lab.text("- : the error never falls to kappa^2. A VAE that reaches it in its first epochs still has a rising KL.")
    elbo = [row for row in rows if row["model"] == ELBO and row["KL there"] is not None]
    lab.verdict(
        "0.22",
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
    lab.verdict(
        "0.22 0.21",
        "GECO lowers its KL after it has met kappa",
        len(own) == len(KAPPAS) and all(row["KL after it"] < 0 for row in own),
        "; ".join(
            f"kappa {row['kappa']}: KL {row['KL there']:.1f} at epoch "
            f"{row['first epoch with RE <= kappa^2']}, {row['KL at the end']:.1f} in the end"
            for row in own
        )
        or "it met none of them",
    )
