"""What the tests of data sets share: folders of their own, no network, a tiny data set in IDX files."""

import gzip

import numpy as np
import pytest
from dataset_files import encode_idx

from tfvae.datasets import tfds_source


@pytest.fixture(autouse=True)
def separate_folders(tmp_path, monkeypatch):
    """No test reads or writes the user's copies, and none reaches the network."""
    monkeypatch.setenv("TFVAE_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.delenv("TFVAE_RAW_DIR", raising=False)
    monkeypatch.setattr(tfds_source, "is_reachable", lambda hosts, seconds=3.0: False)


@pytest.fixture
def rng():
    return np.random.default_rng(7)


@pytest.fixture
def kmnist(tmp_path, rng):
    """A tiny data set in kmnist's files: kmnist's content is not pinned, so the whole loader runs on it."""
    folder = tmp_path / "raw" / "kmnist"
    folder.mkdir(parents=True)
    content = {}
    for part, count in (("train", 30), ("t10k", 7)):
        content[part] = rng.integers(256, size=(count, 5, 4), dtype=np.uint8), rng.integers(10, size=count)
        images, labels = content[part]
        (folder / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(encode_idx(images)))
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(encode_idx(labels.astype(np.uint8)))
    return folder, content


@pytest.fixture
def numbered(tmp_path):
    """100 images whose every pixel and label say which one they are, with and without a test split."""
    n = np.arange(100)
    x = np.broadcast_to(n[:, None, None], (100, 2, 2)).astype(np.uint8)
    np.savez(tmp_path / "all.npz", x=x, y=n)
    np.savez(tmp_path / "two.npz", x=x[:80], y=n[:80], x_test=x[80:], y_test=n[80:])
    return tmp_path
