"""GECO on Fashion-MNIST: its controllers, and its KL beside beta-VAEs tuned to the same error (seed 000, done fairly).

    python benchmarks/geco_fashion_mnist.py            # everything, about an hour on two cores
    python benchmarks/geco_fashion_mnist.py --quick    # 3 epochs, to see that it runs

Writes results/geco_*.{md,csv,png}. Setting: 784-512-256-200 and its mirror image, Adam 1e-3, batch 128, all 60,000
training images; 200 epochs, 40 for the controllers and the comparison (60 at kappa 3, whose multiplier has just come
down at 40). lambda's peak is that of the epochs' ends.
"""

import argparse
import math

from common import RESULTS, finished, write

from tfvae.plots import curves, planes
from tfvae.verdict import met_since

ARCH = "mlp:widths=512-256,latent=200"


def train(name, objective, epochs, **settings):
    fixed = dict(dataset="fashion_mnist", arch=ARCH, likelihood="gaussian", validation=0.0)
    return finished(name, objective=objective, epochs=epochs, **(fixed | settings))


def geco_row(label, run, kappa, at):
    """What a run had reached at epoch `at`."""
    rows = run.rows[:at]
    lams = [row["lambda"] for row in rows]
    settled = met_since([abs(row["constraint"]) for row in rows], kappa**2)
    return {
        "run": label, "epoch": at, "kappa^2": kappa**2, "error": rows[-1]["sq_err"], "KL": rows[-1]["rate"],
        "lambda peak": max(lams), "lambda end": lams[-1], "peak / end": max(lams) / lams[-1],
        "within 1% from epoch": settled or "never",
    }  # fmt: skip


def controllers(epochs, long):
    """The default beside the others at kappa 4; its run is the long one's beginning."""
    found = {"pi (default)": geco_run(4, long)}
    for name in ("log", "paper", "softplus2"):
        found[name] = train(f"controller-{name}-{epochs}", f"geco:kappa=4,controller={name}", epochs)
    write("geco_controllers", [geco_row(label, run, 4, epochs) for label, run in found.items()])
    traces = {label: run.rows[:epochs] for label, run in found.items()}
    curves.compare_curves(traces, "lambda", RESULTS / "geco_controllers_lambda.png", log=True)
    curves.compare_curves(traces, "sq_err", RESULTS / "geco_controllers_error.png", log=True, hlines={"kappa^2": 16.0})


def geco_run(kappa, epochs):
    return train(f"geco-kappa{kappa}-{epochs}", f"geco:kappa={kappa}", epochs)


def long_runs(epochs, at):
    """kappa 3, 4, 5: at epoch `at` and at the end."""
    found = {kappa: geco_run(kappa, epochs) for kappa in (3, 4, 5)}
    rows = [geco_row(f"kappa {kappa}", run, kappa, epoch) for kappa, run in found.items() for epoch in (at, epochs)]
    write("geco_kappa", rows)
    targets = {f"kappa^2 = {kappa**2}": float(kappa**2) for kappa in found}
    traces = {f"kappa {kappa}": run.rows for kappa, run in found.items()}
    curves.compare_curves(traces, "sq_err", RESULTS / "geco_kappa_error.png", log=True, hlines=targets)
    curves.compare_curves(traces, "rate", RESULTS / "geco_kappa_kl.png", log=True)


def beta_run(beta, epochs, warmup=0):
    """error + beta * KL: a Gaussian of sigma^2 = 1/2, whose -log p is the squared error and a constant."""
    name, objective = f"beta-{beta:.4f}-{epochs}", f"beta:beta={beta:.6f}"
    if warmup:
        name, objective = f"{name}-warmup{warmup}", f"{objective},warmup={warmup}"
    return train(name, objective, epochs, likelihood=f"gaussian:sigma={0.5**0.5}")


def point(label, group, row):
    """A training row as a point of the plane; its distortion is at the sigma that suits the run best (seed 000)."""
    error, dims = row["sq_err"], 784
    nll = 0.5 * dims * (math.log(2 * math.pi * error / dims) + 1)
    return {"run": label, "group": group, "epoch": int(row["epoch"]), "error": error, "KL": row["rate"],
            "distortion, optimal sigma": nll}  # fmt: skip


WARM_UP = 4680  # steps: ten epochs


def tuned_beta(error, start, epochs):
    """A beta-VAE with this training error: one run near it, one corrected by the miss, and the line between.

    `start` is GECO's own 1 / lambda. A beta-VAE that collapses with it (KL below 0.1 nats) gets a KL warm-up.
    KL over error is near enough to a power law between two runs: -> beta, KL, the two (beta, last row), warm-up.
    """
    beta, found, warmup = start, [], 0
    while len(found) < 2:
        row = beta_run(beta, epochs, warmup).rows[-1]
        if row["rate"] < 0.1 and not warmup:
            warmup = WARM_UP
            continue
        found.append((beta, row))
        # error ~ beta^(1/2) nearby: land close, if possible on the other side, but not so close that noise decides
        move = 2.5 * math.log(error / row["sq_err"])
        beta *= math.exp(math.copysign(min(max(abs(move), 0.05), 0.5), move))
    (b0, r0), (b1, r1) = found
    share = math.log(error / r0["sq_err"]) / math.log(r1["sq_err"] / r0["sq_err"])
    beta, kl = (math.exp(math.log(u) + share * math.log(v / u)) for u, v in ((b0, b1), (r0["rate"], r1["rate"])))
    return beta, kl, found, warmup


def fair(kappas, long):
    """KL of GECO over that of the beta-VAE at the same training error and epochs; `kappas`: {kappa: epochs}."""
    rows, points, panels = [], [], {}
    for kappa, epochs in kappas.items():
        row = geco_run(kappa, long).rows[epochs - 1]
        geco = point(f"GECO kappa {kappa}", "GECO", row)
        beta, kl, tuned, warmup = tuned_beta(row["sq_err"], 1.0 / row["lambda"], epochs)
        found = [geco, *(point(f"beta {b:.3g}", "beta-VAE, tuned to the error", r) for b, r in tuned)]
        rows.append({"kappa": kappa, "epochs": epochs, "GECO error": geco["error"], "GECO KL": geco["KL"],
                     "beta at that error": beta, "beta-VAE KL at that error": kl,
                     "GECO KL / beta-VAE KL": geco["KL"] / kl,
                     "its KL warm-up, steps": warmup})  # fmt: skip
        points += found
        panels[f"kappa {kappa}, {epochs} epochs"] = found
    epochs = min(kappas.values())
    sweep = [point(f"beta {beta}", "beta-VAE of seed 000", beta_run(beta, epochs).rows[-1]) for beta in (0.5, 2.0)]
    write("geco_fair", rows)
    write("geco_fair_points", points + sweep)
    named = {
        title: [
            {"label": p["run"], "group": p["group"], "x": p["KL"], "y": p["distortion, optimal sigma"]}
            for p in found + sweep
        ]
        for title, found in panels.items()
    }
    planes.information_plane(
        None,
        RESULTS / "geco_information_plane.png",
        y_label="distortion at the optimal sigma, nats per image",
        title=f"Fashion-MNIST, training set; the sweep at {epochs} epochs",
        panels=named,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", choices=["long", "controllers", "fair"], nargs="*")
    args = parser.parse_args()
    parts = args.part or ["long", "controllers", "fair"]
    long, at = (6, 3) if args.quick else (200, 40)
    if "long" in parts:
        long_runs(long, at)
    if "controllers" in parts:
        controllers(at, long)
    if "fair" in parts:
        fair({4: at, 5: at} if args.quick else {4: at, 5: at, 3: 60}, long)
