"""Which image belongs to which split, and static binarisation: functions of seeds and positions alone."""

from __future__ import annotations

import numpy as np

from tfvae.errors import DataError, UsageError, describe_unknown

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.1
# The held-out images of a set without a test split are the same whatever seed a run has.
TEST_SEED = 20131220
BLOCK = 256


def select_part(split: str, parts: tuple[str, ...]) -> str:
    """Select the part of a source, 'train', 'test' or 'all', that holds the images of `split`.

    Raises:
        UsageError: `split` is none of `SPLITS`.
    """
    if split not in SPLITS:
        raise UsageError(describe_unknown("split", split, SPLITS))
    if parts == ("all",):
        return "all"
    return "test" if split == "test" else "train"


def select_positions(count: int, split: str, part: str, validation: float = 0.0, seed: int = 0) -> np.ndarray:
    """Select the positions of `split` among the `count` images of `part`: ascending int64 [N].

    The three splits are disjoint, and train and validation together do not depend on `validation` or `seed`.

    Args:
        count: number of images of the part.
        split: 'train', 'validation' or 'test'.
        part: what `select_part` returned for the split.
        validation: share of the training images, in [0, 1), that belongs to 'validation'.
        seed: of the permutation that chooses the validation images.

    Raises:
        UsageError: `validation` is not in [0, 1).
        DataError: too few images to give every split one.
    """
    if not 0 <= validation < 1:
        raise UsageError(f"Expected 0 <= validation < 1 (a share). Received: {validation!r}.")
    pool = np.arange(count)
    if part == "all":
        test_count = max(1, round(TEST_SHARE * count))
        order = np.random.default_rng((TEST_SEED, count)).permutation(count)
        if split == "test":
            return np.sort(order[:test_count])
        pool = np.sort(order[test_count:])
    elif split == "test":
        return pool
    validation_count = max(1, round(validation * len(pool))) if validation else 0
    if validation_count >= len(pool):
        raise DataError(
            f"Expected at least one training image beside {validation_count} for validation. "
            f"Received: {count} images in all; give more images or a smaller validation share."
        )
    order = np.random.default_rng((seed, len(pool))).permutation(len(pool))
    return pool[np.sort(order[:validation_count] if split == "validation" else order[validation_count:])]


def draw_binary_images(images: np.ndarray, positions: np.ndarray, part: str, seed: int) -> np.ndarray:
    """Draw each byte x as 255 with probability x/255, else 0, and return the images (Salakhutdinov and Murray, 2008).

    The draw of an image depends only on `seed`, `part` and its position there, so neither a limit nor the
    share for validation changes it.

    Args:
        images: uint8 [N,H,W,C].
        positions: ascending int64 [N], the position of each image in its part.
        part: 'train', 'test' or 'all'.
        seed: of the draw.

    Returns:
        uint8 [N,H,W,C] of 0 and 255.
    """
    binary = np.empty_like(images)
    shape = (BLOCK, *images.shape[1:])
    code = ("all", "train", "test").index(part)
    blocks = positions // BLOCK
    for block in np.unique(blocks):
        rows = slice(*np.searchsorted(blocks, (block, block + 1)))
        # u < x/255 with u in {0, ..., 2**24 - 1} / 2**24: bytes 0 and 255 are certain.
        u = np.random.default_rng((seed, code, int(block))).random(shape, dtype=np.float32)
        binary[rows] = (u[positions[rows] - block * BLOCK] * 255 < images[rows]) * np.uint8(255)
    return binary
