"""The images and labels of a run: read as its config says, and checked to be those that it began with."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfvae import datasets
from tfvae.config import Config
from tfvae.datasets.image_inputs import open_image_input, read_all
from tfvae.datasets.splits import draw_binary_images
from tfvae.errors import DataError, UsageError
from tfvae.training.run_folder import Run

Split = tuple[np.ndarray, np.ndarray]  # images [N, H, W, C] and labels [N]


def load_split(config: Config, split: str, needs_labels: bool | None = None) -> Split:
    """Return the images and labels of a split ('train', 'validation' or 'test'), as the config asks for them.

    Args:
        config: the settings.
        split: which.
        needs_labels: refuse data without labels; None: if the model is conditioned on them.
    """
    return datasets.load(
        config.dataset,
        split,
        raw_dir=config.raw_dir or "",
        limit=config.limit or 0,
        validation=config.validation,
        seed=config.seed,
        binarize=config.binarize,
        bad_files=config.bad_files,
        needs_labels=uses_labels(config) if needs_labels is None else needs_labels,
    )


def uses_labels(config: Config) -> bool:
    """Tell whether the model of a config is conditioned on labels."""
    return (config.condition or "").partition(":")[0] == "labels"


def describe_data(config: Config, training: Split) -> dict[str, Any]:
    """Return what ``env.json`` says of the data: fingerprints of all splits, shape, classes and their names.

    Args:
        config: the settings.
        training: its training split.

    Raises:
        DataError: another split is damaged, or has labels that the model would not know.
    """
    images, labels = training
    classes = int(labels.max()) + 1
    digests = {"train": datasets.fingerprint_split(images, labels)}
    for split in ("validation", "test") if config.validation else ("test",):
        others = load_split(config, split, needs_labels=False)
        digests[split] = datasets.fingerprint_split(*others)
        if split == "validation":
            check_known_labels(config, others[1], classes, split)
    return {
        "train_images_sha256": datasets.fingerprint(images),
        "data_sha256": digests,
        "image_shape": list(images.shape[1:]),
        "classes": classes,
        "class_names": list(datasets.class_names(config.dataset, config.raw_dir or "")[:classes]),
    }


def load_run_split(run: Run, split: str) -> Split:
    """Return the images and labels of a split of a run, which are those that it began with.

    Of a run of 0.1.0 and of a published model less is known; what is known is compared.

    Args:
        run: a run or a published model.
        split: 'train', 'validation' or 'test'.

    Raises:
        DataError: the data are others now, or labels are none of those that the model knows.
    """
    config, known = run.config, run.environment
    images, labels = load_split(config, split)
    expected = known.get("data_sha256", {}).get(split)
    is_same = expected is None or expected == datasets.fingerprint_split(images, labels)
    if expected is None and "train_images_sha256" in known:
        training = images if split == "train" else load_split(config, "train")[0]
        is_same = known["train_images_sha256"] == datasets.fingerprint(training)
    if not is_same:
        raise DataError(
            f"Expected the data that {run.display_path} began with. Received: others for {config.dataset} now, in "
            f"split {split!r}. Put the old ones back, or begin a new run."
        )
    check_known_labels(config, labels, run.classes, split)
    return images, labels


def load_other_split(run: Run, name: str, split: str, limit: int = 0) -> Split:
    """Return images and labels that the model of a run was not trained on, binarised as its own are; unknown labels: 0.

    Args:
        run: a run or a published model.
        name: a data set, a folder with pictures, a picture file or an .npz file; see `image_inputs.open_image_input`.
        split: of a data set.
        limit: the first N images; 0: all.

    Raises:
        UsageError: no such data set, images of another shape, or real numbers for a model of binary pixels.
        DataError: damaged data, or no labels that the model knows, where it is conditioned on them.
    """
    config = run.config
    given = open_image_input(name, run.image_shape, split=split, raw_dir=config.raw_dir or "", limit=limit)
    if uses_labels(config) and not given.has_classes:
        raise DataError(f"Expected labels for a model that is conditioned on them. Received: {name}, without labels.")
    images = read_all([given])
    if config.binarize == "static":
        if images.dtype != np.uint8:
            raise UsageError(f"Expected bytes, to be binarised as the model's images. Received: floats of {name}.")
        images = draw_binary_images(images, np.arange(len(images)), split, config.seed)
    labels = np.zeros(len(images), np.int64) if given.labels is None else given.labels
    check_known_labels(config, labels, run.classes, split)
    return images, labels


def check_known_labels(config: Config, labels: np.ndarray, classes: int, split: str) -> None:
    """Refuse labels of a split that a model conditioned on labels was not trained on.

    Raises:
        DataError: there are such.
    """
    if uses_labels(config) and len(labels) and labels.max() >= classes:
        raise DataError(
            f"Expected in split {split!r} of {config.dataset} labels from 0 to {classes - 1}, those of the training "
            f"images. Received: {int(labels.max())}. Give training images of each class, or leave out condition=labels."
        )
