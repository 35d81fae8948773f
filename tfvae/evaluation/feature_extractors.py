"""A small classifier of a data set's labels, whose features measure pictures: trained once, kept, always named."""

import os
import pathlib
import tempfile

import keras
import numpy as np
import tensorflow as tf

from tfvae import datasets
from tfvae.errors import DataError
from tfvae.runtime import files

EPOCHS, BATCH, FEATURES = 3, 128, 64
RECIPE = 1  # of this file; a new one does not read the files of an old one


def cache_folder():
    """``$XDG_CACHE_HOME/tfvae/extractors``; delete it to train anew."""
    return files.cache_folder() / "extractors"


def lenet(image_shape, classes, seed=0):
    """Two convolutions with pooling, a dense layer of features, one of logits (after LeCun et al., 1998)."""

    def init(i):
        return keras.initializers.GlorotUniform(seed=1000 * seed + i)

    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input(image_shape),
            layers.Conv2D(16, 5, padding="same", activation="relu", kernel_initializer=init(0)),
            layers.MaxPooling2D(2, padding="same"),
            layers.Conv2D(32, 5, padding="same", activation="relu", kernel_initializer=init(1)),
            layers.MaxPooling2D(2, padding="same"),
            layers.Flatten(),
            layers.Dense(FEATURES, activation="relu", kernel_initializer=init(2)),
            layers.Dense(classes, kernel_initializer=init(3)),
        ]
    )


def in_batches(function, images, size=500):
    """The outputs of `function` of float32 pixels in [0, 1], NumPy, for images [N, H, W, C], uint8 or float."""
    images, found = np.asarray(images), []
    for start in range(0, len(images), size):
        x = images[start : start + size]
        x = x.astype(np.float32) / 255 if x.dtype == np.uint8 else x
        found.append([np.asarray(values) for values in function(tf.constant(x, tf.float32))])
    return tuple(np.concatenate(parts) for parts in zip(*found))


class Extractor:
    """Features and labels of pictures.

    Args:
        name: of what it was trained on, as it stands in the names of metrics: ``lenet-mnist``.
        network: images [N, H, W, C] in [0, 1] -> logits [N, classes].
    """

    def __init__(self, name, network):
        self.name, self.network = name, network
        both = keras.Model(network.inputs, [network.layers[-2].output, network.outputs[0]])
        self._both = tf.function(lambda x: both(x, training=False), autograph=False, reduce_retracing=True)

    def __call__(self, images):
        """Images, uint8 or float in [0, 1] -> features [N, 64], logits [N, classes]."""
        return in_batches(self._both, images)

    def accuracy(self, images, labels):
        """The share of images whose label it gives."""
        return float((self(images)[1].argmax(1) == labels).mean())


def extractor_for(dataset, raw_dir="", say=lambda line: None):
    """The `Extractor` for a data set, trained on its training split if there is none for these very images yet.

    Args:
        say: called with a line before it is trained.

    Raises:
        DataError: the data have one class only.
    """
    images, labels = datasets.load(dataset, "train", raw_dir=raw_dir)
    classes = int(labels.max()) + 1
    if classes < 2:
        raise DataError(f"Expected labelled images to train a feature extractor. Received: {dataset}, one class.")
    name = f"lenet-{dataset.partition(':')[0]}"
    path = cache_folder() / f"{name}-{datasets.fingerprint(images)[:16]}-{RECIPE}.keras"
    if path.exists():
        try:
            return Extractor(name, keras.models.load_model(path))
        except Exception as error:  # Keras raises almost anything on damaged files
            say(f"{path} cannot be read ({type(error).__name__}): training it anew")
    say(f"training the feature extractor {name}, once ({EPOCHS} epochs)")
    network = trained(lenet(images.shape[1:], classes), images, labels)
    keep(network, path)
    return Extractor(name, network)


def trained(network, images, labels, seed=0):
    """The network after `EPOCHS` epochs; images uint8 or float."""
    network.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, EPOCHS * (len(images) // BATCH))),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    scale = 255.0 if images.dtype == np.uint8 else 1.0
    draw = np.random.default_rng(seed)
    for _ in range(EPOCHS):
        order = draw.permutation(len(images))
        for start in range(0, len(order) - BATCH + 1, BATCH):
            rows = order[start : start + BATCH]
            network.train_on_batch(images[rows].astype(np.float32) / scale, labels[rows])
    return network


def keep(network, path):
    """Write beside and rename; a machine that lets nothing be written trains again next time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            network.save(pathlib.Path(folder) / path.name)
            os.replace(pathlib.Path(folder) / path.name, path)
    except OSError:
        pass
