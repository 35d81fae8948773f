"""Data sets: what is read is what was written, damage is named, splits are functions of their seeds."""

import gzip
import io
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import time
import zlib

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from tfvae import datasets
from tfvae.datasets import image_decoding, originals, prepared, splits, tfds_source
from tfvae.errors import DataError, StorageError, UsageError

DEBIAN = originals.DEBIAN["fashion_mnist"]
RAW = pathlib.Path(os.environ.get("TFVAE_RAW_DIR") or "/nonexistent")


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test reads or writes the user's copies, and none reaches the network."""
    monkeypatch.setenv("TFVAE_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.delenv("TFVAE_RAW_DIR", raising=False)
    monkeypatch.setattr(tfds_source, "reachable", lambda places, seconds=3.0: False)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


# --- IDX


def idx(array):
    """IDX bytes by the format's own words: two zeros, type 8, rank, big-endian sizes, values."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def kmnist(tmp_path, rng):
    """A tiny data set in kmnist's files: kmnist's content is not pinned, so the whole loader runs on it."""
    folder = tmp_path / "raw" / "kmnist"
    folder.mkdir(parents=True)
    content = {}
    for part, count in (("train", 30), ("t10k", 7)):
        content[part] = rng.integers(256, size=(count, 5, 4), dtype=np.uint8), rng.integers(10, size=count)
        images, labels = content[part]
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels.astype(np.uint8)))
    return folder, content


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


def flip(content):
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


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
needs_cifar = pytest.mark.skipif(
    not (RAW / image_decoding.CIFAR).is_file(), reason=f"TFVAE_RAW_DIR/{image_decoding.CIFAR} is not there"
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
    (folder / f"{name}.gz").write_bytes(gzip.compress(flip(content), 1))
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


# --- CIFAR-10 as JPEG copies


def write_tar(path, members):
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def encoded(array, kind="JPEG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.fixture
def cifar(tmp_path):
    path = tmp_path / image_decoding.CIFAR
    members = {
        f"{part}/{kind}/{n:04}.jpg": encoded(np.full((32, 32, 3), 20 * label + n, np.uint8))
        for part in ("train", "test")
        for label, kind in enumerate(image_decoding.CIFAR_CLASSES)
        for n in (0, 1)
    }
    write_tar(path, members)
    return path, members


def test_cifar_tar_gives_classes_in_turn(cifar):
    found = image_decoding.read_cifar_tar(cifar[0])
    for images, labels in found.values():
        assert labels.tolist() == [*range(10), *range(10)]
        # A constant picture survives JPEG up to the rounding of its YCbCr conversion.
        wanted = 20 * labels + np.repeat([0, 1], 10)
        assert np.abs(images.astype(int) - wanted[:, None, None, None]).max() <= 1


@pytest.mark.parametrize("harm", ["broken", "size", "folder"])
def test_a_bad_member_of_the_cifar_tar_is_named(cifar, harm):
    path, members = cifar
    name = "train/cat/0001.jpg" if harm != "folder" else "train/unicorn/0001.jpg"
    good = members["train/cat/0001.jpg"]
    members[name] = {"broken": good[:100], "size": encoded(np.zeros((31, 32, 3), np.uint8)), "folder": good}[harm]
    write_tar(path, members)
    with pytest.raises(DataError, match=name):
        image_decoding.read_cifar_tar(path)


def test_a_cut_cifar_tar_or_one_with_missing_images_is_refused(cifar):
    path, _ = cifar
    with pytest.raises(DataError, match="50000 train images.*Received: 20"):
        datasets.load("cifar10", raw_dir=str(path.parent))
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=image_decoding.CIFAR):
        image_decoding.read_cifar_tar(path)


def test_cifar_is_decoded_once_and_says_that_it_is_lossy(cifar, monkeypatch, caplog):
    monkeypatch.setattr(image_decoding, "CIFAR_COUNTS", {"train": 20, "test": 20})
    datasets._say.cache_clear()
    first, _ = datasets.load("cifar10", raw_dir=str(cifar[0].parent))
    assert "not comparable" in caplog.text
    cifar[0].unlink()
    again, _ = datasets.load("cifar10")
    np.testing.assert_array_equal(first, again)
    assert any("lossy" in note for note in datasets.info("cifar10")["notes"])


@needs_cifar
def test_real_cifar_copies(tmp_path, monkeypatch):
    # Only the first images are decoded: all 60000 take several seconds.
    with tarfile.open(RAW / image_decoding.CIFAR) as tar:
        members = {}
        for member in tar:
            if member.isfile() and member.name.startswith("train/airplane/"):
                members[member.name] = tar.extractfile(member).read()
            if len(members) == 5:
                break
    members |= {name.replace("train", "test"): content for name, content in members.items()}
    write_tar(tmp_path / image_decoding.CIFAR, members)
    images, labels = image_decoding.read_cifar_tar(tmp_path / image_decoding.CIFAR)["train"]
    assert images.shape == (5, 32, 32, 3) and labels.tolist() == [0] * 5
    assert images.std() > 20


# --- prepared copies


def test_a_prepared_copy_needs_no_originals(kmnist):
    folder, content = kmnist
    place = pathlib.Path(datasets.prepare("kmnist", raw_dir=str(folder)))
    shutil.rmtree(folder)
    images, labels = datasets.load("kmnist")
    np.testing.assert_array_equal(images, content["train"][0][..., None])
    np.testing.assert_array_equal(labels, content["train"][1])
    assert str(place) in datasets.info("kmnist")["origin"]
    # Nothing half-written is left beside it.
    assert [path.name for path in place.parent.iterdir()] == ["kmnist"]


def harm_array(place):
    path = place / "train-images.npy"
    path.write_bytes(flip(path.read_bytes()))


def harm_manifest(place):
    (place / "manifest.json").write_text("{")


def harm_labels(place):
    (place / "test-labels.npy").unlink()


@pytest.mark.parametrize("harm", [harm_array, harm_manifest, harm_labels])
def test_a_damaged_copy_is_rebuilt_with_a_note_or_refused(kmnist, harm, caplog):
    folder, content = kmnist
    place = pathlib.Path(datasets.prepare("kmnist", raw_dir=str(folder)))
    harm(place)
    with pytest.raises(DataError, match=str(place)):
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
    source = prepared.keep("kmnist", originals.find("kmnist", str(kmnist[0])))
    assert source.read("train")[0].shape == (30, 5, 4, 1)


# --- folder


def save(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "my,photos=2"
    grey = np.full((20, 30), 200, np.uint8)
    save(root / "cats" / "a.png", grey)
    save(root / "cats" / "deep" / "er" / "b.JPG", np.full((64, 40, 3), (200, 0, 0), np.uint8))
    save(root / "dogs" / "c.webp", np.full((16, 16, 3), (0, 200, 0), np.uint8))
    save(root / "dogs" / "d.bmp", np.full((8, 9, 3), (0, 0, 200), np.uint8))
    (root / "dogs" / "notes.txt").write_text("no picture")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "e.png").write_bytes(b"no picture either")
    (root / "empty").mkdir()
    return root


def everything(spec, **options):
    """All images of a set without a test split, in any order."""
    parts = [datasets.load(spec, split, **options) for split in ("train", "test")]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts))


def test_folder_reads_nested_mixed_pictures(folder):
    images, labels = everything(f"folder:{folder},size=16")
    assert images.shape == (4, 16, 16, 3) and images.dtype == np.uint8
    # Constant pictures stay constant under any resizing; JPEG and WebP may move a level or two.
    found = sorted((int(label), *np.rint(image.mean((0, 1)) / 40).astype(int)) for image, label in zip(images, labels))
    assert found == [(0, 5, 0, 0), (0, 5, 5, 5), (1, 0, 0, 5), (1, 0, 5, 0)]
    assert datasets.info(f"folder:{folder},size=16")["counts"] == {"all": 4}


def test_folder_crops_the_centre_and_keeps_grey(tmp_path, rng):
    picture = rng.integers(256, size=(12, 20), dtype=np.uint8)
    for name in "abc":
        save(tmp_path / "f" / f"{name}.png", picture)
    images, labels = datasets.load(f"folder:{tmp_path}/f,size=12,channels=1")
    # No change of scale, so the crop is exact; without sub-folders there is one class.
    np.testing.assert_array_equal(images[0, ..., 0], picture[:, 4:16])
    assert labels.tolist() == [0, 0]
    images, _ = datasets.load(f"folder:{tmp_path}/f,size=0,channels=1")
    np.testing.assert_array_equal(images[0, ..., 0], picture)


def test_folder_shrinks_without_aliasing(tmp_path):
    # A one-pixel checkerboard averages to mid grey; picking every n-th pixel would give black or white.
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    for name in "abc":
        save(tmp_path / "f" / f"{name}.png", board)
    images, _ = datasets.load(f"folder:{tmp_path}/f,size=8,channels=1")
    assert np.abs(images.astype(int) - 127.5).max() < 12


def decode(content, channels):
    return image_decoding.as_array(image_decoding.open_picture(io.BytesIO(content), channels))


def test_unusual_modes():
    ramp = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    np.testing.assert_array_equal(decode(encoded(ramp, "PNG"), 1)[..., 0].ravel(), np.arange(256))
    # White with alpha 1/2 (128/255) on black is 128.
    np.testing.assert_array_equal(decode(encoded(np.full((2, 2, 4), (255, 255, 255, 128), np.uint8), "PNG"), 1), 128)
    buffer = io.BytesIO()
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(buffer, "JPEG", quality=100)
    red = decode(buffer.getvalue(), 3)
    assert red[..., 0].min() > 250 and red[..., 1:].max() < 5
    buffer = io.BytesIO()
    Image.new("P", (4, 4), 3).save(buffer, "PNG")
    assert decode(buffer.getvalue(), 3).shape == (4, 4, 3)


def test_exif_rotation_is_applied(rng):
    # Orientation 6: to be turned by 90 degrees clockwise before it is shown.
    picture = rng.integers(256, size=(6, 9), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(decode(encoded(picture, "PNG", exif=exif), 1)[..., 0], np.rot90(picture, -1))


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def bomb(side):
    """A small PNG whose header claims side x side pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "bad, why",
    [(b"", ""), (b"no picture", ""), ("half", ""), (bomb(50_000), "pixels"), (bomb(10_000), "pixels")],
    ids=["empty", "text", "half", "huge bomb", "bomb"],
)
def test_a_bad_picture_is_named_or_skipped(folder, bad, why, caplog):
    half = (folder / "dogs" / "d.bmp").read_bytes()[:60]
    (folder / "cats" / "bad.png").write_bytes(half if bad == "half" else bad)
    # A bomb is refused for the size in its header, not for the data that it lacks.
    with pytest.raises(DataError, match=f"bad.png.*{why}"):
        datasets.load(f"folder:{folder}")
    images, labels = everything(f"folder:{folder}", bad_files="skip")
    assert np.bincount(labels).tolist() == [2, 2] and len(images) == 4
    assert [pathlib.Path(path).name for path, _ in datasets.skipped] == ["bad.png"]
    assert "bad.png" in caplog.text


