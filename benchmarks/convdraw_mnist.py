"""ConvDraw on binarised MNIST: eight steps beside one step and a conv VAE of as many parameters; a conditional model.

    python benchmarks/convdraw_mnist.py [--part compare labels complete] [--epochs 1] [--seeds 3]

Writes results/convdraw_mnist*.{md,csv}, convdraw_conditional.{md,csv} and convdraw_*.png. A small CPU budget: one
epoch of 60,000 images at batch 64, Adam 2e-3 with a cosine, pixels drawn anew each step. NLL is the bound from 50 draws
on the first 1,000 test images; the interval is over seeds. The models of `labels` are told the label, for four epochs;
a LeNet trained on MNIST says how often a sample shows it (10,000 samples). Those of `complete` see a part, two epochs.
"""

import argparse
import math

import numpy as np
from common import RESULTS, finished, measured, write

from tfvae import gallery, loading, runs
from tfvae import pictures as pictures_of
from tfvae.evaluate import evaluate
from tfvae.plots import grids

CONVDRAW = "convdraw:steps={},hidden=32,latent=2"
PARTS = ("compare", "labels", "complete")
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


def labels(epochs, pictures):
    """Models that are told the label."""
    rows = []
    for label, arch in {
        "ConvDraw, 4 steps": CONVDRAW.format(4),
        "conv": "conv:widths=16-32,latent=16,hidden=128",
    }.items():
        run = train(f"labels-{arch.partition(':')[0]}", epochs, arch=arch, condition="labels")
        found = evaluate(run.path, samples=1, limit=1000, pictures=pictures)
        name = "label_agreement[lenet-mnist]"
        rows.append({"model": label, "label agreement": found[name], "low": found[f"{name}_low"],
                     "high": found[f"{name}_high"], "samples": pictures, "-ELBO": -found["elbo"],
                     "minutes": run.rows[-1]["seconds"] / 60})  # fmt: skip
        write("convdraw_conditional", rows)
        model, path = loading.load(run.path), RESULTS / f"convdraw_labels_{arch.partition(':')[0]}.png"
        grids.image_grid(model.sample(100, (1, 0), condition=np.repeat(np.arange(10), 10)).numpy(), path, 10)


def complete(epochs):
    """Models that see a part of the image."""
    for part in ("inpaint:bottom", "upsample:7"):
        run = train(part.replace(":", "-"), epochs, arch=CONVDRAW.format(4), condition=part, likelihood="bernoulli")
        model, name = loading.load(run.path), f"convdraw_{part.replace(':', '_')}.png"
        images = runs.data_of(run.config, "test")[0][:8].astype(np.float32) / 255
        gallery.completion_grid(images, pictures_of.completions(model, images, 8), RESULTS / name)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", choices=PARTS, nargs="*", default=PARTS)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--pictures", type=int, default=10_000)
    args = parser.parse_args()
    if "compare" in args.part:
        compare(args.epochs, args.seeds, args.samples, args.limit)
    if "labels" in args.part:
        labels(4 * args.epochs, args.pictures)
    if "complete" in args.part:
        complete(2 * args.epochs)
