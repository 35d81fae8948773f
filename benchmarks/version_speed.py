"""Training speed of two installed versions of tfvae, in turn on one machine: images/s after compilation, and the ratio.

python benchmarks/version_speed.py OLD/bin/tfvae NEW/bin/tfvae --rounds 3
"""

import argparse
import csv
import pathlib
import statistics
import subprocess
import tempfile

COMMON = "--dataset fashion_mnist --validation 0 --new"
CASES = {
    "MLP 784-512-256-32": "geco --kappa 4 --arch mlp:widths=512-256,latent=32 --epochs 4",
    "conv 32-64": "geco --kappa 4 --arch conv:widths=32-64,latent=32 --limit 6000 --epochs 3",
    "ConvDraw, 8 steps": (
        "geco --kappa 4 --arch convdraw:steps=8,hidden=32,latent=2 --batch-size 64 --limit 1600 --epochs 3"
    ),
}


def measure_speed(program, words):
    """Return the images per second of all epochs but the first, which compiles."""
    with tempfile.TemporaryDirectory() as scratch:
        run = pathlib.Path(scratch) / "run"
        command = [program, "train", *words.split(), *COMMON.split(), "--run-dir", str(run), "--root", scratch]
        subprocess.run(command, check=True, capture_output=True)
        with open(run / "metrics.csv", newline="") as file:
            rows = list(csv.DictReader(file))
    steps = float(rows[-1]["step"]) - float(rows[0]["step"])
    batch_size = 64 if "--batch-size 64" in words else 128
    return steps * batch_size / (float(rows[-1]["seconds"]) - float(rows[0]["seconds"]))


def main():
    """Print one line a case: the medians of both versions, and the ratio of the second to the first, round by round."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for case, words in CASES.items():
        pairs = [
            [measure_speed(program, words) for program in (options.old, options.new)] for _ in range(options.rounds)
        ]
        ratios = [new / old for old, new in pairs]
        old, new = (statistics.median(values) for values in zip(*pairs))
        spread = f"{min(ratios):.3f} to {max(ratios):.3f}"
        print(
            f"{case}: old {old:,.0f}, new {new:,.0f} images/s, new/old {statistics.median(ratios):.3f} ({spread})",
            flush=True,
        )


if __name__ == "__main__":
    main()