def test_folders_without_a_usable_picture(tmp_path, folder):
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match="void"):
        datasets.load(f"folder:{tmp_path}/void")
    with pytest.raises(DataError, match="nowhere"):
        datasets.load(f"folder:{tmp_path}/nowhere")
    with pytest.raises(DataError, match="size=0"):
        datasets.load(f"folder:{folder},size=0")
    (tmp_path / "void" / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match="x.png"):
        datasets.load(f"folder:{tmp_path}/void", bad_files="skip")


# --- npz


def test_npz_bytes_floats_and_bools(tmp_path, rng):
    x = rng.integers(256, size=(20, 4, 3, 2), dtype=np.uint8)
    y = rng.integers(5, size=(20, 1))
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:3] / 255, y_test=y[:3, 0])
    images, labels = datasets.load(f"npz:{tmp_path}/a.npz")
    np.testing.assert_array_equal(images, x)
    np.testing.assert_array_equal(labels, y[:, 0])
    np.testing.assert_array_equal(datasets.load(f"npz:{tmp_path}/a.npz", "test")[0], x[:3])
    # Grey levels between two bytes go to the nearest.
    n = np.arange(1, 255)[:, None, None]
    for shift in (-0.4, 0.4):
        np.savez(tmp_path / "c.npz", x=((n + shift) / 255).astype(np.float32), x_test=n / 255)
        np.testing.assert_array_equal(datasets.load(f"npz:{tmp_path}/c.npz")[0].ravel(), n.ravel())
    np.savez(tmp_path / "b.npz", images=x[..., 0] > 99)
    images, labels = everything(f"npz:{tmp_path}/b.npz")
    assert images.shape == (20, 4, 3, 1) and set(images.ravel()) == {0, 255} and not labels.any()


