"""Training speed on a GPU beside PyTorch eager and compiled on the same card, the data resident on it.

    python benchmarks/gpu_speed.py [--peak-tflops 495] [--rounds 3] [--case mlp-32 conv] [--peers VENV] [--dry-run]

All 60,000 images, and TF32 products where the card has them, TensorFlow's default. `--peak-tflops` is the card's peak
for them, as its maker gives it; with it the table has the share of the peak that the step's products reach (2
operations for a multiply-add). Writes results/gpu_speed.{md,csv}. Refuses a machine without a GPU; `--dry-run` tries
the CPU.
"""

import argparse
import statistics
import sys
import tempfile

import peers
from common import format_result_table, tf, write_results
from contestants.cases import CASES
from train_speed import DRY_LOSS_TOLERANCE, LOSS_TOLERANCE, check_same_work, save_images

CONTESTANTS = ("tfvae", "pytorch eager", "pytorch compiled")
WARM_UP, COUNTED = 2, 5
IMAGES = 60_000


def build_rows(case, speeds, peak):
    """Return the case's rows, with the achieved rate of its products."""
    rows = peers.build_ratio_rows(case, speeds)
    for row in rows:
        rate = row["images/s"] / CASES[case].batch * CASES[case].flops / 1e12
        row |= {"epoch, s": IMAGES / row["images/s"], "TFLOP/s": rate}
        row |= {"share of peak": rate / peak} if peak else {}
    return rows


def main(rounds, cases, peak, venv, dry):
    """Time all cases on the GPU, and write the table."""
    rows, warm_up = [], 1 if dry else WARM_UP
    with tempfile.TemporaryDirectory() as folder:
        path = save_images(folder)
        for case in cases:
            images = 6 * CASES[case].batch if dry else IMAGES
            options = {"epochs": warm_up + (1 if dry else COUNTED), "images": images, "gpu": int(not dry)}
            results = {name: [] for name in CONTESTANTS}
            for _ in range(1 if dry else rounds):
                for name in CONTESTANTS:
                    results[name].append(peers.run_contestant(venv, "train", name, case, path, **options))
            check_same_work(case, results, DRY_LOSS_TOLERANCE if dry else LOSS_TOLERANCE)
            done = images // CASES[case].batch * CASES[case].batch
            speeds = {
                name: [done / statistics.median(epoch["seconds"] for epoch in epochs[warm_up:]) for epochs in each]
                for name, each in results.items()
            }
            rows += build_rows(case, speeds, peak)
    print(format_result_table(rows, list(rows[0]))) if dry else write_results("gpu_speed", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="*", choices=CASES, default=["mlp-32", "conv"])
    parser.add_argument("--peak-tflops", type=float, default=0.0)
    peers.add_peer_options(parser)
    args = parser.parse_args()
    if not args.dry_run and not tf.config.list_physical_devices("GPU"):
        print("Expected a GPU. Received: a machine without one; --dry-run tries the CPU.", file=sys.stderr)
        sys.exit(2)
    main(args.rounds, args.case, args.peak_tflops, args.peers, args.dry_run)
