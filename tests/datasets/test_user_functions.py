"""A data set by import path or entry point: what a user's function returns is what is loaded, errors say where."""

import json
import sys

import numpy as np
import pytest

from tfvae import datasets
from tfvae.errors import DataError, UsageError

SOURCE = '''
import numpy as np

calls = []

def make_points(n=100, noise=0.1, shift: float | None = None):
    """Points in the unit square."""
    calls.append((n, noise, shift))
    points = np.random.default_rng(3).random((n, 1, 2, 1)) * (1 - noise)
    return {"images": points, "labels": np.arange(n)}

def make_bytes(count, *, kind="grey", size=4):
    images = np.arange(count, dtype=np.uint8)[:, None, None, None] * np.ones((1, size, size, 1), np.uint8)
    test_images = images[: count // 4] + np.uint8(100)
    result = {"train_images": images, "test_images": test_images}
    if kind != "unlabelled":
        result |= {"train_labels": np.arange(count), "test_labels": 100 + np.arange(len(test_images))[:, None]}
    return result

def make_train_only():
    return {"train_images": np.zeros((20, 3, 3), bool), "train_labels": np.arange(20)}

class Unseeded(dict):
    def __init__(self, **options):
        self["images"] = np.random.default_rng().random((50, 2, 2, 1))
        self["labels"] = np.arange(50)
        assert set(options) <= {"colour"}

def make(what="none"):
    x, y = np.zeros((8, 2, 2, 1), np.uint8), np.zeros(8, int)
    return {
        "list": [x, y],
        "nothing": {},
        "misspelt": {"images": x, "lables": y},
        "both": {"images": x, "train_images": x},
        "half": {"train_images": x, "test_images": x, "train_labels": y},
        "no train": {"test_images": x},
        "rank": {"images": np.zeros((8, 4), np.uint8)},
        "range": {"images": x + 2.0},
        "undefined": {"images": x * np.nan},
        "type": {"images": x.astype(int)},
        "count": {"images": x, "labels": y[:7]},
        "float labels": {"images": x, "labels": y / 2},
        "shapes": {"train_images": x, "test_images": x[:, :1]},
        "types": {"train_images": x, "test_images": x / 1.0},
    }[what.replace("-", " ")]

def fail(where=3):
    raise OSError("no such camera")

constant = {"images": 1}
'''


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The module own_sets in the user's working directory."""
    (tmp_path / "own_sets.py").write_text(SOURCE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [folder for folder in sys.path if folder])
    yield tmp_path
    sys.modules.pop("own_sets", None)


def test_floats_stay_real_numbers(module):
    images, labels = datasets.load("own_sets.make_points:n=100,noise=0.5")
    points = np.random.default_rng(3).random((100, 1, 2, 1)) * 0.5
    assert images.dtype == np.float32 and images.shape == (90, 1, 2, 1) and labels.dtype == np.int64
    np.testing.assert_array_equal(images, points.astype(np.float32)[labels])
    with pytest.raises(UsageError, match="static"):
        datasets.load("own_sets.make_points", binarize="static")


def test_options_are_keyword_arguments(module):
    datasets.load("own_sets.make_points:noise=0,shift=none")
    datasets.load("own_sets.make_points:n=30,shift=2")
    assert sys.modules["own_sets"].calls == [(100, 0, None), (30, 0.1, 2)]


def test_splits_are_as_those_of_npz_files(module):
    np.savez(module / "same.npz", x=np.zeros((40, 2, 2), np.uint8), y=np.arange(40))
    for split in ("train", "validation", "test"):
        options = {"split": split, "validation": 0.25, "seed": 4}
        _, labels = datasets.load("own_sets.make_points:n=40", **options)
        np.testing.assert_array_equal(labels, datasets.load("npz:same.npz", **options)[1])


def test_an_own_test_split(module):
    images, labels = datasets.load("own_sets.make_bytes:count=40,size=3")
    assert images.shape == (40, 3, 3, 1) and images.dtype == np.uint8
    np.testing.assert_array_equal(images[:, 0, 0, 0], labels)
    images, labels = datasets.load("own_sets.make_bytes:count=40", "test")
    np.testing.assert_array_equal(images[:, 0, 0, 0], labels)
    assert labels.tolist() == list(range(100, 110))
    assert not datasets.load("own_sets.make_bytes:count=40,kind=unlabelled")[1].any()
    assert datasets.load("own_sets.make_train_only", "test")[0].shape == (2, 3, 3, 1)


def test_one_call_serves_all_splits(module):
    # Without this, the splits of a function without a seed would be cut from different images.
    images = {split: datasets.load("own_sets.Unseeded:colour=red", split) for split in ("train", "test")}
    again, _ = datasets.load("own_sets.Unseeded:colour=red")
    np.testing.assert_array_equal(images["train"][0], again)
    again[:] = 0  # what a caller does to his arrays does not reach the next caller
    np.testing.assert_array_equal(images["train"][0], datasets.load("own_sets.Unseeded:colour=red")[0])
    assert len({image.tobytes() for part, _ in images.values() for image in part}) == 50


