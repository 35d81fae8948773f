"""Training speed beside what a user would pick instead, on the same work, interleaved.

    python benchmarks/train_speed.py [--rounds 3] [--case mlp-32 mlp-200 conv] [--peers VENV] [--dry-run]

The peers (PyTorch, JAX, pythae 0.1.2) live in a virtual environment of their own, `runs/peers`, made on first use (set
PIP_EXTRA_INDEX_URL to PyTorch's CPU index for its small build). Each round runs every contestant once, in turn, as a
process of its own with two epochs to warm up and three that count, by their median. Stops if the contestants' numbers
of parameters differ, or their losses after the same epochs by more than 5 %. Prints images/s and the ratio of tfvae's
to each contestant's, round by round, and writes results/train_speed.{md,csv,json}.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile

import numpy as np
import peers
from common import RESULTS, format_result_table, write_results
from contestants import TASKS
from contestants.cases import CASES

from tfvae import datasets

WARM_UP, COUNTED = 2, 3
LOSS_TOLERANCE, DRY_LOSS_TOLERANCE = 0.05, 0.5  # seeds alone move the loss by about 1 %; in the first steps by more


def save_images(folder):
    """Save the training images as the contestants read them, and return the path."""
    path = os.path.join(folder, "images.npz")
    np.savez(path, x_train=datasets.load("fashion_mnist", "train")[0])
    return path


def run_contestants(case, rounds, venv, path, **options):
    """Run all contestants in turn, and return {contestant: [the epochs of each round]}."""
    names = [name for name, contestant in TASKS["train"].items() if CASES[case].kind in contestant.kinds]
    results = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            epochs = peers.run_contestant(venv, "train", name, case, path, **options)
            results[name].append(epochs)
            peers.report_speed(case, name, (options.get("images") or CASES[case].images) / epochs[-1]["seconds"])
    return results


def check_same_work(case, results, tolerance):
    """Refuse to compare contestants that did different things: other parameters, or losses not within `tolerance`."""
    last = {name: rounds[0][-1] for name, rounds in results.items()}
    ours = last["tfvae"]
    for name, theirs in last.items():
        if theirs["parameters"] != ours["parameters"]:
            sys.exit(f"{case}: expected {ours['parameters']} parameters. Received: {theirs['parameters']} from {name}.")
        if abs(theirs["loss"] / ours["loss"] - 1) > tolerance:
            sys.exit(f"{case}: expected a loss near {ours['loss']:.2f}. Received: {theirs['loss']:.2f} from {name}.")


def build_rows(case, results, images, warm_up):
    """Return the case's rows of the table."""
    done = images // CASES[case].batch * CASES[case].batch
    speeds = {
        name: [done / statistics.median(epoch["seconds"] for epoch in epochs[warm_up:]) for epochs in rounds]
        for name, rounds in results.items()
    }
    losses = {name: statistics.median(epochs[-1]["loss"] for epochs in rounds) for name, rounds in results.items()}
    counts = {name: rounds[0][-1]["parameters"] for name, rounds in results.items()}
    return peers.build_ratio_rows(case, speeds, parameters=counts, loss=losses)


def main(rounds, cases, venv, dry):
    """Time all cases, and write the table and the raw times."""
    raw_path, raw = RESULTS / "train_speed.json", {}
    warm_up = 1 if dry else WARM_UP
    with tempfile.TemporaryDirectory() as folder:
        path = save_images(folder)
        for case in cases:
            images = 6 * CASES[case].batch if dry else CASES[case].images
            epochs = warm_up + (1 if dry else COUNTED)
            raw[case] = run_contestants(case, 1 if dry else rounds, venv, path, epochs=epochs, images=images)
            check_same_work(case, raw[case], DRY_LOSS_TOLERANCE if dry else LOSS_TOLERANCE)
    if not dry and raw_path.exists():
        raw = json.loads(raw_path.read_text()) | raw  # cases that were not run now stay
    rows = [row for case in raw for row in build_rows(case, raw[case], images if dry else CASES[case].images, warm_up)]
    if dry:
        return print(format_result_table(rows, list(rows[0])))
    write_results("train_speed", rows)
    raw_path.write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES))
    peers.add_peer_options(parser)
    args = parser.parse_args()
    main(args.rounds, args.case, args.peers, args.dry_run)
