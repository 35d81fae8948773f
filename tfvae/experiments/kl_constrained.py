"""The best likelihood with KL(q(z|x) || p(z)) <= epsilon, beside its Lagrangian.

min -E log p(x|z) subject to KL <= epsilon has the Lagrangian -E log p(x|z) + lambda (KL - epsilon): at the lambda
that meets the bound it is a beta-VAE with beta = lambda (Haseeb ur Rehman, Homework 04 Deep Learning, problem 1b). GECO
finds that lambda; a beta-VAE with it, trained from the same start, has to end at the same point. MNIST, 784-512-256-20
and its mirror image, sigma^2 = 1/2, so that -log p(x|z) is |x - g(z)|^2 up to a constant; batch 128, Adam 1e-3 with a
cosine, all training images.
"""

import numpy as np
import tensorflow as tf

from tfvae.experiments.tuning import SQUARED_ERROR
from tfvae.plots import curves, grids, planes
from tfvae.training.run_data import load_run_split
from tfvae.zoo import load

EPSILONS = (5.0, 10.0, 20.0)
FIXED = {
    "dataset": "mnist",
    "arch": "mlp:widths=512-256,latent=20",
    "likelihood": SQUARED_ERROR,
    "epochs": 20,
    "schedule": "cosine",
}
AVERAGED_EPOCHS = 5  # epochs at the end over which lambda is averaged
RELATIVE_TOLERANCE = 0.03
IMAGES_PER_ROW = 12


def average_last_epochs(rows, column="lambda"):
    """Return the geometric mean of a column > 0 over the last epochs."""
    return float(np.exp(np.mean([np.log(row[column]) for row in rows[-AVERAGED_EPOCHS:]])))


def run(lab):
    """Train under each bound and with the weight that it found, and write the page."""
    bound = lab.train_runs({f"KL <= {e:g}": FIXED | {"objective": f"geco:constraints=kl<={e:g}"} for e in EPSILONS})
    weights = {label: average_last_epochs(one.rows) for label, one in bound.items()}
    fixed = lab.train_runs({label: FIXED | {"objective": f"beta:beta={w:.6g}"} for label, w in weights.items()})
    rows = [build_row(lab, e, weights[label], bound[label], fixed[label]) for e, label in zip(EPSILONS, bound)]
    lab.add_table("points", rows, "The bound and the weight that it found")
    lab.add_text("Training images, means of the last epoch; 'test' is the 10,000 test images.")
    add_pictures(lab, bound, fixed)
    add_verdicts(lab, rows)
    lab.write_page("MNIST: the best error for a given KL", __doc__)


def build_row(lab, epsilon, weight, bound, fixed):
    """Return the row of one epsilon: the run under the bound and the beta-VAE with its weight."""
    constrained_end, weighted_end = bound.rows[-1], fixed.rows[-1]
    tests = lab.evaluate_run(bound), lab.evaluate_run(fixed)
    return {
        "epsilon": epsilon,
        "KL": constrained_end["rate"],
        "error": constrained_end["sq_err"],
        "lambda": weight,
        "KL of beta = lambda": weighted_end["rate"],
        "error of beta = lambda": weighted_end["sq_err"],
        "test KL": tests[0]["rate"],
        "test error": tests[0]["sq_err"],
        "test KL of beta = lambda": tests[1]["rate"],
        "test error of beta = lambda": tests[1]["sq_err"],
    }


def add_pictures(lab, bound, fixed):
    """Add the plane of KL and error, traces and reconstructions."""
    points = [
        {"label": "" if size else label, "group": group, "x": one.rows[-1]["rate"], "y": one.rows[-1]["sq_err"], **size}
        for group, runs, size in (
            ("GECO, KL <= epsilon", bound, {}),
            ("beta-VAE, beta = its lambda", fixed, {"size": 420}),  # seen below GECO
        )
        for label, one in runs.items()
    ]
    path = planes.draw_information_plane(points, lab.build_path("plane.png"), y_label="|x - g(z)|^2, sum over pixels")
    lab.add_picture(path, "Where the runs end, training images: a bound on the KL, and the weight that it found")
    for column, log in (("rate", False), ("lambda", True)):
        path = curves.draw_compared_curves(
            {k: v.rows for k, v in bound.items()}, column, lab.build_path(f"{column}.png"), log=log
        )
        lab.add_picture(path, f"{column} over the epochs under the bound")
    x = tf.constant(load_run_split(next(iter(bound.values())), "test")[0][:IMAGES_PER_ROW], tf.float32) / 255
    board = [x.numpy(), *(load.load(one.path).reconstruct(x, (1, 1)).numpy() for one in bound.values())]
    path = grids.draw_image_grid(
        np.concatenate(board), lab.build_path("reconstructions.png"), IMAGES_PER_ROW, row_labels=["test images", *bound]
    )
    lab.add_picture(path, "What so many nats let through: reconstructions of test images")


def add_verdicts(lab, rows):
    """Add the verdicts on the rows of the table."""
    deviations = [row["KL"] / row["epsilon"] - 1 for row in rows]
    lab.add_verdict(
        "Haseeb: bound on the KL",
        "the KL ends at its bound (within 3%)",
        max(map(abs, deviations)) < RELATIVE_TOLERANCE,
        ", ".join(f"{row['KL']:.2f} of {row['epsilon']:g}" for row in rows),
    )
    deviations = [
        (row["KL of beta = lambda"] / row["KL"] - 1, row["error of beta = lambda"] / row["error"] - 1) for row in rows
    ]
    lab.add_verdict(
        "Haseeb: bound on the KL",
        "constraint and weighted KL are the same problem: beta = lambda ends at the same KL and error (within 3%)",
        max(abs(share) for both in deviations for share in both) < RELATIVE_TOLERANCE,
        "; ".join(
            f"epsilon {row['epsilon']:g}, lambda {row['lambda']:.3g}: KL {kl:+.1%}, error {error:+.1%}"
            for row, (kl, error) in zip(rows, deviations)
        ),
    )
    losses = [
        (
            row["error"] + row["lambda"] * row["KL"],
            row["error of beta = lambda"] + row["lambda"] * row["KL of beta = lambda"],
        )
        for row in rows
    ]
    lab.add_verdict(
        "Haseeb: bound on the KL",
        "both reach the same error + lambda KL (within 1%), whose optimum is flat along the curve",
        max(abs(b / a - 1) for a, b in losses) < 0.01,
        "; ".join(
            f"epsilon {row['epsilon']:g}: {a:.2f} and {b:.2f} ({b / a - 1:+.1%})" for row, (a, b) in zip(rows, losses)
        ),
    )
    by_size = sorted(rows, key=lambda row: row["epsilon"])
    falls = all(a["lambda"] > b["lambda"] and a["error"] > b["error"] for a, b in zip(by_size, by_size[1:]))
    lab.add_verdict(
        "Haseeb: bound on the KL",
        "a looser bound costs less: lambda and error fall as epsilon grows",
        falls,
        "lambda "
        + ", ".join(f"{row['lambda']:.3g}" for row in by_size)
        + "; error "
        + ", ".join(f"{row['error']:.2f}" for row in by_size),
    )
