"""Extractors by name: a SavedModel's features are its own, Inception's are Keras', and what is missing is said."""

import hashlib

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from tfvae.cli.command_line import main
from tfvae.errors import DataError, IntegrityError, UsageError
from tfvae.evaluation import external_extractors, feature_distances, sample_distances


class Rows(tf.Module):
    """Features of an 8 x 8 image: the sums of its rows."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 1], tf.float32, name="x")])
    def serve(self, x):
        return {"features": tf.reduce_sum(x, axis=[2])}


@pytest.fixture
def rows(tmp_path):
    """The SavedModel of `Rows`, version 1 of 'row-sums'."""
    module = Rows()
    tf.saved_model.save(module, str(tmp_path / "row-sums" / "1"), signatures={"serving_default": module.serve})
    return tmp_path / "row-sums"


def test_a_savedmodels_features_are_its_own(rows, images):
    results = external_extractors.load_extractor(str(rows), "digits", trust=True)
    features, logits = results(images(7))
    assert results.name == "row-sums" and logits is None
    np.testing.assert_allclose(features, images(7).sum((2, 3)) / 255.0, rtol=1e-5)
    assert external_extractors.load_extractor(str(rows), "digits").name == "row-sums"  # it only computes
    with pytest.raises(UsageError, match="images of shape"):
        results(images(7, (12, 12, 1)))
    with pytest.raises(UsageError, match="lenet, inception or the folder"):
        external_extractors.load_extractor("lenett", "digits")


def test_metrics_are_named_by_it(rows, images, tiny):
    results = sample_distances.measure_sample_quality(
        tiny(), external_extractors.load_savedmodel_extractor(rows, trust=True), images(20), 30
    )
    names = [f"{name}[row-sums]" for name in ("frechet", "kid", *feature_distances.PRDC)]
    assert set(results) == {"pictures", *(f"{name}{end}" for name in names for end in ("", "_low", "_high"))}
    real, fake = images(20).sum((2, 3)) / 255.0, sample_distances.draw_model_samples(tiny(), 30).sum((2, 3))
    assert results["frechet[row-sums]"] == pytest.approx(
        feature_distances.compute_frechet_distance(real, fake), rel=1e-4
    )
    with pytest.raises(UsageError, match="at least 12"):
        sample_distances.measure_sample_quality(
            tiny(), external_extractors.load_savedmodel_extractor(rows, trust=True), images(20), 11
        )


def test_a_savedmodel_of_another_form_is_refused(tmp_path):
    module = tf.Module()
    call = tf.function(lambda z: {"y": z}, input_signature=[tf.TensorSpec([None, 3], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "flat"), signatures={"serving_default": call})
    with pytest.raises(UsageError, match="float32 images"):
        external_extractors.load_savedmodel_extractor(tmp_path / "flat", trust=True)
    tf.saved_model.save(module, str(tmp_path / "none"))
    with pytest.raises(UsageError, match="serving_default"):
        external_extractors.load_savedmodel_extractor(tmp_path / "none", trust=True)


def test_missing_weights_of_inception_are_said_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    with pytest.raises(DataError, match=external_extractors.WEIGHTS) as error:
        external_extractors.load_extractor("inception", "digits")
    assert str(tmp_path / "models") in str(error.value) and "--extractor" in str(error.value)
    assert "\n" not in str(error.value)
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / external_extractors.WEIGHTS).write_bytes(b"others")
    with pytest.raises(IntegrityError, match="another file"):
        external_extractors.load_inception()


def test_an_extractor_needs_pictures(tmp_path, monkeypatch, capsys):
    (tmp_path / "run").mkdir()
    monkeypatch.setattr("tfvae.cli.measuring_verbs.open_trusted_run", lambda run, trust: None)
    assert main(["evaluate", str(tmp_path / "run"), "--extractor", "inception"]) == 2
    assert "--pictures N" in capsys.readouterr().err


@pytest.mark.slow
def test_inceptions_features_are_those_of_keras(tmp_path, monkeypatch):
    """Random weights in the place of the real ones; grey 8 x 8 images made RGB and 299 wide as Keras would be fed."""
    network = keras.applications.InceptionV3(include_top=False, pooling="avg", weights=None)
    (tmp_path / "models").mkdir()
    path = tmp_path / "models" / external_extractors.WEIGHTS
    with h5py.File(path, "w") as file:  # the format of the file that Keras publishes
        legacy_h5_format.save_weights_to_hdf5_group(file, network)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setattr(external_extractors, "WEIGHTS_MD5", hashlib.md5(path.read_bytes()).hexdigest())
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype(np.uint8)
    results = external_extractors.load_inception()
    features, logits = results(x)
    assert results.name == "inception" and features.shape == (3, 2048) and logits is None
    resized = tf.image.resize(np.repeat(x, 3, axis=-1).astype(np.float32), (299, 299))
    expected = network(keras.applications.inception_v3.preprocess_input(resized.numpy()), training=False)
    np.testing.assert_allclose(features, expected, rtol=1e-3, atol=1e-5)
