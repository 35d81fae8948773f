"""Which way to compile a training step on this machine: measured once for each kind of work, and kept.

A block of steps in one program saves a dense net's overhead; on a CPU, XLA runs convolutions several times slower
inside such a loop, and slower than TensorFlow's kernels outside. None of it is known beforehand for a user's net or
device, so the first long run tries all.
"""

import hashlib
import json
import os
import time

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import IntegrityError
from tfvae.runtime import files
from tfvae.training.engine import Engine, default_mode, describe_device

MODES = ("loop", "step", "kernels")
MIN_STEPS_TO_MEASURE = 2000  # a shorter run does not earn the second compilation back
SLOW_COMPILE_SECONDS = 10.0  # seconds; a net that takes longer keeps its architecture's way
TRIAL_SECONDS = 0.3  # seconds of steps that are timed


def find_cache_file():
    """``$XDG_CACHE_HOME/tfvae/modes.json``; delete it to measure anew."""
    return files.cache_folder() / "modes.json"


def list_modes(xla):
    """The modes to choose from, given the setting: on a GPU, XLA is always worth it."""
    modes = {"on": MODES[:2], "off": MODES[2:]}.get(xla, MODES)
    return modes if xla == "off" or describe_device() == "CPU" else MODES[:2]


def make_cache_key(model, batch_size):
    """What decides the answer: device, versions, the network and the batch."""
    parts = [describe_device(), os.cpu_count(), tf.__version__, keras.__version__, type(model).__name__, model.precision,
             model.samples, model._parts, list(model.image_shape), batch_size]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def read_cache():
    """{key: {mode: seconds a step}}; an unreadable file counts as none."""
    try:
        found = files.read_json(find_cache_file())
    except IntegrityError:
        return {}
    return found if isinstance(found, dict) else {}


def write_cache(key, seconds):
    """Remember; a machine that lets nothing be written measures again next time."""
    try:
        find_cache_file().parent.mkdir(parents=True, exist_ok=True)
        files.write_json(find_cache_file(), read_cache() | {key: seconds})
    except OSError:
        pass


def time_step(engine, images, rows):
    """Time of one training step after compilation."""
    labels, sums = engine.prepare_labels(images, None), tf.zeros(engine.width + 1)

    def run(rows, steps):
        return engine._run(images, labels, rows, 0, steps, sums)

    run(rows, 1)
    begun = time.perf_counter()
    run(rows, 1).numpy()
    steps = int(np.clip(TRIAL_SECONDS / (time.perf_counter() - begun), 1, len(rows)))
    begun = time.perf_counter()
    run(rows, steps).numpy()
    return (time.perf_counter() - begun) / steps


def time_modes(model, batch_size, modes):
    """{mode: seconds a step} of `modes`, up to the first that compiles slowly; nothing is learnt."""
    variables = [*model.variables, *model.optimizer.variables]
    before = [v.numpy() for v in variables]
    images = tf.zeros([2 * batch_size, *model.image_shape], tf.uint8)
    rows = np.arange(100 * batch_size, dtype=np.int32).reshape(100, batch_size) % (2 * batch_size)
    found = {}
    for mode in modes:
        engine = Engine(model, batch_size, mode)
        found[mode] = time_step(engine, images, rows)
        if engine.compile_seconds > SLOW_COMPILE_SECONDS:
            break
    for variable, old in zip(variables, before):
        variable.assign(old)
    return found


def choose_mode(model, batch_size, steps, xla="auto"):
    """The mode (see `Engine`) for a run of `steps` steps: (mode, how it was decided)."""
    own, modes = default_mode(model, xla), list_modes(xla)
    if steps < MIN_STEPS_TO_MEASURE or len(modes) == 1:
        return own, "asked for" if len(modes) == 1 else "the architecture's default"
    key = make_cache_key(model, batch_size)
    found, how = read_cache().get(key), "measured before"
    seconds = {mode: value for mode, value in found.items() if mode in modes} if isinstance(found, dict) else {}
    if own not in seconds:
        seconds, how = time_modes(model, batch_size, sorted(modes, key=lambda mode: mode != own)), "measured"
        write_cache(key, seconds)
    times = ", ".join(f"{mode} {1000 * value:.1f} ms a step" for mode, value in seconds.items())
    return min(seconds, key=seconds.get), f"{how}: {times}"
