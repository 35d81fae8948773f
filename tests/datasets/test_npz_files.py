"""Arrays of one's own in an npz file."""

import os
import zipfile

import numpy as np
import pytest
from dataset_files import load_all_images

from tfvae import datasets
from tfvae.datasets import npz_files
from tfvae.errors import DataError


def test_npz_bytes_floats_and_bools(tmp_path, rng):
    x = rng.integers(256, size=(20, 4, 3, 2), dtype=np.uint8)
    y = rng.integers(5, size=(20, 1))
    np.savez(tmp_path / "a.npz", x_train=x, y_train=y, x_test=x[:3] / 255, y_test=y[:3, 0])
    images, labels = datasets.load(f"npz:{tmp_path}/a.npz")
    np.testing.assert_array_equal(images, x)
    np.testing.assert_array_equal(labels, y[:, 0])
    np.testing.assert_array_equal(datasets.load(f"npz:{tmp_path}/a.npz", "test")[0], x[:3])
    # Grey levels between two bytes go to the nearest.
    n = np.arange(1, 255)[:, None, None, None]
    for shift in (-0.4, 0.4):
        np.savez(tmp_path / "c.npz", x=((n + shift) / 255).astype(np.float32), x_test=n / 255)
        np.testing.assert_array_equal(datasets.load(f"npz:{tmp_path}/c.npz")[0].ravel(), n.ravel())
    np.savez(tmp_path / "b.npz", images=x[..., 0] > 99)
    images, labels = load_all_images(f"npz:{tmp_path}/b.npz")
    assert images.shape == (20, 4, 3, 1) and set(images.ravel()) == {0, 255} and not labels.any()


X = np.zeros((6, 4, 4))
BAD_ARRAYS = {
    "rank": ({"x": np.zeros((6, 16), np.uint8)}, r"uint8 \[6, 16\]"),
    "dtype": ({"x": np.zeros((6, 4, 4), np.int32)}, r"int32 \[6, 4, 4\]"),
    "channels first": ({"x": np.zeros((6, 3, 32, 32), np.uint8)}, r"\[6, 3, 32, 32\]"),
    "empty": ({"x": np.zeros((0, 4, 4), np.uint8)}, r"\[0, 4, 4\]"),
    "nan": ({"x": X * np.nan}, "float64.*nan"),
    "inf": ({"x": X + [[[0, 0, 0, np.inf]]]}, "24 of them are NaN or infinite"),
    "range": ({"x": X + 200.0}, "200"),
    "just over 1": ({"x": X + np.nextafter(1, 2)}, r"to 1.0000000000000002\."),
    "just over 1 in single": ({"x": np.float32(X) + np.nextafter(np.float32(1), np.float32(2))}, "1.00000011"),
    "just below 0": ({"x": X - 1e-300}, "from -1e-300"),
    "objects": ({"x": np.array([{}, 1], object)}, "pickle"),
    "no images": ({"z": X}, "Received: z"),
    "signals": ({"x": np.zeros((6, 128, 1), np.uint8)}, r"signals .* x\[..., None\]"),
    "signals of three channels": ({"x": np.zeros((6, 128, 3))}, "signals"),
    "signals as rows": ({"x": np.zeros((6, 128))}, r"\[6, 128\]"),
    "flat images": ({"x": np.zeros((6, 784))}, r"reshape\(-1, 28, 28, 1\)"),
    "one picture": ({"x": np.zeros((28, 28, 1), np.uint8)}, "one picture"),
    "scaled to both sides": ({"x": X - 0.5}, r"\(x \+ 1\) / 2"),
    "grey levels": ({"x": X + [[[0, 9, 99, 255]]]}, "divide grey levels by 255"),
    "one-hot labels": ({"x": X, "y": np.eye(6)}, r"argmax\(axis=1\)"),
    "labels": ({"x": X, "y": np.zeros(5, int)}, r"6 whole numbers.*\[5\]"),
    "float labels": ({"x": X, "y": np.zeros(6)}, "float64"),
    "huge labels": ({"x": X, "y": np.full(6, 2**33)}, "8589934592; number the classes"),
    "unsigned labels": ({"x": X, "y": np.full(6, 2**64 - 1, np.uint64)}, "number the classes"),
    "negative labels": ({"x": X, "y": np.arange(6) - 1}, "from -1 to 4"),
    "object labels": ({"x": X, "y": np.array([{}] * 6, object)}, "pickle"),
    "other test shape": ({"x": X, "x_test": np.zeros((6, 4, 5, 1))}, r"\[4, 4, 1\] in x and \[4, 5, 1\] in x_test"),
}


