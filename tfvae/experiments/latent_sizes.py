"""Samples of VAEs with 2, 10, 25 and 50 latent dimensions, KL weight 1, on MNIST.

Problem 2 of Haseeb ur Rehman (Homework 04 Deep Learning). 784-512-256-H and its mirror image, Bernoulli on grey pixels
as is usual in such exercises, batch 128, Adam 1e-3 with a cosine, 20 epochs of all training images. Quality and
diversity are those of 10,000 samples beside the 10,000 test images in the features of a LeNet trained on MNIST's
labels: precision is the share of samples among the images, recall the share of images among the samples (Kynkaanniemi
et al., 2019).
"""

import numpy as np
import tensorflow as tf

from tfvae.experiments.second_stage_samples import PICTURES
from tfvae.plots import grids
from tfvae.training.run_data import load_run_split
from tfvae.zoo import load

SIZES = (2, 10, 25, 50)
FIXED = {"dataset": "mnist", "likelihood": "bernoulli", "schedule": "cosine", "epochs": 20}
FEATURES = "[lenet-mnist]"
COLUMNS = 16


def run(lab):
    """Train a model of each size, and write the page."""
    runs = lab.train_runs({f"H = {size}": FIXED | {"arch": f"mlp:widths=512-256,latent={size}"} for size in SIZES})
    samples = {label: load.load(one.path).sample(500, (1, 0)).numpy() for label, one in runs.items()}
    rows = [build_row(lab, label, one, samples[label]) for label, one in runs.items()]
    lab.add_table("sizes", rows, "Samples and reconstructions, by the size of the latent space")
    of_test = measure_greyness(load_run_split(next(iter(runs.values())), "test")[0] / 255.0)
    lab.add_text(
        "'grey' is the mean of 4 x (1 - x) over the pixels of 500 samples (mean images), 0 if all are black or "
        f"white; of the test images it is {of_test:.3f}."
    )
    add_pictures(lab, runs, samples)
    add_verdicts(lab, rows)
    lab.write_page("MNIST: the size of the latent space", __doc__)


def measure_greyness(images):
    """Return the mean of 4 x (1 - x) over images in [0, 1]: 0 if all pixels are black or white, 1 if all are grey."""
    return float((4.0 * images * (1.0 - images)).mean())


def build_row(lab, label, one, samples):
    """Return the row of a run; `samples` are images of its prior."""
    scores = lab.evaluate_run(one, pictures=PICTURES)
    quality = {name: scores[name + FEATURES] for name in ("frechet", "precision", "density", "recall", "coverage")}
    span = {f"precision {end}": scores[f"precision{FEATURES}_{end}"] for end in ("low", "high")}
    return {
        "latent": label,
        **quality,
        **span,
        "grey": measure_greyness(samples),
        "test error": scores["sq_err"],
        "KL": scores["rate"],
        "ELBO": scores["elbo"],
        "active units": scores["active_units"],
        "marginal KL": scores["marginal_kl"],
    }


def add_pictures(lab, runs, samples):
    """Add samples and reconstructions."""
    labels = [text for label in runs for text in (label, "")]
    board = np.concatenate([images[: 2 * COLUMNS] for images in samples.values()])
    path = grids.draw_image_grid(board, lab.build_path("samples.png"), COLUMNS, row_labels=labels, group=2)
    lab.add_picture(path, "Samples, mean images, two rows of each size")
    images = load_run_split(next(iter(runs.values())), "test")[0][:COLUMNS]
    x = tf.constant(images, tf.float32) / 255
    reconstructions = [load.load(one.path).reconstruct(x, (1, 1)).numpy() for one in runs.values()]
    path = grids.draw_image_grid(
        np.concatenate([x.numpy(), *reconstructions]),
        lab.build_path("reconstructions.png"),
        COLUMNS,
        row_labels=["test images", *runs],
    )
    lab.add_picture(path, "Reconstructions of test images")


def add_verdicts(lab, rows):
    """Add the verdicts on the rows of the table."""

    def format_column(name):
        """Return a column as one text."""
        return ", ".join(f"{row[name]:.3g} at {row['latent']}" for row in rows)

    small, *larger = rows
    spans = ", ".join(
        f"{row['precision']:.3f} ({row['precision low']:.3f} to {row['precision high']:.3f}) at {row['latent']}"
        for row in rows
    )
    lab.add_verdict(
        "Haseeb: latent sizes",
        "the most realistic samples are those of H = 2",
        small["precision low"] > max(row["precision high"] for row in larger),
        f"95% intervals: precision {spans}",
    )
    lab.add_verdict(
        "Haseeb: latent sizes",
        "the least diverse samples are those of H = 2",
        small["recall"] < min(row["recall"] for row in larger),
        f"recall {format_column('recall')}; coverage {format_column('coverage')}",
    )
    falls = all(a["precision low"] > b["precision high"] for a, b in zip(larger, larger[1:]))
    lab.add_verdict(
        "Haseeb: latent sizes",
        "from 10 to 25 to 50 the quality of samples degrades",
        falls,
        f"precision {spans}; Frechet {format_column('frechet')}",
    )
    errors = [row["test error"] for row in rows]
    lab.add_verdict(
        "Haseeb: latent sizes",
        "more dimensions make sharper images",
        small["grey"] > max(row["grey"] for row in larger) and errors[0] > max(errors[1:]),
        f"grey {format_column('grey')}; test error {format_column('test error')}",
    )
    lab.add_verdict(
        "Haseeb: latent sizes",
        "a large latent space is not used up: units collapse",
        rows[-1]["active units"] < SIZES[-1],
        f"active units {format_column('active units')}",
    )
