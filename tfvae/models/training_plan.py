"""Keras' `fit` tells the model how long it will train, as the trainer of a run does."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

MAX_KNOTS = 257  # at which a learning-rate schedule is looked up
CALIBRATION_IMAGES = 1000


class TrainingPlan(keras.callbacks.Callback):
    """Calls the model's `calibrate` before its first step, and `on_train_begin` as soon as the steps are known.

    Of a data set that does not know its length they are known after the first epoch.

    Args:
        images: what `fit` was given: images, or a data set of them; what else there is does not calibrate.
        initial_epoch: of `fit`.
    """

    def __init__(self, images: Any, initial_epoch: int = 0) -> None:
        super().__init__()
        self.images, self.initial_epoch = images, initial_epoch

    def on_train_begin(self, logs: Any = None) -> None:
        """Look at the images, and make the plan if Keras knows the length of an epoch."""
        self.first_step = int(self.model.step)
        images = None if self.first_step else take_images(self.images)
        if images is not None and len(images):
            self.model.calibrate(images)
        self.is_known = (self.params.get("steps") or 0) > 0
        if self.is_known:
            self.make_plan(self.params["steps"])

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Make the plan by the length of the first epoch, if it was not known before."""
        if not self.is_known and epoch == self.initial_epoch:
            self.make_plan(int(self.model.step) - self.first_step)

    def make_plan(self, steps_per_epoch: int) -> None:
        """Tell the model the number of steps and the learning rate of each."""
        steps = self.first_step + (self.params["epochs"] - self.initial_epoch) * steps_per_epoch
        self.model.on_train_begin(steps, find_schedule(self.model.optimizer, steps))
        self.model.make_train_function(force=True)  # the one before has another end of the training in it


def find_schedule(optimizer: Any, steps: int) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return an optimizer's schedule, steps -> learning rates; None: it is constant, as far as is known."""
    schedule = getattr(optimizer, "_learning_rate", None)
    if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
        return None
    knots = np.unique(np.linspace(0, steps, min(MAX_KNOTS, steps + 1)).astype(np.int64))
    rates = [float(schedule(int(knot))) for knot in knots]
    return lambda step: np.interp(step, knots, rates)


def take_images(data: Any) -> np.ndarray | None:
    """Return some images of an array or a data set, [N, H, W, C]; None: it is neither."""
    if isinstance(data, tf.data.Dataset):
        batches, count = [], 0
        for element in data:
            batch = np.asarray(element[0] if isinstance(element, tuple) else element)
            batches.append(batch)
            count += len(batch)
            if count >= CALIBRATION_IMAGES:
                break
        return np.concatenate(batches) if batches else None
    return np.asarray(data) if hasattr(data, "shape") and hasattr(data, "dtype") else None


def add_training_plan(images: Any, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return all arguments of Keras' `fit` but x and y by name, with a `TrainingPlan` among the callbacks.

    Args:
        images: x, as `TrainingPlan` takes it.
        arguments: the positional ones after x and y.
        options: those by name.
    """
    names = list(inspect.signature(keras.Model.fit).parameters)[3:]  # after self, x and y
    named = dict(zip(names, arguments)) | options
    plan, callbacks = TrainingPlan(images, named.get("initial_epoch", 0)), named.get("callbacks")
    if isinstance(callbacks, keras.callbacks.CallbackList):
        callbacks.append(plan)
    else:
        named["callbacks"] = [*(callbacks if isinstance(callbacks, (list, tuple)) else filter(None, [callbacks])), plan]
    return named
