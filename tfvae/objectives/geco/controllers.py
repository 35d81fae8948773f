"""GECO's Lagrange multipliers and the controllers that move them; all work on vectors [J], one entry a constraint.

The violation C is a batch mean; its exponential moving average starts at the first batch. A controller sees

    e = average / scale      dimensionless, 1 = "the error is twice the target"
    latest                   the same of this batch alone

and moves log lambda, so that lambda stays positive whatever happens (Rezende & Viola, 2018, algorithm 1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError, describe_unknown
from tfvae.objectives.geco.forecast import (
    Course,
    LearningPlan,
    compute_forecast_stddev,
    extrapolate_course,
    update_course,
)
from tfvae.option_values import check_option

# lambda lies in [1e-6, 1e6]: an infeasible target cannot wind it up beyond what a feasible one can unwind.
MAX_LOG_MULTIPLIER = 6 * math.log(10.0)

# Of the pi controller: within 10% of the target it is linear; the slow average spans 1,000 steps; a lag of 0.5 means
# that the violation shrinks by a factor e every 2,000 steps. A training of less than 9,000 steps has no time for that:
# its span is a ninth of it, so that the same share of the training is spent on the way.
ERROR_WINDOW = 0.1  # |e| within which the proportional part is linear
WANTED_LAG = 0.5  # of log e behind its slow average, at the pace that is wanted
SLOW_AVERAGE_STEPS = 1000
SLOW_AVERAGES_PER_TRAINING = 9  # at least
MIN_SLOW_AVERAGE_STEPS = 20

# Of the forecast controller, in units of learning (see `tfvae.objectives.geco.forecast`): a violation foretold to stay
# at e is answered by learning_rate * e / (what is left), but what is left counts as a tenth of the training at least,
# and as 1,000 steps in a long one: the net needs time to answer. Its voice grows over the first tenth, when the course
# is still too short to be foretold.
FORECAST_LIMIT = 0.25  # |e| beyond which the answer grows no further
MIN_LEFT_SHARE, MIN_LEFT_STEPS, MAX_LEFT_FLOOR = 0.1, 30.0, 1000.0
RAMP_SHARE = 0.1
# In a training of fewer steps learning limits the error, and the lambda that is needed in the end is larger: measured
# at 250 to 780 steps. Haste is how many times it is shorter; lambda starts haste^2 as high, and its ceiling is raised.
UNHURRIED_STEPS, MAX_HASTE = 1500, 4.0
PI_RATE, FORECAST_RATE, GAIN = 0.02, 20.0, 6.0


def log_controller(
    state: Multipliers, e: tf.Tensor, latest: tf.Tensor, average: tf.Tensor, learning_rate: float, gain: float
) -> tf.Tensor:
    """Return log lambda + learning_rate * clip(e, -1, 1): scale-free, at most a factor exp(learning_rate) a step."""
    return state._log_values + learning_rate * tf.clip_by_value(e, -1.0, 1.0)


def pi_controller(
    state: Multipliers, e: tf.Tensor, latest: tf.Tensor, average: tf.Tensor, learning_rate: float, gain: float
) -> tf.Tensor:
    """Return log lambda + learning_rate * p_t + gain * (p_t - p_{t-1}), p = clip(e, -0.1, 0.1): a nu-PI controller.

    Summed over the steps, log lambda = gain * p_t + learning_rate * sum of p: the proportional part lets go as soon as
    the constraint is met, where a wound-up integral has to be unwound (Sohrabi et al., 2024, "On PI controllers for
    updating Lagrange multipliers"). Beyond the window the integral only makes up for missing progress: it rests
    while e falls by itself at the wanted pace, measured by how far log e's slow average lags behind log e; above
    the steepest slope that unrestricted codes could have (`ceilings`) it grows ten times slower. The slow average
    spans `slow_average_steps`; with a shorter one the integral is let go as much further.
    """
    furthest = ERROR_WINDOW * SLOW_AVERAGE_STEPS / state.slow_average_steps
    p = tf.clip_by_value(e, -ERROR_WINDOW, ERROR_WINDOW)
    log_e = tf.math.log(tf.maximum(e, ERROR_WINDOW))
    slow_decay = (1.0 - 1.0 / state.slow_average_steps) * tf.cast(state._updates > 0, tf.float32)
    slow = slow_decay * state._slow + (1.0 - slow_decay) * log_e
    needed = tf.where(e > ERROR_WINDOW, tf.clip_by_value(1.0 - (slow - log_e) / WANTED_LAG, 0.0, 1.0), 1.0)
    needed *= state.slow_down(e)
    state._slow.assign(slow)
    step = needed * learning_rate * tf.clip_by_value(e, -furthest, furthest) + gain * (p - state._previous)
    state._previous.assign(p)
    return state._log_values + step


def paper_controller(
    state: Multipliers, e: tf.Tensor, latest: tf.Tensor, average: tf.Tensor, learning_rate: float, gain: float
) -> tf.Tensor:
    """Return log lambda + clip(learning_rate * C_ma, log 0.9, log 1.1), C_ma not normalised: the published step."""
    return state._log_values + tf.clip_by_value(learning_rate * average, math.log(0.9), math.log(1.1))


def softplus2_controller(
    state: Multipliers, e: tf.Tensor, latest: tf.Tensor, average: tf.Tensor, learning_rate: float, gain: float
) -> tf.Tensor:
    """Return log of lambda = softplus(v)^2, v += learning_rate * C_ma * d lambda / d v, as the authors released it."""
    root = tf.exp(0.5 * state._log_values)  # softplus(v)
    v = root + tf.math.log(-tf.math.expm1(-root))
    v += learning_rate * average * 2.0 * root * tf.sigmoid(v)
    return 2.0 * tf.math.log(tf.maximum(tf.nn.softplus(v), 1e-30))


def forecast_controller(
    state: Multipliers, e: tf.Tensor, latest: tf.Tensor, average: tf.Tensor, learning_rate: float, gain: float
) -> tf.Tensor:
    """Return log lambda + learning_rate * share * e_T / left + gain * (p_t - p_{t-1}): it aims at the end.

    e_T is the violation foretold for the last step under the present lambda, p = clip(e_T, -0.1, 0.1), `share` the
    learning of this step and `left` that of the rest. The integral part takes of e_T what is not in doubt,
    e_T^3 / (e_T^2 + (2 stddev)^2). A lambda that answers the present violation overshoots while
    learning is what limits the error, and codes that opened in that time stay open. Without a plan of the training, the
    end of which is then not known, it is ``pi``.
    """
    if state.plan is None:
        return pi_controller(state, e, latest, average, learning_rate * PI_RATE / FORECAST_RATE, gain)
    share = state.plan.compute_share(state._updates)
    course = update_course(state.course, latest, share)
    left = state.plan.compute_left(state._updates + 1)
    at_end = extrapolate_course(course, left)
    doubt = tf.square(2.0 * compute_forecast_stddev(course, left))
    trusted = at_end * tf.math.divide_no_nan(tf.square(at_end), tf.square(at_end) + doubt)
    for variable, value in zip((state._recent, state._older, state._variance, state._tau), course):
        variable.assign(value)
    whole = course.tau + left
    least = tf.clip_by_value(MIN_LEFT_SHARE * whole, MIN_LEFT_STEPS, MAX_LEFT_FLOOR)
    step = learning_rate * share * tf.clip_by_value(trusted, -FORECAST_LIMIT, FORECAST_LIMIT) / tf.maximum(left, least)
    p = tf.clip_by_value(at_end, -ERROR_WINDOW, ERROR_WINDOW)
    voice = tf.minimum(course.tau / (RAMP_SHARE * whole), 1.0)
    moved = state._log_values + voice * (step * state.slow_down(at_end) + gain * (p - state._previous))
    state._previous.assign(p)
    return moved


Controller = Callable[["Multipliers", tf.Tensor, tf.Tensor, tf.Tensor, float, float], tf.Tensor]

# name -> (controller, default learning rate, default gain; None: it has no proportional part)
CONTROLLERS: dict[str, tuple[Controller, float, float | None]] = {
    "log": (log_controller, 0.003, None),
    "pi": (pi_controller, PI_RATE, GAIN),
    "forecast": (forecast_controller, FORECAST_RATE, GAIN),
    "paper": (paper_controller, 0.001, None),
    "softplus2": (softplus2_controller, 0.001, None),
}


class Multipliers(keras.layers.Layer):
    """The state of J multipliers: log lambda, moving average, pi's last input and slow average, updates.

    Args:
        count: J.
        controller: a name in `CONTROLLERS`.
        learning_rate: step of log lambda (of v for softplus2), >= 0; None: the controller's default.
        proportional_gain: of ``pi`` and ``forecast``, >= 0; None: its default.
        decay: of the moving average, in [0, 1).
        initial: lambda at the start, in [1e-6, 1e6].
        warmup: updates during which lambda stays as it is; the moving average runs.
        ceilings: [J] values above which ``pi`` and ``forecast`` raise lambda ten times slower.

    Raises:
        UsageError: an unknown controller, a value out of range, or a gain for a controller without one.
    """

    def __init__(
        self,
        count: int,
        controller: str,
        *,
        learning_rate: float | None,
        proportional_gain: float | None,
        decay: float,
        initial: float,
        warmup: int,
        ceilings: Sequence[float],
    ) -> None:
        super().__init__(name="multipliers", dtype="float32")
        if controller not in CONTROLLERS:
            raise UsageError(describe_unknown("controller", controller, CONTROLLERS))
        self.controller, default_rate, default_gain = CONTROLLERS[controller]
        for name, value, is_good, rule in (
            ("multiplier_learning_rate", learning_rate, learning_rate is None or learning_rate >= 0, ">= 0"),
            ("proportional_gain", proportional_gain, proportional_gain is None or proportional_gain >= 0, ">= 0"),
            ("decay", decay, 0 <= decay < 1, "in [0, 1)"),
            ("initial_multiplier", initial, 1e-6 <= initial <= 1e6, "between 1e-6 and 1e6"),
            ("warmup", warmup, warmup >= 0, ">= 0"),
        ):
            check_option(is_good, name, rule, value)
        if proportional_gain is not None and default_gain is None:
            raise UsageError(
                "Expected proportional_gain with the controllers pi and forecast. "
                f"Received: {controller}, which has none."
            )
        self.learning_rate = default_rate if learning_rate is None else learning_rate
        self.gain = (default_gain or 0.0) if proportional_gain is None else proportional_gain
        self.decay, self.warmup, self.slow_average_steps = decay, int(warmup), SLOW_AVERAGE_STEPS
        self.unhurried_log_ceilings = [math.log(ceiling) for ceiling in ceilings]
        self.unhurried_start: Sequence[float] | None = None
        self.haste = 1.0
        start = keras.initializers.Constant(math.log(initial))
        self._log_values = self.add_weight(name="log_lam", shape=(count,), initializer=start, trainable=False)
        self._average = self.add_weight(name="average", shape=(count,), initializer="zeros", trainable=False)
        self._previous = self.add_weight(name="previous", shape=(count,), initializer="zeros", trainable=False)
        self._slow = self.add_weight(name="slow", shape=(count,), initializer="zeros", trainable=False)
        self._updates = self.add_weight(name="updates", shape=(), dtype="int64", initializer="zeros", trainable=False)
        self.plan: LearningPlan | None = None
        if controller == "forecast":
            self._recent = self.add_weight(name="recent", shape=(count,), initializer="zeros", trainable=False)
            self._older = self.add_weight(name="older", shape=(count,), initializer="zeros", trainable=False)
            self._variance = self.add_weight(name="variance", shape=(count,), initializer="zeros", trainable=False)
            self._tau = self.add_weight(name="tau", shape=(), initializer="zeros", trainable=False)

    def on_train_begin(self, steps: int, learning_rate: Callable[[np.ndarray], object] | None = None) -> None:
        """Fit the pace to a training, before its first step: ``pi`` hurries in a short one, ``forecast`` sees its end.

        Args:
            steps: of the whole training, those of a run that is resumed too.
            learning_rate: its schedule, step -> rate; None: constant.
        """
        shorter = max(MIN_SLOW_AVERAGE_STEPS, steps // SLOW_AVERAGES_PER_TRAINING)
        self.slow_average_steps = min(SLOW_AVERAGE_STEPS, shorter)
        self.plan = LearningPlan(steps, learning_rate)
        if self.controller is forecast_controller:
            self.haste = min(max(UNHURRIED_STEPS / steps, 1.0), MAX_HASTE)
        if self.unhurried_start is not None and not int(self._updates):
            self.start_at(self.unhurried_start)

    def start_at(self, values: Sequence[float]) -> None:
        """Set lambda, [J], before the first step; a short training begins higher, up to the ceiling that others have.

        Args:
            values: where lambda starts in a training that is long enough.
        """
        self.unhurried_start = values
        starts, ceilings = np.log(values), np.array(self.unhurried_log_ceilings)
        room = np.where(np.isfinite(ceilings), np.maximum(ceilings - starts, 0.0), 0.0)
        starts = starts + np.minimum(2.0 * math.log(self.haste), room)
        self._log_values.assign(np.clip(starts, -MAX_LOG_MULTIPLIER, MAX_LOG_MULTIPLIER))

    @property
    def log_ceilings(self) -> list[float]:
        """Return the log of the value above which each lambda is raised ten times slower."""
        return [ceiling + math.log(self.haste) for ceiling in self.unhurried_log_ceilings]

    def slow_down(self, e: tf.Tensor) -> tf.Tensor:
        """Return the share of a step that is taken, [J]: a tenth where a lambda above its ceiling would grow."""
        return tf.where((e > 0.0) & (self._log_values > self.log_ceilings), 0.1, 1.0)

    @property
    def course(self) -> Course:
        """Return the course of the violations, in units of their scales, as ``forecast`` follows it."""
        return Course(self._recent.value, self._older.value, self._variance.value, self._tau.value)

    def forecast(self) -> tuple[tf.Tensor, tf.Tensor] | None:
        """Return the violations foretold for the last step, in units of their scales, and their stddev, [J] each.

        None where nothing is foretold: another controller, or a training whose end is not known.
        """
        if self.plan is None or self.controller is not forecast_controller:
            return None
        left = self.plan.compute_left(self._updates)
        return extrapolate_course(self.course, left), compute_forecast_stddev(self.course, left)

    @property
    def values(self) -> tf.Tensor:
        """Return lambda, [J]."""
        return tf.exp(self._log_values)

    @property
    def average(self) -> tf.Tensor:
        """Return the moving average of the violations, [J], in their own units."""
        return self._average.value

    def update(self, violation: tf.Tensor, scale: Sequence[float]) -> None:
        """Take one step, given the batch mean of each violation, [J]; scale [J] > 0 makes it dimensionless."""
        violation = tf.stop_gradient(violation)
        violation = tf.where(tf.math.is_finite(violation), violation, self._average)  # NaN would stay for good
        decay = self.decay * tf.cast(self._updates > 0, tf.float32)  # the first batch is the first average
        average = decay * self._average + (1.0 - decay) * violation
        moved = self.controller(self, average / scale, violation / scale, average, self.learning_rate, self.gain)
        moved = tf.clip_by_value(moved, -MAX_LOG_MULTIPLIER, MAX_LOG_MULTIPLIER)
        awake = tf.cast(self._updates >= self.warmup, tf.float32)
        self._log_values.assign(awake * moved + (1.0 - awake) * self._log_values)
        self._average.assign(average)
        self._updates.assign_add(1)
