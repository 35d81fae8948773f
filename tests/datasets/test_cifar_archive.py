"""CIFAR-10 as JPEG copies in a tar: order, damage, and the note that they are lossy."""

import io
import tarfile

import numpy as np
import pytest
from dataset_files import RAW, encode_picture

from tfvae import datasets
from tfvae.datasets import catalogue, cifar_archive, dataset_loading
from tfvae.errors import DataError

needs_cifar = pytest.mark.skipif(
    not (RAW / cifar_archive.CIFAR_ARCHIVE).is_file(),
    reason=f"TFVAE_RAW_DIR/{cifar_archive.CIFAR_ARCHIVE} is not there",
)


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


@pytest.fixture
def cifar(tmp_path):
    path = tmp_path / cifar_archive.CIFAR_ARCHIVE
    members = {
        f"{part}/{kind}/{n:04}.jpg": encode_picture(np.full((32, 32, 3), 20 * label + n, np.uint8))
        for part in ("train", "test")
        for label, kind in enumerate(catalogue.CLASS_NAMES["cifar10"])
        for n in (0, 1)
    }
    write_tar(path, members)
    return path, members


def test_cifar_tar_gives_classes_in_turn(cifar):
    parts = cifar_archive.read_cifar_archive(cifar[0])
    for images, labels in parts.values():
        assert labels.tolist() == [*range(10), *range(10)]
        # A constant picture survives JPEG up to the rounding of its YCbCr conversion.
        wanted = 20 * labels + np.repeat([0, 1], 10)
        assert np.abs(images.astype(int) - wanted[:, None, None, None]).max() <= 1


@pytest.mark.parametrize("harm", ["broken", "size", "folder"])
def test_a_bad_member_of_the_cifar_tar_is_named(cifar, harm):
    path, members = cifar
    name = "train/cat/0001.jpg" if harm != "folder" else "train/unicorn/0001.jpg"
    good = members["train/cat/0001.jpg"]
    members[name] = {"broken": good[:100], "size": encode_picture(np.zeros((31, 32, 3), np.uint8)), "folder": good}[
        harm
    ]
    write_tar(path, members)
    with pytest.raises(DataError, match=name):
        cifar_archive.read_cifar_archive(path)


def test_a_cut_cifar_tar_or_one_with_missing_images_is_refused(cifar):
    path, _ = cifar
    with pytest.raises(DataError, match="50000 train images.*Received: 20"):
        datasets.load("cifar10", raw_dir=str(path.parent))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=cifar_archive.CIFAR_ARCHIVE):
        cifar_archive.read_cifar_archive(path)


def test_cifar_is_decoded_once_and_says_that_it_is_lossy(cifar, monkeypatch, caplog):
    monkeypatch.setattr(cifar_archive, "CIFAR_COUNTS", {"train": 20, "test": 20})
    dataset_loading.log_once.cache_clear()
    first, _ = datasets.load("cifar10", raw_dir=str(cifar[0].parent))
    assert "not comparable" in caplog.text
    cifar[0].unlink()
    again, _ = datasets.load("cifar10")
    np.testing.assert_array_equal(first, again)
    assert any("lossy" in note for note in datasets.info("cifar10")["notes"])


@needs_cifar
def test_real_cifar_copies(tmp_path, monkeypatch):
    # Only the first images are decoded: all 60000 take several seconds.
    with tarfile.open(RAW / cifar_archive.CIFAR_ARCHIVE) as tar:
        members = {}
        for member in tar:
            if member.isfile() and member.name.startswith("train/airplane/"):
                members[member.name] = tar.extractfile(member).read()
            if len(members) == 5:
                break
    members |= {name.replace("train", "test"): content for name, content in members.items()}
    write_tar(tmp_path / cifar_archive.CIFAR_ARCHIVE, members)
    images, labels = cifar_archive.read_cifar_archive(tmp_path / cifar_archive.CIFAR_ARCHIVE)["train"]
    assert images.shape == (5, 32, 32, 3) and labels.tolist() == [0] * 5
    assert images.std() > 20
