"""GECO's Lagrange multipliers: one controller a row, all of them on vectors [J], one entry a constraint.

The violation C is a batch mean; its exponential moving average starts at the first batch. A controller sees

    e = average / scale      dimensionless, 1 = "the error is twice the target"

and moves log lambda, so that lambda stays positive whatever happens (Rezende & Viola, 2018, algorithm 1).
"""

import math

import keras
import tensorflow as tf

from tfvae.errors import UsageError, describe_unknown

# lambda lies in [1e-6, 1e6]: an infeasible target cannot wind it up beyond what a feasible one can unwind.
MAX_LOG_MULTIPLIER = 6 * math.log(10.0)

# Of the pi controller: within 10% of the target it is linear; the slow average spans 1,000 steps; a lag of 0.5 means
# that the violation shrinks by a factor e every 2,000 steps. A training of less than 9,000 steps has no time for that:
# its span is a ninth of it, so that the same share of the training is spent on the way.
WINDOW, PACE, SPAN, SPANS, SHORTEST = 0.1, 0.5, 1000, 9, 20


def log_controller(state, e, average, rate, gain):
    """log lambda += rate * clip(e, -1, 1): scale-free, and at most a factor exp(rate) a step."""
    return state._log_values + rate * tf.clip_by_value(e, -1.0, 1.0)


def pi_controller(state, e, average, rate, gain):
    """log lambda += rate * p_t * moving + gain * (p_t - p_{t-1}), p = clip(e, -window, window), a nu-PI controller.

    Summed over the steps, log lambda = gain * p_t + rate * sum of p: the proportional part lets go as soon as the
    constraint is met, where a wound-up integral has to be unwound (Sohrabi et al., 2024, "On PI controllers for
    updating Lagrange multipliers"). Beyond the window the integral only makes up for missing progress: it rests
    while e falls by itself at the wanted pace, measured by how far log e's slow average lags behind log e; above
    the steepest slope that unrestricted codes could have (`ceilings`) it grows ten times slower. The slow average
    spans `span` steps; with a shorter one the integral is let go as much further.
    """
    furthest = WINDOW * SPAN / state.span
    p = tf.clip_by_value(e, -WINDOW, WINDOW)
    log_e = tf.math.log(tf.maximum(e, WINDOW))
    slow_decay = (1.0 - 1.0 / state.span) * tf.cast(state._updates > 0, tf.float32)
    slow = slow_decay * state._slow + (1.0 - slow_decay) * log_e
    needed = tf.where(e > WINDOW, tf.clip_by_value(1.0 - (slow - log_e) / PACE, 0.0, 1.0), 1.0)
    needed *= tf.where((e > 0.0) & (state._log_values > state.log_ceilings), 0.1, 1.0)
    state._slow.assign(slow)
    step = needed * rate * tf.clip_by_value(e, -furthest, furthest) + gain * (p - state._previous)
    state._previous.assign(p)
    return state._log_values + step


def paper_controller(state, e, average, rate, gain):
    """log lambda += clip(rate * C_ma, log 0.9, log 1.1), C_ma not normalised: the public replications' step."""
    return state._log_values + tf.clip_by_value(rate * average, math.log(0.9), math.log(1.1))


def softplus2_controller(state, e, average, rate, gain):
    """lambda = softplus(v)^2, v += rate * C_ma * d lambda / d v: gradient ascent, as the authors released it."""
    root = tf.exp(0.5 * state._log_values)  # softplus(v)
    v = root + tf.math.log(-tf.math.expm1(-root))
    v += rate * average * 2.0 * root * tf.sigmoid(v)
    return 2.0 * tf.math.log(tf.maximum(tf.nn.softplus(v), 1e-30))


# name -> (controller, default rate, default gain)
CONTROLLERS = {
    "log": (log_controller, 0.003, 0.0),
    "pi": (pi_controller, 0.02, 6.0),
    "paper": (paper_controller, 0.001, 0.0),
    "softplus2": (softplus2_controller, 0.001, 0.0),
}


class Multipliers(keras.layers.Layer):
    """The state of J multipliers: log lambda, moving average, pi's last input and slow average, updates.

    Args:
        count: J.
        controller: a name in `CONTROLLERS`.
        rate: step of log lambda (of v for softplus2); 0 takes the controller's default.
        gain: of the proportional part of ``pi``; 0 takes the default.
        decay: of the moving average.
        initial: lambda at the start.
        warmup: updates during which lambda stays as it is; the moving average runs.
        ceilings: [J] values above which ``pi`` raises lambda ten times slower.
    """

    def __init__(self, count, controller, rate, gain, decay, initial, warmup, ceilings):
        super().__init__(name="multipliers", dtype="float32")
        if controller not in CONTROLLERS:
            raise UsageError(describe_unknown("controller", controller, CONTROLLERS))
        for name, value, good in (
            ("rate", rate, rate >= 0),
            ("gain", gain, gain >= 0),
            ("decay", decay, 0 <= decay < 1),
            ("lam", initial, 1e-6 <= initial <= 1e6),
            ("warmup", warmup, warmup >= 0),
        ):
            if not good:
                rule = "between 1e-6 and 1e6" if name == "lam" else "in [0, 1)" if name == "decay" else ">= 0"
                raise UsageError(f"Expected geco's {name} {rule}. Received: {name}={value}.")
        self.controller, default_rate, default_gain = CONTROLLERS[controller]
        self.rate, self.gain = rate or default_rate, gain or default_gain
        self.decay, self.warmup, self.span = decay, int(warmup), SPAN
        self.log_ceilings = [math.log(ceiling) for ceiling in ceilings]
        start = keras.initializers.Constant(math.log(initial))
        self._log_values = self.add_weight(name="log_lam", shape=(count,), initializer=start, trainable=False)
        self._average = self.add_weight(name="average", shape=(count,), initializer="zeros", trainable=False)
        self._previous = self.add_weight(name="previous", shape=(count,), initializer="zeros", trainable=False)
        self._slow = self.add_weight(name="slow", shape=(count,), initializer="zeros", trainable=False)
        self._updates = self.add_weight(name="updates", shape=(), dtype="int32", initializer="zeros", trainable=False)

    def on_train_begin(self, steps):
        """Say how many steps the training has, before the first: ``pi`` hurries in a short one."""
        self.span = min(SPAN, max(SHORTEST, steps // SPANS))

    @property
    def values(self):
        """lambda, [J]."""
        return tf.exp(self._log_values)

    @property
    def average(self):
        """The moving average of the violations, [J], in their own units."""
        return self._average.value

    def update(self, violation, scale):
        """One step from the batch mean of each violation, [J]; scale [J] > 0 makes it dimensionless."""
        violation = tf.stop_gradient(violation)
        violation = tf.where(tf.math.is_finite(violation), violation, self._average)  # NaN would stay for good
        decay = self.decay * tf.cast(self._updates > 0, tf.float32)  # the first batch is the first average
        average = decay * self._average + (1.0 - decay) * violation
        moved = self.controller(self, average / scale, average, self.rate, self.gain)
        moved = tf.clip_by_value(moved, -MAX_LOG_MULTIPLIER, MAX_LOG_MULTIPLIER)
        awake = tf.cast(self._updates >= self.warmup, tf.float32)
        self._log_values.assign(awake * moved + (1.0 - awake) * self._log_values)
        self._average.assign(average)
        self._updates.assign_add(1)
