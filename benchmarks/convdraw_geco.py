"""GECO with ConvDraw: color_mnist beside the ELBO (seed 000 and the paper), CIFAR-10 in seed 001's setting, scaled.

    python benchmarks/convdraw_geco.py --part color|cifar

Writes results/convdraw_color_mnist* and convdraw_cifar*. color_mnist: 4 steps, 10,000 images at batch 64. CIFAR-10:
one step as in the seed, kappa 0.6 per column (3.39 for an image); 32 hidden channels in place of 256, batch 100 in
place of 300, 10,000 training images in place of 50,000, Adam 2e-3 in place of 1e-3, 8 epochs (GECO's was then resumed
for 8 more, since lambda was still coming down). RE + beta KL is a Gaussian of
sigma^2 = 1/2. Test data everywhere, marginal KL against the aggregate of the test images used.
"""

import argparse
import math

import numpy as np
import tensorflow as tf
from common import RESULTS, finished, measured, write

from tfvae import loading, runs
from tfvae.evaluate.latents import posteriors
from tfvae.evaluate.marginal import marginal_kl
from tfvae.plots import curves, grids

FAST = "controller=log,rate=0.01"  # the default takes its time, which a thousand steps are not
HALF = f"gaussian:sigma={0.5**0.5}"
COLOR = "convdraw:steps=4,hidden=32,latent=2"
CIFAR = "convdraw:steps=1,hidden=32,latent=8"
SEED_001 = {"VAE": (31.9662, 77.6570), "beta 0.5": (59.4998, 57.9653), "GECO": (383.0849, 11.4413)}


def train(name, objective, epochs, **settings):
    return finished(f"convdraw-{name}-{epochs}", objective=objective, epochs=epochs, validation=0.0, **settings)


def pictures(name, run, images):
    """Samples, and reconstructions of the same test images, of each model."""
    model = loading.load(run.path)
    grids.image_grid(model.sample(64, (1, 0)).numpy(), RESULTS / f"{name}_samples.png")
    x = images[:20].astype(np.float32) / 255
    grids.pair_grid(x, model.reconstruct(tf.constant(x), (1, 1)).numpy(), RESULTS / f"{name}_reconstructions.png")
    return model


def color(epochs, kappa):
    rows, traces = [], {}
    models = {
        f"GECO kappa {kappa:g}": (f"geco:kappa={kappa:g},{FAST}", "gaussian:sigma=1.0"),
        "ELBO, learnt sigma": ("elbo", "gaussian:sigma=shared"),
    }
    for label, (objective, likelihood) in models.items():
        name = label.split()[0].strip(",").lower()
        run = train(f"color-{name}", objective, epochs, dataset="color_mnist", arch=COLOR,
                    likelihood=likelihood, batch_size=64, learning_rate=2e-3, limit=10_000)  # fmt: skip
        found, last = measured(run, "test", limit=2000), run.rows[-1]
        rows.append({"model": label, "kappa^2": kappa**2, "error, training": last["sq_err"],
                     "off": last["sq_err"] / kappa**2 - 1, "KL, training": last["rate"],
                     "error, test": found["sq_err"], "KL, test": found["rate"], "lambda": last.get("lambda", ""),
                     "minutes": last["seconds"] / 60})  # fmt: skip
        traces[label] = run.rows
        pictures(f"convdraw_color_mnist_{name}", run, runs.data_of(run.config, "test")[0])
        write("convdraw_color_mnist", rows)
    curves.compare_curves(traces, "rate", RESULTS / "convdraw_color_mnist_kl.png")
    curves.compare_curves(traces, "sq_err", RESULTS / "convdraw_color_mnist_error.png", log=True,
                          hlines={"kappa^2": kappa**2})  # fmt: skip


def cifar(epochs, limit):
    kappa = 0.6 * math.sqrt(32)
    objectives = {"VAE": "beta:beta=1", "beta 0.5": "beta:beta=0.5", "GECO": f"geco:kappa={kappa:.6g},{FAST}"}
    rows = []
    for label, objective in objectives.items():
        run = train(f"cifar-{label.replace(' ', '-').lower()}", objective, epochs, dataset="cifar10", arch=CIFAR,
                    likelihood=HALF, batch_size=100, learning_rate=2e-3, limit=limit)  # fmt: skip
        images = runs.data_of(run.config, "test")[0][:2000]
        found = measured(run, "test", limit=len(images))
        model = pictures(f"convdraw_cifar_{label.split()[0].lower()}", run, images)
        marginal = marginal_kl(*posteriors(model, images), model.prior.distribution(model.arch.encode).log_prob)
        seed_kl, seed_error = SEED_001[label]
        rows.append({"model": label, "Marginal KL": marginal.kl, "+-": 1.96 * marginal.standard_error,
                     "KL": found["rate"], "Rec": found["sq_err"], "Rec, training": run.rows[-1]["sq_err"],
                     "seed 001: 'Marginal KL', a mean KL": seed_kl, "seed 001: Rec": seed_error,
                     "epochs": run.config.epochs, "minutes": run.rows[-1]["seconds"] / 60})  # fmt: skip
        write("convdraw_cifar", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=["color", "cifar"], nargs="*", default=["color", "cifar"])
    parser.add_argument("--color-epochs", type=int, default=12)
    parser.add_argument("--kappa", type=float, default=4.0)
    parser.add_argument("--cifar-epochs", type=int, default=10)
    parser.add_argument("--cifar-limit", type=int, default=10_000)
    args = parser.parse_args()
    if "color" in args.part:
        color(args.color_epochs, args.kappa)
    if "cifar" in args.part:
        cifar(args.cifar_epochs, args.cifar_limit)
