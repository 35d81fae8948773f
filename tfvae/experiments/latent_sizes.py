"""Seed 004's second problem: samples of a VAE with 2, 10, 25 and 50 latent dimensions, KL weight 1, on MNIST.

784-512-256-H and its mirror image, Bernoulli on grey pixels as such exercises have it, batch 128, Adam 1e-3 with a
cosine, 20 epochs of all training images. Quality and diversity are those of 10,000 samples beside the 10,000 test
images in the features of a LeNet trained on MNIST's labels: precision is the share of samples among the images,
recall the share of images among the samples (Kynkaanniemi et al., 2019).
"""

import numpy as np
import tensorflow as tf

from tfvae.experiments.second_stage_samples import PICTURES
from tfvae.plots import grids
from tfvae.training import trainer
from tfvae.zoo import load

SIZES = (2, 10, 25, 50)
FIXED = {"dataset": "mnist", "likelihood": "bernoulli", "schedule": "cosine", "epochs": 20}
FEATURES = "[lenet-mnist]"
COLUMNS = 16


def run(lab):
    found = lab.runs({f"H = {size}": FIXED | {"arch": f"mlp:widths=512-256,latent={size}"} for size in SIZES})
    samples = {label: load.load(one.path).sample(500, (1, 0)).numpy() for label, one in found.items()}
    rows = [row_of(lab, label, one, samples[label]) for label, one in found.items()]
    lab.table("sizes", rows, "Samples and reconstructions, by the size of the latent space")
    of_test = greyness(trainer.load_split(next(iter(found.values())).config, "test")[0] / 255.0)
    lab.text("'grey' is the mean of 4 x (1 - x) over the pixels of 500 samples (mean images), 0 if all are black or "
             f"white; of the test images it is {of_test:.3f}.")  # fmt: skip
    pictures(lab, found, samples)
    judge(lab, rows)
    lab.publish("MNIST: the size of the latent space", __doc__)


def greyness(images):
    """Mean of 4 x (1 - x): 0 where all pixels are black or white, 1 where all are grey. Images in [0, 1]."""
    return float((4.0 * images * (1.0 - images)).mean())


def row_of(lab, label, one, samples):
    scores = lab.measured(one, pictures=PICTURES)
    quality = {name: scores[name + FEATURES] for name in ("frechet", "precision", "density", "recall", "coverage")}
    span = {f"precision {end}": scores[f"precision{FEATURES}_{end}"] for end in ("low", "high")}
    return {
        "latent": label, **quality, **span, "grey": greyness(samples), "test error": scores["sq_err"],
        "KL": scores["rate"], "ELBO": scores["elbo"], "active units": scores["active_units"],
        "marginal KL": scores["marginal_kl"],
    }  # fmt: skip


def pictures(lab, found, samples):
    labels = [text for label in found for text in (label, "")]
    board = np.concatenate([images[: 2 * COLUMNS] for images in samples.values()])
    path = grids.image_grid(board, lab.place("samples.png"), COLUMNS, row_labels=labels, group=2)
    lab.picture(path, "Samples, mean images, two rows of each size")
    images = trainer.load_split(next(iter(found.values())).config, "test")[0][:COLUMNS]
    x = tf.constant(images, tf.float32) / 255
    again = [load.load(one.path).reconstruct(x, (1, 1)).numpy() for one in found.values()]
    path = grids.image_grid(np.concatenate([x.numpy(), *again]), lab.place("reconstructions.png"), COLUMNS,
                            row_labels=["test images", *found])  # fmt: skip
    lab.picture(path, "Reconstructions of test images")


def judge(lab, rows):
    def told(name):
        return ", ".join(f"{row[name]:.3g} at {row['latent']}" for row in rows)

    small, *larger = rows
    spans = ", ".join(
        f"{row['precision']:.3f} ({row['precision low']:.3f} to {row['precision high']:.3f}) at {row['latent']}"
        for row in rows
    )
    lab.verdict("4.4", "the most realistic samples are those of H = 2",
                small["precision low"] > max(row["precision high"] for row in larger),
                f"95% intervals: precision {spans}")  # fmt: skip
    lab.verdict("4.4", "the least diverse samples are those of H = 2",
                small["recall"] < min(row["recall"] for row in larger),
                f"recall {told('recall')}; coverage {told('coverage')}")  # fmt: skip
    falls = all(a["precision low"] > b["precision high"] for a, b in zip(larger, larger[1:]))
    lab.verdict("4.4", "from 10 to 25 to 50 the quality of samples degrades", falls,
                f"precision {spans}; Frechet {told('frechet')}")  # fmt: skip
    errors = [row["test error"] for row in rows]
    lab.verdict("4.4", "more dimensions make sharper images", small["grey"] > max(row["grey"] for row in larger)
                and errors[0] > max(errors[1:]), f"grey {told('grey')}; test error {told('test error')}")  # fmt: skip
    lab.verdict("4.4", "a large latent space is not used up: units collapse",
                rows[-1]["active units"] < SIZES[-1], f"active units {told('active units')}")  # fmt: skip
