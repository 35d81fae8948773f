"""Random draws that are a function of their seed alone: the same bits eagerly, in graphs and under XLA.

A seed is a pair of int32. The generator is Threefry-2x32 with 20 rounds (Salmon et al., 2011, "Parallel random
numbers: as easy as 1, 2, 3"), a counter cipher that JAX uses too, in TensorFlow's integer ops. TensorFlow's own
stateless floats differ between XLA and its kernels, and its Philox takes XLA on a CPU sixty times as long as this.
"""

import contextlib
import enum
import numbers
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError, describe_value


class SeedStream(enum.IntEnum):
    """Streams below the seed of a model or an evaluation: each use folds in its own, so that no two share a draw."""

    TRAIN = 1
    EVALUATE = 2
    IMPORTANCE_SAMPLES = 7
    MARGINAL_KL = 11
    SECOND_STAGE = 13
    POSTERIOR_CLOUD = 19
    PRIOR_DRAWS = 23
    AGGREGATE_POSTERIOR_DRAWS = 29
    CODES = 31
    PRIOR_CODES = 37


class PassStream(enum.IntEnum):
    """Streams below the seed of one forward pass."""

    PIXELS = 0
    POSTERIOR = 1
    PRIOR = 2
    CONDITION = 3


class SeedWord(enum.IntEnum):
    """Second words of a seed (seed, word): draws that stay apart from those of a user's own (seed, 0)."""

    RATE_DISTORTION_CURVE = 3
    CODES = 5
    SAMPLE_METRICS = 17
    SCORES = 19
    CALIBRATION = 23


ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def as_seed(seed: Any) -> tf.Tensor:
    """Turn an int, a pair of ints or an int tensor of shape [2] into the int32 tensor [2] that a seed is.

    Raises:
        UsageError: it is something else.
    """
    pair = (seed, 0) if isinstance(seed, numbers.Integral) else seed
    is_pair = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(map(is_seed_word, pair))
    is_array = isinstance(pair, np.ndarray) and pair.shape == (2,) and pair.dtype.kind in "iu"
    if not (is_pair or is_array or tf.is_tensor(pair)):
        raise UsageError(f"Expected seed to be a whole number, or a pair of them. Received: {describe_value(seed)}.")
    return tf.cast(tf.convert_to_tensor(pair), tf.int32)


def is_seed_word(value: Any) -> bool:
    """Tell whether a value is one of the two numbers of a seed; in a graph it may be a tensor."""
    return isinstance(value, numbers.Integral) or tf.is_tensor(value)


def to_word(value: int) -> tf.Tensor:
    """Return a number as the 32-bit word that the cipher computes with."""
    return tf.constant(value, tf.uint32)


def rotate(x: tf.Tensor, by: int) -> tf.Tensor:
    """Rotate the bits of the words x to the left by `by` places."""
    left = tf.bitwise.left_shift(x, to_word(by))
    return tf.bitwise.bitwise_or(left, tf.bitwise.right_shift(x, to_word(32 - by)))


def threefry(key: tf.Tensor, x0: tf.Tensor, x1: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Encrypt the counters (x0, x1) with `key` [2] and return two tensors of words; all are uint32."""
    k0, k1 = key[0], key[1]
    keys = (k0, k1, tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(k0, k1), to_word(PARITY)))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for i in range(5):
        for by in ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = tf.bitwise.bitwise_xor(rotate(x1, by), x0)
        x0, x1 = x0 + keys[(i + 1) % 3], x1 + keys[(i + 2) % 3] + to_word(i + 1)
    return x0, x1


_shards: list[tuple[Any, int]] = []  # (number, of how many): see `shard_of_batch`


@contextlib.contextmanager
def shard_of_batch(number: Any, of: int) -> Iterator[None]:
    """Make draws inside, along their axis of images, share `number` of `of` equal shares of one larger draw."""
    _shards.append((number, of))
    try:
        yield
    finally:
        _shards.pop()


def draw_positions(shape: tf.Tensor, axis: int | None) -> tf.Tensor:
    """Return the place of each element in the whole draw, int32 [prod(shape)]."""
    size = tf.reduce_prod(shape)
    if axis is None or not _shards:
        return tf.range(size, dtype=tf.int32)
    number, of = _shards[-1]
    inner = tf.reduce_prod(shape[axis:])  # elements of one block of images
    here = tf.range(size, dtype=tf.int32)
    return here // inner * (inner * of) + number * inner + here % inner


def random_bits(shape: Any, seed: Any, axis: int | None = None) -> tf.Tensor:
    """Draw uniform words, uint32 of `shape`.

    Element i depends on the seed and on i only, so that fewer rows are a prefix of more.

    Args:
        shape: of the draw, numbers or a tensor.
        seed: see `as_seed`.
        axis: which axis counts the images of a batch, for draws that replicas share out (see `shard_of_batch`).
    """
    key = tf.bitcast(as_seed(seed), tf.uint32)
    index = tf.bitcast(draw_positions(shape, axis), tf.uint32)
    return tf.reshape(threefry(key, index, to_word(0))[0], shape)


def fold_in(seed: Any, n: Any) -> tf.Tensor:
    """Return the seed of stream `n` below `seed`, independent of other streams and of the seed's own draws."""
    key = tf.bitcast(as_seed(seed), tf.uint32)
    n = tf.bitcast(tf.cast(n, tf.int32), tf.uint32)
    return tf.bitcast(tf.stack(threefry(key, n, to_word(1))), tf.int32)  # draws use 0 where this has 1


def uniform(shape: Any, seed: Any, axis: int | None = None) -> tf.Tensor:
    """Draw uniformly from (0, 1), float32, on the grid (i + 1/2) / 2**23, exact in float32: no end is ever reached."""
    return (tf.cast(tf.bitwise.right_shift(random_bits(shape, seed, axis), to_word(9)), tf.float32) + 0.5) / 2.0**23


def normal(shape: Any, seed: Any, axis: int | None = None) -> tf.Tensor:
    """Draw standard normal numbers, float32, by inversion of the distribution function."""
    return tf.math.ndtri(uniform(shape, seed, axis))
