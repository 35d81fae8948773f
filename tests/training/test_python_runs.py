"""`tfvae.train` and `tfvae.resume` as a script or notebook uses them: own classes, own arrays, progress, figures."""

import json

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.datasets import given_arrays
from tfvae.errors import DataError, UsageError
from tfvae.training.python_settings import make_config

SETTINGS = dict(arch="mlp:widths=8,latent=2", batch_size=32, xla="off")


class FreeBits(tfvae.VAE):
    """KL below a threshold costs nothing."""

    def __init__(self, *parts, floor: float = 4.0, **context):
        super().__init__(*parts, **context)
        self.floor = floor

    def objective(self, terms):
        return tf.maximum(terms.kl, self.floor) - tf.reduce_mean(terms.log_px, axis=0)


class Stripes(tfvae.Prior):
    """A prior with an option."""

    def __init__(self, *, width: int = 1, **context):
        super().__init__(**context)


@pytest.fixture(scope="module")
def arrays():
    """Images [N, H, W] without a channel, and one-hot labels."""
    images, labels = tfvae.datasets.load("digits", "train", limit=120)
    return images[..., 0], np.eye(10)[labels]


@pytest.fixture(scope="module")
def run(arrays, tmp_path_factory):
    """A run of an own class on own arrays, as a notebook makes it."""
    root = tmp_path_factory.mktemp("runs")
    rows = []
    made = tfvae.train(objective=FreeBits, dataset=arrays, epochs=1, root=root, progress=rows.append, **SETTINGS)
    assert [row["epoch"] for row in rows] == [1] and rows == made.rows
    return made


def test_a_run_of_python_has_what_the_command_line_makes(run):
    drawn = {str(path.relative_to(run.path)) for path in run.path.rglob("*.*") if path.suffix in (".png", ".html")}
    assert {"report.html", "plots/curves.png", "samples/samples.png", "samples/epoch-0001.png"} <= drawn


def test_the_config_names_class_and_arrays(run, arrays):
    config = json.loads((run.path / "config.json").read_text())
    assert config["objective"] == f"{__name__}.FreeBits"
    assert config["dataset"] == tfvae.datasets.from_arrays(*arrays)
    assert config["dataset"].startswith("arrays:120x8x8x1-")
    images, labels = tfvae.datasets.load(config["dataset"], "train")
    assert images.shape == (108, 8, 8, 1) and labels.max() == 9  # a tenth is the test split


def test_a_run_goes_wherever_its_folder_goes(run):
    assert isinstance(tfvae.load(run), FreeBits)


@pytest.mark.slow
def test_the_arrays_of_a_run_are_measured(run):
    assert np.isfinite(tfvae.evaluate(run, samples=2, limit=8)["nll"])


def test_another_process_is_asked_for_the_same_arrays(run, arrays, monkeypatch, capfd):
    monkeypatch.setattr(given_arrays, "_SOURCES", {})
    with pytest.raises(DataError, match=r"arrays:120x8x8x1-.*from_arrays"):
        tfvae.resume(run, epochs=2)
    images, labels = arrays
    with pytest.raises(DataError, match="the data this run began with"):
        tfvae.resume(run, epochs=2, dataset=(images[::-1], labels))
    assert len(run.rows) == 1
    drawn = (run.path / "report.html").stat().st_mtime_ns
    capfd.readouterr()
    assert len(tfvae.resume(run, epochs=2, dataset=arrays, progress=False, figures=False).rows) == 2
    assert capfd.readouterr() == ("", "") and (run.path / "report.html").stat().st_mtime_ns == drawn


def test_what_the_user_changes_later_is_not_the_data():
    images = np.zeros((20, 8, 8), np.uint8)
    name = tfvae.datasets.from_arrays(images)
    images[:] = 255
    assert tfvae.datasets.load(name)[0].max() == 0 and tfvae.datasets.from_arrays(images) != name


def make_dataset(images, labels):
    return tf.data.Dataset.from_tensor_slices((images, labels))


@pytest.mark.parametrize(
    "give",
    [
        lambda x, y: (x, y),
        lambda x, y: (x[..., None], y.argmax(axis=1)),
        lambda x, y: (list(x), y.argmax(axis=1).tolist()),
        lambda x, y: {"images": x, "labels": y},
        lambda x, y: make_dataset(x, y).batch(50),
        lambda x, y: make_dataset(x, y.argmax(axis=1)),
        lambda x, y: make_dataset(x[..., None], y).batch(7),
    ],
    ids=["arrays", "with a channel", "lists", "mapping", "batches", "single images", "other batches"],
)
def test_the_same_data_have_the_same_name_however_they_are_given(arrays, give):
    assert tfvae.datasets.name_data(give(*arrays)) == tfvae.datasets.from_arrays(*arrays)


def test_keras_pairs_are_training_and_test_images(arrays):
    images, labels = arrays
    name = tfvae.datasets.name_data(((images[:80], labels[:80]), (images[80:], labels[80:])))
    assert [len(tfvae.datasets.load(name, split)[0]) for split in ("train", "test")] == [80, 40]


def test_paths_and_functions_are_data_too(tmp_path):
    assert tfvae.datasets.name_data(tmp_path) == f"folder:{tmp_path}"
    assert tfvae.datasets.name_data(tmp_path / "a.npz") == f"npz:{tmp_path}/a.npz"
    assert tfvae.datasets.name_data(make_dataset) == f"{__name__}.make_dataset"


def test_endless_and_empty_data_sets_are_refused(arrays):
    for dataset, words in ((make_dataset(*arrays).repeat(), "endless"), (make_dataset(*arrays).take(0), "none")):
        with pytest.raises(DataError, match=words):
            tfvae.datasets.name_data(dataset)


def test_classes_and_objects_become_words():
    gaussian = tfvae.LIKELIHOODS["gaussian"](sigma=0.5, image_shape=(8, 8, 1))
    stripes = Stripes(width=3, latent=2, image_shape=(8, 8, 1), seed=0)
    config = make_config(
        None, {"objective": tfvae.OBJECTIVES["geco"], "likelihood": gaussian, "prior": stripes, "epochs": np.int64(3)}
    )
    assert (config.objective, config.likelihood) == ("geco", "gaussian:sigma=0.5")
    assert (config.prior, config.epochs) == (f"{__name__}.Stripes:width=3", 3)
    assert tfvae.build(prior=config.prior, arch="mlp:widths=8,latent=2").prior.latent == 2


def test_a_class_inside_a_function_cannot_be_named():
    class Inner(tfvae.VAE):
        pass

    with pytest.raises(UsageError, match="top level"):
        make_config(None, {"objective": Inner})
