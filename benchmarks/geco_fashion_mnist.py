"""GECO on Fashion-MNIST: its controllers, and its KL beside beta-VAEs tuned to the same error (seed 000, done fairly).

    python benchmarks/geco_fashion_mnist.py            # everything, about an hour on two cores
    python benchmarks/geco_fashion_mnist.py --quick    # 3 epochs, to see that it runs

Writes results/geco_*.{md,csv,png}. Setting: 784-512-256-200 and its mirror image, Adam 1e-3, batch 128, all 60,000
training images; 40 epochs for the controllers, 100 for the comparison, 200 for the long runs. lambda's peak is that of
the epochs' ends.
"""

import argparse
import csv
import math
import shutil

from common import RESULTS, Plain, finished, measured, runs, table

from tfvae.plots import curves, planes
from tfvae.verdict import met_since

ARCH = "mlp:widths=512-256,latent=200"
CONTROLLERS = {
    "pi": "controller=pi",
    "log, rate 0.003": "controller=log",
    "log, rate 0.01": "controller=log,rate=0.01",
    "paper": "controller=paper",
    "softplus2": "controller=softplus2",
}


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


def write(name, rows):
    columns = list(rows[0])
    (RESULTS / f"{name}.md").write_text(table(rows, columns))
    with open(RESULTS / f"{name}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(table(rows, columns), flush=True)


def controllers(epochs):
    found = {label: train(f"controller-{label.replace(', rate ', '-')}-{epochs}", f"geco:kappa=4,{options}", epochs)
             for label, options in CONTROLLERS.items()}  # fmt: skip
    write("geco_controllers", [geco_row(label, run, 4, epochs) for label, run in found.items()])
    traces = {label: run.rows for label, run in found.items()}
    curves.compare_curves(traces, "lambda", RESULTS / "geco_controllers_lambda.png", log=True)
    curves.compare_curves(traces, "sq_err", RESULTS / "geco_controllers_error.png", log=True, hlines={"kappa^2": 16.0})


def geco_run(kappa, epochs):
    return train(f"geco-kappa{kappa}-{epochs}", f"geco:kappa={kappa}", epochs)


def longer(kappa, epochs, more):
    """The run of `epochs`, continued in a copy: a resumed run is the uninterrupted one to the bit."""
    short = geco_run(kappa, epochs).path
    path = short.with_name(f"geco-kappa{kappa}-{more}")
    if not path.exists():
        shutil.copytree(short, path)
    run = runs.find(path)
    return run if run.rows[-1]["epoch"] == more else runs.resume(path, epochs=more, reporter=Plain())


def long_runs(epochs, more, at):
    """kappa 3, 4, 5: at epoch `at` and at the end."""
    found = {kappa: longer(kappa, epochs, more) for kappa in (3, 4, 5)}
    epochs = more
    rows = [geco_row(f"kappa {kappa}", run, kappa, epoch) for kappa, run in found.items() for epoch in (at, epochs)]
    write("geco_kappa", rows)
    targets = {f"kappa^2 = {kappa**2}": float(kappa**2) for kappa in found}
    traces = {f"kappa {kappa}": run.rows for kappa, run in found.items()}
    curves.compare_curves(traces, "sq_err", RESULTS / "geco_kappa_error.png", log=True, hlines=targets)
    curves.compare_curves(traces, "rate", RESULTS / "geco_kappa_kl.png", log=True)


def beta_run(beta, epochs):
    """error + beta * KL: a Gaussian of sigma^2 = 1/2, whose -log p is the squared error and a constant."""
    return train(f"beta-{beta:.4f}-{epochs}", f"beta:beta={beta:.6f}", epochs, likelihood=f"gaussian:sigma={0.5**0.5}")


def point(label, group, run):
    """Training error and KL at the end, and the distortion at the sigma that suits this run best (seed 000)."""
    error, kl, dims = run.rows[-1]["sq_err"], run.rows[-1]["rate"], 784
    nll = 0.5 * dims * (math.log(2 * math.pi * error / dims) + 1)
    test = measured(run, "test")
    return {"run": label, "group": group, "error": error, "KL": kl, "distortion, optimal sigma": nll,
            "test error": test["sq_err"], "test KL": test["rate"],
            "test distortion, optimal sigma": test["distortion_optimal_sigma"]}  # fmt: skip


def tuned_beta(error, start, epochs, tries):
    """Secant steps in log beta until a beta-VAE has this training error; the two nearest runs bracket it."""
    known, log_beta = [], math.log(start)
    for _ in range(tries):
        run = beta_run(math.exp(log_beta), epochs)
        known.append((log_beta, math.log(run.rows[-1]["sq_err"]), run))
        slope = 0.5  # d log error / d log beta of these nets, until two runs measure it
        if len(known) > 1:
            (b0, e0, _), (b1, e1, _) = known[-2:]
            slope = (e1 - e0) / (b1 - b0) if abs(b1 - b0) > 1e-3 and e1 != e0 else slope
        log_beta += (math.log(error) - known[-1][1]) / slope
    # The best two of the tries; KL(error) between them is near enough to a power law.
    known.sort(key=lambda item: abs(item[1] - math.log(error)))
    (b0, e0, near), (b1, e1, far) = known[:2]
    share = (math.log(error) - e0) / (e1 - e0)
    kls = [math.log(run.rows[-1]["rate"]) for run in (near, far)]
    return math.exp(b0 + share * (b1 - b0)), math.exp(kls[0] + share * (kls[1] - kls[0])), near, far


def fair(epochs, tries):
    """KL of GECO over that of the beta-VAE at the same training error and epochs."""
    rows, points, panels = [], [], {}
    sweep = [point(f"beta {beta}", "beta-VAE of seed 000", beta_run(beta, epochs)) for beta in (0.5, 1.0, 2.0)]
    for kappa in (3, 4, 5):
        run = geco_run(kappa, epochs)
        geco = point(f"GECO kappa {kappa}", "GECO", run)
        beta, kl, near, far = tuned_beta(geco["error"], 1.0 / run.rows[-1]["lambda"], epochs, tries)
        tuned = [point(f"beta {r.config.objective.partition('=')[2][:5]}", "beta-VAE, tuned", r) for r in (near, far)]
        rows.append({"kappa": kappa, "GECO error": geco["error"], "GECO KL": geco["KL"], "beta at that error": beta,
                     "beta-VAE KL at that error": kl, "GECO KL / beta-VAE KL": geco["KL"] / kl})  # fmt: skip
        points += [geco, *tuned]
        panels[f"kappa {kappa}"] = [geco, *tuned, *sweep]
    write("geco_fair", rows)
    write("geco_fair_points", points + sweep)
    named = {
        title: [
            {"label": p["run"], "group": p["group"], "x": p["KL"], "y": p["distortion, optimal sigma"]} for p in found
        ]
        for title, found in panels.items()
    }
    planes.information_plane(
        None, RESULTS / "geco_information_plane.png", y_label="distortion at the optimal sigma, nats per image",
        title="Fashion-MNIST, training set", panels=named)  # fmt: skip


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--part", choices=["controllers", "fair", "long"], nargs="*")
    args = parser.parse_args()
    parts = args.part or ["controllers", "fair", "long"]
    if "controllers" in parts:
        controllers(3 if args.quick else 40)
    if "long" in parts:
        long_runs(3 if args.quick else 100, 6 if args.quick else 200, 2 if args.quick else 40)
    if "fair" in parts:
        fair(3 if args.quick else 100, 2)
