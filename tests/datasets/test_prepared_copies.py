"""Prepared copies: they need no originals, and a damaged one is never used."""

import pathlib
import shutil

import numpy as np
import pytest
from dataset_files import flip_bit

from tfvae import datasets
from tfvae.datasets import idx_files, prepared_copies
from tfvae.errors import DataError, StorageError


def test_a_prepared_copy_needs_no_originals(kmnist):
    folder, content = kmnist
    copy = pathlib.Path(datasets.prepare("kmnist", raw_dir=str(folder)))
    shutil.rmtree(folder)
    images, labels = datasets.load("kmnist")
    np.testing.assert_array_equal(images, content["train"][0][..., None])
    np.testing.assert_array_equal(labels, content["train"][1])
    assert str(copy) in datasets.info("kmnist")["origin"]
    # Nothing half-written is left beside it.
    assert [path.name for path in copy.parent.iterdir()] == ["kmnist"]


def damage_array(folder):
    path = folder / "train-images.npy"
    path.write_bytes(flip_bit(path.read_bytes()))


def damage_manifest(folder):
    (folder / "manifest.json").write_text("{")


def damage_labels(folder):
    (folder / "test-labels.npy").unlink()


@pytest.mark.parametrize("damage", [damage_array, damage_manifest, damage_labels])
def test_a_damaged_copy_is_rebuilt_with_a_note_or_refused(kmnist, damage, caplog):
    folder, content = kmnist
    copy = pathlib.Path(datasets.prepare("kmnist", raw_dir=str(folder)))
    damage(copy)
    with pytest.raises(DataError, match=str(copy)):
        datasets.load("kmnist")
    images, _ = datasets.load("kmnist", raw_dir=str(folder))
    np.testing.assert_array_equal(images, content["train"][0][..., None])
    assert "not used" in caplog.text
    shutil.rmtree(folder)
    np.testing.assert_array_equal(datasets.load("kmnist")[0], images)


def test_a_copy_that_cannot_be_written(kmnist, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TFVAE_DATA_DIR", str(tmp_path / "file"))
    with pytest.raises(StorageError, match="TFVAE_DATA_DIR") as caught:
        datasets.prepare("kmnist", raw_dir=str(kmnist[0]))
    assert caught.value.exit_code == 7
    # Loading goes on without it.
    source = prepared_copies.read_and_write_copy("kmnist", idx_files.find_idx_source("kmnist", str(kmnist[0])))
    assert source.read("train")[0].shape == (30, 5, 4, 1)
