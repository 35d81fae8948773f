"""Training speed beside what a user would pick instead, on the same work, interleaved.

    python benchmarks/train_speed.py [--rounds 3] [--case mlp-32 seed-128 seed-2000] [--peers VENV]

The peers (PyTorch, JAX, pythae 0.1.2) live in a virtual environment of their own, `runs/peers`, made on first use (set
PIP_EXTRA_INDEX_URL to PyTorch's CPU index for its small build). Each round runs every contestant once, in turn, as a
process of its own with two epochs to warm up and three that count. Prints images/s and the ratio of tfvae's to each
contestant's, and writes results/train_speed.json and .md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

import numpy as np
from common import RESULTS, ROOT, write
from contestants import CONTESTANTS

from tfvae import datasets

CASES = {"mlp-32": ("512-256", 32, 128), "seed-128": ("512-256", 200, 128), "seed-2000": ("512-256", 200, 2000)}
WARM_UP, COUNTED = 2, 3


def peers_python(venv):
    """The interpreter of the peers' environment, made if it is not there."""
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        peers = ["torch", "jax", "optax", "pythae==0.1.2"]
        subprocess.run([python, "-m", "pip", "install", "-q", *peers], check=True)
    return python


def seconds_of(python, name, case, path):
    """Seconds of each counted epoch of one process."""
    command = [python, str(ROOT / "benchmarks" / "contestants.py"), name, *map(str, case), str(WARM_UP + COUNTED), path]
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    return json.loads(done.stdout.strip().splitlines()[-1])[WARM_UP:]


def compare(case, rounds, peers, path):
    """{contestant: images/s of every counted epoch} over interleaved rounds."""
    found = {name: [] for name in CONTESTANTS}
    images = 60_000 // CASES[case][2] * CASES[case][2]
    for _ in range(rounds):
        for name in CONTESTANTS:
            python = sys.executable if name in ("tfvae", "keras fit") else peers
            found[name] += [images / s for s in seconds_of(python, name, CASES[case], path)]
            print(f"{case}  {name}: {found[name][-1]:,.0f} images/s", file=sys.stderr, flush=True)
    return found


def main(rounds, cases, peers):
    table, raw = [], {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "images.npy")
        np.save(path, datasets.load("fashion_mnist", "train")[0])
        for case in cases:
            raw[case] = compare(case, rounds, peers_python(peers), path)
            ours = statistics.median(raw[case]["tfvae"])
            for name, speeds in raw[case].items():
                middle = statistics.median(speeds)
                table.append({"case": case, "contestant": name, "images/s": round(middle), "min": round(min(speeds)),
                              "max": round(max(speeds)), "tfvae is faster by": ours / middle})  # fmt: skip
    write("train_speed", table)
    (RESULTS / "train_speed.json").write_text(json.dumps(raw, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--case", nargs="*", choices=CASES, default=list(CASES))
    parser.add_argument("--peers", default=str(ROOT / "runs" / "peers"))
    args = parser.parse_args()
    main(args.rounds, args.case, args.peers)
