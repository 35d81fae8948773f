"""Dynamically binarised MNIST, 784-200-200-50 tanh: the NLL of the ELBO and of IWAE k=5 (Burda et al., 2016, table 1).

    python benchmarks/binary_mnist.py [--epochs 200] [--samples 5000] [--limit 1000]

Writes results/binary_mnist.{md,csv}. Needs MNIST's IDX files (TFVAE_RAW_DIR or --raw-dir) or a prepared copy. The paper
trains 3,280 epochs at batch 20 with a stepped rate; this is batch 100 with a cosine from 1e-3, within a CPU budget.
"""

import argparse

from common import finished, measured, write

PUBLISHED = {"elbo": 86.76, "iwae:k=5": 85.54}


def main(epochs, samples, limit, raw_dir):
    rows = []
    for objective, published in PUBLISHED.items():
        run = finished(
            f"binary-mnist-{objective.replace(':', '-')}-{epochs}", objective=objective, dataset="mnist",
            arch="mlp:widths=200-200,latent=50,activation=tanh", likelihood="bernoulli", binarize="dynamic",
            batch_size=100, learning_rate=1e-3, schedule="cosine", validation=0.0, epochs=epochs, raw_dir=raw_dir,
        )  # fmt: skip
        found = measured(run, "test", samples=samples, limit=limit)
        rows.append({"objective": objective, "NLL": found["nll"], "standard error": found["nll_standard_error"],
                     "published": published, "gap": found["nll"] - published, "-ELBO": -found["elbo"],
                     "active units": found["active_units"], "test images": found["images"], "samples": samples,
                     "epochs": epochs, "training minutes": run.rows[-1]["seconds"] / 60})  # fmt: skip
        write("binary_mnist", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--samples", type=int, default=5000)
    parser.add_argument("--limit", type=int, default=1000)
    parser.add_argument("--raw-dir", default="")
    args = parser.parse_args()
    main(args.epochs, args.samples, args.limit, args.raw_dir)