@pytest.mark.parametrize("case", BAD_ARRAYS)
def test_npz_with_bad_arrays_is_refused(tmp_path, case):
    arrays, message = BAD_ARRAYS[case]
    np.savez(tmp_path / "bad.npz", **arrays)
    with pytest.raises(DataError, match=f"(?s)bad.npz.*{message}|{message}.*bad.npz"):
        datasets.load(f"npz:{tmp_path}/bad.npz")


HARMS = {
    "missing": "does not exist",
    "folder": "a folder; folder:",
    "pipe": "no regular file",
    "nothing": "an empty file",
    "text": "another format",
    "npy": "np.savez",
    "cut": "cut, damaged",
    "flipped": "damaged",
    "not an array": "another format",
    "forged shape": "memory|damaged",
    "encrypted": "password",
}


def write_harmed_archive(path, harm):
    """Write an npz file with a fault."""
    np.savez_compressed(path, x=np.arange(96, dtype=np.uint8).reshape(6, 4, 4))
    content = path.read_bytes()
    path.unlink()
    if harm == "folder":
        path.mkdir()
    elif harm == "pipe":
        os.mkfifo(path)
    elif harm == "npy":
        with path.open("wb") as file:
            np.save(file, X)
    elif harm in ("not an array", "forged shape"):
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (9999999, 9999999, 999, 1), }".ljust(117) + b"\n"
        forged = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", forged if harm == "forged shape" else b"hello")
    elif harm != "missing":
        middle = content[:90] + bytes([content[90] ^ 255]) + content[91:]
        # Bit 0 of the flags, 8 bytes into the central directory's entry and 6 into the local one, says encrypted.
        encrypted = bytearray(content)
        for offset in (6, content.index(b"PK\x01\x02") + 8):
            encrypted[offset] |= 1
        harmed = {"nothing": b"", "text": b"hello", "cut": content[:-30], "flipped": middle, "encrypted": encrypted}
        path.write_bytes(harmed[harm])


@pytest.mark.parametrize("harm", HARMS)
def test_npz_files_that_are_none_are_called_what_they_are(tmp_path, harm):
    path = tmp_path / "bad.npz"
    write_harmed_archive(path, harm)
    with pytest.raises(DataError, match=f"(?s)bad.npz.*({HARMS[harm]})") as caught:
        datasets.load(f"npz:{path}")
    assert "context manager" not in str(caught.value) and "allow_pickle" not in str(caught.value)


def test_an_archive_that_unpacks_beyond_memory_is_refused(tmp_path, monkeypatch):
    np.savez_compressed(tmp_path / "bomb.npz", x=np.zeros((1000, 40, 40), np.uint8))
    assert (tmp_path / "bomb.npz").stat().st_size < 10_000
    monkeypatch.setattr(npz_files, "fits_into_memory", lambda size: size < 1_000_000)
    with pytest.raises(DataError, match="x in .*bomb.npz to fit into memory. Received: 1,600,128 bytes"):
        datasets.load(f"npz:{tmp_path}/bomb.npz")


def test_bytes_of_zero_and_one_are_remarked_upon(tmp_path, rng, caplog):
    mask = rng.integers(2, size=(30, 4, 4)).astype(np.uint8)
    for name, x in {
        "mask": mask,
        "floats": mask / 255,
        "bool": mask == 1,
        "scaled": mask * 255,
        "black": mask * 0,
    }.items():
        caplog.clear()
        np.savez(tmp_path / f"{name}.npz", x=x)
        datasets.load(f"npz:{tmp_path}/{name}.npz")
        assert ("bytes of 0 and 1" in caplog.text) == (name in ("mask", "floats")), name
