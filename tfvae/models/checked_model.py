"""Keras' methods that go through data, behind one check of images and labels."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfvae.distributions.likelihood_base import Likelihood
from tfvae.models.conditions import Condition
from tfvae.models.input_checks import check_fit_data, check_keyword_names, to_images
from tfvae.models.pixel_checks import guard_batches, peek_batch, translate_guard_errors


class CheckedModel(keras.Model):
    """A Keras model whose `fit`, `evaluate`, `predict` and methods on batches refuse impossible images and labels."""

    image_shape: tuple[int, ...]
    condition: Condition | None
    likelihood: Likelihood

    def check_data(self, x: Any, labels: Any = None) -> tuple[Any, Any]:
        """Return images and labels as Keras' methods can go through them, after a look at their form and values.

        Args:
            x: images, or a data set, of which every batch is looked at; generators are not.
            labels: [N]; None: none, or in the data set.

        Raises:
            UsageError: no images, or labels that the model's condition does not have.
            DataError: images of another shape, or pixels that are not finite or not in [0, 1].
        """
        is_bounded = self.likelihood.is_bounded
        first = peek_batch(x)
        if first is None:
            x = check_fit_data(x, self.image_shape, is_bounded)
            images, given = x, labels
        else:
            images, given = to_images(first[0], self.image_shape, is_bounded), first[1]
        classes = self.condition.width if self.condition is not None and self.condition.uses_labels else 0
        if self.condition is not None and classes and given is not None:
            self.condition.check_values(given, len(images) if hasattr(images, "shape") else None)
        if isinstance(x, tf.data.Dataset):
            x = guard_batches(x, is_bounded, classes)
        return x, labels

    def fit(self, x: Any = None, y: Any = None, *args: Any, **options: Any) -> Any:
        """Train as Keras' `fit` does, on images or (images, labels), arrays or a `tf.data.Dataset`.

        Raises:
            UsageError: labels that the model's condition does not have, or an argument that `fit` does not take.
            DataError: images of another shape, or floats beyond [0, 1], such as Keras' own image folders give.
        """
        check_keyword_names(keras.Model.fit, options)
        validation = options.get("validation_data")
        if isinstance(validation, (tuple, list)):
            options["validation_data"] = (*self.check_data(*validation[:2]), *validation[2:])
        elif validation is not None:
            options["validation_data"] = self.check_data(validation)[0]
        with translate_guard_errors():
            return super().fit(*self.check_data(x, y), *args, **options)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **options: Any) -> Any:
        """Measure as Keras' `evaluate` does; errors as for `fit`."""
        with translate_guard_errors():
            return super().evaluate(*self.check_data(x, y), *args, **options)

    def predict(self, x: Any, *args: Any, **options: Any) -> Any:
        """Return what `call` does, in batches, as Keras' `predict`; errors as for `fit`."""
        with translate_guard_errors():
            return super().predict(self.check_data(x)[0], *args, **options)

    def train_on_batch(self, x: Any, y: Any = None, *args: Any, **options: Any) -> Any:
        """Take one step, as Keras' `train_on_batch`; errors as for `fit`."""
        return super().train_on_batch(*self.check_data(x, y), *args, **options)

    def test_on_batch(self, x: Any, y: Any = None, *args: Any, **options: Any) -> Any:
        """Measure one batch, as Keras' `test_on_batch`; errors as for `fit`."""
        return super().test_on_batch(*self.check_data(x, y), *args, **options)
