"""Seed 001's MNIST table, done right: one network, equal budgets, the true marginal KL, and a beta-VAE at GECO's error.

784-512-256-200 and its mirror image, kappa 4, k = 5. RE + beta KL is beta KL - log p(x|z) of a Gaussian with
sigma^2 = 1/2, up to a constant.
"""

import tensorflow as tf

from tfvae.experiments.tuning import SQUARED_ERROR, between, tuned_beta
from tfvae.plots import curves, grids
from tfvae.training import trainer
from tfvae.zoo import load

KAPPA = 4.0
K, SAMPLES = 5, 100  # draws of the bounds L_K on log p(x)
FIXED = {"dataset": "mnist", "arch": "mlp:widths=512-256,latent=200", "epochs": 40, "likelihood": SQUARED_ERROR}
MODELS = {
    "VAE": {"objective": "beta:beta=1"},
    "beta-VAE 0.5": {"objective": "beta:beta=0.5"},
    "GECO": {"objective": f"geco:kappa={KAPPA:g}"},
    "GECO+IWAE": {"objective": f"geco-iwae:kappa={KAPPA:g},k={K}"},
}
PUBLISHED = {"VAE": (1.5813, 55.8484), "beta-VAE 0.5": (10.5938, 15.1434), "GECO": (10.4975, 14.6269),
             "GECO+IWAE": (1.3640, 12.9214)}  # fmt: skip
NOTE = (
    "L_K is the K-sample bound on log p(x) at the sigma^2 = 1/2 of training, nats per image. Rec of GECO+IWAE is that "
    "of single draws from q; its constraint is met under the weighted posterior."
)


def run(lab):
    found = lab.runs({label: FIXED | settings for label, settings in MODELS.items()})
    geco = found["GECO"].rows[-1]
    tuned, _ = tuned_beta(lab, FIXED, geco["sq_err"], 1.0 / geco["lambda"])
    found |= {f"beta-VAE {beta:.3g}, near GECO's error": one for beta, one in tuned}
    rows = [row_of(lab, name, one) for name, one in found.items()]
    lab.table("models", rows, "Test images")
    lab.text(NOTE)
    pictures(lab, found)
    judge(lab, {row["model"]: row for row in rows}, {name: one.rows[-1] for name, one in found.items()},
          between(geco["sq_err"], *(one.rows[-1] for _, one in tuned)))  # fmt: skip
    lab.publish("MNIST: VAE, beta-VAE, GECO, GECO+IWAE", __doc__)


def row_of(lab, label, one):
    scores, few = lab.measured(one, samples=SAMPLES), lab.measured(one, samples=K)
    kl, error = PUBLISHED.get(label, (None, None))
    return {
        "model": label, "Rec": scores["sq_err"], "mean KL": scores["rate"], "marginal KL": scores["marginal_kl"],
        "+-": 1.96 * scores["marginal_kl_standard_error"], "ELBO": scores["elbo"],
        f"L_{K}": -few["nll"], f"L_{SAMPLES}": -scores["nll"],
        "active units": scores["active_units"], "seed 'Marginal KL'": kl, "seed Rec": error,
    }  # fmt: skip


def pictures(lab, found):
    images = trainer.load_split(found["GECO"].config, "test")[0][:20]
    x = tf.constant(images, tf.float32) / 255
    for name in MODELS:
        model, stem = load.load(found[name].path), name.replace(" ", "-").replace("+", "-").lower()
        again = model.reconstruct(x, (1, 1)).numpy()
        path = grids.pair_grid(x.numpy(), again, lab.place(f"{stem}-reconstructions.png"))
        lab.picture(path, f"{name}: test images above their reconstructions")
        lab.samples(found[name], f"{stem}-samples.png", f"{name}: samples")
    for column, those in {"sq_err": MODELS, "rate": MODELS, "lambda": ("GECO", "GECO+IWAE")}.items():
        traces = {name: found[name].rows for name in those}
        path = curves.compare_curves(traces, column, lab.place(f"{column}.png"), log=column != "rate")
        lab.picture(path, f"{column} over the epochs, training images")


def judge(lab, rows, last, beta_kl):
    """`rows`: of the table; `last`: training rows; `beta_kl`: of the beta-VAE at GECO's training error."""
    target, geco, both = KAPPA**2, last["GECO"], last["GECO+IWAE"]
    own = both["constraint"] + target
    lab.verdict("1.5 1.7", "GECO meets kappa", abs(geco["sq_err"] / target - 1) < 0.02,
                f"training error {geco['sq_err']:.2f} of {target:.0f}, test {rows['GECO']['Rec']:.2f}")  # fmt: skip
    lab.verdict("1.9", "at GECO's error its KL is at most that of a beta-VAE", geco["rate"] <= beta_kl,
                f"training KL {geco['rate']:.2f} against {beta_kl:.2f}")  # fmt: skip
    few, many = f"L_{K}", f"L_{SAMPLES}"
    ours, theirs = rows["GECO+IWAE"], rows["GECO"]
    lab.verdict("1.4 1.9", f"GECO+IWAE's bound {few} is better than GECO's, the ELBO, at equal error",
                ours[few] > theirs["ELBO"],
                f"{ours[few]:.2f} against {theirs['ELBO']:.2f}; training error {own:.2f} under its weighted posterior, "
                f"{geco['sq_err']:.2f}")  # fmt: skip
    lab.verdict("1.4 1.9", "and it is better by the same bounds of both, too",
                ours[few] > theirs[few] and ours[many] > theirs[many],
                f"{few} {ours[few]:.2f} against {theirs[few]:.2f}, {many} {ours[many]:.2f} against "
                f"{theirs[many]:.2f}")  # fmt: skip
    errors = {name: rows[name]["Rec"] for name in ("GECO", "VAE", "beta-VAE 0.5")}
    lab.verdict("1.5 1.9", "GECO's error is below that of VAE and beta-VAE 0.5", min(errors, key=errors.get) == "GECO",
                ", ".join(f"{name} {error:.2f}" for name, error in errors.items()))  # fmt: skip
    kls = {name: rows[name]["marginal KL"] for name in ("GECO", "VAE", "beta-VAE 0.5", "GECO+IWAE")}
    lab.verdict("1.5", "the seed's column 'Marginal KL' is one", None,
                "it is a mean KL, and KL 0 to rounding was printed for GECO+IWAE; the true ones: "
                + ", ".join(f"{name} {kl:.2f}" for name, kl in kls.items()))  # fmt: skip