@pytest.mark.parametrize(
    "what, message",
    [
        ("list", "mapping with images.*Received: a list"),
        ("nothing", "Received: nothing"),
        ("misspelt", "Received: images, lables"),
        ("both", "Received: images, train_images"),
        ("half", "labels of all these or of none.*train_labels"),
        ("no-train", "Received: test_images"),
        ("rank", r"images of own_sets.make.*uint8 \[8, 4\]"),
        ("range", "values from 2 to 2"),
        ("undefined", "values from nan"),
        ("type", "int64"),
        ("count", r"labels of own_sets.make to be 8 whole numbers.*\[7\]"),
        ("float-labels", "float64"),
        ("shapes", r"one type and shape.*uint8 \[2, 2, 1\] and uint8 \[1, 2, 1\]"),
        ("types", "uint8.* and float32"),
    ],
)
def test_what_is_returned_is_checked(module, what, message):
    with pytest.raises(DataError, match=message) as caught:
        datasets.load(f"own_sets.make:what={what}")
    assert "own_sets.make" in str(caught.value) and caught.value.exit_code == 3


@pytest.mark.parametrize(
    "spec, message",
    [
        ("own_sets.make_point", "own_sets.py.*no 'make_point'.*Did you mean 'make_points'"),
        ("own_setz.make_points", "no module 'own_setz'"),
        ("own_sets.constant", "a function or a class.*type dict"),
        ("own_sets.make_points:m=3", "'own_sets.make_points'.*option.*'m'"),
        ("own_sets.make_points:n=many", "n to be a whole number"),
        ("own_sets.make_points:n=2.5", "n to be a whole number"),
        ("own_sets.make_bytes", "the option count, which has no default.*own_sets.make_bytes:count=VALUE"),
        ("own_sets.make_points:n", "'n' has no value"),
        ("own_sets.make_points:n=3,n=4", "each option once"),
    ],
)
def test_wrong_names_and_options(module, spec, message):
    with pytest.raises(UsageError, match=message) as caught:
        datasets.load(spec)
    assert caught.value.exit_code == 2


def test_an_error_of_the_function_is_named_and_chained(module):
    line = SOURCE.splitlines().index('    raise OSError("no such camera")') + 1
    with pytest.raises(DataError, match=f"own_sets.fail.*OSError: no such camera.*own_sets.py, line {line}") as caught:
        datasets.load("own_sets.fail")
    assert isinstance(caught.value.__cause__, OSError)
    report = datasets.info("own_sets.fail")
    assert not report["available"] and "no such camera" in report["origin"]


def test_check_name_does_not_import(module):
    datasets.check_name("own_sets.make_points:n=3")
    datasets.check_name("not_there.make_points")
    assert "own_sets" not in sys.modules
    with pytest.raises(UsageError, match="'n' has no value"):
        datasets.check_name("own_sets.make_points:n")
    with pytest.raises(UsageError, match="import path of your own function"):
        datasets.check_name("make_points")


def test_info_and_prepare(module):
    report = datasets.info("own_sets.make_bytes:count=40")
    assert report["source"] == "yours" and report["available"] and report["shape"] == [4, 4, 1]
    assert report["counts"] == {"train": 40, "test": 10} and report["classes"] == 50 and json.dumps(report)
    assert datasets.prepare("own_sets.make_points").endswith("nothing to prepare.")
    assert not (module / "prepared").exists()


@pytest.fixture
def plugin(module):
    """An installed package that registers two data sets, one by a name that tfvae has already."""
    folder = module / "own_plugin-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: own-plugin\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(
        "[tfvae.datasets]\nown_points = own_sets:make_points\ndigits = own_sets:make_points\ngone = own_sets:gone\n"
    )
    sys.path.insert(0, str(module))


def test_a_registered_name(plugin):
    datasets.check_name("own_points:n=20")
    assert "own_sets" not in sys.modules
    images, _ = datasets.load("own_points:n=20")
    np.testing.assert_array_equal(images, datasets.load("own_sets.make_points:n=20")[0])
    assert datasets.info("own_points")["source"] == "yours"
    rows = {row["name"]: row for row in datasets.names()}
    assert rows["own_points"]["what"] == "registered as own_sets:make_points"
    # A package cannot change what a name of tfvae's means.
    assert datasets.load("digits")[0].shape[1:] == (8, 8, 1) and rows["digits"]["source"] == "built in"
    with pytest.raises(UsageError, match="Entry point 'gone'.*no 'gone'"):
        datasets.load("gone")
    with pytest.raises(UsageError, match="Did you mean 'own_points'"):
        datasets.check_name("own_pionts")
