"""Three SavedModels, a server for each, and one that listens: what the tests of serving share."""

import os
import threading

import pytest
import tensorflow as tf
from savedmodels import build_perturbed_model, write_savedmodel

from tfvae.exporting import savedmodel

SHAPE, MLP = (8, 8, 1), "mlp:widths=12,latent=3"


class Words(tf.Module):
    """Another's model, with strings and scalars, and what a `loading.SavedModel` needs."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="z")])
    def decode(self, z):
        return {"image": tf.reshape(z, [-1, 1, 2, 1])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def echo(self, text):
        return {"plain": text, "same_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([None], name="x")])
    def total(self, x):
        return {"sum": tf.reduce_sum(x)}


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """The folder of three models: plain, with labels ("told"), and another's with strings ("words")."""
    root = tmp_path_factory.mktemp("models")
    write_savedmodel(build_perturbed_model(SHAPE, likelihood="gaussian:sigma=0.5", arch=MLP), root, "plain")
    write_savedmodel(
        build_perturbed_model(SHAPE, likelihood="gaussian:sigma=0.5", arch=MLP, condition="labels", classes=3),
        root,
        "told",
    )
    words = Words()
    signatures = {"serving_default": words.decode, "decode": words.decode, "echo": words.echo, "total": words.total}
    tf.saved_model.save(words, str(root / "words" / "7"), signatures)
    return root


@pytest.fixture(scope="session")
def apps(root):
    """A server of each, {name: app}."""
    for package in ("orjson", "waitress", "werkzeug"):
        pytest.importorskip(package, reason="needs tfvae[serve]")
    from tfvae.serving.http_server import ModelServer

    return {
        name: ModelServer(savedmodel.find_savedmodel(root / name), name, 7 if name == "words" else 1, name == "words")
        for name in os.listdir(root)
    }


@pytest.fixture(scope="session")
def calls(root):
    """The signatures of each as TensorFlow loads them."""
    return {
        name: tf.saved_model.load(str(savedmodel.find_savedmodel(root / name))).signatures for name in os.listdir(root)
    }


@pytest.fixture(scope="session")
def url(apps):
    """A server on a port of its own."""
    from tfvae.cli.serving_verbs import open_listener
    from tfvae.serving.connection_limits import create_server

    listener = open_listener("127.0.0.1", 0)
    server = create_server(apps["plain"], listener)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    server.close()
