"""Several devices or machines as one: what a training step does inside ``tf.distribute``.

Each replica takes its share of the global batch through a compiled function without collectives; sums over replicas
happen outside of it, so that every replica applies the same gradient and moves the same multipliers. Noise is drawn
by an image's place in the global batch (`random_streams.shard`), so that n replicas learn what one device would.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.runtime import random_streams


@functools.cache  # a second one in the same process would mix up its collective operations with the first one's
def make_strategy(name: str, replicas: int | None = None) -> tf.distribute.Strategy | None:
    """Return the tf.distribute.Strategy that ``--strategy`` names; None for ``none``. Call it before any op runs.

    Args:
        name: ``mirrored`` takes GPUs of this machine, or parts of its CPU; ``multi-worker`` the machines in TF_CONFIG.
        replicas: how many devices; None: all GPUs.

    Raises:
        UsageError: more devices than there are, or no valid TF_CONFIG.
    """
    if name == "none":
        return None
    if name == "multi-worker":
        check_tf_config(os.environ.get("TF_CONFIG", ""))
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_physical_devices("GPU")
    devices = tf.config.list_logical_devices("GPU") if gpus else split_cpu(replicas or 1)
    if replicas and replicas > len(devices):
        raise UsageError(f"Expected --replicas <= the {len(devices)} devices of this machine. Received: {replicas}.")
    return tf.distribute.MirroredStrategy([device.name for device in devices[: replicas or None]])


def split_cpu(replicas: int) -> list[Any]:
    """Return the CPU as that many logical devices, to try out on a laptop what will run on several GPUs."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError:  # TensorFlow has started: its devices are what they are
        pass
    return tf.config.list_logical_devices("CPU")


def check_tf_config(text: str) -> None:
    """Refuse a TF_CONFIG that would hang or fail somewhere inside TensorFlow.

    Raises:
        UsageError: `text` is no valid one.
    """
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        is_good = task["type"] == "worker" and 0 <= task["index"] < len(workers)
    except (ValueError, KeyError, TypeError):
        is_good = False
    if not is_good:
        raise UsageError(
            'Expected TF_CONFIG={"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}} '
            f"in the environment of each worker. Received: {text or 'nothing'}."
        )


def strategy_scope(strategy: Any) -> Any:
    """Return ``strategy.scope()``, or a context that does nothing without a strategy."""
    return strategy.scope() if strategy else contextlib.nullcontext()


def is_chief(strategy: Any) -> bool:
    """Tell whether this process writes files: worker 0, or the only one."""
    resolver = strategy and strategy.cluster_resolver
    return not resolver or not resolver.cluster_spec().jobs or resolver.task_id == 0


def any_process(strategy: Any, flag: bool) -> bool:
    """Return True in every process if `flag` is true in any of them."""

    def add_flags() -> tf.Tensor:
        return tf.distribute.get_replica_context().all_reduce("sum", tf.constant(float(flag)))

    return float(strategy.experimental_local_results(strategy.run(tf.function(add_flags)))[0]) > 0


def wait_for_all(strategy: Any) -> None:
    """Wait until every process is here."""
    if strategy:
        any_process(strategy, False)


def count_replicas() -> int:
    """Return how many replicas run this very code at once; 1 outside ``strategy.run``."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def compile_replica_gradients(model: Any) -> Callable[..., Any]:
    """Return one replica's part of a step, compiled.

    It takes (x, labels, sample_weight, the replica's number, how many there are) and returns what
    `TrainStep.compute_gradients` does.
    """

    def compute_share(x: Any, labels: Any, sample_weight: Any, replica: Any, of: int) -> Any:
        with random_streams.shard_of_batch(replica, of):
            return model.compute_gradients(x, labels, sample_weight)

    return tf.function(compute_share, jit_compile=bool(model.jit_compile), autograph=False)


def gather_gradients(
    model: Any, x: tf.Tensor, labels: Any = None, sample_weight: Any = None
) -> tuple[Any, Any, list[tf.Tensor], tf.Tensor]:
    """Return what `TrainStep.compute_gradients` does, of the global batch, in each replica; x is its share.

    What is returned is the same in all replicas. The gradients are 1/n of the whole batch's, for Keras' optimizers sum
    over replicas as they apply. Keras clips before it sums: the clipping by the global norm is done here, on the sum.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    logs, constraint_stats, shares, is_finite = model.replica_gradients(
        x, labels, sample_weight, tf.cast(context.replica_id_in_sync_group, tf.int32), replicas
    )
    means = context.all_reduce("mean", [tf.cast(is_finite, tf.float32), *constraint_stats.values()])
    constraint_stats = dict(zip(constraint_stats, means[1:]))
    limit = getattr(model.optimizer, "inner_optimizer", model.optimizer).global_clipnorm
    if limit:
        whole = context.all_reduce("mean", shares)
        whole, _ = tf.clip_by_global_norm(whole, model.optimizer.scale_loss(tf.constant(limit)))
        return gather_columns(logs), constraint_stats, [g / replicas for g in whole], means[0] == 1.0
    return gather_columns(logs), constraint_stats, [g / replicas for g in shares], means[0] == 1.0


def gather_columns(logs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Return {column: [B]} of the global batch, in its order, from each replica's {column: [B/n]}."""
    context = tf.distribute.get_replica_context()
    columns = tf.stack([tf.cast(values, tf.float32) for values in logs.values()], axis=1)
    return dict(zip(logs, tf.unstack(context.all_gather(columns, axis=0), num=len(logs), axis=1)))


def make_keras_function(strategy: Any, step: Callable[..., Any], steps: int) -> Callable[..., Any]:
    """Return what ``fit`` and ``evaluate`` call under a strategy: it takes `steps` batches and returns the last logs.

    Keras' own fails there: it compiles around ``strategy.run`` or sums scalars over an axis that they lack.
    """

    def run_step(iterator: Any) -> Any:
        logs = strategy.run(step, args=(next(iterator),))
        return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], logs)

    def run_steps(iterator: Any) -> Any:
        for _ in range(steps - 1):
            run_step(iterator)
        return run_step(iterator)

    return tf.function(run_steps, reduce_retracing=True)
