"""Training and measuring, compiled: the data live on the device and a block of steps is one program.

Small models are bound by the overhead of each step, so dense ones run as a ``tf.while`` over gather -> `VAE.optimize`
inside one XLA program; convolutions, which XLA runs many times slower inside a loop on a CPU, compile per step, or run
in TensorFlow's own kernels (`tfvae.training.compile_modes` decides by measurement). Data too large for the device come
in pieces to the same program. All ways run the maths of `VAE.optimize`, as ``model.fit`` does. The order of the data is
a function of (seed, epoch), and all noise one of (seed, step), so a step is reproducible from two integers.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import tensorflow as tf

from tfvae.models.vae import VAE

PIECE_BYTES = 64e6  # of images that stream to the device at once
MAX_MEMORY_SHARE = 0.4  # of the free memory of a device may be filled with images
MODE_DESCRIPTIONS = {
    "loop": "on, one program per block of steps",
    "step": "on, one program per step",
    "kernels": "off, TensorFlow's kernels",
}


def epoch_order(seed: int, epoch: int, count: int, batch_size: int) -> np.ndarray:
    """Return the images of one epoch, int32 [steps, batch_size]: a permutation that depends on (seed, epoch) only.

    The `count % batch_size` images left over stay out; they are others in every epoch.
    """
    steps = count // batch_size
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def stack_column_means(logs: dict[str, tf.Tensor]) -> tf.Tensor:
    """Return the means, float32 [columns], of {column: [B] or scalar}."""
    return tf.stack([tf.reduce_mean(tf.cast(values, tf.float32)) for values in logs.values()])


def count_free_bytes() -> float:
    """Return the memory that the device has left: the first GPU's limit, or the free memory of the machine."""
    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        return psutil.virtual_memory().available
    details = tf.config.experimental.get_memory_info(gpus[0].name)
    return details.get("limit", 8e9) - details["current"]


def place_images(images: np.ndarray, feed: str = "auto") -> Any:
    """Return images as a packed tensor on the device (``resident``), or as they are (``streamed``); auto: by size."""
    fits = images.nbytes <= MAX_MEMORY_SHARE * count_free_bytes()
    return tf.constant(pack_images(images)) if feed == "resident" or feed == "auto" and fits else np.asarray(images)


def pack_images(images: np.ndarray) -> np.ndarray:
    """Return bytes [N, H, W, C] as words, int32 [N, HWC / 4], which a CPU gathers faster; others as they are."""
    if images.dtype != np.uint8 or images[0].size % 4:
        return images
    return np.ascontiguousarray(images).reshape(len(images), -1).view(np.int32)


def describe_device() -> str:
    """Return '1 GPU' or 'CPU', as the header of a run names it."""
    gpus = tf.config.list_logical_devices("GPU")
    return f"{len(gpus)} GPU" if gpus else "CPU"


def default_mode(model: VAE, xla: str = "auto") -> str:
    """Return how a model is run where nothing was measured, see `Engine`; `xla`: auto, on or off."""
    preferred = model.arch.preferred_mode
    if xla == "off":
        return "kernels"
    if preferred == "kernels" and (xla == "on" or tf.config.list_logical_devices("GPU")):
        return "step"
    return preferred


def uses_xla(model: VAE, xla: str = "auto") -> bool:
    """Tell whether a model is compiled with XLA where nothing was measured."""
    return default_mode(model, xla) != "kernels"


