"""What is measured of images to tell anomalous ones: ELBO, bound, error, rate and the map of the error, in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from tfvae.datasets.image_arrays import check_pixel_values
from tfvae.datasets.image_inputs import ImageInput, iterate_batches
from tfvae.datasets.splits import draw_binary_images
from tfvae.errors import DataError
from tfvae.evaluation.bounds import IMAGES_PER_BATCH, BatchScorer
from tfvae.models import conditions
from tfvae.models.vae import VAE
from tfvae.runtime import random_streams
from tfvae.runtime.random_streams import SeedWord
from tfvae.training.run_folder import Run

MEASURED = ("elbo", "bound", "error", "rate", "detail")
DEFAULT_SAMPLES = 16


class ScoredImages(NamedTuple):
    """A batch of images with what was measured of each.

    Attributes:
        names: of each image the path of its file, or its number.
        images: pixels in [0, 1] as the model saw them, [B, H, W, C].
        labels: [B]; None where nothing tells them.
        kinds: {elbo, bound, error, rate, detail: [B]}, see `compute_detail`.
        maps: the squared error of each pixel, summed over channels, [B, H, W]; its sum is the error.
    """

    names: list[str]
    images: np.ndarray
    labels: np.ndarray | None
    kinds: dict[str, np.ndarray]
    maps: np.ndarray


class ScoreSettings(NamedTuple):
    """How images are measured.

    Attributes:
        samples: K, draws of z of each image for ELBO and bound.
        seed: of the draws of z.
        condition: beta or kappa, where the model has such a range; None: its middle.
    """

    samples: int = DEFAULT_SAMPLES
    seed: int = 0
    condition: float | None = None


def iterate_scores(
    run: Run, model: VAE, inputs: Sequence[ImageInput], settings: ScoreSettings, word: SeedWord
) -> Iterator[ScoredImages]:
    """Yield what is measured of all images, a batch at a time; the same call draws the same.

    A model of binary pixels sees images binarised as in its training. One that is conditioned on labels is told none:
    an anomaly has no class. Parts of images are those of the image itself.

    Args:
        run: whose config says how pixels are binarised, and whether XLA compiles.
        model: of the run.
        inputs: the images.
        settings: K, seed and condition.
        word: keeps the draws of calibration images apart from those of others.

    Raises:
        DataError: pixels that are not in [0, 1], or a model whose scores are not finite.
    """
    scorer = BatchScorer(model, run.config.xla)

    def compute_map(x: tf.Tensor, condition: tf.Tensor | None) -> tf.Tensor:
        mean_picture = model.decode(model.encode(x, condition)[0], condition)
        return tf.reduce_sum(tf.square(x - mean_picture), axis=-1)

    measure_map = tf.function(compute_map, autograph=False, reduce_retracing=True)
    position = 0
    for names, images, labels in (batch for part in inputs for batch in iterate_batches(part, IMAGES_PER_BATCH)):
        seed = random_streams.fold_in((settings.seed, word), position)
        x = model.prepare_pixels(binarize_images(run, model, images, position), random_streams.fold_in(seed, 0))
        condition = make_condition(model, x, settings.condition)
        means = scorer.score_batch(x, None, random_streams.fold_in(seed, 1), settings.samples, condition)
        maps = measure_map(x, condition).numpy()
        pixels = x.numpy()
        kinds = means | {"error": maps.astype(np.float64).sum(axis=(1, 2)), "detail": compute_detail(pixels)}
        kinds = {name: kinds[name] for name in MEASURED}
        is_finite = np.isfinite(np.stack(list(kinds.values()))).all(axis=0)
        if not is_finite.all():
            raise DataError(f"Expected finite scores. Received: NaN or infinity for {names[int(is_finite.argmin())]}.")
        yield ScoredImages(names, pixels, labels, kinds, maps)
        position += len(names)


def compute_detail(images: np.ndarray) -> np.ndarray:
    """Return the total variation of images [B, H, W, C], the sum of |differences| of pixels side by side, [B]."""
    images = images.astype(np.float64)
    return sum(np.abs(np.diff(images, axis=axis)).sum(axis=(1, 2, 3)) for axis in (1, 2))


def binarize_images(run: Run, model: VAE, images: np.ndarray, position: int) -> np.ndarray:
    """Return images as the model takes them: bytes where it binarises, of ``static`` binary ones, drawn once.

    Args:
        run: whose seed the draws of ``static`` have.
        model: of the run.
        images: [B, H, W, C], bytes or floats in [0, 1].
        position: number of the first image.

    Raises:
        DataError: floats that are not in [0, 1].
    """
    check_pixel_values(images, "images", model.likelihood.is_bounded)
    if model.binarize == "none":
        return images
    if images.dtype != np.uint8:
        images = np.rint(255 * images.astype(np.float32)).astype(np.uint8)
    if model.binarize == "dynamic":
        return images
    return draw_binary_images(images, np.arange(position, position + len(images)), "test", run.config.seed)


def make_condition(model: VAE, x: tf.Tensor, given: float | None) -> tf.Tensor | None:
    """Return the condition of each image, [B, ...]; None for a model without one.

    Raises:
        UsageError: one is given that the model does not have.
    """
    if model.condition is None:
        conditions.make_context(None, given, None)
        return None
    if given is None:
        own = model.condition.values_from_images(x)
        return model.condition.default_values(len(x)) if own is None else own
    model.condition.check_values(given)
    return tf.fill([len(x)], tf.cast(given, model.condition.dtype))
