"""Training and measuring, compiled: the data live on the device and a block of steps is one program.

Small models are bound by the overhead of each step, so dense ones run as a ``tf.while`` over gather -> `VAE.optimize`
inside one XLA program; convolutions, which XLA runs many times slower inside a loop on a CPU, compile per step, or run
in TensorFlow's own kernels (`tfvae.training.compile_modes` decides by measurement). Data too large for the device come in pieces to the
same program. All ways run the maths of `VAE.optimize`, as ``model.fit`` does. The order of the data is a function of
(seed, epoch), and all noise one of (seed, step), so a step is reproducible from two integers.
"""

import functools
import time

import numpy as np
import tensorflow as tf

PIECE_BYTES = 64e6  # of images that stream to the device at once
MAX_MEMORY_SHARE = 0.4  # of the free memory of a device may be filled with images
MODE_DESCRIPTIONS = {
    "loop": "on, one program per block of steps",
    "step": "on, one program per step",
    "kernels": "off, TensorFlow's kernels",
}


def epoch_order(seed, epoch, count, batch_size):
    """The images of one epoch, int32 [steps, batch_size]: a permutation that depends on (seed, epoch) only.

    The `count % batch_size` images left over stay out; they are others in every epoch.
    """
    steps = count // batch_size
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def stack_column_means(logs):
    """{column: [B] or scalar} -> the means, float32 [columns]."""
    return tf.stack([tf.reduce_mean(tf.cast(values, tf.float32)) for values in logs.values()])


def count_free_bytes():
    """Memory that the device has left: the first GPU's limit, or the free memory of the machine."""
    import psutil

    gpus = tf.config.list_logical_devices("GPU")
    if not gpus:
        return psutil.virtual_memory().available
    details = tf.config.experimental.get_memory_info(gpus[0].name)
    return details.get("limit", 8e9) - details["current"]


def place_images(images, feed="auto"):
    """Images as a packed tensor on the device (``resident``), or the array as it is (``streamed``); auto: by size."""
    fits = images.nbytes <= MAX_MEMORY_SHARE * count_free_bytes()
    return tf.constant(pack_images(images)) if feed == "resident" or feed == "auto" and fits else np.asarray(images)


def pack_images(images):
    """Bytes [N, H, W, C] as words, int32 [N, HWC / 4], which a CPU gathers faster; others as they are."""
    if images.dtype != np.uint8 or images[0].size % 4:
        return images
    return np.ascontiguousarray(images).reshape(len(images), -1).view(np.int32)


def describe_device():
    """'1 GPU' or 'CPU', as the header of a run names it."""
    gpus = tf.config.list_logical_devices("GPU")
    return f"{len(gpus)} GPU" if gpus else "CPU"


def default_mode(model, xla="auto"):
    """How a model is run where nothing was measured: see `Engine`; `xla`: auto, on or off."""
    own = model.arch.preferred_mode
    if xla == "off":
        return "kernels"
    if own == "kernels" and (xla == "on" or tf.config.list_logical_devices("GPU")):
        return "step"
    return own


def uses_xla(model, xla="auto"):
    """Whether a model is compiled with XLA where nothing was measured."""
    return default_mode(model, xla) != "kernels"


