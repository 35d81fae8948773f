"""Runs contestants, the peers' in a virtual environment of their own, and compares what they gave."""

import json
import os
import pathlib
import statistics
import subprocess
import sys

from contestants import TASKS

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent
PACKAGES = ["torch", "jax", "optax", "pythae==0.1.2"]


def options(parser):
    """The options that all of these benchmarks have."""
    parser.add_argument("--peers", default=str(ROOT / "runs" / "peers"), help="the peers' environment")
    parser.add_argument("--rounds", type=int, default=3, help="each runs every contestant once, in turn")
    parser.add_argument("--dry-run", action="store_true", help="a moment's work to see that all runs; keeps no results")


def python_of(venv):
    """The interpreter of the peers' environment, made if it is not there."""
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def answer(venv, task, name, case, path, **asked):
    """What one contestant gives, in a process of its own."""
    python = python_of(venv) if TASKS[task][name].peer else sys.executable
    words = [f"{key}={value}" for key, value in asked.items()]
    done = subprocess.run(
        [python, "-m", "contestants", task, name, case, path, *words],
        capture_output=True, text=True, env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"},
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"{name}, {case}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def say(case, name, speed):
    print(f"{case}  {name}: {speed:,.1f} images/s", file=sys.stderr, flush=True)


def ratio_rows(case, found, **more):
    """Table rows from {contestant: [images/s of each round]}: speeds, and tfvae's over each, round by round."""
    rows = []
    for name, speeds in found.items():
        ratios = [ours / theirs for ours, theirs in zip(found["tfvae"], speeds)]
        row = {"case": case, **{key: values[name] for key, values in more.items()}, "contestant": name}
        row |= {"images/s": statistics.median(speeds), "tfvae is faster by": statistics.median(ratios)}
        rows.append(row | {"min": min(ratios), "max": max(ratios)})
    return rows
