"""What GECO promises beside one target in one training: several constraints, every kappa at once, ends that move, cost.

python benchmarks/geco_promises.py [constraints] [conditioned] [moved-end] [cost]

Each part writes a table to results/geco_promises-PART.md and .csv. Errors and KL are means over the training images
after the last step. ``cost`` wants a quiet machine.
"""

import sys
import tempfile
import time

import numpy as np
from common import RESULTS, tf, write_results

import tfvae
from tfvae import datasets
from tfvae.evaluation.rate_distortion_curve import measure_rate_distortion_curve
from tfvae.runtime import optimizers
from tfvae.training import trainer
from tfvae.training.engine import Engine, epoch_order, place_images

DIGITS = {"dataset": "digits", "arch": "mlp:widths=128-64,latent=16", "batch_size": 32, "epochs": 60, "limit": 1500}
# At least one of each binds; ncc is about 0.89 where re is 1.4.
CONSTRAINTS = (
    "re<=1.4;ncc>=0.6",
    "re<=2.2;ncc>=0.93",
    "re<=1.4;ncc>=0.6;nll<=500",
    "re<=1.4;rmse<=0.176;ncc>=0.6",
)
RANGE = (1.0, 2.0)
HELD_OUT = np.geomspace(*RANGE, 11)[1:-1]  # nine, none at a knot of lambda(kappa) but the middle
KAPPA = 1.2
RUNS = tempfile.TemporaryDirectory()  # deleted at the end


def train_quietly(objective, **settings):
    """Train on the digits and return the run."""
    return trainer.train(root=RUNS.name, **(DIGITS | {"objective": objective} | settings))


def measure_training_images(run):
    """Return a run's model, and its means over the training images."""
    model = trainer.load_run(run)
    images, labels = datasets.load("digits", "train", limit=DIGITS["limit"])
    return model, Engine(model, run.config.batch_size).evaluate(place_images(images), labels)


def measure_constraints():
    """Return a row for each constraint of several at once: how far off it ends, and its multiplier beside its peak."""
    rows = []
    for text in CONSTRAINTS:
        run = train_quietly(f"geco:constraints={text}")
        model, means = measure_training_images(run)
        for index, constraint in enumerate(model.constraints):
            suffix = "" if index == 0 else f"_{index + 1}"
            course = [row[f"lambda{suffix}"] for row in run.rows]
            off = 100 * means[f"constraint{suffix}"] / constraint.scale
            figures = {"violation_percent": off, "lambda": course[-1], "of_its_peak": course[-1] / max(course)}
            rows.append({"constraints": text, "constraint": constraint.text, "kl": means["rate"]} | figures)
            print(rows[-1], flush=True)
    return rows


def measure_conditioned(epochs=(60, 180)):
    """Return a row a kappa: error and KL of one model for all, and the KL of a model trained for it alone."""
    span = f"kappa:{RANGE[0]:g}-{RANGE[1]:g}"
    runs = {count: train_quietly("geco", condition=span, epochs=count) for count in epochs}
    curves = {
        count: measure_rate_distortion_curve(run, split="train", values=HELD_OUT, limit=DIGITS["limit"])
        for count, run in runs.items()
    }
    rows = []
    for index, kappa in enumerate(HELD_OUT):
        _, single = measure_training_images(train_quietly(f"geco:kappa={kappa:.4g}"))
        row = {"kappa": kappa, "kl_alone": single["rate"]}
        row["error_alone_percent"] = 100 * (np.sqrt(single["sq_err"]) / kappa - 1)
        for count in epochs:
            one = curves[count][index]
            row[f"error_percent_{count}"] = 100 * (np.sqrt(one["sq_err"]) / kappa - 1)
            row[f"kl_ratio_{count}"] = one["rate"] / single["rate"]
        rows.append(row)
        print(row, flush=True)
    return rows


def fit_without_known_end(controller):
    """Train by Keras' fit on a dataset that does not know its length, and return its means over the training images."""
    images, _ = datasets.load("digits", "train", limit=DIGITS["limit"])
    model = tfvae.build(
        f"geco:kappa={KAPPA},controller={controller}", arch=DIGITS["arch"], image_shape=images.shape[1:], seed=0
    )
    model.compile(optimizers.GuardedAdam(1e-3), jit_compile=True)
    model.calibrate(images)
    size = DIGITS["batch_size"]

    def batches():
        for epoch in range(1, DIGITS["epochs"] + 1):
            for rows in epoch_order(0, epoch, len(images), size):
                yield images[rows]

    signature = tf.TensorSpec((size, *images.shape[1:]), images.dtype)
    model.fit(tf.data.Dataset.from_generator(batches, output_signature=signature), verbose=0)
    return Engine(model, size).evaluate(place_images(images), None)


def measure_moved_ends():
    """Return a row a way to the end: known from the start, moved twice, not known."""

    def describe(name, means):
        row = {"training": name, "error_percent": 100 * (np.sqrt(means["sq_err"]) / KAPPA - 1), "kl": means["rate"]}
        print(row, flush=True)
        return row

    whole = train_quietly(f"geco:kappa={KAPPA}")
    rows = [describe("60 epochs", measure_training_images(whole)[1])]
    moved = train_quietly(f"geco:kappa={KAPPA}", epochs=20)
    for epochs in (40, 60):
        moved = trainer.resume(moved, epochs=epochs)
    rows.append(describe("20 epochs, resumed to 40, then to 60", measure_training_images(moved)[1]))
    rows += [describe(f"fit, its length not known, {name}", fit_without_known_end(name)) for name in ("forecast", "pi")]
    return rows


def measure_cost(rounds=15):
    """Return milliseconds a step of GECO and of the ELBO with the same likelihood, and quartiles of their ratios."""
    images, labels = datasets.load("fashion_mnist", "train", limit=12800)
    engines, orders, seconds = {}, {}, {}
    placed = place_images(images)
    for name in ("elbo", "geco:kappa=4", "geco:kappa=4,controller=log"):
        model = tfvae.build(
            name, arch="mlp:widths=512-256,latent=200", likelihood="gaussian", image_shape=images.shape[1:], seed=0
        )
        model.on_train_begin(10000)
        model.compile(optimizers.GuardedAdam(1e-3), jit_compile=True)
        model.optimizer.build(model.trainable_variables)
        model.calibrate(images)
        engines[name], orders[name], seconds[name] = Engine(model, 128), epoch_order(0, 1, len(images), 128), []
    for turn in range(rounds + 1):  # the first compiles
        for name, engine in engines.items():
            start = time.perf_counter()
            for _ in engine.train_blocks(placed, orders[name], labels=labels):
                pass
            if turn:
                seconds[name].append((time.perf_counter() - start) / len(orders[name]))
    base = np.array(seconds["elbo"])
    return [
        {
            "objective": name,
            "ms_a_step": 1e3 * np.median(values),
            "ratio": np.median(np.array(values) / base),
            "ratio_from": np.quantile(np.array(values) / base, 0.25),
            "ratio_to": np.quantile(np.array(values) / base, 0.75),
        }
        for name, values in seconds.items()
    ]


PARTS = {
    "constraints": measure_constraints,
    "conditioned": measure_conditioned,
    "moved-end": measure_moved_ends,
    "cost": measure_cost,
}


def main():
    """Run the parts that were asked for."""
    RESULTS.mkdir(exist_ok=True)
    for part in sys.argv[1:] or PARTS:
        write_results(f"geco_promises-{part}", PARTS[part]())


if __name__ == "__main__":
    main()
