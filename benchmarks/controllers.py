"""GECO's controllers beside each other and beside a beta-VAE tuned by hand: miss of the target, KL, how far lambda ran.

python benchmarks/controllers.py [SETTING...] [--controllers forecast,pi,log,paper] [--seeds 0,1,2] [--no-fixed]

A beta-VAE is GECO whose lambda stays where it begins. For each setting several are trained around the lambda that the
first controller found; their KL between them, interpolated over the log of the error, is what a controller's KL is
measured by, at its own error and the same steps. Rows are written one by one into results/controllers.csv, and those
that stand there are not run again; the tables in controllers.md are made of all rows.
"""

import argparse
import csv
import math
import statistics

import published_controllers
from common import RESULTS, format_result_table, tf

import tfvae
from tfvae import datasets
from tfvae.objectives.geco.constraint_status import find_unreachable
from tfvae.runtime import optimizers
from tfvae.training.engine import Engine, epoch_order, place_images

MLP, SMALL_MLP = "mlp:widths=512-256,latent=200", "mlp:widths=128-64,latent=16"
BASE = {"limit": None, "epochs": 40, "batch": 128, "learning_rate": 1e-3, "schedule": "constant"}
DIGITS = {"dataset": "digits", "arch": SMALL_MLP, "batch": 32}
FASHION = {"dataset": "fashion_mnist", "arch": MLP, "limit": 20000}
MNIST = FASHION | {"dataset": "mnist"}
# name -> data, net, kappa and what differs from BASE
SETTINGS = {
    "digits": DIGITS | {"kappa": 1.2, "epochs": 60},
    "digits-loose": DIGITS | {"kappa": 2.0, "epochs": 60},
    "digits-short": DIGITS | {"kappa": 1.2, "epochs": 10},
    "digits-short-loose": DIGITS | {"kappa": 2.0, "epochs": 10},
    "digits-shortest": DIGITS | {"kappa": 1.6, "epochs": 5},
    "digits-long": DIGITS | {"kappa": 1.2, "epochs": 300},
    "digits-cosine": DIGITS | {"kappa": 1.6, "schedule": "cosine"},
    "fashion": FASHION | {"kappa": 4.0},
    "fashion-tight": FASHION | {"kappa": 3.25},
    "fashion-loose": FASHION | {"kappa": 5.0},
    "fashion-short": FASHION | {"kappa": 4.0, "epochs": 3},
    "fashion-cosine": FASHION | {"kappa": 4.0, "epochs": 20, "learning_rate": 2e-3, "schedule": "cosine"},
    "mnist": MNIST | {"kappa": 4.0, "epochs": 10},
    "mnist-few-steps": MNIST | {"kappa": 4.0, "epochs": 10, "batch": 500},
    "mnist-large-batch": MNIST | {"kappa": 4.0, "epochs": 20, "batch": 500},
    "digits-conv": DIGITS | {"arch": "conv:widths=16-32,latent=16,hidden=64", "kappa": 1.4},
}
# All 60,000 images, as the study of the seeds has them; hours, so they are run when they are asked for.
FULL = FASHION | {"limit": None}
FULL_SETTINGS = {
    f"fashion-all-{kappa:g}" + ("" if epochs == 40 else f"-{epochs}"): FULL | {"kappa": kappa, "epochs": epochs}
    for epochs in (40, 100)
    for kappa in (3.0, 3.5, 4.0, 5.0)
}
# As SETTINGS, with targets that no lambda reaches in these steps.
UNREACHABLE = {
    "digits-0.3": DIGITS | {"kappa": 0.3, "epochs": 60},
    "digits-0.5": DIGITS | {"kappa": 0.5, "epochs": 60},
    "digits-0.6-short": DIGITS | {"kappa": 0.6},
    "fashion-1.5": FASHION | {"kappa": 1.5, "epochs": 20},
    "fashion-2.2": FASHION | {"kappa": 2.2, "epochs": 20},
    "mnist-1.5": MNIST | {"kappa": 1.5, "epochs": 20},
}
ALL_SETTINGS = SETTINGS | FULL_SETTINGS | UNREACHABLE
FIGURES = ("miss_percent", "kl", "kl_ratio", "lambda", "peak_ratio", "said_at")
COLUMNS = ("setting", "kappa", "controller", "seed", *FIGURES)
SUMMARY_COLUMNS = (
    *("controller", "runs", "miss_median", "miss_worst"),
    *("kl_ratio_median", "kl_ratio_worst", "peak_ratio_worst"),
)
AROUND = (0.7, 1.0, 1.4)  # the tuned beta-VAEs, as multiples of the first controller's last lambda
NEAR_ENOUGH = 0.15  # of log lambda: a beta-VAE that was trained already


