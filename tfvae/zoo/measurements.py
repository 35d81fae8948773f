"""What the card of a zoo entry states, measured from the entry's own files, and measured again to verify them."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf

from tfvae import datasets
from tfvae.config import Config
from tfvae.errors import DataError, IntegrityError, TfvaeError, UsageError
from tfvae.evaluation import score_images
from tfvae.evaluation.metrics import find_metric
from tfvae.exporting.loading import SavedModel
from tfvae.models.vae import VAE
from tfvae.runtime import files, trust
from tfvae.runtime.run_metadata import read_config
from tfvae.safety.foreign_text import escape_text
from tfvae.safety.savedmodel_check import check_trusted
from tfvae.training import trainer
from tfvae.zoo import load
from tfvae.zoo.entry_cards import matches_card
from tfvae.zoo.entry_metadata import BOUND_IMAGES, BOUND_SAMPLES, SAVEDMODEL_FOLDER, read_metrics
from tfvae.zoo.index import VerificationResult
from tfvae.zoo.resolve import ZooEntry, resolve_model_folder

IMAGES = 1000  # of the test split
BATCH = 200  # images at once
SEED = (2026, 1)
TestImages = tuple[np.ndarray, np.ndarray, np.ndarray]  # see `load_test_images`


def load_model(folder: files.PathLike, trust_code: bool = False) -> VAE:
    """Load the live model of an entry from config.json, its SavedModel and state.npz, and return it.

        model = load_model(index.find_entry("fashion_mnist-geco-conv"))

    Args:
        folder: of the entry.
        trust_code: import what the config names by import path.

    Raises:
        UntrustedError: the config names code of its own, and `trust_code` is False.
        IntegrityError: the weights are not those of the config's model.
    """
    return trainer.load_run(ZooEntry(folder), trust_code=trust_code)


def load_test_images(config: Config) -> TestImages:
    """Load the test images on which entries are measured.

    Returns:
        x: as the SavedModel takes them, float32 [N, H, W, C] in [0, 1], N at most `IMAGES`.
        labels: [N].
        images: the same as x, as the live model takes them: bytes, or floats where the data set has those.
    """
    images, labels = datasets.load(config.dataset, "test", raw_dir=config.raw_dir or "")
    images, labels = images[:IMAGES], labels[:IMAGES]
    if config.binarize == "static":
        images = np.where(images > 127, 255, 0).astype(np.uint8)
    return (images.astype(np.float32) / 255 if images.dtype == np.uint8 else images), labels, images


def fingerprint_test_data(data: TestImages) -> str:
    """Return the hex sha256 of the test images and labels that entries are measured on."""
    return datasets.fingerprint_split(data[2], data[1])


def measure_entry(folder: pathlib.Path, data: TestImages, trusted: bool = False) -> dict[str, float]:
    """Measure an entry from its shipped files: the bound from the weights, all else from the SavedModel.

    Args:
        folder: of the entry.
        data: as `load_test_images` returns them.
        trusted: what the user says with ``--trust``.

    Returns:
        {elbo, rate, distortion, error, nll}: means over the test images, see `tfvae.evaluation.metrics`.

    Raises:
        UntrustedError: the config names code of its own, or the SavedModel may do more than compute; nothing is loaded.
        IntegrityError: the files do not fit each other.
    """
    config, (x, labels, images) = read_config(folder), data
    served = load.load(folder / SAVEDMODEL_FOLDER, trusted)
    model = load_model(folder, trusted)
    if x.shape[1:] != model.image_shape or not isinstance(served, SavedModel):
        shapes = f"{list(model.image_shape)} for {list(x.shape[1:])}"
        raise IntegrityError(f"Expected in {folder} a SavedModel for the images of its data set. Received: {shapes}.")
    conditions = None if model.condition is None else model.condition.values_for(labels, x)
    columns = []
    for start in range(0, len(x), BATCH):
        batch = slice(start, start + BATCH)
        inputs = {"x": x[batch]} | ({} if conditions is None else {"condition": conditions[batch]})
        means = served("elbo", seed=SEED, **inputs)
        errors = tf.reduce_sum(tf.square(x[batch] - served("reconstruct", **inputs)["image"]), axis=[1, 2, 3])
        columns.append([*(means[name].numpy() for name in ("elbo", "rate", "distortion")), errors.numpy()])
    names = ("elbo", "rate", "distortion", "error")
    numbers = dict(zip(names, np.concatenate(columns, axis=1).mean(1).tolist()))
    uses_labels = model.condition is not None and model.condition.uses_labels
    bound = score_images(
        model,
        images[:BOUND_IMAGES],
        BOUND_SAMPLES,
        seed=SEED[0],
        labels=labels[:BOUND_IMAGES] if uses_labels else None,
        xla=config.xla,
    )["bound"]
    return numbers | {"nll": -float(bound.mean())}


def verify_numbers(folder: pathlib.Path, trusted: bool = False) -> list[VerificationResult]:
    """Measure an entry again and compare the numbers with those of its card.

        [result for result in verify_numbers(folder) if not result.passed]

    Args:
        folder: of the entry, whose hashes have been checked, see `index.find_entry`.
        trusted: what the user says with ``--trust``.

    Returns:
        One result for each number, and one on whether card.md says what metrics.json does. Where the data set is not
        at hand, one on all numbers, which says so.

    Raises:
        UntrustedError, IntegrityError: as `measure_entry`; a file of the entry is damaged.
    """
    shipped, is_same_card = read_metrics(folder)["numbers"], matches_card(folder)
    detail = "as its numbers say" if is_same_card else "Expected the card of metrics.json. Received: another text."
    card = VerificationResult("card.md", is_same_card, detail=detail)
    config = read_config(folder)
    trust.check_specs(config, {}, trusted)
    if not trusted:
        check_trusted(resolve_model_folder(folder / SAVEDMODEL_FOLDER))  # whether or not it can be measured
    try:
        data = load_test_images(config)
        expected = read_metrics(folder).get("test_data_sha256")  # entries of 0.1.0 do not say
        if expected not in (None, fingerprint_test_data(data)):
            raise DataError(f"Expected the test images that {folder.name} was measured on. Received: others.")
    except (DataError, UsageError) as error:
        return [VerificationResult("numbers", False, detail=str(error), was_checked=False), card]
    try:
        measured = measure_entry(folder, data, trusted)
    except (
        ValueError,
        TypeError,
        KeyError,
        MemoryError,
        tf.errors.OpError,
    ) as error:  # whatever foreign weights or graphs cause
        if isinstance(error, TfvaeError):
            raise
        raise IntegrityError(f"Expected {folder} to compute its numbers. Received: {escape_text(error)}.") from None
    results = []
    for name, entry in shipped.items():
        tolerance = min(entry["tolerance"], find_metric(name).tolerance)  # an entry cannot excuse itself
        passed = bool(abs(measured[name] - entry["value"]) <= tolerance * max(1.0, abs(entry["value"])))
        results.append(VerificationResult(name, passed, entry["value"], measured[name]))
    return [*results, card]
