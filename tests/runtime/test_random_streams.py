"""Random streams: the same bits however compiled, the distributions they claim to be, independent of each other."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import special, stats

from tfvae.runtime import random_streams

FALSE_ALARM = 1e-6  # rate of each statistical test below, over the choices of its seed
FIVE = 5.0  # standard errors: a false alarm in 6e-7


@pytest.mark.parametrize("draw", [random_streams.uniform, random_streams.normal])
def test_draws_are_the_same_however_compiled(draw):
    eager = draw([1000, 3], (7, 8)).numpy()
    graph = tf.function(lambda seed: draw([1000, 3], seed))(tf.constant([7, 8])).numpy()
    compiled = tf.function(lambda seed: draw([1000, 3], seed), jit_compile=True)(tf.constant([7, 8])).numpy()
    np.testing.assert_array_equal(eager, graph)
    if draw is random_streams.uniform:
        np.testing.assert_array_equal(eager, compiled)  # to the bit: integers and exact arithmetic
    else:
        np.testing.assert_allclose(eager, compiled, atol=5e-5)  # XLA's ndtri is off by up to 2e-5 near |z| = 4


KNOWN_ANSWERS = [  # counter, key, words
    ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
    ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
    ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
]


@pytest.mark.parametrize("counter, key, words", KNOWN_ANSWERS)
@pytest.mark.parametrize("jit", [False, True])
def test_threefry_has_its_published_answers(counter, key, words, jit):
    """The known-answer vectors of Random123 (the pi digits are the third)."""
    cipher = tf.function(random_streams.threefry, jit_compile=True) if jit else random_streams.threefry
    output = cipher(*(tf.constant(value, tf.uint32) for value in (key, *counter)))
    assert tuple(int(value) for value in output) == words


def test_fold_is_the_same_however_compiled():
    def streams(seed):
        return tf.stack(
            [random_streams.fold_in(random_streams.fold_in(seed, a), b) for a in range(3) for b in range(3)]
        )

    eager = streams(tf.constant([1, 2])).numpy()
    np.testing.assert_array_equal(eager, tf.function(streams, jit_compile=True)(tf.constant([1, 2])))
    assert len({tuple(row) for row in eager}) == 9
    np.testing.assert_array_equal(random_streams.as_seed(5), [5, 0])
    np.testing.assert_array_equal(random_streams.normal([4], 5), random_streams.normal([4], (5, 0)))


@pytest.mark.parametrize("bits", [0, 511, 512, 2**31, 2**32 - 513, 2**32 - 1])
def test_uniform_never_reaches_its_ends(bits, monkeypatch):
    """The extreme words of 32 bits, through the library's own formula."""
    monkeypatch.setattr(random_streams, "random_bits", lambda *_: tf.constant([bits], tf.uint32))
    u = random_streams.uniform([1], (0, 0)).numpy()
    assert u.dtype == np.float32 and 0 < u[0] < 1
    assert float(u[0]) == ((bits >> 9) + 0.5) / 2**23  # in float64: nothing was rounded
    assert np.isfinite(random_streams.normal([1], (0, 0)).numpy()).all()
    np.testing.assert_allclose(random_streams.normal([1], (0, 0)), special.ndtri(float(u[0])), atol=1e-5)


def test_draws_have_their_distribution():
    n = 100_000
    assert stats.kstest(random_streams.uniform([n], (1, 2)), "uniform").pvalue > FALSE_ALARM
    assert stats.kstest(random_streams.normal([n], (1, 3)), "norm").pvalue > FALSE_ALARM


def test_first_rows_do_not_depend_on_how_many_follow():
    for draw in (random_streams.uniform, random_streams.normal):
        np.testing.assert_array_equal(draw([4, 3], (1, 2)), draw([8, 3], (1, 2))[:4])


def test_streams_are_independent():
    """Every pair among folded seeds, neighbouring seeds and steps: correlations of a size that chance allows."""
    n, base = 20_000, (3, 4)
    seeds = [random_streams.fold_in(base, i) for i in range(6)] + [
        random_streams.fold_in(random_streams.fold_in(base, 0), i) for i in range(3)
    ]
    seeds += [(3, 5), (4, 4), (4, 3), base]
    draws = np.stack([random_streams.normal([n], seed) for seed in seeds])
    correlations = np.corrcoef(draws)[np.triu_indices(len(draws), 1)]
    # 78 pairs, each normal with deviation 1/sqrt(n): false alarm 78 * 6e-7 = 5e-5
    assert np.abs(correlations).max() < FIVE / n**0.5
    squares = np.corrcoef(draws**2)[np.triu_indices(len(draws), 1)]
    assert np.abs(squares).max() < 2 * FIVE / n**0.5  # heavier tails
