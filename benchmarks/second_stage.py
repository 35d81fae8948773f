"""Sampling from the prior beside sampling from a mixture fitted to the codes (the second stage), on Fashion-MNIST.

    python benchmarks/second_stage.py [--epochs 30] [--pictures 10000]

Writes results/second_stage.{md,csv} and second_stage_*.png. 784-512-256-16, batch 128, Adam 1e-3 with a cosine; the
Frechet distance is that of the features of a LeNet trained on Fashion-MNIST's labels, between samples and the 10,000
test images, with a 95% bootstrap interval.
"""

import argparse

from common import RESULTS, ROOT, finished, measured, write

from tfvae import loading, runs
from tfvae.plots import grids
from tfvae.second_stage import second_stage

MODELS = {"sigma-VAE": "sigma", "GECO kappa 3": "geco:kappa=3", "ELBO, sigma 1": "elbo"}
METRIC = "frechet[lenet-fashion_mnist]"


def staged(run, name):
    """The run's second stage: made once."""
    path = ROOT / "runs" / "benchmarks" / name
    if path.exists():
        return runs.find(path)
    return second_stage(run.path, "mixture:components=100", run_dir=str(path), root=str(path.parent))


def main(epochs, pictures):
    rows = []
    for label, objective in MODELS.items():
        likelihood = "gaussian:sigma=optimal" if objective == "sigma" else "gaussian:sigma=1.0"
        first = finished(
            f"second-stage-{objective.replace(':', '-')}-{epochs}", objective=objective, dataset="fashion_mnist",
            arch="mlp:widths=512-256,latent=16", likelihood=likelihood, schedule="cosine", validation=0.0,
            epochs=epochs,
        )  # fmt: skip
        second = staged(first, f"{first.path.name}-mixture")
        for sampler, run in (("prior N(0, I)", first), ("mixture of 100", second)):
            found = measured(run, pictures=pictures)
            rows.append({"model": label, "sampler": sampler, "Frechet": found[METRIC], "low": found[f"{METRIC}_low"],
                         "high": found[f"{METRIC}_high"], "precision": found["precision[lenet-fashion_mnist]"],
                         "recall": found["recall[lenet-fashion_mnist]"], "marginal KL": found["marginal_kl"],
                         "ELBO": found["elbo"], "rate": found["rate"]})  # fmt: skip
            name = f"second_stage_{objective.partition(':')[0]}_{'prior' if run is first else 'mixture'}"
            grids.image_grid(loading.load(run.path).sample(64, (1, 0)).numpy(), RESULTS / f"{name}.png")
        write("second_stage", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--pictures", type=int, default=10_000)
    args = parser.parse_args()
    main(args.epochs, args.pictures)
