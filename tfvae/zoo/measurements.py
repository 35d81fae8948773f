"""What the card of a zoo entry states, measured from the entry's own files, and measured again to verify them."""

from __future__ import annotations

import pathlib

import numpy as np
import tensorflow as tf

from tfvae import datasets
from tfvae.config import Config
from tfvae.errors import IntegrityError
from tfvae.evaluation import score_images
from tfvae.exporting import savedmodel
from tfvae.models.vae import VAE
from tfvae.runtime import files, trust
from tfvae.training import trainer
from tfvae.zoo.entry_cards import BOUND_IMAGES, BOUND_SAMPLES, matches_card
from tfvae.zoo.index import VerificationResult

IMAGES = 1000  # of the test split
BATCH = 200  # images at once
SEED = (2026, 1)


def read_config(folder: pathlib.Path) -> Config:
    """Return the config of an entry."""
    return Config.from_dict(files.read_json(folder / "config.json"))


def load_model(folder: files.PathLike, trust_code: bool = False) -> VAE:
    """Load the live model of an entry from config.json and weights.npz, and return it.

        model = load_model(index.find_entry("fashion_mnist-geco-conv"))

    Args:
        folder: of the entry.
        trust_code: import what the config names by import path.

    Raises:
        UntrustedError: the config names code of its own, and `trust_code` is False.
        IntegrityError: the weights are not those of the config's model.
    """
    folder = pathlib.Path(folder)
    config, metrics = read_config(folder), files.read_json(folder / "metrics.json")
    trust.check_specs(config, {}, trust_code)
    model = trainer.build_model(config, tuple(metrics["image_shape"]), metrics["classes"])
    with np.load(folder / "weights.npz", allow_pickle=False) as stored:
        arrays = [stored[name] for name in sorted(stored.files)]
    if [array.shape for array in arrays] != [tuple(v.shape) for v in model.variables]:
        raise IntegrityError(f"Expected {folder / 'weights.npz'} to hold the weights of its config. Received: others.")
    for variable, array in zip(model.variables, arrays):
        variable.assign(array)
    return model


def load_test_images(config: Config) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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


def measure_entry(folder: pathlib.Path) -> dict[str, float]:
    """Measure an entry from its shipped files: the bound from the weights, all else from the SavedModel.

    Returns:
        {elbo, rate, distortion, error, nll}: means over the test images, see `tfvae.evaluation.metrics`.
    """
    config = read_config(folder)
    x, labels, images = load_test_images(config)
    model = load_model(folder)
    signatures = tf.saved_model.load(str(savedmodel.find_savedmodel(folder / "saved_model"))).signatures
    conditions = None if model.condition is None else model.condition.values_for(labels, x)
    columns = []
    for start in range(0, len(x), BATCH):
        batch = slice(start, start + BATCH)
        inputs = {"x": tf.constant(x[batch])}
        inputs |= {} if conditions is None else {"condition": tf.constant(conditions[batch])}
        means = signatures["elbo"](seed=tf.constant(SEED), **inputs)
        errors = tf.reduce_sum(tf.square(inputs["x"] - signatures["reconstruct"](**inputs)["image"]), axis=[1, 2, 3])
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


def verify_numbers(folder: pathlib.Path) -> list[VerificationResult]:
    """Measure an entry again and compare the numbers with those of its card.

        [result for result in verify_numbers(folder) if not result.passed]

    Args:
        folder: of the entry, whose hashes have been checked, see `index.find_entry`.

    Returns:
        One result for each number, and one on whether card.md says what metrics.json does.
    """
    shipped, measured = files.read_json(folder / "metrics.json")["numbers"], measure_entry(folder)
    results = []
    for name, entry in shipped.items():
        difference = abs(measured[name] - entry["value"])
        passed = bool(difference <= entry["tolerance"] * max(1.0, abs(entry["value"])))
        results.append(VerificationResult(name, passed, entry["value"], measured[name]))
    is_same_card = matches_card(folder)
    detail = "as its numbers say" if is_same_card else "Expected the card of metrics.json. Received: another text."
    return [*results, VerificationResult("card.md", is_same_card, detail=detail)]
