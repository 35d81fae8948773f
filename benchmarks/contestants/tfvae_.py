"""tfvae as its command line runs it: metrics, guard against NaN, metrics.csv and checkpoints are part of the time."""

import tempfile
import time

import numpy as np
import tensorflow as tf

import tfvae
from contestants.cases import describe_epoch, load_images, measure_rates, time_call
from tfvae.evaluation import score_images
from tfvae.runtime import random_streams
from tfvae.training import trainer

LIKELIHOOD = "gaussian:sigma=1.0"  # -log p(x|z) is |x - g(z)|^2 / 2 and a constant


def count_parameters(model):
    """Return the number of trainable parameters."""
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def train(case, path, epochs, gpu=0):
    """Train the case, and return the result of each epoch."""
    marks, counts = [time.perf_counter()], []

    def watch(run, model, number):
        marks.append(time.perf_counter())
        counts.append(count_parameters(model))

    with tempfile.TemporaryDirectory() as folder:
        run = trainer.train(
            run_dir=f"{folder}/run",
            root=folder,
            objective="elbo",
            dataset=f"npz:{path}",
            likelihood=LIKELIHOOD,
            arch=case.arch,
            epochs=epochs,
            batch_size=case.batch,
            limit=case.images,
            validation=0.0,
            watch=watch,
        )
        losses = [row["sq_err"] / 2 + row["rate"] for row in run.rows]
    return [describe_epoch(end - start, *rest) for start, end, *rest in zip(marks[:-1], marks[1:], losses, counts)]


def nll(case, path, samples):
    """Return {seconds, nll of each image} of the bound from `samples` draws, for the weights and images in `path`."""
    model = tfvae.build("elbo", likelihood=LIKELIHOOD, arch=case.arch)
    with np.load(path) as archive:
        for i, variable in enumerate(model.trainable_variables):
            variable.assign(archive[f"weight_{i:02}"])
    images = load_images(path, case)
    score_images(model, images, samples=min(samples, 50))  # compiles
    seconds, found = time_call(lambda: score_images(model, images, samples=samples))
    return {"seconds": seconds, "nll": (-found["bound"]).tolist()}


def sample(case, path, batch, calls):
    """Return images/s of decoding draws from the prior."""
    model = tfvae.build("elbo", likelihood=LIKELIHOOD, arch=case.arch)
    draw = tf.function(lambda seed: model.sample(batch, seed), jit_compile=True, autograph=False)
    seed = random_streams.as_seed((0, 0))
    return measure_rates(lambda: draw(seed).numpy(), batch, calls)
