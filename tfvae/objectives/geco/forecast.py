"""The violation at the end of a training, foretold from its course so far: what the ``forecast`` controller aims at.

Time is tau, the sum of the learning rates so far as shares of the largest: the steps, if the rate is constant. A net
under a constant multiplier learns as a + b tau^-p. An average whose window grows with tau, da / d log tau = c (e - a),
sees of that a + b c / (c - p) tau^-p; two of them, of different c, give both a and b.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import tensorflow as tf

RECENT, OLDER = 16.0, 4.0  # c of the two averages: they span about tau / 16 and tau / 4
EXPONENT = 0.7  # p, as measured on MLPs, convolutions and linear models
EXPONENTS = (0.4, 1.0)  # between which p lies in 95%: what they foretell is four standard deviations apart
KNOTS = 1024  # of the tables of a schedule


class LearningPlan:
    """The learning that each step of a training does, and how much is left after it, in units of tau.

    Args:
        steps: of the whole training, >= 1.
        learning_rate: the schedule, step (from 0) -> rate; None: constant.
    """

    def __init__(self, steps: int, learning_rate: Callable[[np.ndarray], object] | None = None) -> None:
        rates = np.ones(steps) if learning_rate is None else np.asarray(learning_rate(np.arange(steps)), np.float64)
        shares = np.broadcast_to(rates / rates.max(), steps)
        left = np.append(np.cumsum(shares[::-1])[::-1], 0.0)
        self.steps, count = steps, min(steps, KNOTS)
        knots = np.linspace(0, steps, count + 1)
        self._left = np.interp(knots, np.arange(steps + 1), left).astype(np.float32)
        self._shares = np.interp(knots, np.arange(steps), shares).astype(np.float32)

    def _look_up(self, table: np.ndarray, step: tf.Tensor) -> tf.Tensor:
        position = tf.cast(step, tf.float32) * ((len(table) - 1) / self.steps)
        position = tf.clip_by_value(position, 0.0, len(table) - 1.0)
        below = tf.minimum(tf.cast(position, tf.int32), len(table) - 2)
        part = position - tf.cast(below, tf.float32)
        values = tf.constant(table)
        return (1.0 - part) * tf.gather(values, below) + part * tf.gather(values, below + 1)

    def compute_share(self, step: tf.Tensor) -> tf.Tensor:
        """Return the learning rate of a step (from 0) as a share of the largest, a scalar."""
        return self._look_up(self._shares, step)

    def compute_left(self, step: tf.Tensor) -> tf.Tensor:
        """Return tau of what is left before a step (from 0): the sum of its share and all later ones, a scalar."""
        return self._look_up(self._left, step)


class Course(NamedTuple):
    """The averages of a violation's course, each [J], and tau so far, a scalar."""

    recent: tf.Tensor
    older: tf.Tensor
    variance: tf.Tensor
    tau: tf.Tensor


def update_course(course: Course, violation: tf.Tensor, share: tf.Tensor) -> Course:
    """Return the course after one more step.

    Args:
        course: before it; zeros before the first.
        violation: its batch mean, [J].
        share: of the step in tau, see `LearningPlan`.
    """
    tau = course.tau + share
    weight = tf.math.divide_no_nan(share, tau)
    recent_weight, older_weight = tf.minimum(RECENT * weight, 1.0), tf.minimum(OLDER * weight, 1.0)
    recent = course.recent + recent_weight * (violation - course.recent)
    older = course.older + older_weight * (violation - course.older)
    variance = course.variance + recent_weight * (tf.square(violation - recent) - course.variance)
    return Course(recent, older, variance, tau)


def extrapolate_course(course: Course, left: tf.Tensor, exponent: float = EXPONENT) -> tf.Tensor:
    """Return the violation when `left` more of tau is learnt under the present multiplier, [J].

    A course that does not fall is foretold to stay.
    """
    seen_by_recent, seen_by_older = RECENT / (RECENT - exponent), OLDER / (OLDER - exponent)
    falling = tf.maximum((course.older - course.recent) / (seen_by_older - seen_by_recent), 0.0)  # b tau^-p
    remaining = tf.pow(tf.math.divide_no_nan(course.tau, course.tau + left), exponent)
    return course.recent + falling * (remaining - seen_by_recent)


def compute_forecast_stddev(course: Course, left: tf.Tensor) -> tf.Tensor:
    """Return the standard deviation of `extrapolate_course`, [J]: that of the batches, and of not knowing the exponent.

    Both averages are linear in the violations, with weights c / tau at the end of the window: their variances are
    about c / (2 tau) of a batch's.
    """
    seen_by_recent, seen_by_older = RECENT / (RECENT - EXPONENT), OLDER / (OLDER - EXPONENT)
    remaining = tf.pow(tf.math.divide_no_nan(course.tau, course.tau + left), EXPONENT)
    lever = (remaining - seen_by_recent) / (seen_by_older - seen_by_recent)
    per_batch = tf.math.divide_no_nan(0.5, course.tau) * (RECENT * tf.square(1.0 - lever) + OLDER * tf.square(lever))
    slow, fast = (extrapolate_course(course, left, exponent) for exponent in EXPONENTS)
    return tf.sqrt(course.variance * per_batch + tf.square(0.25 * (slow - fast)))
