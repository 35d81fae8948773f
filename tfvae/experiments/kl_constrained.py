"""Seed 004's constrained problem: the best likelihood with KL(q(z|x) || p(z)) <= epsilon, beside its Lagrangian.

min -E log p(x|z) subject to KL <= epsilon has the Lagrangian -E log p(x|z) + lambda (KL - epsilon): at the lambda
that meets the bound it is a beta-VAE with beta = lambda (seed 004, problem 1b). GECO finds that lambda; a beta-VAE
with it, trained from the same start, has to end at the same point. MNIST, 784-512-256-20 and its mirror image,
sigma^2 = 1/2, so that -log p(x|z) is |x - g(z)|^2 up to a constant; batch 128, Adam 1e-3 with a cosine, all training
images.
"""

import numpy as np
import tensorflow as tf

from tfvae.experiments.tuning import SQUARED_ERROR
from tfvae.plots import curves, grids, planes
from tfvae.training import trainer
from tfvae.zoo import load

EPSILONS = (5.0, 10.0, 20.0)
FIXED = {
    "dataset": "mnist", "arch": "mlp:widths=512-256,latent=20", "likelihood": SQUARED_ERROR,
    "epochs": 20, "schedule": "cosine",
}  # fmt: skip
SETTLED = 5  # epochs at the end over which lambda is averaged
WITHIN = 0.03
SHOWN = 12


def settled(rows, column="lambda"):
    """The geometric mean of a column > 0 over the last epochs."""
    return float(np.exp(np.mean([np.log(row[column]) for row in rows[-SETTLED:]])))


def run(lab):
    bound = lab.runs({f"KL <= {e:g}": FIXED | {"objective": f"geco:constraints=kl<={e:g}"} for e in EPSILONS})
    weights = {label: settled(one.rows) for label, one in bound.items()}
    fixed = lab.runs({label: FIXED | {"objective": f"beta:beta={w:.6g}"} for label, w in weights.items()})
    rows = [row_of(lab, e, weights[label], bound[label], fixed[label]) for e, label in zip(EPSILONS, bound)]
    lab.table("points", rows, "The bound and the weight that it found")
    lab.text("Training images, means of the last epoch; 'test' is the 10,000 test images.")
    pictures(lab, bound, fixed)
    judge(lab, rows)
    lab.publish("MNIST: the best error for a given KL", __doc__)


def row_of(lab, epsilon, weight, bound, fixed):
    ours, theirs = bound.rows[-1], fixed.rows[-1]
    tests = lab.measured(bound), lab.measured(fixed)
    return {
        "epsilon": epsilon, "KL": ours["rate"], "error": ours["sq_err"], "lambda": weight,
        "KL of beta = lambda": theirs["rate"], "error of beta = lambda": theirs["sq_err"],
        "test KL": tests[0]["rate"], "test error": tests[0]["sq_err"],
        "test KL of beta = lambda": tests[1]["rate"], "test error of beta = lambda": tests[1]["sq_err"],
    }  # fmt: skip


def pictures(lab, bound, fixed):
    points = [
        {"label": "" if size else label, "group": group, "x": one.rows[-1]["rate"], "y": one.rows[-1]["sq_err"], **size}
        for group, those, size in (
            ("GECO, KL <= epsilon", bound, {}), ("beta-VAE, beta = its lambda", fixed, {"size": 420})  # seen below GECO
        )
        for label, one in those.items()
    ]  # fmt: skip
    path = planes.information_plane(points, lab.place("plane.png"), y_label="|x - g(z)|^2, sum over pixels")
    lab.picture(path, "Where the runs end, training images: a bound on the KL, and the weight that it found")
    for column, log in (("rate", False), ("lambda", True)):
        path = curves.compare_curves({k: v.rows for k, v in bound.items()}, column, lab.place(f"{column}.png"), log=log)
        lab.picture(path, f"{column} over the epochs under the bound")
    x = tf.constant(trainer.load_split(next(iter(bound.values())).config, "test")[0][:SHOWN], tf.float32) / 255
    board = [x.numpy(), *(load.load(one.path).reconstruct(x, (1, 1)).numpy() for one in bound.values())]
    path = grids.image_grid(np.concatenate(board), lab.place("reconstructions.png"), SHOWN,
                            row_labels=["test images", *bound])  # fmt: skip
    lab.picture(path, "What so many nats let through: reconstructions of test images")


def judge(lab, rows):
    off = [row["KL"] / row["epsilon"] - 1 for row in rows]
    lab.verdict("4.2", "the KL ends at its bound (within 3%)", max(map(abs, off)) < WITHIN,
                ", ".join(f"{row['KL']:.2f} of {row['epsilon']:g}" for row in rows))  # fmt: skip
    off = [(row["KL of beta = lambda"] / row["KL"] - 1, row["error of beta = lambda"] / row["error"] - 1)
           for row in rows]  # fmt: skip
    lab.verdict("4.2", "constraint and weighted KL are the same problem: beta = lambda ends at the same KL and error "
                "(within 3%)", max(abs(share) for both in off for share in both) < WITHIN,
                "; ".join(f"epsilon {row['epsilon']:g}, lambda {row['lambda']:.3g}: KL {kl:+.1%}, error {error:+.1%}"
                          for row, (kl, error) in zip(rows, off)))  # fmt: skip
    losses = [(row["error"] + row["lambda"] * row["KL"],
               row["error of beta = lambda"] + row["lambda"] * row["KL of beta = lambda"]) for row in rows]  # fmt: skip
    lab.verdict("4.2", "both reach the same error + lambda KL (within 1%), whose optimum is flat along the curve",
                max(abs(b / a - 1) for a, b in losses) < 0.01,
                "; ".join(f"epsilon {row['epsilon']:g}: {a:.2f} and {b:.2f} ({b / a - 1:+.1%})"
                          for row, (a, b) in zip(rows, losses)))  # fmt: skip
    by_size = sorted(rows, key=lambda row: row["epsilon"])
    falls = all(a["lambda"] > b["lambda"] and a["error"] > b["error"] for a, b in zip(by_size, by_size[1:]))
    lab.verdict("4.2", "a looser bound costs less: lambda and error fall as epsilon grows", falls,
                "lambda " + ", ".join(f"{row['lambda']:.3g}" for row in by_size)
                + "; error " + ", ".join(f"{row['error']:.2f}" for row in by_size))  # fmt: skip
