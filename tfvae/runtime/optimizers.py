"""The optimizer and learning-rate schedule of a run, both Keras', with what training that never breaks needs."""

import contextlib
import math

import keras
import tensorflow as tf

from tfvae.config import SCHEDULES
from tfvae.errors import UsageError, describe_unknown


@keras.saving.register_keras_serializable("tfvae")
class GuardedAdam(keras.optimizers.Adam):
    """Keras' Adam (Kingma & Ba, 2015) whose step can be called off inside a compiled program.

    Undoing a step afterwards, by ``where(sound, new, old)`` on each variable, makes XLA keep copies of both moments:
    11% of a dense net's step. Here a step that is called off has learning rate 0 and moments that decay by 1.
    """

    _sound = None

    @contextlib.contextmanager
    def only_if(self, sound):
        """Steps inside leave weights and moments as they are if the tensor `sound` is False."""
        self._sound = sound
        try:
            yield
        finally:
            self._sound = None

    def guarded_variables(self):
        """The variables that `only_if` protects; others, as weight decay moves them, are the caller's to protect."""
        plain = not (self.amsgrad or self.weight_decay or self.gradient_accumulation_steps)
        return [*self._trainable_variables, *self._momentums, *self._velocities] if plain else []

    def update_step(self, gradient, variable, learning_rate):
        if self._sound is None or not self.guarded_variables():
            return super().update_step(gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        m, v = self._momentums[index], self._velocities[index]

        def unless_off(value):
            return tf.where(self._sound, tf.cast(value, variable.dtype), 0.0)

        gradient = tf.where(self._sound, tf.cast(gradient, variable.dtype), tf.zeros([], variable.dtype))
        step = tf.cast(self.iterations.value + 1, variable.dtype)
        correction = tf.sqrt(1.0 - self.beta_2**step) / (1.0 - self.beta_1**step)
        self.assign_add(m, (gradient - m) * unless_off(1.0 - self.beta_1))
        self.assign_add(v, (tf.square(gradient) - v) * unless_off(1.0 - self.beta_2))
        rate = unless_off(learning_rate) * correction
        self.assign_sub(variable, rate * m / (tf.sqrt(tf.convert_to_tensor(v)) + self.epsilon))


@keras.saving.register_keras_serializable("tfvae")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate as a function of the step.

    Args:
        peak: the learning rate at the start.
        schedule: ``constant``, or ``cosine`` from `peak` to 0 at step `steps`.
        warmup: steps over which it first grows linearly from 0.
    """

    def __init__(self, peak, schedule, steps, warmup=0):
        if schedule not in SCHEDULES:
            raise UsageError(describe_unknown("schedule", schedule, SCHEDULES))
        self.peak, self.schedule, self.steps, self.warmup = peak, schedule, steps, warmup

    def __call__(self, step):
        step = tf.cast(step, tf.float32)
        rate = tf.constant(self.peak, tf.float32)
        if self.schedule == "cosine":
            rate *= 0.5 * (1.0 + tf.cos(math.pi * tf.minimum(step / self.steps, 1.0)))
        return rate * tf.minimum((step + 1.0) / self.warmup, 1.0) if self.warmup else rate

    def get_config(self):
        return {"peak": self.peak, "schedule": self.schedule, "steps": self.steps, "warmup": self.warmup}


def unwrap_optimizer(optimizer):
    """The optimizer below float16's loss scaling, if there is one."""
    return getattr(optimizer, "inner_optimizer", optimizer)


@contextlib.contextmanager
def use_averaged_weights(model):
    """Inside, the weights are their exponential moving average, if the optimizer keeps one."""
    optimizer = unwrap_optimizer(getattr(model, "optimizer", None))
    if not getattr(optimizer, "use_ema", False):
        yield
        return
    now = [v.numpy() for v in model.trainable_variables]
    optimizer.finalize_variable_values(model.trainable_variables)
    try:
        yield
    finally:
        for variable, value in zip(model.trainable_variables, now):
            variable.assign(value)
