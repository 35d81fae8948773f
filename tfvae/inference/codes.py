"""`tfvae.encode` and `tfvae.decode`: images into codes of a trained model, and codes into images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.datasets.dataset_loading import has_labels
from tfvae.datasets.image_inputs import ImageInput, count_images, iterate_batches, open_image_input, wrap_arrays
from tfvae.datasets.splits import SPLITS
from tfvae.errors import UsageError, describe_unknown
from tfvae.models.vae import VAE
from tfvae.option_values import check_option
from tfvae.runtime import files, random_streams
from tfvae.runtime.memory import check_count_fits
from tfvae.runtime.random_streams import SeedWord
from tfvae.training import trainer
from tfvae.training.run_data import load_run_split
from tfvae.training.run_folder import Run, open_run

IMAGES_AT_ONCE = 500


class Codes(NamedTuple):
    """What q(z|x) says of some images.

    Attributes:
        names: of each image the path of its file, or its number in the data set.
        mean: [N, L]; of architectures with several groups of latents all of them, one after the other.
        stddev: [N, L].
        draws: z ~ q(z|x), [N, draws, L]; None where none were asked for.
        labels: [N]; None where nothing tells them.
    """

    names: list[str]
    mean: np.ndarray
    stddev: np.ndarray
    draws: np.ndarray | None = None
    labels: np.ndarray | None = None


def encode(
    model: Run | files.PathLike,
    images: Any = (),
    *,
    split: str = "test",
    limit: int = 0,
    draws: int = 0,
    seed: int = 0,
    condition: float | None = None,
    trust: bool = False,
) -> Codes:
    """Return the codes of images under a trained model.

    Args:
        model: a run, an exported SavedModel or ``zoo:NAME``, or the folder of one.
        images: names of picture files, folders, .npz files and data sets, or one name, or an array [N, H, W, C], bytes
            or floats in [0, 1]; (): the split of the model's own data.
        split: 'train', 'validation' or 'test', of data sets.
        limit: the first N images of each input; 0: all.
        draws: how many z ~ q(z|x) to draw of each image, beside mean and stddev.
        seed: of the draws.
        condition: beta or kappa, where the model has such a range; None: its middle.
        trust: load code that the config of a model from elsewhere names.

    Raises:
        UsageError: the model has no such condition; images of another shape; none at all.
        DataError: a file that is no picture, or damaged data.

    Example:
        >>> encode("zoo:fashion_mnist-geco-conv", ["me.png", "photos"]).mean.shape  # doctest: +SKIP
    """
    run = open_run(model)
    inputs = open_inputs(run, images, split, limit)
    live = trainer.load_run(run, trust_code=trust)
    check_count_fits(count_images(inputs) * (2 + draws), (live.arch.latent,), "codes")
    return join_codes(list(iterate_codes(live, inputs, draws, seed, condition)))


def join_codes(parts: Sequence[Codes]) -> Codes:
    """Return the codes of all parts as one; labels are None where a part has none."""

    def join(arrays: Sequence[np.ndarray | None]) -> np.ndarray | None:
        known = [array for array in arrays if array is not None]
        return np.concatenate(known) if len(known) == len(arrays) else None

    return Codes(
        names=[name for part in parts for name in part.names],
        mean=np.concatenate([part.mean for part in parts]),
        stddev=np.concatenate([part.stddev for part in parts]),
        draws=join([part.draws for part in parts]),
        labels=join([part.labels for part in parts]),
    )


def open_inputs(run: Run, images: Any, split: str, limit: int) -> list[ImageInput]:
    """Return what `images` names, see `encode`, without decoding any picture.

    Raises:
        UsageError: an unknown split, no images, or ones of another shape.
        DataError: damaged data, or a folder without pictures.
    """
    if split not in SPLITS:
        raise UsageError(describe_unknown("split", split, SPLITS))
    check_option(limit >= 0, "limit", ">= 0", limit)
    if isinstance(images, np.ndarray):
        return [wrap_arrays(images[: limit or None], None, run.image_shape, "an array")]
    names = [images] if isinstance(images, str) else [str(name) for name in images]
    raw_dir = run.config.raw_dir or ""
    if not names:
        own, zeros_or_labels = load_run_split(run, split)
        labels = zeros_or_labels[: limit or None] if has_labels(run.config.dataset, split, raw_dir) else None
        return [wrap_arrays(own[: limit or None], labels, run.image_shape, run.config.dataset)]
    return [open_image_input(name, run.image_shape, split=split, raw_dir=raw_dir, limit=limit) for name in names]


def iterate_codes(
    model: VAE, inputs: Sequence[ImageInput], draws: int = 0, seed: int = 0, condition: float | None = None
) -> Iterator[Codes]:
    """Yield the codes of all images, a batch at a time; the same call draws the same."""
    check_option(draws >= 0, "draws", ">= 0", draws)
    knows_labels = model.condition is not None and model.condition.uses_labels
    encode_batch = tf.function(model.encode, autograph=False, reduce_retracing=True)
    batches = ((part, *batch) for part in inputs for batch in iterate_batches(part, IMAGES_AT_ONCE))
    for index, (part, names, images, labels) in enumerate(batches):
        given = labels if condition is None and knows_labels and part.has_classes else condition
        if given is not None and model.condition is not None:
            model.condition.check_values(given)  # a compiled program cannot look at them
        mean, stddev = (array.numpy() for array in encode_batch(images, given))
        drawn = None
        if draws:
            stream = random_streams.fold_in((seed, SeedWord.CODES), index)
            noise = random_streams.normal([len(images), draws, mean.shape[1]], stream).numpy()
            drawn = mean[:, None] + stddev[:, None] * noise
        yield Codes(names, mean, stddev, drawn, labels)


def decode(
    model: Run | files.PathLike, codes: np.ndarray, *, condition: float | None = None, trust: bool = False
) -> np.ndarray:
    """Return the mean images g(z) of codes, [N, H, W, C] in [0, 1].

    Args:
        model: as for `encode`.
        codes: z, [N, L].
        condition: a label, beta or kappa, for a model with such a condition; None: not known, or the range's middle.
        trust: as for `encode`.

    Raises:
        UsageError: codes of another length, or a condition that the model does not have.
    """
    live = trainer.load_run(model, trust_code=trust)
    return np.concatenate(list(iterate_images(live, codes, condition)))


def iterate_images(model: VAE, codes: np.ndarray, condition: float | None = None) -> Iterator[np.ndarray]:
    """Yield g(z) of all codes, a batch at a time; see `decode`."""
    latent = model.arch.latent
    if codes.ndim != 2 or codes.shape[1] != latent or not len(codes):
        raise UsageError(f"Expected codes [N, {latent}] of this model, N >= 1. Received: {list(codes.shape)}.")
    if not np.isfinite(codes).all():
        raise UsageError("Expected codes that are finite numbers. Received: NaN or infinite ones.")
    for start in range(0, len(codes), IMAGES_AT_ONCE):
        yield model.decode(codes[start : start + IMAGES_AT_ONCE].astype(np.float32), condition).numpy()
