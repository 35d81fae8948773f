"""Extractors by name, and those not trained here: Keras' Inception v3, any SavedModel from images to features."""

import hashlib
import os
import pathlib

import keras
import tensorflow as tf

from tfvae.errors import DataError, IntegrityError, UsageError
from tfvae.evaluation.feature_extractors import extractor_for, in_batches
from tfvae.export import loading, savedmodel
from tfvae.export.safety import printable

WEIGHTS = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS_MD5 = "bcbd6486424b2319ff4ef7d526e38f63"  # as keras.applications checks it
SIDE = 299


class Features:
    """Features of pictures by a function of images [B, H, W, C] in [0, 1]; no labels.

    Args:
        name: as it stands in the names of metrics.
    """

    def __init__(self, name, function, at_once=500):
        self.name, self.function, self.at_once = name, function, at_once

    def __call__(self, images):
        """Images, uint8 or float in [0, 1] -> features [N, D], None."""
        return in_batches(lambda x: [self.function(x)], images, self.at_once)[0], None


def weights_folder():
    """Where Keras keeps downloaded weights."""
    return pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def inception():
    """Keras' Inception v3 trained on ImageNet: pooled features [N, 2048] of images made 299 x 299, grey ones RGB.

    A port: its weights and its resizing differ from the TensorFlow-1 network of published FIDs, so distances are not
    comparable with those, and are not called FID.

    Raises:
        DataError: the weights are not in Keras' cache; nothing is downloaded. IntegrityError: other weights are.
    """
    path = weights_folder() / WEIGHTS
    if not path.is_file():
        raise DataError(
            f"Expected the weights of Inception v3 in {path}. Received: none. Ways out: run  python -c "
            '"import keras; keras.applications.InceptionV3(include_top=False)"  where there is a network and copy the '
            "file there, or give --extractor a SavedModel, or lenet."
        )
    if hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest() != WEIGHTS_MD5:
        raise IntegrityError(f"Expected Keras' weights of Inception v3 in {path}. Received: another file, or damage.")
    network = keras.applications.InceptionV3(include_top=False, pooling="avg", weights=str(path))

    @tf.function(autograph=False, reduce_retracing=True)
    def features(x):
        x = tf.image.grayscale_to_rgb(x) if x.shape[-1] == 1 else x
        x = tf.image.resize(x, (SIDE, SIDE), method="bilinear")
        return network(2.0 * x - 1.0, training=False)

    return Features("inception", features, at_once=50)


def saved(path, trust=False):
    """A SavedModel as an extractor: its ``serving_default`` takes float32 images [B, H, W, C] in [0, 1], one output.

    Outputs of more than two axes are flattened. The name is that of its folder, without the number of a version.

    Raises:
        UsageError: no such folder. UntrustedError: without `trust`, as `tfvae.load`. DataError: it does not fit.
    """
    folder = savedmodel.find(path)
    if folder is None:
        raise UsageError(f"Expected --extractor lenet, inception or the folder of a SavedModel. Received: {path}.")
    if not trust:
        loading.check(folder)
    try:
        loaded = tf.saved_model.load(str(folder))
        signature = loaded.signatures["serving_default"]
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise DataError(f"Expected {folder} to load, with serving_default. Received: {printable(error)}.") from None
    (name, spec), *more = signature.structured_input_signature[1].items()
    outputs = list(signature.structured_outputs)
    if more or len(outputs) != 1 or spec.dtype != tf.float32 or spec.shape.rank != 4:
        raise DataError(
            f"Expected serving_default of one float32 [N, H, W, C], with one output. Received: {folder} with {spec} "
            f"and {len(outputs)} outputs."
        )

    def features(x):
        if not spec.shape.is_compatible_with(x.shape):
            raise DataError(f"Expected images of shape {spec.shape[1:]} for {folder}. Received: {x.shape[1:]}.")
        found = signature(**{name: x})[outputs[0]]
        return tf.reshape(found, [len(x), -1])

    made = Features(folder.parent.name if folder.name.isdigit() else folder.name, features)
    made.kept = loaded  # the signature lives only as long as the object that it came from
    return made


def extractor_of(spec, dataset, raw_dir="", trust=False, say=lambda line: None):
    """The extractor ``lenet`` (of the data set's labels), ``inception``, or the SavedModel at a path.

    It has a `name`, and called with images gives features [N, D], and logits or None.

    Args:
        trust: load a SavedModel that tfvae cannot vouch for.
    """
    if spec == "lenet":
        return extractor_for(dataset, raw_dir, say)
    return inception() if spec == "inception" else saved(spec, trust)
