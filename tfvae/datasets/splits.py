"""Which image belongs to which split, and static binarisation: functions of seeds and positions alone."""

import numpy as np

from tfvae.errors import DataError, UsageError, describe_unknown

SPLITS = ("train", "validation", "test")
TEST_SHARE = 0.1
# The held-out images of a set without a test split are the same whatever seed a run has.
TEST_SEED = 20131220
BLOCK = 256


def part_of(split, parts):
    """The part of the source, 'train', 'test' or 'all', that holds `split`."""
    if split not in SPLITS:
        raise UsageError(describe_unknown("split", split, SPLITS))
    if parts == ("all",):
        return "all"
    return "test" if split == "test" else "train"


def indices(count, split, part, validation=0.0, seed=0):
    """Ascending positions, int64, of `split` among the `count` images of `part`.

    The three splits are disjoint, and train and validation together do not depend on `validation` or `seed`.

    Raises:
        DataError: too few images to give every split one.
    """
    if not 0 <= validation < 1:
        raise UsageError(f"Expected 0 <= validation < 1 (a share). Received: {validation!r}.")
    pool = np.arange(count)
    if part == "all":
        held_out = max(1, round(TEST_SHARE * count))
        order = np.random.default_rng((TEST_SEED, count)).permutation(count)
        if split == "test":
            return np.sort(order[:held_out])
        pool = np.sort(order[held_out:])
    elif split == "test":
        return pool
    share = max(1, round(validation * len(pool))) if validation else 0
    if share >= len(pool):
        raise DataError(
            f"Expected at least one training image beside {share} for validation. "
            f"Received: {count} images in all; give more images or a smaller validation share."
        )
    order = np.random.default_rng((seed, len(pool))).permutation(len(pool))
    return pool[np.sort(order[:share] if split == "validation" else order[share:])]


def draw_binary(images, positions, part, seed):
    """Each byte x becomes 255 with probability x/255, else 0 (Salakhutdinov and Murray, 2008); same shape.

    The draw of an image depends only on `seed`, `part` and its position there, so neither a limit nor the
    share for validation changes it.

    Args:
        images: uint8 [N,H,W,C].
        positions: ascending int64 [N], of each image in its part.
    """
    out = np.empty_like(images)
    shape = (BLOCK, *images.shape[1:])
    code = ("all", "train", "test").index(part)
    blocks = positions // BLOCK
    for block in np.unique(blocks):
        rows = slice(*np.searchsorted(blocks, (block, block + 1)))
        # u < x/255 with u in {0, ..., 2**24 - 1} / 2**24: bytes 0 and 255 are certain.
        u = np.random.default_rng((seed, code, int(block))).random(shape, dtype=np.float32)
        out[rows] = (u[positions[rows] - block * BLOCK] * 255 < images[rows]) * np.uint8(255)
    return out
