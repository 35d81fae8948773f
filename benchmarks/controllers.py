"""GECO's controllers beside each other and beside a beta-VAE tuned by hand: miss of the target, KL, how far lambda ran.

python benchmarks/controllers.py [SETTING...] [--controllers forecast,pi,log,paper] [--seeds 0,1,2]

A beta-VAE is GECO whose lambda stays where it begins. For each setting several are trained around the lambda that the
first controller found; their KL between them, interpolated over the log of the error, is what a controller's KL is
measured by, at its own error and the same steps. Rows are written one by one into results/controllers.csv, and those
that stand there are not run again; the table in controllers.md is made of all.
"""

import argparse
import csv
import math
import statistics

from common import RESULTS, format_result_table, tf

import tfvae
from tfvae import datasets
from tfvae.runtime import optimizers
from tfvae.training.engine import Engine, epoch_order, place_images

MLP, SMALL_MLP = "mlp:widths=512-256,latent=200", "mlp:widths=128-64,latent=16"
BASE = {"limit": None, "epochs": 40, "batch": 128, "learning_rate": 1e-3, "schedule": "constant"}
# name -> data, net, kappa and what differs from BASE
SETTINGS = {
    "digits": {"dataset": "digits", "arch": SMALL_MLP, "kappa": 1.2, "epochs": 60, "batch": 32},
    "digits-loose": {"dataset": "digits", "arch": SMALL_MLP, "kappa": 2.0, "epochs": 60, "batch": 32},
    "digits-short": {"dataset": "digits", "arch": SMALL_MLP, "kappa": 1.2, "epochs": 10, "batch": 32},
    "digits-long": {"dataset": "digits", "arch": SMALL_MLP, "kappa": 1.2, "epochs": 300, "batch": 32},
    "digits-cosine": {"dataset": "digits", "arch": SMALL_MLP, "kappa": 1.6, "batch": 32, "schedule": "cosine"},
    "fashion": {"dataset": "fashion_mnist", "arch": MLP, "kappa": 4.0, "limit": 20000},
    "fashion-tight": {"dataset": "fashion_mnist", "arch": MLP, "kappa": 3.25, "limit": 20000},
    "fashion-loose": {"dataset": "fashion_mnist", "arch": MLP, "kappa": 5.0, "limit": 20000},
    "fashion-short": {"dataset": "fashion_mnist", "arch": MLP, "kappa": 4.0, "limit": 20000, "epochs": 3},
    "fashion-cosine": {
        **{"dataset": "fashion_mnist", "arch": MLP, "kappa": 4.0, "limit": 20000, "epochs": 20},
        **{"learning_rate": 2e-3, "schedule": "cosine"},
    },
    "mnist": {"dataset": "mnist", "arch": MLP, "kappa": 4.0, "limit": 20000, "epochs": 10},
    "mnist-large-batch": {"dataset": "mnist", "arch": MLP, "kappa": 4.0, "limit": 20000, "epochs": 20, "batch": 500},
}
COLUMNS = ("setting", "kappa", "controller", "seed", "miss_percent", "kl", "kl_ratio", "lambda", "peak_ratio")
AROUND = (0.5, 0.8, 1.25, 2.0)  # the tuned beta-VAEs, as multiples of the first controller's last lambda


