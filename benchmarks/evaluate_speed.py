"""Time of a 5,000-sample bound on log p(x) per image, beside pythae's `get_nll`, for the same trained weights.

    python benchmarks/evaluate_speed.py [--images 1000] [--peer-images 20] [--samples 5000] [--rounds 3] [--peers VENV]

MLP 784-512-256-32, trained for two epochs by tfvae; both get its weights and the first test images of Fashion-MNIST,
pythae fewer of them, since it is slow. After the compilation, in processes of their own, in turn. Stops if the two
bounds of the images that both scored differ by more than 0.5 nats on average. Writes results/evaluate_speed.{md,csv}.
"""

import argparse
import pathlib
import sys
import tempfile

import numpy as np
import peers
from common import format_result_table, write_results
from contestants.cases import CASES

import tfvae
from tfvae import datasets
from tfvae.training import trainer

CASE = "mlp-32"
BOUND_TOLERANCE = 0.5  # nats: either bound's own noise at 5,000 samples is well below it


def save_problem(folder, epochs, limit):
    """Save weights that were trained a little, and test images, as the contestants read them; return the path."""
    run = trainer.train(
        run_dir=f"{folder}/run",
        root=folder,
        objective="elbo",
        likelihood="gaussian:sigma=1.0",
        arch=CASES[CASE].arch,
        dataset="fashion_mnist",
        epochs=epochs,
        validation=0.0,
        limit=limit,
    )
    variables = tfvae.load(run.path).trainable_variables
    weights = {f"weight_{i:02}": variable.numpy() for i, variable in enumerate(variables)}
    path = pathlib.Path(folder) / "problem.npz"
    np.savez(path, x_train=datasets.load("fashion_mnist", "test")[0], **weights)
    return str(path)


def check_same_bound(results):
    """Return the mean difference of the bounds; stop if they are not the same number."""
    ours, theirs = (np.array(results[name][0]["nll"]) for name in ("tfvae", "pythae"))
    both = min(len(ours), len(theirs))
    gap = float(np.mean(ours[:both] - theirs[:both]))
    if abs(gap) > BOUND_TOLERANCE:
        sys.exit(f"Expected the same bound within {BOUND_TOLERANCE} nats. Received: a mean difference of {gap:.3f}.")
    return gap


def main(images, peer_images, samples, rounds, venv, dry):
    """Time both contestants, and write the table."""
    if dry:
        images, peer_images, samples, rounds = 20, 2, 1000, 1
    results = {"tfvae": [], "pythae": []}
    with tempfile.TemporaryDirectory() as folder:
        path = save_problem(folder, 2, 12_800 if dry else 0)
        for _ in range(rounds):
            for name, count in (("tfvae", images), ("pythae", peer_images)):
                results[name].append(peers.run_contestant(venv, "nll", name, CASE, path, images=count, samples=samples))
                peers.report_speed(CASE, name, count / results[name][-1]["seconds"])
    gap = check_same_bound(results)
    speeds = {name: [len(one["nll"]) / one["seconds"] for one in each] for name, each in results.items()}
    counts = {name: len(each[0]["nll"]) for name, each in results.items()}
    rows = peers.build_ratio_rows(CASE, speeds, images=counts, samples=dict.fromkeys(results, samples))
    for row in rows:
        row |= {"ms per image": 1000 / row["images/s"], "bound less pythae's": -gap}
    print(format_result_table(rows, list(rows[0]))) if dry else write_results("evaluate_speed", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1000)
    parser.add_argument("--peer-images", type=int, default=20)
    parser.add_argument("--samples", type=int, default=5000)
    peers.add_peer_options(parser)
    args = parser.parse_args()
    main(args.images, args.peer_images, args.samples, args.rounds, args.peers, args.dry_run)
