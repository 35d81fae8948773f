"""A model that is told labels needs data that have them, whatever the source: zeros are never put in their place."""

import shutil

import numpy as np
import pytest
from PIL import Image

import tfvae
from tfvae import datasets
from tfvae.datasets import name_resolution
from tfvae.datasets.source import Source
from tfvae.errors import DataError

FUNCTIONS = """
import numpy as np

def make(labelled=False, level=0):
    images = np.zeros((40, 3, 3), np.uint8) + np.uint8(9)
    return {"images": images} | ({"labels": np.arange(40) % 4 + level} if labelled else {})
"""


@pytest.fixture
def own_module(tmp_path, monkeypatch):
    (tmp_path / "own_label_sets.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))


def write_folder(root, kinds):
    for kind in kinds:
        (root / kind).mkdir(parents=True)
        for i in range(12):
            Image.new("L", (4, 4), 10 * i).save(root / kind / f"{i}.png")


def save_arrays(path, **arrays):
    np.savez(path, **arrays)
    return f"npz:{path}"


def test_data_without_labels_are_refused_where_labels_are_needed(tmp_path, own_module):
    x, y = np.full((20, 4, 4), 7, np.uint8), np.arange(20) % 3
    write_folder(tmp_path / "flat", ["one"])
    write_folder(tmp_path / "two", ["cats", "dogs"])
    cases = {
        save_arrays(tmp_path / "none.npz", x=x): "without labels",
        save_arrays(tmp_path / "neither.npz", x=x, x_test=x): "without labels",
        save_arrays(tmp_path / "train.npz", x=x, x_test=x, y_test=y): "without labels",
        save_arrays(tmp_path / "same.npz", x=x, y=y * 0 + 1): "label 1 on all 20",
        save_arrays(tmp_path / "sparse.npz", x=x, y=y * 1_000_000): "number the classes from 0",
        f"folder:{tmp_path}/flat,size=4": "label 0 on all 12",
        "own_label_sets.make": "without labels",
        save_arrays(tmp_path / "good.npz", x=x, y=y): "",
        save_arrays(tmp_path / "good2.npz", x=x, y=y, x_test=x, y_test=y * 0): "",
        f"folder:{tmp_path}/two,size=4": "",
        "own_label_sets.make:labelled=true": "",
        "digits": "",
        "gaussians": "",
    }
    for name, message in cases.items():
        images, labels = datasets.load(name)
        assert len(images) == len(labels)
        for split in ("train",) if message else ("train", "test"):
            if message:
                with pytest.raises(DataError, match=message):
                    datasets.load(name, split, needs_labels=True)
            else:
                np.testing.assert_array_equal(
                    datasets.load(name, split, needs_labels=True)[1], datasets.load(name, split)[1]
                )


def test_each_split_needs_labels_of_its_own(tmp_path):
    x, y = np.full((20, 4, 4), 7, np.uint8), np.arange(20) % 3
    name = save_arrays(tmp_path / "a.npz", x=x, y=y, x_test=x)
    assert datasets.load(name, needs_labels=True)[1].max() == 2
    with pytest.raises(DataError, match="split 'test'"):
        datasets.load(name, "test", needs_labels=True)


def test_a_prepared_copy_knows_that_its_set_has_no_labels(kmnist, monkeypatch):
    folder, _ = kmnist
    find = name_resolution.idx_files.find_idx_source

    def find_unlabelled(name: str, raw_dir: str = "") -> Source | None:
        source = find(name, raw_dir)
        return source and source._replace(unlabelled_parts=("train", "test"))

    monkeypatch.setattr(name_resolution.idx_files, "find_idx_source", find_unlabelled)
    datasets.prepare("kmnist", raw_dir=str(folder))
    shutil.rmtree(folder)
    datasets.load("kmnist")
    with pytest.raises(DataError, match="without labels"):
        datasets.load("kmnist", needs_labels=True)


def test_training_asks_for_labels_only_with_a_condition_on_them(tmp_path):
    name = save_arrays(tmp_path / "none.npz", x=np.full((40, 4, 4), 7, np.uint8))
    settings = dict(dataset=name, arch="mlp:widths=4,latent=2", batch_size=8, epochs=1, xla="off", root=tmp_path)
    with pytest.raises(DataError, match="leave out condition=labels"):
        tfvae.train(objective="elbo", condition="labels", **settings)
    assert tfvae.train(objective="elbo", figures=False, **settings).rows
