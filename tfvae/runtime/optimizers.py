"""The optimizer and learning-rate schedule of a run, both Keras', with what training that never breaks needs."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from tfvae.config import SCHEDULES
from tfvae.errors import UsageError, describe_unknown

AVERAGED_SHARE = 1 / 9  # of the steps so far, over which weights are averaged while ema_momentum's span is longer


@keras.saving.register_keras_serializable("tfvae")
class GuardedAdam(keras.optimizers.Adam):
    """Keras' Adam (Kingma & Ba, 2015, arXiv 1412.6980) whose step can be called off inside a compiled program.

    Undoing a step afterwards, by ``where(is_finite, new, old)`` on each variable, makes XLA keep copies of both
    moments: 11% of a dense net's step. Here a step that is called off has learning rate 0 and moments that decay by 1.

    The average of the weights, with `use_ema`, forgets the start: early on its momentum is that of the last ninth of
    the steps, t / (t + 9). Keras' average still consists of the random start to 0.999^2000 = 14% after 2,000 steps.
    """

    _is_finite: tf.Tensor | None = None

    @contextlib.contextmanager
    def only_if(self, is_finite: tf.Tensor) -> Iterator[None]:
        """Make steps inside leave weights and moments as they are if the tensor `is_finite` is False."""
        self._is_finite = is_finite
        try:
            yield
        finally:
            self._is_finite = None

    def guarded_variables(self) -> list[Any]:
        """Return the variables that `only_if` protects; others, as weight decay moves them, are the caller's."""
        is_plain = not (self.amsgrad or self.weight_decay or self.gradient_accumulation_steps)
        return [*self._trainable_variables, *self._momentums, *self._velocities] if is_plain else []

    def update_step(self, gradient: tf.Tensor, variable: Any, learning_rate: tf.Tensor) -> None:
        """Apply one gradient to one variable, or nothing where the step is called off."""
        if self._is_finite is None or not self.guarded_variables():
            return super().update_step(gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]

        def zero_unless_finite(value: Any) -> tf.Tensor:
            return tf.where(self._is_finite, tf.cast(value, variable.dtype), 0.0)

        gradient = tf.where(self._is_finite, tf.cast(gradient, variable.dtype), tf.zeros([], variable.dtype))
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        correction = tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        self.assign_add(m, (gradient - m) * zero_unless_finite(1.0 - self.beta_1))
        self.assign_add(v, (tf.square(gradient) - v) * zero_unless_finite(1.0 - self.beta_2))
        step_size = zero_unless_finite(learning_rate) * correction
        self.assign_sub(variable, step_size * m / (tf.sqrt(tf.convert_to_tensor(v)) + self.epsilon))
        return None

    def _update_model_variables_moving_average(self, trainable_variables: list[Any]) -> None:
        """Take the weights after a step into their averages."""
        if not self.use_ema:
            return
        steps = tf.cast(self.iterations.value, tf.float32)
        momentum = tf.minimum(float(self.ema_momentum), steps / (steps + 1.0 / AVERAGED_SHARE))
        for variable, average in zip(trainable_variables, self._model_variables_moving_average):
            if average is not None:
                share = tf.cast(1.0 - momentum, average.dtype)
                average.assign(average + share * (tf.cast(variable, average.dtype) - average))


@keras.saving.register_keras_serializable("tfvae")
class LearningRateSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate as a function of the step.

    Keras' CosineDecay begins to decay after its warm-up; here the warm-up multiplies the whole curve, so that the last
    step of a training is the same with and without.

    Args:
        peak: the learning rate at the start, > 0.
        schedule: ``constant``, or ``cosine`` from `peak` to 0 at step `steps`.
        steps: of the whole training.
        warmup: steps over which it first grows linearly from 0.

    Raises:
        UsageError: an unknown schedule.
    """

    def __init__(self, peak: float, schedule: str, steps: int, warmup: int = 0) -> None:
        if schedule not in SCHEDULES:
            raise UsageError(describe_unknown("schedule", schedule, SCHEDULES))
        self.peak, self.schedule, self.steps, self.warmup = peak, schedule, steps, warmup

    def __call__(self, step: Any) -> tf.Tensor:
        """Return the learning rate at a step, from 0."""
        step = tf.cast(step, tf.float32)
        learning_rate = tf.constant(self.peak, tf.float32)
        if self.schedule == "cosine":
            learning_rate *= 0.5 * (1.0 + tf.cos(math.pi * tf.minimum(step / self.steps, 1.0)))
        return learning_rate * tf.minimum((step + 1.0) / self.warmup, 1.0) if self.warmup else learning_rate

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {"peak": self.peak, "schedule": self.schedule, "steps": self.steps, "warmup": self.warmup}


# The names under which version 0.1.0 saved them in .keras files.
keras.saving.get_custom_objects().update({"tfvae>Adam": GuardedAdam, "tfvae>Rate": LearningRateSchedule})


def unwrap_optimizer(optimizer: Any) -> Any:
    """Return the optimizer below float16's loss scaling, if there is one."""
    return getattr(optimizer, "inner_optimizer", optimizer)


@contextlib.contextmanager
def use_averaged_weights(model: keras.Model) -> Iterator[None]:
    """Make the weights inside their exponential moving average, if the optimizer keeps one."""
    optimizer = unwrap_optimizer(getattr(model, "optimizer", None))
    if not getattr(optimizer, "use_ema", False):
        yield
        return
    before = [v.numpy() for v in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, before):
            variable.assign(value)
