"""Own parts by import path live as built-in ones: trained, killed, resumed to the bit, evaluated, exported, served."""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).parents[2]
PLAIN = {"dataset": "digits", "likelihood": "gaussian", "arch": "mlp:widths=16,latent=3", "prior": "normal"}
OWN = {
    "objective": "examples.own_objective.FreeBits:floor=2.0",
    "likelihood": "examples.own_likelihood.TruncatedGaussian:sigma=0.2",
    "arch": "examples.own_architecture.PooledConv:widths=4-4,latent=3",
    "prior": "examples.own_prior.LaplacePrior:scale=0.5",
    "dataset": "examples.own_dataset.stripes:size=8,count=200",
}
PROGRAM = (
    "import tfvae.training.loop as l, tfvae.__main__ as m, sys; l.CHECKPOINT_SECONDS = 0; "
    "sys.exit(m.main(sys.argv[1:]))"
)


def run_tfvae(folder, *words, check=True, **options):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")}
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=check, **options)


def start_tfvae(folder, *words):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_STATE_HOME": str(folder / "state")}
    command = [sys.executable, "-c", PROGRAM, *map(str, words)]
    return subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def train_words(parts, run_dir):
    objective = parts.get("objective", "elbo")
    flags = [f"--{name}={spec}" for name, spec in parts.items() if name != "objective"]
    return ["train", objective, *flags, "--epochs=3", "--batch-size=16", "--limit=128", f"--run-dir={run_dir}"]


def read_arrays(run):
    newest = sorted((run / "checkpoints").glob("step-*"))[-1]
    with np.load(newest / "state.npz") as stored:
        return {name: stored[name] for name in stored.files}


def kill_in_training(folder, words, run):
    """Start a training and kill -9 it as soon as an epoch is written."""
    process = start_tfvae(folder, *words)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None and not (run / "metrics.csv").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [("all",), *[(kind,) for kind in OWN]], ids=lambda kinds: kinds[0])
def test_an_own_part_lives_as_a_built_in_one(kinds, tmp_path):
    parts = PLAIN | (OWN if kinds == ("all",) else {kind: OWN[kind] for kind in kinds})
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run_tfvae(tmp_path, *train_words(parts, whole))
    kill_in_training(tmp_path, train_words(parts, killed), killed)
    run_tfvae(tmp_path, "resume", killed)
    expected, resumed = read_arrays(whole), read_arrays(killed)
    assert expected.keys() == resumed.keys() and all(np.array_equal(expected[k], resumed[k]) for k in expected)
    metrics = json.loads(run_tfvae(tmp_path, "evaluate", killed, "--samples=2", "--limit=50", "--json").stdout)
    assert np.isfinite(metrics["elbo"]) and metrics["nll"] < -metrics["elbo"] + 1.0
    run_tfvae(tmp_path, "sample", killed, "-n", 4, "-o", tmp_path / "samples.png")
    assert (tmp_path / "samples.png").stat().st_size > 100
    run_tfvae(tmp_path, "export", killed, tmp_path / "model")
    check_served(tmp_path)


def check_served(folder):
    """A server of the export, in a process that need not know the own classes, answers `decode`."""
    server = start_tfvae(folder, "serve", folder / "model", "--port", 0, "--backend", "python")
    try:
        address = None
        for line in server.stdout:
            if match := re.search(r"http://[\d.]+:\d+", line):
                address = match[0]
                break
        assert address, "the server printed no address"
        body = json.dumps({"signature_name": "decode", "instances": [[0.0, 0.0, 0.0]]}).encode()
        request = urllib.request.Request(f"{address}/v1/models/model:predict", body)
        with urllib.request.urlopen(request, timeout=60) as answer:
            image = np.array(json.loads(answer.read())["predictions"])
        assert image.shape == (1, 8, 8, 1) and np.isfinite(image).all()
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=30)


@pytest.mark.slow
def test_a_run_from_elsewhere_is_not_trusted(tmp_path):
    """Another user's run that names own code is refused without --trust, and nothing of it is imported."""
    parts = PLAIN | {"objective": OWN["objective"]}
    run_tfvae(tmp_path, *train_words(parts, tmp_path / "run"))
    other = tmp_path / "other"
    other.mkdir()
    refused = run_tfvae(other, "evaluate", tmp_path / "run", "--samples=1", "--limit=20", check=False)
    sentence = refused.stderr.strip().splitlines()[-1]
    assert refused.returncode == 5 and "--trust" in sentence and "Traceback" not in refused.stderr
    trusted = run_tfvae(other, "evaluate", tmp_path / "run", "--samples=1", "--limit=20", "--trust", check=False)
    assert trusted.returncode == 0, trusted.stderr
