"""Run contestants, the peers' in a virtual environment of their own, and compare their speeds."""

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


def add_peer_options(parser):
    """Add the options that all of these benchmarks have."""
    parser.add_argument("--peers", default=str(ROOT / "runs" / "peers"), help="the peers' environment")
    parser.add_argument("--rounds", type=int, default=3, help="each runs every contestant once, in turn")
    parser.add_argument("--dry-run", action="store_true", help="a moment's work to see that all runs; keeps no results")


def find_python(venv):
    """Return the interpreter of the peers' environment, which is created if it is missing."""
    python = os.path.join(venv, "bin", "python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
    return python


def run_contestant(venv, task, name, case, path, **options):
    """Run one contestant in a process of its own, and return its result."""
    python = find_python(venv) if TASKS[task][name].peer else sys.executable
    words = [f"{key}={value}" for key, value in options.items()]
    done = subprocess.run(
        [python, "-m", "contestants", task, name, case, path, *words],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{HERE}"},
    )
    if done.returncode:
        sys.exit(f"{name}, {case}: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def report_speed(case, name, speed):
    """Print a speed on standard error."""
    print(f"{case}  {name}: {speed:,.1f} images/s", file=sys.stderr, flush=True)


def build_ratio_rows(case, speeds_by_name, **more):
    """Return table rows from {contestant: [images/s of each round]}: speeds, and tfvae's over each, round by round."""
    rows = []
    for name, speeds in speeds_by_name.items():
        ratios = [ours / theirs for ours, theirs in zip(speeds_by_name["tfvae"], speeds)]
        row = {"case": case, **{key: values[name] for key, values in more.items()}, "contestant": name}
        row |= {"images/s": statistics.median(speeds), "tfvae is faster by": statistics.median(ratios)}
        rows.append(row | {"min": min(ratios), "max": max(ratios)})
    return rows
