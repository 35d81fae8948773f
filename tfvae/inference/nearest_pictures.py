"""`tfvae.neighbours`: the training pictures that are nearest to given images, by codes and by pixels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from tfvae.errors import UsageError
from tfvae.inference.codes import iterate_codes, open_inputs
from tfvae.models.vae import VAE
from tfvae.option_values import check_option
from tfvae.runtime import files
from tfvae.training import trainer
from tfvae.training.run_data import load_run_split
from tfvae.training.run_folder import Run, open_run

CANDIDATES = 4  # times the neighbours asked for, whose distances are computed again without cancellation
BLOCK = 500  # images whose distances to all training pictures are in memory at once
SPACES = ("latent", "pixels")


class Neighbours(NamedTuple):
    """The k nearest training pictures of each of N images, the nearest first.

    Attributes:
        names: of each image the path of its file, or its number.
        images: the images, [N, H, W, C], in [0, 1].
        latent_indices: numbers of the training pictures whose mean of q(z|x) is nearest, [N, k].
        latent_distances: their Euclidean distances of means, [N, k].
        pixels_indices: numbers of the training pictures that are nearest in pixels, [N, k].
        pixels_distances: their Euclidean distances of pixels in [0, 1], [N, k].
    """

    names: list[str]
    images: np.ndarray
    latent_indices: np.ndarray
    latent_distances: np.ndarray
    pixels_indices: np.ndarray
    pixels_distances: np.ndarray


def find_neighbours(
    model: Run | files.PathLike,
    images: Any = (),
    *,
    count: int = 5,
    samples: int = 16,
    split: str = "test",
    limit: int = 0,
    seed: int = 0,
    trust: bool = False,
) -> Neighbours:
    """Return the training pictures of a model that are nearest to images, or to its own samples: does it memorise?

    Args:
        model: a run, an exported SavedModel or ``zoo:NAME``, or the folder of one; its training images are at hand.
        images: names of picture files, folders, .npz files and data sets, or an array, see `tfvae.encode`; (): samples
            of the model.
        count: k, how many neighbours of each.
        samples: how many samples of the model to look at where no images are given.
        split: 'train', 'validation' or 'test', of data sets.
        limit: the first N images of each input; 0: all.
        seed: of the samples.
        trust: load code that the config of a model from elsewhere names.

    Raises:
        UsageError: images of another shape, none at all, or fewer training pictures than neighbours.
        DataError: a file that is no picture, or damaged data.
    """
    check_option(count >= 1, "count", ">= 1", count)
    check_option(samples >= 1, "samples", ">= 1", samples)
    run = open_run(model)
    live = trainer.load_run(run, trust_code=trust)
    if isinstance(images, (list, tuple)) and not images:
        images = np.asarray(live.sample(samples, (seed, 0)))
    inputs = open_inputs(run, images, split, limit)
    training = load_run_split(run, "train")[0]
    if len(training) < count:
        raise UsageError(f"Expected at most {len(training)} neighbours, the training pictures. Received: {count}.")
    means = encode_means(live, run, training)
    parts = []
    for part in inputs:
        for start in range(0, len(part.names), BLOCK):
            stop = min(start + BLOCK, len(part.names))
            given = part.read(start, stop)
            latent = find_nearest(encode_means(live, run, given), means, count)
            pixels = find_nearest(scale_pixels(given), training, count)
            parts.append((part.names[start:stop], scale_pixels(given), *latent, *pixels))
    names, *arrays = zip(*parts)
    return Neighbours([name for block in names for name in block], *(np.concatenate(array) for array in arrays))


def encode_means(model: VAE, run: Run, images: np.ndarray) -> np.ndarray:
    """Return the means of q(z|x), [N, L]; of conditional models without labels, or in the middle of their range."""
    return np.concatenate([codes.mean for codes in iterate_codes(model, open_inputs(run, images, "train", 0))])


def scale_pixels(images: np.ndarray) -> np.ndarray:
    """Return pixels as float32 in [0, 1]: bytes are divided by 255."""
    return images.astype(np.float32) / np.float32(255 if images.dtype == np.uint8 else 1)


def find_nearest(points: np.ndarray, others: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (indices, distances), both [N, count], of the nearest of `others`, by Euclidean distance.

    |a - b|^2 = |a|^2 - 2 a b + |b|^2 in float32 finds candidates a block at a time; float64 differences decide.

    Args:
        points: [N, ...].
        others: [M, ...], M >= count; bytes are taken as pixels in [0, 1].
        count: how many.
    """
    points = points.reshape(len(points), -1).astype(np.float32)
    wanted = min(len(others), CANDIDATES * count)
    best = np.full((len(points), 0), np.inf, np.float32)
    candidates = np.zeros((len(points), 0), np.int64)
    for start, block in iterate_blocks(others):
        squared = np.sum(block**2, 1) - 2 * points @ block.T  # less |a|^2, which is the same for all
        best = np.concatenate([best, squared], 1)
        numbers = np.broadcast_to(np.arange(start, start + len(block)), squared.shape)
        candidates = np.concatenate([candidates, numbers], 1)
        order = np.argpartition(best, min(wanted, best.shape[1]) - 1, axis=1)[:, :wanted]
        best, candidates = np.take_along_axis(best, order, 1), np.take_along_axis(candidates, order, 1)
    near = scale_pixels(others[candidates]).reshape(*candidates.shape, -1).astype(np.float64)
    distances = np.sqrt(np.sum((near - points[:, None]) ** 2, axis=2))
    order = np.lexsort((candidates, distances), axis=1)[:, :count]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(distances, order, 1)


def iterate_blocks(points: np.ndarray, size: int = 4 * BLOCK) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (number of the first, float32 [n, D]) of `size` points at a time."""
    for start in range(0, len(points), size):
        block = points[start : start + size]
        yield start, scale_pixels(block).reshape(len(block), -1)
