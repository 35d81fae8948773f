"""The CIFAR-10 table of Kuzina and others, scaled down: VAE, beta-VAE and GECO with a ConvDraw of one step.

After Kuzina, Prokopenko and Shumovskaia (2018), Taming VAEs. kappa 0.6 per column, 3.39 for an image (kappa^2 = 11.52).
Here: 32 hidden channels instead of 256, batch 100 instead of 300, 10,000 training images instead of 50,000, Adam 2e-3
instead of 1e-3, 8 epochs instead of 50, and 16 instead of 100 for GECO. RE + beta KL is beta KL - log p(x|z) of a
Gaussian with sigma^2 = 1/2, up to a constant. Test figures are those of 2,000 images, the marginal KL against their
aggregate. The images are JPEG copies where only those were available: errors then are not those of the originals.
"""

import math

import tensorflow as tf

from tfvae.experiments.tuning import SQUARED_ERROR
from tfvae.plots import curves, grids
from tfvae.training.run_data import load_run_split
from tfvae.zoo import load

KAPPA = 0.6 * math.sqrt(32)
FIXED = {
    "dataset": "cifar10",
    "arch": "convdraw:steps=1,hidden=32,latent=8",
    "batch_size": 100,
    "likelihood": SQUARED_ERROR,
    "learning_rate": 2e-3,
    "limit": 10_000,
}
MODELS = {
    "VAE": {"objective": "beta:beta=1", "epochs": 8},
    "beta-VAE 0.5": {"objective": "beta:beta=0.5", "epochs": 8},
    "GECO": {"objective": f"geco:kappa={KAPPA:.6g},controller=log,multiplier_learning_rate=0.01", "epochs": 16},
}
PUBLISHED = {"VAE": (31.9662, 77.6570), "beta-VAE 0.5": (59.4998, 57.9653), "GECO": (383.0849, 11.4413)}
IMAGES = 2000


def run(lab):
    """Train the models, and write the page."""
    runs = lab.train_runs({label: FIXED | settings for label, settings in MODELS.items()})
    rows = [build_row(lab, label, one) for label, one in runs.items()]
    lab.add_table("models", rows, "Test images")
    lab.add_text("The published column 'Marginal KL' is a mean KL: compare it with ours of that name.")
    x = tf.constant(load_run_split(runs["GECO"], "test")[0][:20], tf.float32) / 255
    for label, one in runs.items():
        model, stem = load.load(one.path), label.split()[0].lower()
        path = grids.draw_pair_grid(
            x.numpy(), model.reconstruct(x, (1, 1)).numpy(), lab.build_path(f"{stem}-reconstructions.png")
        )
        lab.add_picture(path, f"{label}: test images above their reconstructions")
        lab.add_samples(one, f"{stem}-samples.png", f"{label}: samples")
    for column, labels in {"sq_err": MODELS, "rate": MODELS, "lambda": ("GECO",)}.items():
        traces = {label: runs[label].rows for label in labels}
        path = curves.draw_compared_curves(traces, column, lab.build_path(f"{column}.png"), log=True)
        lab.add_picture(path, f"{column} over the epochs, training images")
    add_verdicts(lab, {row["model"]: row for row in rows}, runs["GECO"].rows[-1])
    lab.write_page("CIFAR-10: VAE, beta-VAE, GECO", __doc__)


def build_row(lab, label, one):
    """Return the row of a run."""
    scores = lab.evaluate_run(one, limit=IMAGES)
    kl, error = PUBLISHED[label]
    return {
        "model": label,
        "Rec": scores["sq_err"],
        "mean KL": scores["rate"],
        "marginal KL": scores["marginal_kl"],
        "+-": 1.96 * scores["marginal_kl_standard_error"],
        "Rec, training": one.rows[-1]["sq_err"],
        "published 'Marginal KL'": kl,
        "published Rec": error,
        "epochs": one.config.epochs,
        "minutes": one.rows[-1]["seconds"] / 60,
    }


def add_verdicts(lab, rows, last):
    """Add the verdicts; `last`: GECO's last training row."""
    target, published = KAPPA**2, PUBLISHED["GECO"]
    errors, kls = ({label: row[name] for label, row in rows.items()} for name in ("Rec", "mean KL"))
    lab.add_verdict(
        "Kuzina: CIFAR-10 table",
        "the order of the table: GECO has the least error and the largest KL, then beta 0.5, then the VAE",
        errors["GECO"] < errors["beta-VAE 0.5"] < errors["VAE"] and kls["GECO"] > kls["beta-VAE 0.5"] > kls["VAE"],
        ", ".join(f"{label} {errors[label]:.1f} at KL {kls[label]:.1f}" for label in rows),
    )
    lab.add_verdict(
        "Kuzina: CIFAR-10 table; Kuzina: CIFAR-10 setting",
        "GECO's error goes to kappa^2",
        abs(last["sq_err"] / target - 1) < 0.1,
        f"training error {last['sq_err']:.2f}, kappa^2 {target:.2f}, published {published[1]:.2f}; lambda "
        f"{last['lambda']:.3g} at epoch {int(last['epoch'])}",
    )
    lab.add_verdict(
        "Kuzina: CIFAR-10 table",
        "the figures themselves",
        None,
        "network, data and epochs are scaled down (above): "
        + ", ".join(
            f"{label} {kls[label]:.1f}/{errors[label]:.1f}, published {kl:.1f}/{error:.1f}"
            for label, (kl, error) in PUBLISHED.items()
        ),
    )
    lab.add_verdict(
        "Kuzina: CIFAR-10 table",
        "the column 'Marginal KL' is one",
        None,
        "it is a mean KL; the true ones here: "
        + ", ".join(f"{label} {row['marginal KL']:.1f} +- {row['+-']:.1f}" for label, row in rows.items()),
    )