def train(setting, controller, seed, multiplier=None):
    """Train one model, and return its error and KL over the training images, its last lambda and the largest."""
    config = BASE | setting
    images, labels = datasets.load(config["dataset"], "train", limit=config["limit"] or 0)
    objective = f"geco:kappa={config['kappa']},controller={controller}"
    if multiplier is not None:
        objective += f",initial_multiplier={multiplier},multiplier_learning_rate=0"
    model = tfvae.build(objective, arch=config["arch"], image_shape=images.shape[1:], seed=seed)
    steps = config["epochs"] * (len(images) // config["batch"])
    learning_rate = optimizers.LearningRateSchedule(config["learning_rate"], config["schedule"], steps)
    model.on_train_begin(steps, learning_rate)
    model.compile(optimizers.GuardedAdam(learning_rate), jit_compile=True)
    model.optimizer.build(model.trainable_variables)
    model.calibrate(images)
    engine, placed, peak = Engine(model, config["batch"]), place_images(images), 0.0
    for epoch in range(1, config["epochs"] + 1):
        order = epoch_order(seed, epoch, len(images), config["batch"])
        for _ in engine.train_blocks(placed, order, labels=labels):
            peak = max(peak, float(model.multipliers.values[0]))
    means = engine.evaluate(placed, labels)
    tf.keras.backend.clear_session()
    return math.sqrt(means["sq_err"]), means["rate"], float(model.multipliers.values[0]), peak


def interpolate_kl(curve, error):
    """Return the KL of tuned beta-VAEs [(error, KL)] at an error, linear in log error; NaN beyond them."""
    points = sorted(curve)
    for (low, kl_low), (high, kl_high) in zip(points, points[1:]):
        if low <= error <= high:
            share = math.log(error / low) / math.log(high / low)
            return kl_low + share * (kl_high - kl_low)
    return math.nan


def read_rows(path):
    """Return the rows that are there, numbers as numbers."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        texts = ("setting", "controller")
        return [{k: v if k in texts else float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def run_row(path, rows, name, controller, seed, multiplier=None):
    """Return the row of one training, from the file or trained now and written there."""
    shown = controller if multiplier is None else f"fixed {multiplier:.4g}"
    for row in rows:
        if (row["setting"], row["controller"], row["seed"]) == (name, shown, seed):
            return row
    kappa = SETTINGS[name]["kappa"]
    error, kl, last, peak = train(SETTINGS[name], "pi" if multiplier else controller, seed, multiplier)
    row = {"setting": name, "kappa": kappa, "controller": shown, "seed": float(seed)}
    row |= {"miss_percent": 100 * (error / kappa - 1), "kl": kl, "kl_ratio": math.nan}
    row |= {"lambda": last, "peak_ratio": peak / last}
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not rows:
            writer.writeheader()
        writer.writerow(row)
    rows.append(row)
    print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def run_setting(path, rows, name, controllers, seeds):
    """Run all controllers on one setting, then the beta-VAEs that they are measured by."""
    found = [run_row(path, rows, name, controller, seed) for controller in controllers for seed in seeds]
    tuned = [run_row(path, rows, name, "pi", seeds[0], float(f"{found[0]['lambda'] * f:.4g}")) for f in AROUND]
    kappa = SETTINGS[name]["kappa"]
    curve = [(kappa * (1 + row["miss_percent"] / 100), row["kl"]) for row in tuned]
    return [
        row | {"kl_ratio": row["kl"] / interpolate_kl(curve, kappa * (1 + row["miss_percent"] / 100))} for row in found
    ]


def main():
    """Run what was asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", nargs="*", default=list(SETTINGS))
    parser.add_argument("--controllers", default="forecast,pi,log,paper")
    parser.add_argument("--seeds", default="0")
    arguments = parser.parse_args()
    path = RESULTS / "controllers.csv"
    rows, results = read_rows(path), []
    for name in arguments.settings:
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        results += run_setting(path, rows, name, arguments.controllers.split(","), seeds)
    for controller in arguments.controllers.split(","):
        own = [row for row in results if row["controller"] == controller]
        misses = [abs(row["miss_percent"]) for row in own]
        ratios = [row["kl_ratio"] for row in own if row["kl_ratio"] == row["kl_ratio"]]
        results.append(
            {"setting": "median and worst", "controller": controller, "miss_percent": statistics.median(misses)}
            | {"kl_ratio": statistics.median(ratios) if ratios else math.nan}
            | {"kl": max(misses), "lambda": max(ratios, default=math.nan)}
        )
    (RESULTS / "controllers.md").write_text(format_result_table(results, COLUMNS))


if __name__ == "__main__":
    main()