class Engine:
    """An engine that runs a compiled model over images, on one device.

    Args:
        model: a `VAE`, compiled with an optimizer if it is to learn.
        batch_size: images per step.
        mode: ``loop`` (a block of steps is one XLA program), ``step`` (each step is) or ``kernels`` (no XLA);
            None: what the architecture asks for.
    """

    def __init__(self, model: VAE, batch_size: int, mode: str | None = None) -> None:
        self.model, self.batch_size = model, batch_size
        self.mode = mode or default_mode(model)
        self.jit = self.mode != "kernels"
        self.columns: list[str] = []
        self.compile_seconds: float | None = None
        self.compiled_at = 0.0  # on the monotonic clock
        self.steps_while_compiling = int(self.mode == "step")  # a loop of no steps compiles as well
        program = self._step if self.mode == "step" else self._run_loop
        self._optimize = tf.function(program, jit_compile=self.jit, autograph=False)
        self._evaluate = tf.function(self._evaluate_batch, jit_compile=self.jit, autograph=False)

    def header(self, images: Any) -> str:
        """Return one line that says how this machine will run it."""
        return f"device: {describe_device()}, xla: {MODE_DESCRIPTIONS[self.mode]}, data: {self.describe_feed(images)}"

    def describe_feed(self, images: Any) -> str:
        """Return where the images are, and how large: 'resident (47 MB)'."""
        size = f"{np.prod(images.shape) * tf.as_dtype(images.dtype).size / 1e6:,.0f} MB"
        return f"streamed ({size})" if isinstance(images, np.ndarray) else f"resident ({size})"

    def _stack_columns(self, logs: dict[str, tf.Tensor]) -> tf.Tensor:
        self.columns = list(logs)
        return stack_column_means(logs)

    def _run_loop(self, images: Any, labels: Any, order: Any, start: Any, stop: Any, sums: Any) -> tf.Tensor:
        def body(i: tf.Tensor, sums: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            return i + 1, self._step(images, labels, order[i], sums)

        return tf.while_loop(lambda i, _: i < stop, body, (start, sums))[1]

    def _step(self, images: Any, labels: Any, rows: Any, sums: Any) -> tf.Tensor:
        logs, is_finite = self.model.optimize(self._unpacked(tf.gather(images, rows)), tf.gather(labels, rows))
        return sums + tf.concat([self._stack_columns(logs), [tf.cast(is_finite, tf.float32)]], axis=0)

    def _evaluate_batch(self, images: Any, labels: Any, start: Any, index: Any, size: int) -> tf.Tensor:
        # Gathered, not sliced: XLA compiles a slice anew for each start.
        rows = start + tf.range(size)
        x, labels = tf.gather(images, rows), tf.gather(labels, rows)
        return self._stack_columns(self.model.evaluate_batch(self._unpacked(x), index, labels))

    def _unpacked(self, images: tf.Tensor) -> tf.Tensor:
        """Undo `pack_images`."""
        if images.dtype != tf.int32:
            return images
        return tf.reshape(tf.bitcast(images, tf.uint8), [-1, *self.model.image_shape])

    @functools.cached_property
    def column_count(self) -> int:
        """Return how many columns a step reports, from shapes alone."""
        spec = tf.TensorSpec([self.batch_size, *self.model.image_shape], tf.float32)
        logs = tf.function(self.model.evaluate_batch, autograph=False).get_concrete_function(spec)
        return len(logs.structured_outputs)

    def train_blocks(
        self,
        images: Any,
        order: np.ndarray,
        done: int = 0,
        sums: list[float] | None = None,
        count: int = 8,
        labels: Any = None,
    ) -> Iterator[tuple[int, list[float], dict[str, float]]]:
        """Optimise on the rows of `order` [steps, B], in at least `count` blocks; yield (steps done, sums, means).

        The last of the sums counts the steps that were finite; the others were skipped (see `VAE.optimize`).

        Args:
            images: what `place_images` gave, [N, H, W, C].
            order: which images each step takes.
            done: steps that an interrupted epoch had done.
            sums: where it stood, as yielded before; None: at its start.
            count: of blocks.
            labels: [N], for models that are conditioned on them.
        """
        labels = self.prepare_labels(images, labels)
        total: Any = tf.constant(sums if sums is not None else [0.0] * (self.column_count + 1))
        pieces = self._streamed if isinstance(images, np.ndarray) else self._resident
        for (piece, piece_labels), rows, first, stop, done in pieces(images, labels, order, done, count):
            total = self.run_block(piece, piece_labels, rows, first, stop, total)
            totals = total.numpy()
            # A mean over no finite step is NaN: 0 would look like success.
            means = totals[:-1] / totals[-1] if totals[-1] else np.full(len(totals) - 1, np.nan)
            yield done, totals.tolist(), dict(zip(self.columns, means.tolist()))

    def prepare_labels(self, images: Any, labels: Any) -> Any:
        """Return labels, or zeros that nobody reads, as int32 [N] where the images are."""
        array = np.zeros(len(images), np.int32) if labels is None else np.asarray(labels, np.int32)
        return array if isinstance(images, np.ndarray) else tf.constant(array)

    def run_block(self, images: Any, labels: Any, rows: Any, first: int, stop: int, sums: Any) -> tf.Tensor:
        """Steps `first` to `stop` of `rows`; the first call of all compiles."""
        begun = time.monotonic()
        if self.mode != "step":
            if self.compile_seconds is None:
                self._optimize(
                    images, labels, tf.constant(rows), tf.constant(first), tf.constant(first), sums
                )  # no step
                self._note_compiled(begun)
            return self._optimize(images, labels, tf.constant(rows), tf.constant(first), tf.constant(stop), sums)
        for i in range(first, stop):
            sums = self._optimize(images, labels, rows[i], sums)
            self._note_compiled(begun)
        return sums

    def _note_compiled(self, begun: float) -> None:
        """Remember, after the first call of all, how long it took."""
        if self.compile_seconds is None:
            self.compiled_at = time.monotonic()
            self.compile_seconds = self.compiled_at - begun

    def _resident(self, images: Any, labels: Any, order: Any, done: int, count: int) -> Iterator[tuple[Any, ...]]:
        """Yield ((images, labels), order, first row, last row, steps done after it) of each block of an epoch."""
        edges = np.linspace(0, len(order), min(count, len(order)) + 1).astype(int).tolist()
        for stop in edges:
            if stop > done:
                yield (images, labels), order, done, stop, stop
                done = stop

    def _streamed(self, images: Any, labels: Any, order: Any, done: int, count: int) -> Iterator[tuple[Any, ...]]:
        """Yield as `_resident` does, of pieces of one shape that are gathered one ahead while the device works."""
        per_step = self.batch_size * images[0].nbytes
        size = max(1, min(int(PIECE_BYTES / per_step), -(-len(order) // count)))
        count = size * self.batch_size
        starts = range(done, len(order), size)

        def gather_pieces() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for start in starts:
                piece = np.resize(order[start : start + size], count)  # a short last one is filled up, not used
                yield pack_images(images[piece]), labels[piece]

        first = pack_images(images[:1])
        specs = tf.TensorSpec([count, *first.shape[1:]], first.dtype), tf.TensorSpec([count], labels.dtype)
        options = tf.data.Options()
        options.autotune.enabled = False  # it can make the end of a pipeline sleep for as long as the epoch took
        data = tf.data.Dataset.from_generator(gather_pieces, output_signature=specs).prefetch(1).with_options(options)
        rows = np.arange(count, dtype=np.int32).reshape(size, self.batch_size)
        for start, piece in zip(starts, data):
            steps = min(size, len(order) - start)
            yield piece, rows, 0, steps, start + steps

    def evaluate(self, images: Any, labels: Any = None) -> dict[str, float]:
        """Return {column: mean over images} without learning; a shorter last batch counts by its size."""
        labels = self.prepare_labels(images, labels)
        starts = range(0, len(images), self.batch_size)
        total: Any = 0.0
        for index, start in enumerate(starts):
            size = min(self.batch_size, len(images) - start)  # a Python number: at most two programs are compiled
            if isinstance(images, np.ndarray):
                piece = pack_images(images[start : start + size]), labels[start : start + size]
                means = self._evaluate(*piece, tf.constant(0), tf.constant(index), size)
            else:
                means = self._evaluate(images, labels, tf.constant(start), tf.constant(index), size)
            total += means.numpy().astype(np.float64) * size
        return dict(zip(self.columns, (total / len(images)).tolist()))
