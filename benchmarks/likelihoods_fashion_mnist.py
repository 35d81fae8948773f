"""The sigma-VAE's variances, and the other likelihoods, in bits per dimension on Fashion-MNIST.

    python benchmarks/likelihoods_fashion_mnist.py [--epochs 15] [--only optimal shared 1 per-pixel]

Writes results/likelihoods.{md,csv}. Setting: the sigma objective (the ELBO), 784-512-256-32 and its mirror image, Adam
1e-3, batch 128, 60,000 training images, dequantised in training; scored on all 10,000 test images, 100 samples.
Continuous densities score (x + u) / 256, discrete ones the byte: bits/dim are of 8-bit data in every row.
"""

import argparse

from common import finished, measured, write

LIKELIHOODS = {
    "optimal": "gaussian:sigma=optimal",
    "shared": "gaussian:sigma=shared",
    "1": "gaussian:sigma=1.0",
    "per-pixel": "gaussian:sigma=per-pixel",
    "per-image": "gaussian:sigma=per-image",
    "student-t": "student-t",
    "laplace": "laplace",
    "logistic": "logistic",
    "logistic-mixture": "logistic-mixture:components=3",
    "bitwise": "bitwise",
}


def main(epochs, only):
    rows = []
    for label in only:
        run = finished(f"likelihood-{label}-{epochs}", objective="sigma", likelihood=LIKELIHOODS[label],
                       dataset="fashion_mnist", dequantize=True, validation=0.0, epochs=epochs)  # fmt: skip
        found = measured(run, "test", samples=100)
        rows.append({"likelihood": LIKELIHOODS[label], "bits/dim": found["bits_per_dim"], "KL": found["rate"],
                     "squared error": found["sq_err"], "active units": found["active_units"],
                     "epochs": epochs})  # fmt: skip
        write("likelihoods", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--only", nargs="*", choices=LIKELIHOODS, default=list(LIKELIHOODS))
    args = parser.parse_args()
    main(args.epochs, args.only)
