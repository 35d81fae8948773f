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
from tfvae.training.engine import Engine, default_mode, device_text

MODES = ("loop", "step", "kernels")
WORTH_STEPS = 2000  # a shorter run does not earn the second compilation back
SLOW_COMPILE = 10.0  # seconds; a net that takes longer keeps its architecture's way
TRIAL = 0.3  # seconds of steps that are timed


def cache_file():
    """``$XDG_CACHE_HOME/tfvae/modes.json``; delete it to measure anew."""
    return files.cache_folder() / "modes.json"


def allowed(xla):
    """The modes to choose from, given the setting: on a GPU, XLA is always worth it."""
    modes = {"on": MODES[:2], "off": MODES[2:]}.get(xla, MODES)
    return modes if xla == "off" or device_text() == "CPU" else MODES[:2]


def key_of(model, batch_size):
    """What decides the answer: device, versions, the network and the batch."""
    parts = [device_text(), os.cpu_count(), tf.__version__, keras.__version__, type(model).__name__, model.precision,
             model.samples, model._parts, list(model.image_shape), batch_size]  # fmt: skip
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def known():
    """{key: {mode: seconds a step}}; an unreadable file counts as none."""
    try:
        found = files.read_json(cache_file())
    except IntegrityError:
        return {}
    return found if isinstance(found, dict) else {}


def keep(key, seconds):
    """Remember; a machine that lets nothing be written measures again next time."""
    try:
        cache_file().parent.mkdir(parents=True, exist_ok=True)
        files.write_json(cache_file(), known() | {key: seconds})
    except OSError:
        pass


def seconds_a_step(engine, images, rows):
    """Time of one training step after compilation."""
    labels, sums = engine.labels_for(images, None), tf.zeros(engine.width + 1)

    def run(rows, steps):
        return engine._run(images, labels, rows, 0, steps, sums)

    run(rows, 1)
    begun = time.perf_counter()
    run(rows, 1).numpy()
    steps = int(np.clip(TRIAL / (time.perf_counter() - begun), 1, len(rows)))
    begun = time.perf_counter()
    run(rows, steps).numpy()
    return (time.perf_counter() - begun) / steps


def measure(model, batch_size, modes):
    """{mode: seconds a step} of `modes`, up to the first that compiles slowly; nothing is learnt."""
    variables = [*model.variables, *model.optimizer.variables]
    before = [v.numpy() for v in variables]
    images = tf.zeros([2 * batch_size, *model.image_shape], tf.uint8)
    rows = np.arange(100 * batch_size, dtype=np.int32).reshape(100, batch_size) % (2 * batch_size)
    found = {}
    for mode in modes:
        engine = Engine(model, batch_size, mode)
        found[mode] = seconds_a_step(engine, images, rows)
        if engine.compile_seconds > SLOW_COMPILE:
            break
    for variable, old in zip(variables, before):
        variable.assign(old)
    return found


def choose(model, batch_size, steps, xla="auto"):
    """The mode (see `Engine`) for a run of `steps` steps: (mode, how it was decided)."""
    own, modes = default_mode(model, xla), allowed(xla)
    if steps < WORTH_STEPS or len(modes) == 1:
        return own, "asked for" if len(modes) == 1 else "the architecture's default"
    key = key_of(model, batch_size)
    found, how = known().get(key), "measured before"
    seconds = {mode: value for mode, value in found.items() if mode in modes} if isinstance(found, dict) else {}
    if own not in seconds:
        seconds, how = measure(model, batch_size, sorted(modes, key=lambda mode: mode != own)), "measured"
        keep(key, seconds)
    times = ", ".join(f"{mode} {1000 * value:.1f} ms a step" for mode, value in seconds.items())
    return min(seconds, key=seconds.get), f"{how}: {times}"