def train(setting, controller, seed, multiplier=None):
    """Train one model, and return its `FIGURES`: error and KL over the training images, and what lambda did."""
    config = BASE | setting
    images, labels = datasets.load(config["dataset"], "train", limit=config["limit"] or 0)
    name, _, rate = controller.partition("@")  # log@0.01: with another rate than its own
    objective = f"geco:kappa={config['kappa']},controller={name}"
    objective += f",multiplier_learning_rate={rate}" if rate else ""
    if multiplier is not None:
        objective += f",initial_multiplier={multiplier},multiplier_learning_rate=0"
    model = tfvae.build(objective, arch=config["arch"], image_shape=images.shape[1:], seed=seed)
    steps = config["epochs"] * (len(images) // config["batch"])
    learning_rate = optimizers.LearningRateSchedule(config["learning_rate"], config["schedule"], steps)
    model.on_train_begin(steps, learning_rate)
    model.compile(optimizers.GuardedAdam(learning_rate), jit_compile=True)
    model.optimizer.build(model.trainable_variables)
    model.calibrate(images)
    engine, placed, peak, said_at, epoch_rows = Engine(model, config["batch"]), place_images(images), 0.0, math.nan, []
    for epoch in range(1, config["epochs"] + 1):
        order = epoch_order(seed, epoch, len(images), config["batch"])
        for _, _, means in engine.train_blocks(placed, order, labels=labels):
            peak = max(peak, float(model.multipliers.values[0]))
        states = {name: float(value) for name, value in model.state_logs().items()}
        epoch_rows.append({"epoch": epoch, "step": int(model.step), **means, **states})
        if math.isnan(said_at) and find_unreachable(model, epoch_rows, config["epochs"]):
            said_at = epoch / config["epochs"]
    means = engine.evaluate(placed, labels)
    tf.keras.backend.clear_session()
    last = float(model.multipliers.values[0])
    miss_percent = 100 * (math.sqrt(means["sq_err"]) / config["kappa"] - 1)
    return dict(zip(FIGURES, (miss_percent, means["rate"], math.nan, last, peak / last, said_at)))


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
    setting = ALL_SETTINGS[name]
    figures = train(setting, "log" if multiplier else controller, seed, multiplier)
    row = {"setting": name, "kappa": setting["kappa"], "controller": shown, "seed": float(seed)} | figures
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        if not rows:
            writer.writeheader()
        writer.writerow(row)
    rows.append(row)
    print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)
    return row


def find_fixed(rows, name):
    """Return the rows of a setting whose lambda was fixed."""
    return [row for row in rows if row["setting"] == name and row["controller"].startswith("fixed")]


def run_setting(path, rows, name, controllers, seeds, with_fixed=True):
    """Run all controllers on one setting, then the beta-VAEs that they are measured by."""
    if name in UNREACHABLE:
        controllers, with_fixed = ["forecast"], False
    found = [run_row(path, rows, name, controller, seed) for controller in controllers for seed in seeds]
    if not with_fixed:
        return
    for wanted in (found[0]["lambda"] * factor for factor in AROUND):
        if all(abs(math.log(row["lambda"] / wanted)) > NEAR_ENOUGH for row in find_fixed(rows, name)):
            run_row(path, rows, name, "log", seeds[0], float(f"{wanted:.4g}"))


def compute_error(row):
    """Return the error at the end of a row's training, in the unit of kappa."""
    return row["kappa"] * (1 + row["miss_percent"] / 100)


def measure_by_fixed(rows):
    """Return the rows of the controllers, in the order of the settings, with their KL over the beta-VAEs'."""
    results = []
    for name in ALL_SETTINGS:
        curve = [(compute_error(row), row["kl"]) for row in find_fixed(rows, name)]
        results += [
            row | {"kl_ratio": row["kl"] / interpolate_kl(curve, compute_error(row))}
            for row in rows
            if row["setting"] == name and not row["controller"].startswith("fixed")
        ]
    return results


def summarize(results):
    """Return a row a controller: the median and the largest of its figures over all settings."""
    rows = []
    for controller in dict.fromkeys(row["controller"] for row in results):
        own = [row for row in results if row["controller"] == controller]
        misses = [abs(row["miss_percent"]) for row in own]
        ratios = [row["kl_ratio"] for row in own if row["kl_ratio"] == row["kl_ratio"]] or [math.nan]
        rows.append(
            {"controller": controller, "runs": len(own)}
            | {"miss_median": statistics.median(misses), "miss_worst": max(misses)}
            | {"kl_ratio_median": statistics.median(ratios), "kl_ratio_worst": max(ratios)}
            | {"peak_ratio_worst": max(row["peak_ratio"] for row in own)}
        )
    return rows


def main():
    """Run what was asked for, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("settings", nargs="*", default=[*SETTINGS, *UNREACHABLE])
    parser.add_argument("--controllers", default="forecast,pi,log,paper")
    parser.add_argument("--seeds", default="0")
    parser.add_argument("--no-fixed", action="store_true", help="leave the beta-VAEs for another time")
    arguments = parser.parse_args()
    published_controllers.register()
    path = RESULTS / "controllers.csv"
    rows = read_rows(path)
    for name in arguments.settings:
        seeds = [int(seed) for seed in arguments.seeds.split(",")]
        run_setting(path, rows, name, arguments.controllers.split(","), seeds, with_fixed=not arguments.no_fixed)
    results = measure_by_fixed(rows)
    tables = (
        format_result_table(results, COLUMNS),
        format_result_table(summarize([row for row in results if row["setting"] not in UNREACHABLE]), SUMMARY_COLUMNS),
    )
    (RESULTS / "controllers.md").write_text("\n".join(tables))


if __name__ == "__main__":
    main()