X = np.zeros((6, 4, 4))
BAD_ARRAYS = {
    "rank": ({"x": np.zeros((6, 16), np.uint8)}, r"uint8 \[6, 16\]"),
    "dtype": ({"x": np.zeros((6, 4, 4), np.int32)}, r"int32 \[6, 4, 4\]"),
    "channels first": ({"x": np.zeros((6, 3, 32, 32), np.uint8)}, r"\[6, 3, 32, 32\]"),
    "empty": ({"x": np.zeros((0, 4, 4), np.uint8)}, r"\[0, 4, 4\]"),
    "nan": ({"x": X * np.nan}, "float64.*nan"),
    "range": ({"x": X + 200.0}, "200"),
    "objects": ({"x": np.array([{}, 1], object)}, "pickle"),
    "no images": ({"z": X}, "Received: z"),
    "labels": ({"x": X, "y": np.zeros(5, int)}, r"6 whole numbers.*\[5\]"),
    "float labels": ({"x": X, "y": np.zeros(6)}, "float64"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_npz_with_bad_arrays_is_refused(tmp_path, case):
    arrays, message = BAD_ARRAYS[case]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=f"(?s)bad.npz.*{message}|{message}.*bad.npz"):
        datasets.load(f"npz:{tmp_path}/bad.npz")


@pytest.mark.parametrize("harm", ["missing", "text", "cut", "npy", "flipped"])
def test_npz_files_that_are_none(tmp_path, harm):
    path = tmp_path / "bad.npz"
    np.savez_compressed(path, x=np.arange(96, dtype=np.uint8).reshape(6, 4, 4))
    content = path.read_bytes()
    if harm == "missing":
        path.unlink()
    elif harm == "npy":
        with path.open("wb") as file:
            np.save(file, X)
    else:
        middle = content[:90] + bytes([content[90] ^ 255]) + content[91:]
        path.write_bytes({"text": b"hello", "cut": content[:-30], "flipped": middle}[harm])
    with pytest.raises(DataError, match="bad.npz"):
        datasets.load(f"npz:{path}")


# --- splits


@pytest.fixture
def numbered(tmp_path):
    """100 images whose every pixel and label say which one they are, with and without a test split."""
    n = np.arange(100)
    x = np.broadcast_to(n[:, None, None], (100, 2, 2)).astype(np.uint8)
    np.savez(tmp_path / "all.npz", x=x, y=n)
    np.savez(tmp_path / "two.npz", x=x[:80], y=n[:80], x_test=x[80:], y_test=n[80:])
    return tmp_path


@pytest.mark.parametrize("file, test", [("all.npz", 10), ("two.npz", 20)])
def test_splits_are_disjoint_complete_and_reproducible(numbered, file, test):
    spec = f"npz:{numbered}/{file}"
    held_out = []
    for seed in (0, 1):
        got = {s: datasets.load(spec, s, validation=0.25, seed=seed)[1].tolist() for s in splits.SPLITS}
        assert got == {s: datasets.load(spec, s, validation=0.25, seed=seed)[1].tolist() for s in splits.SPLITS}
        assert sorted(n for own in got.values() for n in own) == list(range(100))
        assert len(got["test"]) == test and len(got["validation"]) == round(0.25 * (100 - test))
        held_out.append((got["test"], got["validation"]))
    # The test split never depends on the run's seed; the validation split does.
    assert held_out[0][0] == held_out[1][0] and held_out[0][1] != held_out[1][1]
    train, _ = datasets.load(spec, "train", validation=0)
    assert len(train) == 100 - test and len(datasets.load(spec, "validation")[0]) == 0


@pytest.mark.parametrize("split", splits.SPLITS)
def test_a_limit_takes_the_first_of_the_split(numbered, split):
    options = {"validation": 0.3, "seed": 5}
    images, labels = datasets.load(f"npz:{numbered}/all.npz", split, **options)
    few, few_labels = datasets.load(f"npz:{numbered}/all.npz", split, limit=4, **options)
    np.testing.assert_array_equal(few, images[:4])
    np.testing.assert_array_equal(few_labels, labels[:4])


def test_splits_that_cannot_be():
    with pytest.raises(DataError, match="validation"):
        splits.indices(1, "train", "train", validation=0.5)
    with pytest.raises(UsageError, match="validation < 1"):
        splits.indices(10, "train", "train", validation=1.0)
    with pytest.raises(UsageError, match="validation"):
        datasets.load("digits", "valid")
    with pytest.raises(UsageError, match="limit"):
        datasets.load("digits", limit=-1)


# --- static binarisation


def test_static_binarisation_has_the_grey_level_as_its_mean(tmp_path):
    levels = np.array([0, 1, 64, 128, 200, 254, 255], np.uint8)
    n = 2000
    np.savez(tmp_path / "g.npz", x=np.broadcast_to(levels[None, :, None], (n, 7, 50)), x_test=np.zeros((1, 7, 50)))
    drawn, _ = datasets.load(f"npz:{tmp_path}/g.npz", binarize="static", seed=3)
    assert set(np.unique(drawn)) == {0, 255}
    p = levels / 255
    error = (drawn[..., 0] / 255).mean((0, 2)) - p
    # 5 standard errors for 7 levels: one false alarm in about 2.5e5 runs; 0 and 255 have none, so are exact.
    assert np.all(np.abs(error) <= 5 * np.sqrt(p * (1 - p) / (n * 50)))


def test_static_binarisation_depends_on_seed_and_image_alone(tmp_path):
    x = np.full((700, 5, 5), 128, np.uint8)
    np.savez(tmp_path / "g.npz", x=x, x_test=x, y=np.arange(700))
    spec = f"npz:{tmp_path}/g.npz"
    full, _ = datasets.load(spec, binarize="static", seed=3)
    np.testing.assert_array_equal(datasets.load(spec, binarize="static", seed=3, limit=300)[0], full[:300])
    held, labels = datasets.load(spec, "validation", validation=0.4, binarize="static", seed=3, limit=200)
    np.testing.assert_array_equal(held, full[labels])
    for other in (
        datasets.load(spec, binarize="static", seed=4)[0],
        datasets.load(spec, "test", binarize="static", seed=3)[0],
        np.roll(full, 1, 0),
        np.roll(full, 256, 0),
    ):
        # Independent fair coins agree in half of the pixels; 5 sigma, four times: a false alarm in 4e5 runs.
        assert abs((other == full).mean() - 0.5) < 5 * 0.5 / np.sqrt(full.size)


def test_dynamic_binarisation_leaves_the_bytes(numbered):
    spec = f"npz:{numbered}/all.npz"
    np.testing.assert_array_equal(datasets.load(spec, binarize="dynamic")[0], datasets.load(spec)[0])
    with pytest.raises(UsageError, match="static"):
        datasets.load("square", binarize="static")
    with pytest.raises(UsageError, match="binarize"):
        datasets.load("digits", binarize="sometimes")


# --- built in


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    images, labels = everything("digits")
    levels = np.rint(images[..., 0] * (16 / 255))
    wanted = load_digits()

    def rows(x, y):
        return sorted(zip(x.reshape(len(x), -1).astype(int).tolist(), y.tolist()))

    assert rows(levels, labels) == rows(wanted.images, wanted.target)
    # 16 steps: every byte is the nearest to v * 255 / 16.
    assert np.abs(images[..., 0] - levels * 255 / 16).max() <= 0.5


def test_square_is_uniform_and_labels_are_quadrants():
    x, labels = everything("square")
    assert x.shape == (10000, 1, 2, 1) and x.dtype == np.float32
    points = x.reshape(-1, 2)
    for axis in points.T:
        # The seed is fixed, so this either always fails or never; a new one would fail once in 1e4.
        assert stats.kstest(axis, "uniform").pvalue > 1e-4
    quadrant = [int(a >= 0.5) + 2 * int(b >= 0.5) for a, b in points]
    assert labels.tolist() == quadrant
    assert abs(stats.pearsonr(*points.T).statistic) < 5 / np.sqrt(len(points))


@pytest.mark.parametrize("modes", [1, 5, 8])
def test_gaussians_have_the_stated_means_and_spread(modes):
    x, labels = everything(f"gaussians:modes={modes},sigma=0.04,images=4000")
    assert x.dtype == np.float32 and x.min() >= 0 and x.max() <= 1 and set(labels) == set(range(modes))
    for j in range(modes):
        own = x[labels == j].reshape(-1, 2)
        centre = 0.5 + 0.3 * np.array([np.cos(2 * np.pi * j / modes), np.sin(2 * np.pi * j / modes)])
        # 5 standard errors of 16 means and as many spreads at most: one false alarm in 5e4 seeds.
        assert np.all(np.abs(own.mean(0) - centre) < 5 * 0.04 / np.sqrt(len(own)))
        assert np.all(np.abs(own.std(0) / 0.04 - 1) < 5 / np.sqrt(2 * len(own)))


def test_sprites_show_their_factors():
    start = time.perf_counter()
    images, labels = everything("sprites")
    assert time.perf_counter() - start < 5
    truth = datasets.factors("sprites")
    assert images.shape == (9216, 32, 32, 1) and sorted(labels) == list(range(9216))
    assert truth.values.shape == (9216, 5) and tuple(truth.values.max(0) + 1) == truth.sizes
    # No two labels share a picture.
    assert len({image.tobytes() for image in images}) == 9216
    full = np.empty_like(images)
    full[labels] = images
    full = full.reshape(*truth.sizes, 32, 32).astype(np.float64)
    # Nothing is cut off: the mass does not change with the place, and grows with the scale.
    mass = full.sum((-2, -1))
    assert np.all(mass == mass[..., :1, :1])
    assert np.all(np.diff(mass[:, :, :, 0, 0], axis=1) > 0)
    # x moves the centre of mass to the right by one step each, y down, and neither moves the other.
    column = (full.sum(-2) * np.arange(32)).sum(-1) / mass
    row = (full.sum(-1) * np.arange(32)).sum(-1) / mass
    steps = np.diff(np.rint(np.linspace(8, 24, 8)))
    np.testing.assert_allclose(np.diff(column, axis=3), np.broadcast_to(steps[:, None], (3, 4, 12, 7, 8)), atol=1e-9)
    np.testing.assert_allclose(np.diff(row, axis=4), np.broadcast_to(steps, (3, 4, 12, 8, 7)), atol=1e-9)
    # A quarter turn is three orientations on; the picture grid is symmetric under it. Sub-pixels on an edge
    # may fall to either side, so a few of the 64 in a pixel may differ: 4 grey levels each.
    quarter = np.rot90(full[:, :, 0, 0, 0, :16, :16], 1, (-2, -1))
    assert np.abs(quarter - full[:, :, 3, 0, 0, :16, :16]).max() <= 48


def test_factors_of_other_sets():
    assert np.prod(datasets.factors("dsprites").sizes) == 737280
    assert np.prod(datasets.factors("shapes3d:size=32").sizes) == 480000
    with pytest.raises(UsageError, match="factors"):
        datasets.factors("mnist")


# --- names, errors, offline


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
    monkeypatch.setattr(tfds_source, "find", None)
    datasets.check_name(spec)


def test_offline_answer_lists_the_ways_out(monkeypatch):
    monkeypatch.setattr(originals, "DEBIAN", {})
    ways = ("tfvae data prepare", "--raw-dir", "TFVAE_RAW_DIR", "apt-get install dataset-fashion-mnist")
    with pytest.raises(DataError) as caught:
        datasets.load("fashion_mnist")
    assert caught.value.exit_code == 3
    for way in (*ways, "folder:", "npz:", "digits"):
        assert way in str(caught.value)
    report = datasets.info("fashion_mnist")
    assert not report["available"] and report["counts"] == {"train": 60000, "test": 10000}


REACHABLE = tfds_source.reachable


@pytest.mark.parametrize("what", ["refused", "black hole", "name look-up hangs"])
def test_the_network_is_given_up_quickly(monkeypatch, what):
    asked = []

    def connect(place, timeout):
        asked.append(place)
        if what == "refused":
            raise ConnectionRefusedError
        time.sleep(timeout if what == "black hole" else 60)
        raise TimeoutError

    monkeypatch.setattr(tfds_source, "reachable", REACHABLE)
    monkeypatch.setattr(socket, "create_connection", connect)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    start = time.perf_counter()
    with pytest.raises(DataError, match="Ways out"):
        datasets.load("svhn_cropped")
    assert time.perf_counter() - start < (1 if what == "refused" else 5)
    assert asked and all(port in (80, 443) and "." in host for host, port in asked)


def test_a_listening_host_is_reachable(monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = server.getsockname()
        assert REACHABLE({place}, 2.0)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{place[1]}")
        assert REACHABLE({("host.invalid", 443)}, 2.0)
    assert not REACHABLE({place}, 2.0)
    assert not REACHABLE(set(), 2.0)


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


# --- TFDS, its own mock in place of downloads


@pytest.fixture
def mocked(monkeypatch):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(tfds_source, "reachable", lambda places, seconds=3.0: True)
    with tfds.testing.mock_data(num_examples=8, policy=tfds.testing.MockPolicy.USE_CODE):
        yield tfds


@pytest.mark.parametrize(
    "spec, shape, test",
    [
        ("celeb_a", (218, 178, 3), 8),
        ("celeb_a:size=32", (32, 32, 3), 8),
        ("svhn_cropped", (32, 32, 3), 8),
        ("cifar10", (32, 32, 3), 8),
        ("shapes3d", (64, 64, 3), 1),
        ("dsprites:size=32", (32, 32, 1), 1),
    ],
)
def test_tfds_builders(mocked, spec, shape, test, capsys):
    images, labels = datasets.load(spec)
    assert images.dtype == np.uint8 and labels.dtype == np.int64
    # A set without a test split gives up a tenth of its 8 images for it.
    assert images.shape == (8 if test == 8 else 7, *shape) and labels.shape == images.shape[:1]
    held, _ = datasets.load(spec, "test")
    assert held.shape == (test, *shape)
    again, _ = datasets.load(spec)
    np.testing.assert_array_equal(images, again)
    assert capsys.readouterr().out == ""
    # Fake data must not be kept as a prepared copy.
    assert not prepared.root().exists()


def test_tfds_labels_are_flattened_factors(mocked):
    import tensorflow_datasets as tfds

    sizes = datasets.factors("shapes3d").sizes
    names = [f"label_{name}" for name in datasets.factors("shapes3d").names]
    data = tfds.as_numpy(mocked.builder("shapes3d").as_dataset(split="train"))
    wanted = []
    for example in data:
        label = 0
        for name, size in zip(names, sizes):
            label = label * size + int(example[name])
        wanted.append(label)
    assert sorted(everything("shapes3d")[1].tolist()) == sorted(wanted)
    assert not datasets.load("celeb_a:size=8")[1].any()


def test_tfds_binary_images_use_the_full_range(mocked, monkeypatch):
    ones = np.array([[[[0], [1]]]], np.uint8)
    np.testing.assert_array_equal(tfds_source._to_bytes("dsprites", ones), 255 * ones)
    grey = np.array([[[[0], [2]]]], np.uint8)
    np.testing.assert_array_equal(tfds_source._to_bytes("x", grey), grey)
    with pytest.raises(DataError, match="8-bit.*uint16"):
        tfds_source._to_bytes("x", grey.astype(np.uint16))


def test_tfds_sets_of_mixed_shapes_or_without_images(mocked):
    with pytest.raises(DataError, match="stanford_dogs:size=64"):
        datasets.load("stanford_dogs")
    assert datasets.load("stanford_dogs:size=16")[0].shape[1:] == (16, 16, 3)
    with pytest.raises(DataError, match="set of images"):
        datasets.load("imdb_reviews")


def test_tfds_does_not_talk_on_stdout(mocked, monkeypatch, capsys):
    def prepare(*args, **kwargs):
        print("Downloading and preparing")

    with monkeypatch.context() as patch:
        patch.setattr(mocked.core.DatasetBuilder, "download_and_prepare", prepare)
        datasets.load("svhn_cropped")
    assert capsys.readouterr().out == ""


def test_tfds_failures_are_one_sentence(mocked, monkeypatch):
    def fail(*args, **kwargs):
        raise ConnectionError("reset by peer\nand much more")

    with monkeypatch.context() as patch:
        patch.setattr(mocked.core.DatasetBuilder, "download_and_prepare", fail)
        with pytest.raises(DataError, match="svhn_cropped.*ConnectionError: reset by peer") as caught:
            datasets.load("svhn_cropped")
    assert "\n" not in str(caught.value)


def test_a_set_that_tfds_prepared_is_read_offline_and_kept(tmp_path, rng, monkeypatch):
    import tensorflow as tf
    import tensorflow_datasets as tfds

    x = rng.integers(256, size=(12, 8, 8, 1), dtype=np.uint8)
    features = tfds.features.FeaturesDict(
        {"image": tfds.features.Image(shape=(8, 8, 1)), "label": tfds.features.ClassLabel(num_classes=12)}
    )
    data = tf.data.Dataset.from_tensor_slices({"image": x, "label": np.arange(12)})
    tfds.dataset_builders.store_as_tfds_dataset(
        "my_pictures",
        version="1.0.0",
        data_dir=tmp_path / "tfds",
        split_datasets={"train": data.skip(0).take(9), "test": data.skip(9).take(3)},
        features=features,
        disable_shuffling=True,
    )
    for _ in range(2):
        for split, own in (("train", range(9)), ("test", range(9, 12))):
            images, labels = datasets.load("my_pictures", split)
            assert sorted(labels) == list(own)
            np.testing.assert_array_equal(images, x[labels])
        # The second time the copy that the first load left is read.
        shutil.rmtree(tmp_path / "tfds", ignore_errors=True)
    assert (prepared.folder("my_pictures") / "manifest.json").is_file()


# --- color_mnist


def test_colours_are_mnist_in_the_hue_of_the_label(generator):
    """The largest channel is the grey level; the hue, by colorsys, lies in the label's tenth; parts differ."""
    import colorsys

    from tfvae.datasets import coloured

    grey = generator.integers(0, 256, (200, 4, 4, 1)).astype(np.uint8)
    grey[:, 0, 0] = 255
    digits = generator.integers(0, 10, 200)
    images, labels = coloured.colour(grey, digits, "train")
    np.testing.assert_array_equal(images.max(-1, keepdims=True), grey)
    np.testing.assert_array_equal(labels // 10, digits)
    for image, label in zip(images, labels):
        hue, saturation, value = colorsys.rgb_to_hsv(*(image[0, 0] / 255.0))
        assert saturation == value == 1.0
        assert abs((10 * hue - label % 10 - 0.5 + 5) % 10 - 5) <= 0.52  # bytes blur the border a little
    assert len(set(labels % 10)) == 10
    assert not np.array_equal(images, coloured.colour(grey, digits, "test")[0])
