"""Run folders of version 0.1.0: they load, and `evaluate` says of them what it said then."""

import json
import math
import os
import pathlib
import tarfile

import pytest

from tfvae.evaluation import evaluate
from tfvae.runtime.tables import to_json_value
from tfvae.training.run_folder import open_run
from tfvae.training.trainer import load_run

ARCHIVE = pathlib.Path(os.environ.get("TFVAE_RAW_DIR", "")) / "runs-0.1.0.tar.gz"
pytestmark = pytest.mark.skipif(not ARCHIVE.is_file(), reason="needs runs-0.1.0.tar.gz in TFVAE_RAW_DIR")
# Estimates that sum float32 numbers in another order on other processors; all else is equal to rounding.
RELATIVE, ABSOLUTE = 2e-4, 2e-4


@pytest.fixture(scope="module")
def old_runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("old")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder


def flatten(value, path=""):
    """Yield (path, leaf) of nested JSON."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{path}.{key}")
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from flatten(item, f"{path}[{i}]")
    else:
        yield path, value


@pytest.mark.parametrize(
    "name", ["geco", *(pytest.param(n, marks=pytest.mark.slow) for n in ("iwae", "beta", "convdraw"))]
)
def test_evaluate_says_what_it_said_in_0_1_0(old_runs, name):
    then = json.loads((old_runs / f"{name}.eval.json").read_text())
    run = open_run(old_runs / name)
    settings = {key: then[key] for key in ("split", "samples") if key in then}
    now = to_json_value(evaluate(run, **settings))
    assert set(then) <= set(now)
    compared = 0
    for path, value in flatten(then):
        if path.startswith((".run", ".path", ".collapse")):  # the verdict on collapse has had more to go on since
            continue
        current = dict(flatten(now))[path]
        if isinstance(value, float) and isinstance(current, float) and math.isfinite(value):
            assert current == pytest.approx(value, rel=RELATIVE, abs=ABSOLUTE), path
        else:
            assert current == value, path
        compared += 1
    assert compared > 20


def test_an_old_run_keeps_its_settings(old_runs):
    """What was 0 or '' for "off" is None now; the rest is as it was."""
    config = open_run(old_runs / "geco").config
    assert config.objective == "geco:kappa=2,controller=pi" and config.epochs == 3
    assert config.clip_norm is config.ema is config.limit is config.condition is config.raw_dir is None
    assert load_run(old_runs / "geco").kappa == 2
