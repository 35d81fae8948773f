"""The one training step that all objectives share: what the engine and Keras' `fit` call.

A subclass says what it minimises (`objective`) and, where it has multipliers, how they move (`constraint_stats`,
`adapt`).
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import Terms, average_over_samples, compute_elbo
from tfvae.errors import UsageError
from tfvae.models.checked_model import CheckedModel
from tfvae.models.input_checks import check_keyword_names
from tfvae.models.training_plan import add_training_plan
from tfvae.runtime import replicas
from tfvae.runtime.optimizers import GuardedAdam, unwrap_optimizer
from tfvae.runtime.random_streams import SeedStream, fold_in

# What every objective reports, means over images, in nats per image (sq_err: squared pixel units).
METRIC_NAMES = ("loss", "elbo", "rate", "distortion", "sq_err")


def sum_all(values: tf.Tensor) -> tf.Tensor:
    """Sum all numbers; the sum is finite only if each is. Columns come first, which XLA on a CPU does in one pass."""
    return tf.reduce_sum(tf.reduce_sum(tf.cast(values, tf.float32), axis=list(range(len(values.shape) - 1))))


class MeanOrNaN(keras.metrics.Mean):
    """A running mean that is NaN over nothing, where Keras' is 0: no finite step yet must not look like success."""

    def result(self) -> tf.Tensor:
        """Return the mean."""
        return tf.where(self.count > 0.0, super().result(), math.nan)


