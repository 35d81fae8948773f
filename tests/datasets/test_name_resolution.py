"""Names of data sets: what is refused, what is suggested, what is said offline."""

import json
import pathlib
import subprocess
import sys
import time

import numpy as np
import pytest

from tfvae import datasets
from tfvae.datasets import idx_files, tfds_source
from tfvae.errors import DataError, UsageError


def test_every_name_is_listed_and_built_in_ones_are_what_the_list_says():
    table = {row["name"]: row for row in datasets.names()}
    assert {"fashion_mnist", "cifar10", "celeb_a", "folder", "npz", "digits", "sprites"} <= set(table)
    for name in ("digits", "square", "gaussians", "sprites"):
        report = datasets.info(name)
        assert "x".join(map(str, report["shape"])) == table[name]["shape"]
        assert sum(report["counts"].values()) == table[name]["images"] and report["available"]
    assert json.dumps(datasets.info("dsprites"))


@pytest.mark.parametrize(
    "spec, message",
    [
        ("fashoin_mnist", "Did you mean 'fashion_mnist'"),
        ("celeba", "Did you mean 'celeb_a'"),
        ("../mnist", "Expected a data set"),
        ("", "Expected a data set"),
        ("gaussians:mods=3", "Did you mean 'modes'"),
        ("gaussians:modes=0", "1 <= modes"),
        ("gaussians:sigma=0.2", "sigma <= 0.099"),
        ("square:images=3", "10 <= images"),
        ("gaussians:modes=2.5", "whole number"),
        ("digits:size=8", "option"),
        ("mnist:size=big", "whole number"),
        ("folder:", "PATH"),
        ("folder:x,channels=2", "channels"),
        ("sprites:size=4", "16 <= size"),
    ],
)
def test_wrong_names_and_options(spec, message):
    start = time.perf_counter()
    with pytest.raises(UsageError, match=message) as caught:
        datasets.load(spec)
    assert caught.value.exit_code == 2 and time.perf_counter() - start < 3
    with pytest.raises(UsageError):
        datasets.check_name(spec)


@pytest.mark.parametrize("spec", ["mnist", "celeb_a:size=64", "stanford_dogs", "gaussians:modes=3", "folder:x,size=8"])
def test_right_names_pass_without_reading(spec, monkeypatch):
    monkeypatch.setattr(tfds_source, "find_tfds_source", None)
    datasets.check_name(spec)


def test_offline_answer_lists_the_ways_out(monkeypatch):
    monkeypatch.setattr(idx_files, "DEBIAN_FOLDERS", {})
    ways = ("tfvae data prepare", "--raw-dir", "TFVAE_RAW_DIR", "apt-get install dataset-fashion-mnist")
    with pytest.raises(DataError) as caught:
        datasets.load("fashion_mnist")
    assert caught.value.exit_code == 3
    for way in (*ways, "folder:", "npz:", "digits"):
        assert way in str(caught.value)
    report = datasets.info("fashion_mnist")
    assert not report["available"] and report["counts"] == {"train": 60000, "test": 10000}


def test_import_and_listing_load_nothing_heavy():
    heavy = ("tensorflow", "tensorflow_datasets", "keras", "sklearn", "PIL")
    code = "import sys, tfvae.datasets as d; d.names(); d.load('square');"
    code += f"print([m for m in {heavy} if m in sys.modules])"
    root = pathlib.Path(datasets.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"


def test_fingerprint_sees_bytes_shape_and_dtype(rng):
    x = rng.integers(256, size=(4, 3, 2, 1), dtype=np.uint8)
    changed = x.copy()
    changed[1, 1, 1, 0] ^= 1
    prints = [datasets.fingerprint(a) for a in (x, changed, x.reshape(4, 2, 3, 1), x.view(np.int8))]
    assert len(set(prints)) == 4 and datasets.fingerprint(x.copy()) == prints[0]
    assert datasets.fingerprint(np.asfortranarray(x)) == prints[0]
