"""Which way to compile a training step on this machine: measured once for each kind of work, and kept.

A block of steps in one program saves a dense net's overhead; on a CPU, XLA runs convolutions several times slower
inside such a loop, and slower than TensorFlow's kernels outside. None of it is known beforehand for a user's net or
device, so the first long run tries all.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import time
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfvae.errors import IntegrityError
from tfvae.models.vae import VAE
from tfvae.runtime import files
from tfvae.schemas import MapOf, Number, Text
from tfvae.training.engine import Engine, default_mode, describe_device

MODES = ("loop", "step", "kernels")
MIN_STEPS_TO_MEASURE = 2000  # a shorter run does not earn the second compilation back
SLOW_COMPILE_SECONDS = 10.0  # a net that takes longer keeps its architecture's way
TRIAL_SECONDS = 0.3  # of steps that are timed


def find_cache_file() -> pathlib.Path:
    """Return modes.json in the user's cache folder; delete it to measure anew."""
    return files.cache_folder() / "modes.json"


def list_modes(xla: str) -> Sequence[str]:
    """Return the modes to choose from, given the setting: on a GPU, XLA is always worth it."""
    modes = {"on": MODES[:2], "off": MODES[2:]}.get(xla, MODES)
    return modes if xla == "off" or describe_device() == "CPU" else MODES[:2]


def make_cache_key(model: VAE, batch_size: int) -> str:
    """Return what decides the answer, hashed: device, versions, the network and the batch."""
    parts = [
        *(describe_device(), os.cpu_count(), tf.__version__, keras.__version__, type(model).__name__),
        *(model.precision, model.samples, model._part_specs, list(model.image_shape), batch_size),
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def read_cache() -> dict[str, Any]:
    """Return {key: {mode: seconds a step}}; an unreadable file counts as none."""
    try:
        return files.read_json(find_cache_file(), MapOf(Text(), MapOf(Text(), Number(0))))
    except IntegrityError:
        return {}


def write_cache(key: str, seconds: dict[str, float]) -> None:
    """Remember what was measured; a machine that lets nothing be written measures again next time."""
    with contextlib.suppress(OSError):
        find_cache_file().parent.mkdir(parents=True, exist_ok=True)
        files.write_json(find_cache_file(), read_cache() | {key: seconds})


def time_step(engine: Engine, images: tf.Tensor, rows: np.ndarray) -> float:
    """Return the seconds that one training step takes after compilation."""
    labels, sums = engine.prepare_labels(images, None), tf.zeros(engine.column_count + 1)

    def run(steps: int) -> tf.Tensor:
        return engine.run_block(images, labels, rows, 0, steps, sums)

    run(1)
    begun = time.perf_counter()
    run(1).numpy()
    steps = int(np.clip(TRIAL_SECONDS / (time.perf_counter() - begun), 1, len(rows)))
    begun = time.perf_counter()
    run(steps).numpy()
    return (time.perf_counter() - begun) / steps


def time_modes(model: VAE, batch_size: int, modes: Sequence[str]) -> dict[str, float]:
    """Return {mode: seconds a step} of `modes`, up to the first that compiles slowly; nothing is learnt."""
    variables = [*model.variables, *model.optimizer.variables]
    before = [v.numpy() for v in variables]
    images = tf.zeros([2 * batch_size, *model.image_shape], tf.uint8)
    rows = np.arange(100 * batch_size, dtype=np.int32).reshape(100, batch_size) % (2 * batch_size)
    seconds = {}
    for mode in modes:
        engine = Engine(model, batch_size, mode)
        seconds[mode] = time_step(engine, images, rows)
        if (engine.compile_seconds or 0.0) > SLOW_COMPILE_SECONDS:
            break
    for variable, old in zip(variables, before):
        variable.assign(old)
    return seconds


def choose_mode(model: VAE, batch_size: int, steps: int, xla: str = "auto") -> tuple[str, str]:
    """Return the mode (see `Engine`) for a run of `steps` steps, and how it was decided."""
    preferred, modes = default_mode(model, xla), list_modes(xla)
    if steps < MIN_STEPS_TO_MEASURE or len(modes) == 1:
        return preferred, "asked for" if len(modes) == 1 else "the architecture's default"
    key = make_cache_key(model, batch_size)
    cached, how = read_cache().get(key, {}), "measured before"
    seconds = {mode: value for mode, value in cached.items() if mode in modes}
    if preferred not in seconds:
        seconds, how = time_modes(model, batch_size, sorted(modes, key=lambda mode: mode != preferred)), "measured"
        write_cache(key, seconds)
    times = ", ".join(f"{mode} {1000 * value:.1f} ms a step" for mode, value in seconds.items())
    return min(seconds, key=lambda mode: seconds[mode]), f"{how}: {times}"
