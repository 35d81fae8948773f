"""Arrays of one's own in an npz file."""

import numpy as np
import pytest
from dataset_files import load_all_images

from tfvae import datasets
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
    n = np.arange(1, 255)[:, None, None]
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