class TrainStep(CheckedModel):
    """A Keras model whose step is: terms, loss [B], one mean, gradients, optimizer, multipliers.

    `tfvae.VAE` adds the networks and all that a user calls.
    """

    seed: int
    l2: float
    precision: str
    step: Any
    _trackers: list[MeanOrNaN]

    # --- what a subclass says ----------------------------------------------------------------------------------

    def terms(
        self, x: Any, samples: int | None = None, seed: Any = (0, 0), training: bool = False, condition: Any = None
    ) -> Terms:
        """Return the unreduced numbers of a forward pass; see `tfvae.VAE.terms`."""
        raise NotImplementedError

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return the loss of each image, [B], nats per image."""
        raise NotImplementedError(f"{type(self).__name__} must define objective(terms) -> [B]")

    def loss_weight(self, terms: Terms) -> tf.Tensor | float:
        """Return each image's weight in the gradient, [B] or 1, where losses differ in scale by design."""
        return 1.0

    def on_train_begin(self, steps: int, learning_rate: Callable[[Any], Any] | None = None) -> None:
        """Learn how many steps the training will have; called before it is compiled.

        Args:
            steps: of the whole training, from the first epoch to the last.
            learning_rate: its schedule, step -> learning rate; None: constant.
        """

    def calibrate(self, images: np.ndarray) -> None:
        """Set the state that `adapt` moves to where it starts; called before the first step, never on resuming.

        Args:
            images: of the training set, [N, H, W, C], bytes or floats in [0, 1].
        """

    def training_notes(self, steps: int) -> list[str]:
        """Return sentences about options that a training of `steps` steps is too short for."""
        return []

    def constraint_stats(self, terms: Terms) -> dict[str, tf.Tensor]:
        """Return what `adapt` goes by: means over the images of the batch, which replicas average before they adapt."""
        return {}

    def adapt(self, constraint_stats: dict[str, tf.Tensor]) -> None:
        """Move what gradients do not train (multipliers); called once per training step, never in validation."""

    def state_logs(self) -> dict[str, tf.Tensor]:
        """Return {column: scalar} of the state that `adapt` moves."""
        return {}

    def metric_columns(self, terms: Terms) -> dict[str, tf.Tensor]:
        """Return {column: [B]}: the numbers that every objective reports alike."""
        return {
            "elbo": compute_elbo(terms),
            "rate": terms.kl,
            "distortion": -average_over_samples(terms.log_px),
            "sq_err": average_over_samples(terms.sq_err),
        }

    # --- one step ----------------------------------------------------------------------------------------------

    def weight_penalty(self) -> tf.Tensor:
        """Return l2 * the sum of squared kernels; biases are not penalised."""
        kernels = [v for v in self.trainable_variables if v.path.rpartition("/")[2] == "kernel"]
        return self.l2 * tf.add_n([tf.reduce_sum(tf.square(tf.cast(v, tf.float32))) for v in kernels])

    def condition_kwargs(self, labels: Any) -> dict[str, Any]:
        """Return the labels of a batch as an argument of `terms`, if this model is conditioned on labels."""
        wanted = labels is not None and self.condition is not None and self.condition.uses_labels
        return {"condition": labels} if wanted else {}

    def compute_gradients(
        self, x: tf.Tensor, labels: Any = None, sample_weight: Any = None
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor], list[tf.Tensor], tf.Tensor]:
        """Run one forward and backward pass.

        Each replica's gradient is its share of the batch's, so that their sum is the gradient of the whole batch.

        Args:
            x: images [B, H, W, C].
            labels: [B], for models that are conditioned on them.
            sample_weight: of each image in the mean of the losses, [B]; None: 1.

        Returns:
            Columns {name: [B]}, the loss first; statistics for `adapt`; gradients; and whether all is finite, bool.
        """
        seed = fold_in(fold_in((self.seed, 0), SeedStream.TRAIN), self.step)
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            terms = self.terms(x, seed=seed, training=True, **self.condition_kwargs(labels))
            loss = self.objective(terms)
            weighted = loss * self.loss_weight(terms)
            if sample_weight is not None:
                weighted *= tf.cast(sample_weight, tf.float32)
            total = tf.reduce_mean(weighted)  # the one reduction over the batch
            if self.l2:
                total += self.weight_penalty()
            scaled = self.optimizer.scale_loss(total)  # a no-op unless float16
        gradients = tape.gradient(scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        is_finite = tf.math.is_finite(total)
        if self.precision != "float16":  # whose loss scale meets infinities by itself, and shrinks
            is_finite &= tf.math.is_finite(tf.add_n([sum_all(g) for g in gradients]))
        # A weight that is NaN may pass unseen: outside of XLA, relu(NaN) is 0 on a CPU.
        is_finite &= tf.math.is_finite(tf.add_n([sum_all(v.value) for v in variables]))
        mse = tf.reduce_mean(terms.sq_err) / tf.size(x[0], out_type=tf.float32)
        stats = {"mse": mse, **self.constraint_stats(terms)}
        return {"loss": loss, **self.metric_columns(terms)}, stats, gradients, is_finite

    def optimize(
        self, x: tf.Tensor, labels: Any = None, sample_weight: Any = None
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Take one optimisation step on images x.

        A step whose loss or gradients are not finite leaves every variable but the step number as it was, and its
        columns are 0. The choice is made by ``where`` inside the program: XLA drops asserts.

        Args:
            x: images [B, H, W, C], bytes or floats in [0, 1].
            labels: [B], for models that are conditioned on them.
            sample_weight: see `compute_gradients`.

        Returns:
            {column: [B]}, the loss first, and whether the step counted, bool.
        """
        if not self.optimizer.built:
            with tf.init_scope():
                self.optimizer.build(self.trainable_variables)
        if replicas.count_replicas() > 1:
            logs, stats, gradients, is_finite = replicas.gather_gradients(self, x, labels, sample_weight)
        else:
            logs, stats, gradients, is_finite = self.compute_gradients(x, labels, sample_weight)
        with self.rollback_unless(is_finite):
            self.optimizer.apply(gradients, self.trainable_variables)
            self.likelihood.adapt(stats.pop("mse"))
            self.adapt(stats)
        self.step.assign_add(1)
        return {name: tf.where(is_finite, value, tf.zeros_like(value)) for name, value in logs.items()}, is_finite

    @contextlib.contextmanager
    def rollback_unless(self, is_finite: tf.Tensor) -> Iterator[None]:
        """Undo what the block assigns to any variable if `is_finite` is False; `GuardedAdam` sees to the big ones."""
        optimizer = unwrap_optimizer(self.optimizer)
        guarded = isinstance(optimizer, GuardedAdam)
        others = {id(v) for v in ([self.step, *optimizer.guarded_variables()] if guarded else [self.step])}
        variables = [v for v in (*self.variables, *self.optimizer.variables) if id(v) not in others]
        before = [tf.identity(tf.convert_to_tensor(v)) for v in variables]
        with optimizer.only_if(is_finite) if guarded else contextlib.nullcontext():
            yield
        for variable, old in zip(variables, before):
            variable.assign(tf.where(is_finite, tf.convert_to_tensor(variable), old))

    def evaluate_batch(self, x: tf.Tensor, index: Any = 0, labels: Any = None) -> dict[str, tf.Tensor]:
        """Return the columns of `optimize` without learning.

        Args:
            x: images [B, H, W, C], bytes or floats in [0, 1].
            index: number of the batch; each batch of an evaluation has noise of its own.
            labels: [B], for models that are conditioned on them.
        """
        seed = fold_in(fold_in((self.seed, 0), SeedStream.EVALUATE), index)
        terms = self.terms(x, seed=seed, **self.condition_kwargs(labels))
        return {"loss": self.objective(terms), **self.metric_columns(terms)}

    # --- Keras -------------------------------------------------------------------------------------------------

    def fit(self, x: Any = None, y: Any = None, *args: Any, **options: Any) -> Any:
        """Train as Keras' `fit`; a model that goes by the length of the training is told it, where Keras knows it.

        Raises:
            UsageError, DataError: as `CheckedModel.fit`.
        """
        if type(self).on_train_begin is not TrainStep.on_train_begin:
            args, options = (), add_training_plan(x, args, options)
        return super().fit(x, y, *args, **options)

    def compile(self, optimizer: Any = "rmsprop", loss: Any = None, **options: Any) -> None:
        """Set the optimizer, as Keras' `compile`; the loss and the metrics are the model's own.

        Raises:
            UsageError: a loss or metrics of another kind, which would have no effect.
        """
        ineffective = [name for name in ("loss_weights", "metrics", "weighted_metrics") if options.get(name)]
        if loss is not None or ineffective:
            received = "loss" if loss is not None else ineffective[0]
            raise UsageError(
                f"Expected compile without {received}: a VAE's loss is its objective. Received: {received}. For a loss "
                "of your own, define objective(self, terms) in a subclass of tfvae.VAE."
            )
        check_keyword_names(keras.Model.compile, options)
        super().compile(optimizer, **options)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a model that was loaded from a ``.keras`` file, as it was compiled before."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def update_trackers(
        self, logs: dict[str, tf.Tensor], is_finite: Any = True, sample_weight: Any = None
    ) -> dict[str, tf.Tensor]:
        """Add a batch's columns to the running means and return these, the state of the multipliers beside them."""
        weights = tf.cast(is_finite, tf.float32) * (
            1.0 if sample_weight is None else tf.cast(sample_weight, tf.float32)
        )
        for tracker in self._trackers:
            values = logs[tracker.name]  # vectors [B], so that a short last batch weighs less
            tracker.update_state(values, sample_weight=weights * tf.ones_like(values))
        return {tracker.name: tracker.result() for tracker in self._trackers} | self.state_logs()

    def check_sample_weight(self, sample_weight: Any) -> None:
        """Refuse weights of images where they could not be heeded; an objective with multipliers overrides this.

        Raises:
            UsageError: the objective has no weighted form.
        """

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Take the step that Keras' `fit` asks for, on images or (images, labels)."""
        x, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.check_sample_weight(sample_weight)
        if sample_weight is not None and replicas.count_replicas() > 1:
            raise UsageError("Expected no sample_weight in fit under a strategy. Received: sample_weight.")
        return self.update_trackers(*self.optimize(x, labels, sample_weight), sample_weight)

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """Measure the batch that Keras' `evaluate` gives, images or (images, labels)."""
        x, labels, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        index = tf.cast(self._trackers[0].count, tf.int32)  # so that each batch has noise of its own
        logs = self.evaluate_batch(x, index, labels)
        if replicas.count_replicas() == 1:
            return self.update_trackers(logs, sample_weight=sample_weight)
        if sample_weight is not None:
            raise UsageError("Expected no sample_weight in evaluate under a strategy. Received: sample_weight.")
        return self.update_trackers(replicas.gather_columns(logs))

    @functools.cached_property
    def replica_gradients(self) -> Callable[..., Any]:
        """Return one replica's part of a step, compiled; see `replicas.compile_replica_gradients`."""
        return replicas.compile_replica_gradients(self)

    def make_train_function(self, force: bool = False) -> None:
        """Give Keras' `fit` its function, under a strategy one of our own."""
        self.train_function = self._make_keras_function("train", force)

    def make_test_function(self, force: bool = False) -> None:
        """Give Keras' `evaluate` its function, under a strategy one of our own."""
        self.test_function = self._make_keras_function("test", force)

    def _make_keras_function(self, kind: str, force: bool) -> Callable[..., Any]:
        function, step = getattr(self, f"{kind}_function"), getattr(self, f"{kind}_step")
        if function is not None and not force:
            return function
        if self.distribute_strategy.num_replicas_in_sync > 1:
            return replicas.make_keras_function(self.distribute_strategy, step, self.steps_per_execution)
        return self._make_function(step)
