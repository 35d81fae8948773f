"""ConvDraw on binarised MNIST: eight steps beside one step and a conv VAE of as many parameters; a conditional model.

    python benchmarks/convdraw_mnist.py [--epochs 2] [--seeds 3] [--samples 50] [--limit 1000]

Writes results/convdraw_mnist.{md,csv}, convdraw_mnist_seeds.csv and convdraw_*.png. A small CPU budget: two epochs of
60,000 images at batch 64, Adam 2e-3 with a cosine, pixels drawn anew each step; half an hour on two cores. NLL is the
bound from 50 draws on the first 1,000 test images; the interval is over seeds.
"""

import argparse
import math

import numpy as np
from common import RESULTS, finished, measured, write

from tfvae import loading
from tfvae.plots import grids

CONVDRAW = "convdraw:steps={},hidden=32,latent=2"
ARCHS = {
    "ConvDraw, 8 steps": CONVDRAW.format(8),
    "ConvDraw, 1 step": CONVDRAW.format(1),
    "conv, as many parameters": "conv:widths=16-32,latent=32,hidden=50",
    "conv, nine times as many": "conv:widths=32-64,latent=32,hidden=256",
}


def train(name, epochs, **settings):
    fixed = dict(
        objective="elbo", dataset="mnist", likelihood="bernoulli", binarize="dynamic", batch_size=64,
        learning_rate=2e-3, schedule="cosine", validation=0.0, epochs=epochs,
    )  # fmt: skip
    return finished(f"convdraw-mnist-{name}-{epochs}", **(fixed | settings))


def half_width(values):
    """Of the 95% interval of the mean of a few seeds (Student's t)."""
    from scipy.stats import t

    return float(t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / math.sqrt(len(values)))


def compare(epochs, seeds, samples, limit):
    rows, each = [], []
    for label, arch in ARCHS.items():
        found = []
        for seed in range(seeds):
            run = train(f"{arch.replace(':', '-')}-seed{seed}", epochs, arch=arch, seed=seed)
            found.append(measured(run, "test", samples=samples, limit=limit))
            each.append({"model": label, "seed": seed, "NLL": found[-1]["nll"], "-ELBO": -found[-1]["elbo"],
                         "rate": found[-1]["rate"], "minutes": run.rows[-1]["seconds"] / 60})  # fmt: skip
        model = loading.load(run.path)
        nll = [one["nll"] for one in found]
        rows.append({"model": label, "parameters": model.count_params() - 1, "NLL": float(np.mean(nll)),
                     "95% +-": half_width(nll), "-ELBO": float(np.mean([-one["elbo"] for one in found])),
                     "rate": float(np.mean([one["rate"] for one in found])),
                     "training minutes": float(np.mean([row["minutes"] for row in each[-seeds:]]))})  # fmt: skip
        write("convdraw_mnist", rows)
        if label in ("ConvDraw, 8 steps", "ConvDraw, 1 step"):
            grids.image_grid(model.sample(64, (1, 0)).numpy(), RESULTS / f"convdraw_samples_{model.arch.steps}.png")
    write("convdraw_mnist_seeds", each)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--limit", type=int, default=1000)
    args = parser.parse_args()
    compare(args.epochs, args.seeds, args.samples, args.limit)
