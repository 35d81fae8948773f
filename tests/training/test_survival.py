"""kill -9 at random moments: the run that is resumed ends as the uninterrupted one, to the bit."""

import csv
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

QUIET = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
# Many small epochs and a checkpoint after each, so that kills fall into training, measuring and writing alike.
COMMON = "--dataset digits --limit 600 --batch-size 60 --epochs 30".split()
CASES = {
    "geco-mlp": "geco:kappa=1.5 --arch mlp:widths=32,latent=4",
    "iwae-mlp": "iwae:k=3 --arch mlp:widths=32,latent=4 --schedule cosine --ema 0.9",
    "geco-conv": "geco:kappa=1.5 --arch conv:widths=4,latent=2,hidden=8 --clip-norm 1",
    "elbo-binary": "elbo --arch mlp:widths=32,latent=4 --binarize dynamic --precision float16",
    "geco-iwae": "geco-iwae:kappa=1.5,k=3 --arch mlp:widths=32,latent=4 --prior vamp:components=3",
}
PROGRAM = (
    "import tfvae.training.loop as l, tfvae.__main__ as m, sys; l.CHECKPOINT_SECONDS = 0; "
    "sys.exit(m.main(sys.argv[1:]))"
)


def command(case, run_dir):
    return [sys.executable, "-c", PROGRAM, "train", *CASES[case].split(), *COMMON, "--run-dir", str(run_dir)]


def outcome(path):
    """Every array of the last checkpoint, and metrics.csv without the clock."""
    newest = sorted((path / "checkpoints").glob("step-*"))[-1]
    with np.load(newest / "state.npz") as stored:
        arrays = {name: stored[name] for name in stored.files}
    with open(path / "metrics.csv", newline="") as file:
        return arrays, [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """whole(case) -> (outcome of the uninterrupted run, its seconds); each is made once."""
    made = {}

    def make(case):
        if case not in made:
            path = tmp_path_factory.mktemp(case) / "run"
            begun = time.monotonic()
            subprocess.run(command(case, path), env=QUIET, check=True, capture_output=True)
            made[case] = outcome(path), time.monotonic() - begun
        return made[case]

    return make


@pytest.mark.slow
@pytest.mark.parametrize("number", range(10))
@pytest.mark.parametrize("case", CASES)
def test_a_killed_run_ends_as_the_uninterrupted_one(whole, tmp_path, case, number):
    """50 runs, each killed once or more, at moments spread over its life; the same command goes on with it."""
    (arrays, rows), seconds = whole(case)
    draw, path = random.Random(f"{case} {number}"), tmp_path / "run"
    for _ in range(draw.choice([1, 1, 2])):
        process = subprocess.Popen(command(case, path), env=QUIET, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not (path / "metrics.csv").exists() and process.poll() is None:
            time.sleep(0.05)  # loading TensorFlow is no part of the run
        time.sleep(draw.uniform(0.0, 0.3 * seconds))
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(case, path), env=QUIET, check=True, capture_output=True)
    found, found_rows = outcome(path)
    assert found.keys() == arrays.keys() and all(np.array_equal(found[name], arrays[name]) for name in arrays)
    assert found_rows == rows and (path / "STATUS").read_text() == "finished\n"
