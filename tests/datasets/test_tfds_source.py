"""TFDS as a source, with its own mock in place of downloads; the probe of the network."""

import os
import shutil
import socket
import time

import numpy as np
import pytest
from dataset_files import load_all_images

from tfvae import datasets
from tfvae.datasets import prepared_copies, tfds_source
from tfvae.errors import DataError

REACHABLE = tfds_source.is_reachable


@pytest.mark.parametrize("what", ["refused", "black hole", "name look-up hangs"])
def test_the_network_is_given_up_quickly(monkeypatch, what):
    hosts = []

    def connect(host, timeout):
        hosts.append(host)
        if what == "refused":
            raise ConnectionRefusedError
        time.sleep(timeout if what == "black hole" else 60)
        raise TimeoutError

    monkeypatch.setattr(tfds_source, "is_reachable", REACHABLE)
    monkeypatch.setattr(socket, "create_connection", connect)
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    start = time.perf_counter()
    with pytest.raises(DataError, match="Ways out"):
        datasets.load("svhn_cropped")
    assert time.perf_counter() - start < (1 if what == "refused" else 5)
    assert hosts and all(port in (80, 443) and "." in host for host, port in hosts)


def test_a_listening_host_is_reachable(monkeypatch):
    for variable in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = server.getsockname()
        assert REACHABLE({address}, 2.0)
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{address[1]}")
        assert REACHABLE({("host.invalid", 443)}, 2.0)
    assert not REACHABLE({address}, 2.0)
    assert not REACHABLE(set(), 2.0)


@pytest.fixture
def mocked(monkeypatch):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setattr(tfds_source, "is_reachable", lambda hosts, seconds=3.0: True)
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
    assert not prepared_copies.get_copies_folder().exists()


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
    assert sorted(load_all_images("shapes3d")[1].tolist()) == sorted(wanted)
    assert not datasets.load("celeb_a:size=8")[1].any()


def test_tfds_sets_without_labels_are_refused_where_labels_are_needed(mocked):
    with pytest.raises(DataError, match="without labels"):
        datasets.load("celeb_a:size=32", needs_labels=True)
    labels = datasets.load("shapes3d:size=32", needs_labels=True)[1]
    np.testing.assert_array_equal(labels, datasets.load("shapes3d:size=32")[1])


def test_tfds_binary_images_use_the_full_range(mocked, monkeypatch):
    ones = np.array([[[[0], [1]]]], np.uint8)
    np.testing.assert_array_equal(tfds_source._scale_to_bytes("dsprites", ones), 255 * ones)
    grey = np.array([[[[0], [2]]]], np.uint8)
    np.testing.assert_array_equal(tfds_source._scale_to_bytes("x", grey), grey)
    with pytest.raises(DataError, match="8-bit.*uint16"):
        tfds_source._scale_to_bytes("x", grey.astype(np.uint16))


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
    assert (prepared_copies.get_copy_folder("my_pictures") / "manifest.json").is_file()
