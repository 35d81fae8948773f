"""tfvae as its command line runs it: metrics, guard against NaN, metrics.csv and checkpoints are part of the time."""

import tempfile
import time

import numpy as np
import tensorflow as tf

import tfvae
from contestants.cases import epoch, load, rates, timed
from tfvae.evaluation import score
from tfvae.runtime import random_streams
from tfvae.training import trainer

LIKELIHOOD = "gaussian:sigma=1.0"  # -log p(x|z) is |x - g(z)|^2 / 2 and a constant


def parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def train(case, path, epochs, gpu=0):
    marks, counts = [time.perf_counter()], []

    def watch(run, model, number):
        marks.append(time.perf_counter())
        counts.append(parameters(model))

    with tempfile.TemporaryDirectory() as folder:
        run = trainer.train(
            run_dir=f"{folder}/run", root=folder, objective="elbo", dataset=f"npz:{path}", likelihood=LIKELIHOOD,
            arch=case.arch, epochs=epochs, batch_size=case.batch, limit=case.images, validation=0.0, watch=watch,
        )  # fmt: skip
        losses = [row["sq_err"] / 2 + row["rate"] for row in run.rows]
    return [epoch(end - begun, *rest) for begun, end, *rest in zip(marks[:-1], marks[1:], losses, counts)]


def nll(case, path, samples):
    """{seconds, nll of each image} of the bound from `samples` draws, for the weights and images in `path`."""
    model = tfvae.build("elbo", likelihood=LIKELIHOOD, arch=case.arch)
    with np.load(path) as archive:
        for i, variable in enumerate(model.trainable_variables):
            variable.assign(archive[f"weight_{i:02}"])
    images = load(path, case)
    score(model, images, samples=min(samples, 50))  # compiles
    seconds, found = timed(lambda: score(model, images, samples=samples))
    return {"seconds": seconds, "nll": (-found["bound"]).tolist()}


def sample(case, path, batch, calls):
    model = tfvae.build("elbo", likelihood=LIKELIHOOD, arch=case.arch)
    draw = tf.function(lambda seed: model.sample(batch, seed), jit_compile=True, autograph=False)
    seed = random_streams.as_seed((0, 0))
    return rates(lambda: draw(seed).numpy(), batch, calls)
