"""The engine over several replicas: the same blocks, each step shared out by ``tf.distribute``."""

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.runtime import random_streams, replicas
from tfvae.training.engine import MODE_DESCRIPTIONS, Engine


class ReplicatedEngine(Engine):
    """Runs a model that was built under ``strategy.scope()``; `batch_size` is the global one.

    Every replica's process holds all images in its host memory and sends its replicas their rows of each batch.
    """

    def __init__(self, model, batch_size, mode, strategy):
        super().__init__(model, batch_size, mode)
        self.strategy, self.replicas = strategy, strategy.num_replicas_in_sync
        if batch_size % self.replicas:
            raise UsageError(
                f"Expected a batch size that {self.replicas} replicas can share. Received: batch_size={batch_size}."
            )
        self._learn = tf.function(self._step, autograph=False)
        self._measure = tf.function(self._measure_step, autograph=False)

    def header(self, images):
        kind = type(self.strategy).__name__.removesuffix("V1")
        xla = "on, one program per replica and step" if self.jit else MODE_DESCRIPTIONS["kernels"]
        return f"device: {self.replicas} replicas ({kind}), xla: {xla}, data: {self.feed_text(images)}"

    def shared(self, values):
        """values [n * B, ...] -> each replica's B rows, on its device."""

        def of(context):
            share = len(values) // self.replicas
            first = int(context.replica_id_in_sync_group) * share
            return tf.constant(values[first : first + share])

        return self.strategy.experimental_distribute_values_from_function(of)

    def _step(self, x, labels, sums):
        def one(x, labels, sums):
            logs, sound = self.model.optimize(x, labels)
            return sums + tf.concat([self._columns_of(logs), [tf.cast(sound, tf.float32)]], axis=0)

        return self.strategy.experimental_local_results(self.strategy.run(one, args=(x, labels, sums)))[0]

    def _measure_step(self, x, labels, index, size):
        compiled = tf.function(self._share_of_measure, jit_compile=self.jit, autograph=False)

        def one(x, labels):
            context = tf.distribute.get_replica_context()
            logs = compiled(x, labels, index, tf.cast(context.replica_id_in_sync_group, tf.int32))
            return self._columns_of({name: values[:size] for name, values in replicas.gather_columns(logs).items()})

        return self.strategy.experimental_local_results(self.strategy.run(one, args=(x, labels)))[0]

    def _share_of_measure(self, x, labels, index, replica):
        with random_streams.shard_of_batch(replica, self.replicas):
            return self.model.evaluate_batch(x, index, labels)

    def _run(self, images, labels, rows, first, stop, sums):
        for i in range(first, stop):
            sums = self._learn(self.shared(images[rows[i]]), self.shared(labels[rows[i]]), sums)
        return sums

    def _streamed(self, images, labels, order, done, count):
        return self._resident(images, labels, order, done, count)

    def evaluate(self, images, labels=None):
        """As `Engine.evaluate`; a batch that cannot be shared out evenly is filled up, and the filling not counted."""
        labels, total = self.prepare_labels(images, labels), 0.0
        for index, start in enumerate(range(0, len(images), self.batch_size)):
            size = min(self.batch_size, len(images) - start)
            filled = start + np.resize(np.arange(size), -(-size // self.replicas) * self.replicas)
            means = self._measure(self.shared(images[filled]), self.shared(labels[filled]), tf.constant(index), size)
            total += means.numpy().astype(np.float64) * size
        return dict(zip(self.columns, (total / len(images)).tolist()))
