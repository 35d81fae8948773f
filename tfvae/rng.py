"""Random draws that are a function of their seed alone, the same in eager mode, in graphs and under XLA.

A seed is a pair of int32. ``tf.random``'s float draws differ between XLA and plain graphs; its uint32 draws do not,
so floats are made from those.
"""

import tensorflow as tf


def as_seed(seed):
    """An int, a pair of ints or an int tensor of shape [2] -> int32 tensor [2], not negative.

    XLA widens a negative seed otherwise than TensorFlow's own kernels do, and would draw other bits from it.
    """
    if isinstance(seed, int):
        seed = (seed, 0)
    return tf.bitwise.bitwise_and(tf.cast(tf.convert_to_tensor(seed), tf.int32), 0x7FFFFFFF)


def fold(seed, n):
    """The seed of stream `n` below `seed`; streams are independent."""
    return tf.random.experimental.stateless_fold_in(as_seed(seed), tf.cast(n, tf.int32))


def uniform(shape, seed):
    """Draws in (0, 1), float32, on the grid (i + 1/2) / 2**23: exact in float32, so neither end is ever reached."""
    bits = tf.random.stateless_uniform(shape, as_seed(seed), minval=None, maxval=None, dtype=tf.uint32)
    return (tf.cast(tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32)), tf.float32) + 0.5) / 2.0**23


def normal(shape, seed):
    """Standard normal draws, float32, by inversion of the distribution function."""
    return tf.math.ndtri(uniform(shape, seed))
