"""The engine over several replicas: the same blocks, each step shared out by ``tf.distribute``."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.models.vae import VAE
from tfvae.runtime import random_streams, replicas
from tfvae.training.engine import MODE_DESCRIPTIONS, Engine


class ReplicatedEngine(Engine):
    """An engine that runs a model that was built under ``strategy.scope()``; `batch_size` is the global one.

    Every replica's process holds all images in its host memory and sends its replicas their rows of each batch.
    """

    def __init__(self, model: VAE, batch_size: int, mode: str, strategy: Any) -> None:
        super().__init__(model, batch_size, mode)
        self.strategy, self.replicas = strategy, strategy.num_replicas_in_sync
        self.steps_while_compiling = 1
        if batch_size % self.replicas:
            raise UsageError(
                f"Expected a batch size that {self.replicas} replicas can share. Received: batch_size={batch_size}."
            )
        self._optimize = tf.function(self._replicated_step, autograph=False)
        self._evaluate = tf.function(self._evaluate_step, autograph=False)

    def header(self, images: Any) -> str:
        """Return one line that says how the replicas will run it."""
        kind = type(self.strategy).__name__.removesuffix("V1")
        xla = "on, one program per replica and step" if self.jit else MODE_DESCRIPTIONS["kernels"]
        return f"device: {self.replicas} replicas ({kind}), xla: {xla}, data: {self.describe_feed(images)}"

    def share_out(self, values: np.ndarray) -> Any:
        """Return each replica's B rows of values [n * B, ...], on its device."""

        def take_share(context: Any) -> tf.Tensor:
            share = len(values) // self.replicas
            first = int(context.replica_id_in_sync_group) * share
            return tf.constant(values[first : first + share])

        return self.strategy.experimental_distribute_values_from_function(take_share)

    def _replicated_step(self, x: Any, labels: Any, sums: Any) -> tf.Tensor:
        def run_replica(x: Any, labels: Any, sums: Any) -> tf.Tensor:
            logs, is_finite = self.model.optimize(x, labels)
            return sums + tf.concat([self._stack_columns(logs), [tf.cast(is_finite, tf.float32)]], axis=0)

        return self.strategy.experimental_local_results(self.strategy.run(run_replica, args=(x, labels, sums)))[0]

    def _evaluate_step(self, x: Any, labels: Any, index: Any, size: int) -> tf.Tensor:
        evaluate_share = tf.function(self._evaluate_share, jit_compile=self.jit, autograph=False)

        def run_replica(x: Any, labels: Any) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            logs = evaluate_share(x, labels, index, tf.cast(context.replica_id_in_sync_group, tf.int32))
            return self._stack_columns({name: values[:size] for name, values in replicas.gather_columns(logs).items()})

        return self.strategy.experimental_local_results(self.strategy.run(run_replica, args=(x, labels)))[0]

    def _evaluate_share(self, x: Any, labels: Any, index: Any, replica: Any) -> dict[str, tf.Tensor]:
        with random_streams.shard_of_batch(replica, self.replicas):
            return self.model.evaluate_batch(x, index, labels)

    def run_block(self, images: Any, labels: Any, rows: Any, first: int, stop: int, sums: Any) -> tf.Tensor:
        """Take steps `first` to `stop` of `rows`."""
        begun = time.monotonic()
        for i in range(first, stop):
            sums = self._optimize(self.share_out(images[rows[i]]), self.share_out(labels[rows[i]]), sums)
            self._note_compiled(begun)
        return sums

    def _streamed(self, images: Any, labels: Any, order: Any, done: int, count: int) -> Iterator[tuple[Any, ...]]:
        return self._resident(images, labels, order, done, count)

    def evaluate(self, images: Any, labels: Any = None) -> dict[str, float]:
        """Return what `Engine.evaluate` does.

        A batch that cannot be shared out evenly is filled up, and the filling not counted.
        """
        labels = self.prepare_labels(images, labels)
        total: Any = 0.0
        for index, start in enumerate(range(0, len(images), self.batch_size)):
            size = min(self.batch_size, len(images) - start)
            filled = start + np.resize(np.arange(size), -(-size // self.replicas) * self.replicas)
            means = self._evaluate(
                self.share_out(images[filled]), self.share_out(labels[filled]), tf.constant(index), size
            )
            total += means.numpy().astype(np.float64) * size
        return dict(zip(self.columns, (total / len(images)).tolist()))
