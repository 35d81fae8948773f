"""Feature extractors by name, and those from elsewhere: Keras' Inception v3 and any SavedModel of images."""

from __future__ import annotations

import hashlib
import os
import pathlib
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import DataError, IntegrityError, UsageError
from tfvae.evaluation.feature_extractors import apply_in_batches, train_or_load_extractor
from tfvae.evaluation.sample_distances import FeatureExtractor
from tfvae.exporting import savedmodel
from tfvae.safety.image_features import SavedModelFeatures
from tfvae.safety.model_loading import copy_privately

WEIGHTS = "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"
WEIGHTS_MD5 = "bcbd6486424b2319ff4ef7d526e38f63"  # as keras.applications checks it
INCEPTION_SIDE, INCEPTION_IMAGES_AT_ONCE = 299, 50


class FunctionExtractor:
    """A function of images [B, H, W, C] in [0, 1] as a feature extractor without labels.

    Args:
        name: as it stands in the names of metrics.
        function: float32 images [B, H, W, C] -> features [B, D].
        images_at_once: the largest B.

    Example:
        >>> FunctionExtractor("brightness", lambda x: tf.reduce_mean(x, axis=[1, 2]))(images)  # doctest: +SKIP
    """

    def __init__(self, name: str, function: Callable[[tf.Tensor], tf.Tensor], images_at_once: int = 500) -> None:
        self.name, self.function, self.images_at_once = name, function, images_at_once

    def __call__(self, images: np.ndarray) -> tuple[np.ndarray, None]:
        """Return features [N, D], and None for logits, of images [N, H, W, C], uint8 or float in [0, 1]."""
        return apply_in_batches(lambda x: [self.function(x)], images, self.images_at_once)[0], None


def find_keras_weights_folder() -> pathlib.Path:
    """Return the folder where Keras keeps downloaded weights."""
    return pathlib.Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser() / "models"


def load_inception() -> FunctionExtractor:
    """Load Keras' Inception v3 trained on ImageNet and return it as an extractor of 2,048 pooled features.

    Images are made 299 x 299, grey ones RGB. The weights and the resizing differ from the TensorFlow-1 network of
    published FIDs, so distances are not comparable with those, and are not called FID.

    Raises:
        DataError: the weights are not in Keras' cache; nothing is downloaded.
        IntegrityError: the file in Keras' cache holds other weights.
    """
    path = find_keras_weights_folder() / WEIGHTS
    if not path.is_file():
        raise DataError(
            f"Expected the weights of Inception v3 in {path}. Received: none. Ways out: run  python -c "
            '"import keras; keras.applications.InceptionV3(include_top=False)"  where there is a network and copy the '
            "file there, or give --extractor a SavedModel, or lenet."
        )
    with copy_privately(path) as copy:
        if hashlib.md5(copy.read_bytes(), usedforsecurity=False).hexdigest() != WEIGHTS_MD5:
            raise IntegrityError(
                f"Expected Keras' weights of Inception v3 in {path}. Received: another file, or damage."
            )
        network = keras.applications.InceptionV3(include_top=False, pooling="avg", weights=str(copy))

    @tf.function(autograph=False, reduce_retracing=True)
    def compute_features(x: tf.Tensor) -> tf.Tensor:
        x = tf.image.grayscale_to_rgb(x) if x.shape[-1] == 1 else x
        x = tf.image.resize(x, (INCEPTION_SIDE, INCEPTION_SIDE), method="bilinear")
        return network(2.0 * x - 1.0, training=False)

    return FunctionExtractor("inception", compute_features, INCEPTION_IMAGES_AT_ONCE)


def load_savedmodel_extractor(path: str | pathlib.Path, trust: bool = False) -> FunctionExtractor:
    """Load a SavedModel and return it as an extractor, named like its folder without the number of a version.

    Args:
        path: its ``serving_default`` takes float32 images [B, H, W, C] in [0, 1] and has one output; of an output of
            more than two axes the others are flattened.
        trust: load a SavedModel that may do more than compute.

    Raises:
        UsageError: there is no such folder, or its model does not fit images.
        UntrustedError: it may do more than compute, and `trust` is False.
        DataError: TensorFlow cannot load it.
    """
    if savedmodel.find_savedmodel(path) is None:
        raise UsageError(f"Expected --extractor lenet, inception or the folder of a SavedModel. Received: {path}.")
    compute_features = SavedModelFeatures(path, trust)
    folder = compute_features.folder

    def compute_rows(x: tf.Tensor) -> tf.Tensor:
        features = compute_features(x)
        if len(features) != len(x) or not tf.reduce_all(tf.math.is_finite(features)):
            raise UsageError(
                f"Expected {folder} to return a row of finite numbers for each image. Received: "
                f"{len(features)} rows for {len(x)} images{'' if len(features) != len(x) else ', NaN or infinity'}."
            )
        return tf.reshape(features, [len(x), -1])

    name = folder.parent.name if folder.name.isdigit() else folder.name
    return FunctionExtractor(name, compute_rows)


def load_extractor(
    spec: str,
    dataset: str,
    raw_dir: str | None = None,
    trust: bool = False,
    say: Callable[[str], Any] = lambda line: None,
) -> FeatureExtractor:
    """Return the feature extractor that a spec names.

    Args:
        spec: ``lenet`` (a classifier of the data set's labels), ``inception``, or the path of a SavedModel.
        dataset: as in the settings of a run.
        raw_dir: folder with the data set's original files; None: TFVAE_RAW_DIR.
        trust: load a SavedModel that may do more than compute.
        say: called with a line before a network is trained.

    Example:
        >>> features, logits = load_extractor("lenet", "digits")(images)  # doctest: +SKIP
    """
    if spec == "lenet":
        return train_or_load_extractor(dataset, raw_dir, say)
    return load_inception() if spec == "inception" else load_savedmodel_extractor(spec, trust)
