"""A small classifier of a data set's labels whose features measure images: trained once, cached, always named."""

from __future__ import annotations

import os
import pathlib
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae import datasets
from tfvae.errors import DataError
from tfvae.runtime import files
from tfvae.safety.model_loading import load_keras_model

EPOCHS, BATCH_SIZE, FEATURES = 3, 128, 64
LEARNING_RATE = 2e-3
RECIPE_VERSION = 1  # of this file; a new version does not read the files of an old one


def find_extractor_cache() -> pathlib.Path:
    """Return ``$XDG_CACHE_HOME/tfvae/extractors``; delete it to train the extractors anew."""
    return files.cache_folder() / "extractors"


def build_lenet(image_shape: tuple[int, ...], classes: int, seed: int = 0) -> keras.Sequential:
    """Return a network of two convolutions with pooling and two dense layers (after LeCun et al., 1998).

    Args:
        image_shape: (H, W, C).
        classes: how many logits it has.
        seed: of its initial weights.
    """

    def make_initializer(i: int) -> keras.initializers.Initializer:
        return keras.initializers.GlorotUniform(seed=1000 * seed + i)

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(16, 5, padding="same", activation="relu", kernel_initializer=make_initializer(0)),
            layers.MaxPooling2D(2, padding="same"),
            layers.Conv2D(32, 5, padding="same", activation="relu", kernel_initializer=make_initializer(1)),
            layers.MaxPooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dense(FEATURES, activation="relu", kernel_initializer=make_initializer(2)),
            layers.Dense(classes, kernel_initializer=make_initializer(3)),
        ]
    )


def apply_in_batches(
    function: Callable[[tf.Tensor], Sequence[tf.Tensor]], images: np.ndarray, size: int = 500
) -> tuple[np.ndarray, ...]:
    """Return the outputs of a function of images, called with batches and joined.

    Args:
        function: float32 images [B, H, W, C] in [0, 1] -> tensors [B, ...].
        images: [N, H, W, C], uint8, or float in [0, 1].
        size: the largest B.
    """
    images, batches = np.asarray(images), []
    for start in range(0, len(images), size):
        x = images[start : start + size]
        x = x.astype(np.float32) / 255 if x.dtype == np.uint8 else x
        batches.append([np.asarray(values) for values in function(tf.constant(x, tf.float32))])
    return tuple(np.concatenate(parts) for parts in zip(*batches))


class ClassifierExtractor:
    """A classifier as a feature extractor: the outputs of its last layer but one are the features.

    Args:
        name: of what it was trained on, as it stands in the names of metrics: ``lenet-mnist``.
        network: images [N, H, W, C] in [0, 1] -> logits [N, classes].

    Example:
        >>> features, logits = train_or_load_extractor("digits")(images)  # doctest: +SKIP
    """

    def __init__(self, name: str, network: keras.Model) -> None:
        self.name, self.network = name, network
        both = keras.Model(network.inputs, [network.layers[-2].output, network.outputs[0]])
        self._compute_both = tf.function(lambda x: both(x, training=False), autograph=False, reduce_retracing=True)

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return features [N, 64] and logits [N, classes] of images [N, H, W, C], uint8 or float in [0, 1]."""
        features, logits = apply_in_batches(self._compute_both, images)
        return features, logits


def train_or_load_extractor(
    dataset: str, raw_dir: str | None = None, say: Callable[[str], Any] = lambda line: None
) -> ClassifierExtractor:
    """Return the extractor for a data set, trained on its training split unless one for these images is cached.

    Args:
        dataset: as in the settings of a run.
        raw_dir: folder with the data set's original files; None: TFVAE_RAW_DIR.
        say: called with a line before the network is trained.

    Raises:
        DataError: the data have one class only.
    """
    images, labels = datasets.load(dataset, "train", raw_dir=raw_dir or "")
    classes = int(labels.max()) + 1
    if classes < 2:
        raise DataError(f"Expected labelled images to train a feature extractor. Received: {dataset}, one class.")
    name = f"lenet-{dataset.partition(':')[0]}"
    path = find_extractor_cache() / f"{name}-{datasets.fingerprint(images)[:16]}-{RECIPE_VERSION}.keras"
    if path.exists():
        try:
            return ClassifierExtractor(name, load_keras_model(path))
        except Exception as error:  # Keras raises almost anything on damaged files
            say(f"{path} cannot be read ({type(error).__name__}): training it anew")
    say(f"training the feature extractor {name}, once ({EPOCHS} epochs)")
    network = train_classifier(build_lenet(images.shape[1:], classes), images, labels)
    write_network(network, path)
    return ClassifierExtractor(name, network)


def train_classifier(network: keras.Model, images: np.ndarray, labels: np.ndarray, seed: int = 0) -> keras.Model:
    """Train a classifier for `EPOCHS` epochs and return it.

    Args:
        network: images [N, H, W, C] in [0, 1] -> logits [N, classes].
        images: uint8, or float in [0, 1].
        labels: integers [N].
        seed: of the order of the images.
    """
    steps = EPOCHS * (len(images) // BATCH_SIZE)
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(LEARNING_RATE, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    generator = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = generator.permutation(len(images))
        for start in range(0, len(order) - BATCH_SIZE + 1, BATCH_SIZE):
            rows = order[start : start + BATCH_SIZE]
            network.train_on_batch(images[rows].astype(np.float32) / scale, labels[rows])
    return network


def write_network(network: keras.Model, path: pathlib.Path) -> None:
    """Write a network beside `path` and rename it; where nothing can be written it is trained again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            network.save(pathlib.Path(folder) / path.name)
            os.replace(pathlib.Path(folder) / path.name, path)
    except OSError:
        pass