class Engine:
    """Runs a compiled model over images, one device.

    Args:
        model: a `VAE`, compiled with an optimizer if it is to learn.
        batch_size: images per step.
        mode: ``loop`` (a block of steps is one XLA program), ``step`` (each step is) or ``kernels`` (no XLA);
            default: what the architecture asks for.
    """

    def __init__(self, model, batch_size, mode=None):
        self.model, self.batch_size = model, batch_size
        self.mode = mode or default_mode(model)
        self.jit = self.mode != "kernels"
        self.columns, self.compile_seconds = None, None
        program = self._one if self.mode == "step" else self._loop
        self._learn = tf.function(program, jit_compile=self.jit, autograph=False)
        self._measure = tf.function(self._measure_batch, jit_compile=self.jit, autograph=False)

    def header(self, images):
        """One line that says how this machine will run it."""
        return f"device: {describe_device()}, xla: {MODE_DESCRIPTIONS[self.mode]}, data: {self.feed_text(images)}"

    def feed_text(self, images):
        size = f"{np.prod(images.shape) * tf.as_dtype(images.dtype).size / 1e6:,.0f} MB"
        return f"streamed ({size})" if isinstance(images, np.ndarray) else f"resident ({size})"

    def _columns_of(self, logs):
        self.columns = list(logs)
        return stack_column_means(logs)

    def _loop(self, images, labels, order, start, stop, sums):
        def body(i, sums):
            return i + 1, self._one(images, labels, order[i], sums)

        return tf.while_loop(lambda i, _: i < stop, body, (start, sums))[1]

    def _one(self, images, labels, rows, sums):
        logs, sound = self.model.optimize(self._unpacked(tf.gather(images, rows)), tf.gather(labels, rows))
        return sums + tf.concat([self._columns_of(logs), [tf.cast(sound, tf.float32)]], axis=0)

    def _measure_batch(self, images, labels, start, index, size):
        x = tf.ensure_shape(images[start : start + size], [size, *images.shape[1:]])
        labels = tf.ensure_shape(labels[start : start + size], [size])
        return self._columns_of(self.model.evaluate_batch(self._unpacked(x), index, labels))

    def _unpacked(self, images):
        """Undo `pack_images`."""
        if images.dtype != tf.int32:
            return images
        return tf.reshape(tf.bitcast(images, tf.uint8), [-1, *self.model.image_shape])

    @functools.cached_property
    def width(self):
        """How many columns a step reports, from shapes alone."""
        spec = tf.TensorSpec([self.batch_size, *self.model.image_shape], tf.float32)
        logs = tf.function(self.model.evaluate_batch, autograph=False).get_concrete_function(spec)
        return len(logs.structured_outputs)

    def train_blocks(self, images, order, done=0, sums=None, count=8, labels=None):
        """Learn from the rows of `order` [steps, B], in at least `count` pieces: yields (steps done, sums, means).

        The last of the sums counts the steps that were sound; the others were skipped (see `VAE.optimize`).

        Args:
            images: what `place_images` gave, [N, H, W, C].
            done, sums: where an interrupted epoch stood, as yielded before.
            labels: [N], for models that are told them.
        """
        labels = self.prepare_labels(images, labels)
        sums = tf.constant(sums if sums is not None else [0.0] * (self.width + 1))
        pieces = self._streamed if isinstance(images, np.ndarray) else self._resident
        for source, rows, first, stop, done in pieces(images, labels, order, done, count):
            sums = self._run(*source, rows, first, stop, sums)
            totals = sums.numpy()
            yield done, totals.tolist(), dict(zip(self.columns, (totals[:-1] / max(totals[-1], 1.0)).tolist()))

    def prepare_labels(self, images, labels):
        """Labels, or zeros that nobody reads, as int32 [N] where the images are."""
        found = np.zeros(len(images), np.int32) if labels is None else np.asarray(labels, np.int32)
        return found if isinstance(images, np.ndarray) else tf.constant(found)

    def _run(self, images, labels, rows, first, stop, sums):
        """Steps `first` to `stop` of `rows`; the first call of all compiles."""
        begun = time.monotonic()
        if self.mode != "step":
            if self.compile_seconds is None:
                self._learn(images, labels, tf.constant(rows), tf.constant(first), tf.constant(first), sums)  # no step
                self.compile_seconds = time.monotonic() - begun
            return self._learn(images, labels, tf.constant(rows), tf.constant(first), tf.constant(stop), sums)
        for i in range(first, stop):
            sums = self._learn(images, labels, rows[i], sums)
            self.compile_seconds = self.compile_seconds or time.monotonic() - begun
        return sums

    def _resident(self, images, labels, order, done, count):
        """((images, labels), order, first row, last row, steps done after it) of each block of an epoch."""
        edges = np.linspace(0, len(order), min(count, len(order)) + 1).astype(int).tolist()
        for stop in edges:
            if stop > done:
                yield (images, labels), order, done, stop, stop
                done = stop

    def _streamed(self, images, labels, order, done, count):
        """As `_resident`, of pieces that are gathered one ahead while the device works; all have the same shape."""
        per_step = self.batch_size * images[0].nbytes
        size = max(1, min(int(PIECE_BYTES / per_step), -(-len(order) // count)))
        count = size * self.batch_size
        starts = range(done, len(order), size)

        def gathered():
            for start in starts:
                piece = np.resize(order[start : start + size], count)  # a short last one is filled up, not used
                yield pack_images(images[piece]), labels[piece]

        first = pack_images(images[:1])
        specs = tf.TensorSpec([count, *first.shape[1:]], first.dtype), tf.TensorSpec([count], labels.dtype)
        options = tf.data.Options()
        options.autotune.enabled = False  # it can make the end of a pipeline sleep for as long as the epoch took
        data = tf.data.Dataset.from_generator(gathered, output_signature=specs).prefetch(1).with_options(options)
        rows = np.arange(count, dtype=np.int32).reshape(size, self.batch_size)
        for start, piece in zip(starts, data):
            steps = min(size, len(order) - start)
            yield piece, rows, 0, steps, start + steps

    def evaluate(self, images, labels=None):
        """{column: mean over images} without learning; a shorter last batch counts by its size."""
        labels = self.prepare_labels(images, labels)
        total, starts = 0.0, range(0, len(images), self.batch_size)
        for index, start in enumerate(starts):
            size = min(self.batch_size, len(images) - start)  # a Python number: at most two programs are compiled
            if isinstance(images, np.ndarray):
                piece = pack_images(images[start : start + size]), labels[start : start + size]
                means = self._measure(*piece, tf.constant(0), tf.constant(index), size)
            else:
                means = self._measure(images, labels, tf.constant(start), tf.constant(index), size)
            total += means.numpy().astype(np.float64) * size
        return dict(zip(self.columns, (total / len(images)).tolist()))
