"""One model told its beta beside five trained separately, and one told its kappa, on Fashion-MNIST.

    python benchmarks/one_model_every_tradeoff.py [--epochs 20] [--conditioned-epochs 100]

Writes results/tradeoff_*.{md,csv,png}. 784-512-256-32, all 60,000 training images, batch 128, Adam 1e-3 with a cosine;
rate and error are those of the 10,000 test images. The five models get 20 epochs each, the ones that are told beta or
kappa get their 100.
"""

import argparse

import numpy as np
from common import RESULTS, finished, measured, write

from tfvae.evaluate.curve import rd_curve
from tfvae.plots.planes import information_plane, lower_hull

ARCH = "mlp:widths=512-256,latent=32"
BETAS = np.geomspace(0.1, 10.0, 5)
TOLD = "beta:0.05-20"  # wider than what is compared, for the ends of a range are learnt from one side only
KAPPAS = (3.0, 4.0, 5.0)
KINDS = ("film",)  # of conditioning; mr and concat work, too


def train(name, objective, epochs, **settings):
    fixed = dict(dataset="fashion_mnist", likelihood="gaussian:sigma=1.0", schedule="cosine", validation=0.0)
    return finished(f"tradeoff-{name}-{epochs}", objective=objective, epochs=epochs, **(fixed | settings))


def height(points, rate):
    """Error of the lower hull of points (rate, error) at `rate`; beyond its ends, that of the end."""
    hull = np.array(points)[lower_hull(np.array(points))]
    return float(np.interp(rate, hull[:, 0], hull[:, 1]))


def loss_of(rate, error, beta):
    """What beta trades: error / 2 + beta * rate, nats at sigma = 1 without the constant."""
    return error / 2 + beta * rate


def beta_part(epochs, conditioned):
    """Each kind of conditioning beside the five: errors at its own and at their rates, and loss over theirs."""
    single = []
    for beta in BETAS:
        run = train(f"beta{beta:.3g}", f"beta:beta={beta:.6g}", epochs, arch=ARCH)
        found = measured(run, "test")
        single.append({"model": "trained for one beta", "beta": float(beta), "rate": found["rate"],
                       "error": found["sq_err"]})  # fmt: skip
    rows, everything = [], list(single)
    for kind in KINDS:
        run = train(f"wide-{kind}", "beta", conditioned, arch=f"{ARCH},conditioning={kind}",
                    condition=TOLD)  # fmt: skip
        curve = [{"model": f"told beta ({kind})", "beta": row["beta"], "rate": row["rate"], "error": row["sq_err"]}
                 for row in rd_curve(run.path, values=np.geomspace(BETAS[0], BETAS[-1], 17))]  # fmt: skip
        everything += curve
        hull = [(row["rate"], row["error"]) for row in curve]
        theirs = [(row["rate"], row["error"]) for row in single]
        for row, told in zip(single, curve[::4]):
            rows.append({
                "conditioning": kind, "beta": row["beta"], "rate, one beta": row["rate"], "rate, told": told["rate"],
                "error, one beta": row["error"], "error, told": told["error"],
                "over their hull, at its own rate": told["error"] / height(theirs, told["rate"]),
                "its hull over theirs, at their rate": height(hull, row["rate"]) / row["error"],
                "loss over theirs": loss_of(told["rate"], told["error"], row["beta"])
                / loss_of(row["rate"], row["error"], row["beta"]),
            })  # fmt: skip
        write("tradeoff_beta", rows)
    points = [{"label": f"{row['beta']:.2g}", "group": row["model"], "x": row["rate"], "y": row["error"]}
              for row in everything]  # fmt: skip
    information_plane(points, RESULTS / "tradeoff_beta.png", y_label="|x - g(z)|^2, sum over pixels",
                      title="One model for every beta beside five models")  # fmt: skip


def kappa_part(conditioned):
    """One model told its kappa: its error at 3, 4 and 5 without retraining."""
    rows = []
    for kind in KINDS:
        run = train(f"kappa-wide-{kind}", "geco", conditioned, arch=f"{ARCH},conditioning={kind}",
                    condition="kappa:2.8-5.5", likelihood="gaussian")  # fmt: skip
        for split in ("train", "test"):
            for row in rd_curve(run.path, split=split, values=KAPPAS):
                rows.append({"conditioning": kind, "split": split, "kappa": row["kappa"], "kappa^2": row["kappa"] ** 2,
                             "error": row["sq_err"], "off": row["off"], "KL": row["rate"]})  # fmt: skip
    write("tradeoff_kappa", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--conditioned-epochs", type=int, default=100)
    args = parser.parse_args()
    beta_part(args.epochs, args.conditioned_epochs)
    kappa_part(args.conditioned_epochs)
