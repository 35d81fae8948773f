"""Several devices or machines as one: what a training step does inside ``tf.distribute``.

Each replica takes its share of the global batch through a compiled function without collectives; sums over replicas
happen outside of it, so that every replica applies the same gradient and moves the same multipliers. Noise is drawn
by an image's place in the global batch (`random_streams.shard`), so that n replicas learn what one device would.
"""

import contextlib
import functools
import json
import os

import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.runtime import random_streams


@functools.cache  # a second one in the same process would mix up its collective operations with the first one's
def make_strategy(name, replicas=0):
    """The tf.distribute.Strategy of a ``--strategy``; None for ``none``. To be called before any op runs.

    Args:
        name: ``mirrored`` takes GPUs of this machine, or parts of its CPU; ``multi-worker`` the machines in TF_CONFIG.
        replicas: how many devices; 0: all GPUs.
    """
    if name == "none":
        return None
    if name == "multi-worker":
        check_tf_config(os.environ.get("TF_CONFIG", ""))
        return tf.distribute.MultiWorkerMirroredStrategy()
    gpus = tf.config.list_physical_devices("GPU")
    devices = tf.config.list_logical_devices("GPU") if gpus else split_cpu(replicas or 1)
    if replicas > len(devices):
        raise UsageError(f"Expected --replicas <= the {len(devices)} devices of this machine. Received: {replicas}.")
    return tf.distribute.MirroredStrategy([device.name for device in devices[: replicas or None]])


def split_cpu(replicas):
    """The CPU as that many logical devices, to try out on a laptop what will run on several GPUs."""
    (cpu,) = tf.config.list_physical_devices("CPU")
    parts = [tf.config.LogicalDeviceConfiguration() for _ in range(replicas)]
    try:
        tf.config.set_logical_device_configuration(cpu, parts)
    except RuntimeError:  # TensorFlow has started: its devices are what they are
        pass
    return tf.config.list_logical_devices("CPU")


def check_tf_config(text):
    """Refuse a TF_CONFIG that would hang or fail somewhere inside TensorFlow."""
    try:
        found = json.loads(text)
        workers, task = found["cluster"]["worker"], found["task"]
        good = task["type"] == "worker" and 0 <= task["index"] < len(workers)
    except (ValueError, KeyError, TypeError):
        good = False
    if not good:
        raise UsageError(
            'Expected TF_CONFIG={"cluster": {"worker": ["host:port", ...]}, "task": {"type": "worker", "index": 0}} '
            f"in the environment of each worker. Received: {text or 'nothing'}."
        )


def strategy_scope(strategy):
    """``strategy.scope()``, or nothing."""
    return strategy.scope() if strategy else contextlib.nullcontext()


def is_chief(strategy):
    """Whether this process writes files: worker 0, or the only one."""
    resolver = strategy and strategy.cluster_resolver
    return not resolver or not resolver.cluster_spec().jobs or resolver.task_id == 0


def any_process(strategy, flag):
    """True in every process if `flag` is in any of them."""

    def one():
        return tf.distribute.get_replica_context().all_reduce("sum", tf.constant(float(flag)))

    return float(strategy.experimental_local_results(strategy.run(tf.function(one)))[0]) > 0


def wait_for_all(strategy):
    """Wait until every process is here."""
    if strategy:
        any_process(strategy, False)


def count_replicas():
    """Replicas that run this very code at once; 1 outside ``strategy.run``."""
    context = tf.distribute.get_replica_context()
    return context.num_replicas_in_sync if context else 1


def compile_replica_gradients(model):
    """One replica's part of a step, compiled: (x, labels, its number, how many) -> what `VAE.gradients` returns."""

    def share(x, labels, replica, of):
        with random_streams.shard_of_batch(replica, of):
            return model.compute_gradients(x, labels)

    return tf.function(share, jit_compile=bool(model.jit_compile), autograph=False)


def gather_gradients(model, x, labels=None):
    """`VAE.gradients` of the global batch, in each replica: x is its share; what is returned is the same in all.

    The gradients are 1/n of the whole batch's, for Keras' optimizers sum over replicas as they apply. Keras clips
    before it sums: the clipping by the global norm is done here, on the sum.
    """
    context = tf.distribute.get_replica_context()
    replicas = context.num_replicas_in_sync
    logs, constraint_stats, shares, sound = model.replica_gradients(
        x, labels, tf.cast(context.replica_id_in_sync_group, tf.int32), replicas
    )
    means = context.all_reduce("mean", [tf.cast(sound, tf.float32), *constraint_stats.values()])
    constraint_stats = dict(zip(constraint_stats, means[1:]))
    limit = getattr(model.optimizer, "inner_optimizer", model.optimizer).global_clipnorm
    if limit:
        whole = context.all_reduce("mean", shares)
        whole, _ = tf.clip_by_global_norm(whole, model.optimizer.scale_loss(tf.constant(limit)))
        return gather_columns(logs), constraint_stats, [g / replicas for g in whole], means[0] == 1.0
    return gather_columns(logs), constraint_stats, [g / replicas for g in shares], means[0] == 1.0


def gather_columns(logs):
    """{column: [B/n]} of each replica -> {column: [B]} in all, in the order of the global batch."""
    context = tf.distribute.get_replica_context()
    columns = tf.stack([tf.cast(values, tf.float32) for values in logs.values()], axis=1)
    return dict(zip(logs, tf.unstack(context.all_gather(columns, axis=0), num=len(logs), axis=1)))


def make_keras_function(strategy, step, steps):
    """What ``fit`` and ``evaluate`` call under a strategy: `steps` batches of an iterator -> the last one's logs.

    Keras' own fails there: it compiles around ``strategy.run`` or sums scalars over an axis that they lack.
    """

    def one(iterator):
        logs = strategy.run(step, args=(next(iterator),))
        return tf.nest.map_structure(lambda value: strategy.experimental_local_results(value)[0], logs)

    def function(iterator):
        for _ in range(steps - 1):
            one(iterator)
        return one(iterator)

    return tf.function(function, reduce_retracing=True)
