"""Random draws that are a function of their seed alone: the same bits eagerly, in graphs and under XLA.

A seed is a pair of int32. The generator is Threefry-2x32 with 20 rounds (Salmon et al., 2011, "Parallel random
numbers: as easy as 1, 2, 3"), a counter cipher that JAX uses too, in TensorFlow's integer ops. TensorFlow's own
stateless floats differ between XLA and its kernels, and its Philox takes XLA on a CPU sixty times as long as this.
"""

import contextlib

import tensorflow as tf

ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
PARITY = 0x1BD11BDA


def as_seed(seed):
    """An int, a pair of ints or an int tensor of shape [2] -> int32 tensor [2]."""
    if isinstance(seed, int):
        seed = (seed, 0)
    return tf.cast(tf.convert_to_tensor(seed), tf.int32)


def to_word(value):
    return tf.constant(value, tf.uint32)


def rotate(x, by):
    left = tf.bitwise.left_shift(x, to_word(by))
    return tf.bitwise.bitwise_or(left, tf.bitwise.right_shift(x, to_word(32 - by)))


def threefry(key, x0, x1):
    """Encrypt the counters (x0, x1) with `key` [2]; all uint32: -> two tensors of uint32."""
    k0, k1 = key[0], key[1]
    keys = (k0, k1, tf.bitwise.bitwise_xor(tf.bitwise.bitwise_xor(k0, k1), to_word(PARITY)))
    x0, x1 = x0 + keys[0], x1 + keys[1]
    for i in range(5):
        for by in ROTATIONS[i % 2]:
            x0 = x0 + x1
            x1 = tf.bitwise.bitwise_xor(rotate(x1, by), x0)
        x0, x1 = x0 + keys[(i + 1) % 3], x1 + keys[(i + 2) % 3] + to_word(i + 1)
    return x0, x1


_shards = []  # (number, of how many): see `shard_of_batch`


@contextlib.contextmanager
def shard_of_batch(number, of):
    """Draws inside, along their axis of images, are share `number` of `of` equal shares of one larger draw."""
    _shards.append((number, of))
    try:
        yield
    finally:
        _shards.pop()


def draw_positions(shape, axis):
    """The place of each element in the whole draw, int32 [prod(shape)]."""
    size = tf.reduce_prod(shape)
    if axis is None or not _shards:
        return tf.range(size, dtype=tf.int32)
    number, of = _shards[-1]
    inner = tf.reduce_prod(shape[axis:])  # elements of one block of images
    here = tf.range(size, dtype=tf.int32)
    return here // inner * (inner * of) + number * inner + here % inner


def random_bits(shape, seed, axis=None):
    """Uniform words, uint32; element i depends on the seed and on i only, so that first rows are a prefix of more.

    Args:
        axis: which one counts the images of a batch, for draws that replicas share out (see `shard_of_batch`).
    """
    key = tf.bitcast(as_seed(seed), tf.uint32)
    index = tf.bitcast(draw_positions(shape, axis), tf.uint32)
    return tf.reshape(threefry(key, index, to_word(0))[0], shape)


def fold_in(seed, n):
    """The seed of stream `n` below `seed`; streams are independent, of each other and of the seed's own draws."""
    key = tf.bitcast(as_seed(seed), tf.uint32)
    n = tf.bitcast(tf.cast(n, tf.int32), tf.uint32)
    return tf.bitcast(tf.stack(threefry(key, n, to_word(1))), tf.int32)  # draws use 0 where this has 1


def uniform(shape, seed, axis=None):
    """Draws in (0, 1), float32, on the grid (i + 1/2) / 2**23: exact in float32, so neither end is ever reached."""
    return (tf.cast(tf.bitwise.right_shift(random_bits(shape, seed, axis), to_word(9)), tf.float32) + 0.5) / 2.0**23


def normal(shape, seed, axis=None):
    """Standard normal draws, float32, by inversion of the distribution function."""
    return tf.math.ndtri(uniform(shape, seed, axis))
