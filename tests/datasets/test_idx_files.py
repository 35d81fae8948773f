"""IDX files: what is read is what was written, and damage is named."""

import gzip
import shutil

import numpy as np
import pytest
from dataset_files import RAW, flip_bit
from PIL import Image

from tfvae import datasets
from tfvae.datasets import idx_files
from tfvae.errors import DataError

DEBIAN = idx_files.DEBIAN_FOLDERS["fashion_mnist"]


def test_idx_files_come_back_as_written(kmnist):
    folder, content = kmnist
    for split, part in (("train", "train"), ("test", "t10k")):
        for raw_dir in (folder, folder.parent):
            images, labels = datasets.load("kmnist", split, raw_dir=str(raw_dir))
            assert images.dtype == np.uint8 and labels.dtype == np.int64
            np.testing.assert_array_equal(images, content[part][0][..., None])
            np.testing.assert_array_equal(labels, content[part][1])


def test_originals_can_be_resized(kmnist):
    folder, content = kmnist
    images, labels = datasets.load("kmnist:size=4", raw_dir=str(folder))
    # 5 x 4 pixels: Lanczos at the same scale, half a row off the centre, so compare with Pillow itself.
    wanted = [
        Image.fromarray(x).resize((4, 4), Image.Resampling.LANCZOS, (0, 0.5, 4, 4.5)) for x in content["train"][0]
    ]
    np.testing.assert_array_equal(images[..., 0], np.stack([np.asarray(image) for image in wanted]))
    np.testing.assert_array_equal(labels, content["train"][1])
    shutil.rmtree(folder)
    np.testing.assert_array_equal(datasets.load("kmnist:size=4")[0], images)


def test_raw_dir_may_come_from_the_environment(kmnist, monkeypatch):
    monkeypatch.setenv("TFVAE_RAW_DIR", str(kmnist[0].parent))
    assert datasets.load("kmnist", "test")[0].shape == (7, 5, 4, 1)


DAMAGE = {
    "truncated gzip": ("train-images-idx3-ubyte.gz", lambda c: c[:-20]),
    "flipped byte in gzip": ("train-images-idx3-ubyte.gz", lambda c: c[:200] + bytes([c[200] ^ 8]) + c[201:]),
    "not gzip": ("train-images-idx3-ubyte.gz", lambda c: b"<html>404</html>"),
    "wrong magic": ("train-labels-idx1-ubyte", lambda c: b"\0\0\x0b" + c[3:]),
    "images as labels": ("train-labels-idx1-ubyte", lambda c: c[:3] + b"\3" + c[4:]),
    "short": ("train-labels-idx1-ubyte", lambda c: c[:-1]),
    "long": ("train-labels-idx1-ubyte", lambda c: c + b"\0"),
    "empty": ("train-labels-idx1-ubyte", lambda c: b""),
    "one label less": ("train-labels-idx1-ubyte", lambda c: c[:7] + bytes([c[7] - 1]) + c[8:-1]),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_idx_files_are_refused_by_name(kmnist, damage):
    folder, _ = kmnist
    name, harm = DAMAGE[damage]
    (folder / name).write_bytes(harm((folder / name).read_bytes()))
    with pytest.raises(DataError, match=name) as caught:
        datasets.load("kmnist", raw_dir=str(folder))
    assert caught.value.exit_code == 3


def test_a_missing_idx_file_is_named(kmnist):
    folder, _ = kmnist
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte.*missing"):
        datasets.load("kmnist", raw_dir=str(folder))


def test_well_formed_files_with_another_content_are_not_mnist(kmnist):
    # One flipped pixel keeps every size and count right: only the checksum can tell.
    folder, _ = kmnist
    with pytest.raises(DataError, match="train-images-idx3-ubyte.*sha256.*ba891046"):
        datasets.load("mnist", raw_dir=str(folder))


needs_fashion = pytest.mark.skipif(not DEBIAN.is_dir(), reason=f"{DEBIAN} is not installed")
needs_mnist = pytest.mark.skipif(
    not (RAW / "mnist").is_dir(), reason="TFVAE_RAW_DIR/mnist with the original files is not there"
)


@needs_fashion
def test_real_fashion_mnist():
    images, labels = datasets.load("fashion_mnist")
    test_images, test_labels = datasets.load("fashion_mnist", "test")
    assert images.shape == (60000, 28, 28, 1) and test_images.shape == (10000, 28, 28, 1)
    # Published: ten classes of exactly 6000 and 1000 (Xiao et al., 2017).
    assert np.bincount(labels).tolist() == [6000] * 10 and np.bincount(test_labels).tolist() == [1000] * 10
    # The mean grey level 0.2860 that PyTorch users normalise with, known to 4 digits.
    assert abs(images.mean(dtype=np.float64) / 255 - 0.2860) < 1e-4


@needs_fashion
def test_a_flipped_pixel_of_fashion_mnist_is_refused(tmp_path):
    folder = tmp_path / "fashion-mnist"
    shutil.copytree(DEBIAN, folder)
    name = "t10k-images-idx3-ubyte"
    content = gzip.decompress((folder / f"{name}.gz").read_bytes())
    (folder / f"{name}.gz").write_bytes(gzip.compress(flip_bit(content), 1))
    with pytest.raises(DataError, match=f"{name}.*sha256"):
        datasets.load("fashion_mnist", "test", raw_dir=str(tmp_path))


@needs_mnist
def test_real_mnist():
    images, labels = datasets.load("mnist", raw_dir=str(RAW))
    assert images.shape == (60000, 28, 28, 1)
    # Class counts of LeCun's training file, and the well-known mean 0.1307.
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert abs(images.mean(dtype=np.float64) / 255 - 0.1307) < 1e-4


@needs_fashion
@needs_mnist
def test_mnist_files_are_not_taken_for_fashion_mnist():
    # Both use the same file names; a folder with the other's content is passed over, not refused.
    images, _ = datasets.load("fashion_mnist", "test", raw_dir=str(RAW / "mnist"))
    assert abs(images.mean(dtype=np.float64) / 255 - 0.2868) < 1e-4
