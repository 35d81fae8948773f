"""SavedModels as features of images: each that does not fit, or does more, is refused in one line."""

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.config import Config
from tfvae.errors import TfvaeError, UntrustedError, UsageError
from tfvae.evaluation import external_extractors
from tfvae.objectives.geco.constraints import parse_constraints
from tfvae.runtime import trust

FREE, ONE = (tf.TensorSpec([count, 4, 4, 1], name="x") for count in (None, 1))
WIDE, BYTES = tf.TensorSpec([None, 16], name="x"), tf.TensorSpec([None, 4, 4, 1], tf.uint8, name="x")


def flatten(x):
    return tf.reshape(x, [-1, 16])


# Name: function, its arguments.
MISFITS = {
    "no input": (lambda: {"y": tf.zeros([3, 4])},),
    "two inputs": (lambda x, z: {"y": flatten(x) + flatten(z)}, FREE, tf.TensorSpec(FREE.shape, name="z")),
    "one image": (lambda x: {"y": flatten(x)}, ONE),
    "vectors": (lambda x: {"y": x}, WIDE),
    "bytes": (lambda x: {"y": flatten(tf.cast(x, tf.float32))}, BYTES),
    "words": (lambda x: {"y": tf.as_string(flatten(x))}, FREE),
    "whole numbers": (lambda x: {"y": tf.cast(flatten(x), tf.int32)}, FREE),
    "scalar": (lambda x: {"y": tf.reduce_sum(x)}, FREE),
    "two outputs": (lambda x: {"y": flatten(x), "z": flatten(x)}, FREE),
    "one row": (lambda x: {"y": tf.reduce_sum(flatten(x), 0, keepdims=True)}, FREE),
    "not finite": (lambda x: {"y": flatten(x) * float("nan")}, FREE),
}


def write(folder, function, *specs):
    module = tf.Module()
    module.f = tf.function(function, input_signature=specs, autograph=False)
    tf.saved_model.save(module, str(folder), {"serving_default": module.f})
    return folder


@pytest.fixture(scope="module")
def misfits(tmp_path_factory):
    root = tmp_path_factory.mktemp("misfits")
    return {name: write(root / name, *parts) for name, parts in MISFITS.items()}


@pytest.mark.parametrize("name", MISFITS)
def test_a_model_that_does_not_fit_is_a_usage_error(misfits, name, random_terms):
    """As an extractor, and as a constraint in a graph; the sentence does not refuse what it asks for."""
    x = np.zeros([5, 4, 4, 1], np.uint8)
    with pytest.raises(UsageError) as error:
        external_extractors.load_savedmodel_extractor(misfits[name])(x)
    expected, _, received = str(error.value).partition("Received")
    assert str(misfits[name]) in str(error.value) and "\n" not in str(error.value)
    assert not ("(4, 4, 1)" in expected and "(4, 4, 1)" in received)
    if name not in ("one row", "not finite"):  # what a graph does not know before it runs
        with pytest.raises(UsageError):
            (constraint,) = parse_constraints(f"feature:{misfits[name]}<=1")
            tf.function(constraint, autograph=False)(random_terms(shape=(4, 4, 1)))


def write_evil(folder, target):
    """Features that are right, and a file besides."""

    def features(x):
        with tf.control_dependencies([tf.io.write_file(str(target), "by the model")]):
            return {"y": flatten(x)}

    return write(folder, features, FREE)


def test_features_are_checked_whoever_names_them(tmp_path, monkeypatch):
    """A spec, a config of one's own, and a signature say nothing of the files; --trust does."""
    monkeypatch.setattr(trust, "_TRUSTED_TEXTS", set())
    monkeypatch.setattr(trust, "_TRUSTED_FEATURES", set())
    monkeypatch.setattr(trust.platformdirs, "user_state_dir", lambda name: str(tmp_path / "state"))
    evil, target = write_evil(tmp_path / "evil", tmp_path / "planted"), tmp_path / "planted"
    config = Config(objective=f"geco:constraints=feature:{evil}<=1")
    trust.check_specs(config, trust.add_signature(config, {}))
    for make in (
        lambda: tfvae.build(config.objective, image_shape=(4, 4, 1)),
        lambda: parse_constraints(f"re<=4;feature:{evil}<=1"),
        lambda: external_extractors.load_extractor(str(evil), "digits"),
    ):
        with pytest.raises(UntrustedError, match="WriteFile"):
            make()
    with pytest.raises(UntrustedError, match="in Python"):  # a training has no --trust
        parse_constraints(f"feature:{evil}<=1")
    assert not target.exists()
    trust.check_specs(config, {}, trusted=True)
    (constraint,) = parse_constraints(f"feature:{evil}<=1")
    assert constraint.target == 1
    with pytest.raises(TfvaeError):  # the trust is in this path alone
        parse_constraints(f"feature:{write_evil(tmp_path / 'evil2', target)}<=1")
