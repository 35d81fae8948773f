"""Training and measuring, compiled: the data live on the device and a block of steps is one program.

Small models are bound by the overhead of each step, so dense ones run as a ``tf.while`` over gather -> `VAE.learn`
inside one XLA program; convolutions, which XLA runs many times slower inside a loop on a CPU, compile per step. Both
run the maths of `VAE.learn`, as ``model.fit`` does. The order of the data is a function of (seed, epoch), and all
noise one of (seed, step), so a step is reproducible from two integers.
"""

import functools

import numpy as np
import tensorflow as tf


def order_of(seed, epoch, count, batch_size):
    """The images of one epoch, int32 [steps, batch_size]: a permutation that depends on (seed, epoch) only.

    The `count % batch_size` images left over stay out; they are others in every epoch.
    """
    steps = count // batch_size
    order = np.random.default_rng([seed, epoch]).permutation(count)
    return order[: steps * batch_size].reshape(steps, batch_size).astype(np.int32)


def stack(logs):
    """{column: [B] or scalar} -> the means, float32 [columns]."""
    return tf.stack([tf.reduce_mean(tf.cast(values, tf.float32)) for values in logs.values()])


class Engine:
    """Runs a compiled model over images that stay on the device.

    Args:
        model: a `VAE`, compiled with an optimizer if it is to learn.
        batch_size: images per step.
        jit: compile with XLA.
        mode: ``loop`` (a block of steps is one program) or ``step``; default: what the architecture asks for.
    """

    def __init__(self, model, batch_size, jit=True, mode=None):
        self.model, self.batch_size, self.jit = model, batch_size, jit
        self.mode = mode or model.arch.compile_as
        self.columns = None
        program = self._loop if self.mode == "loop" else self._one
        self._learn = tf.function(program, jit_compile=jit, autograph=False)
        self._measure = tf.function(self._measure_batch, jit_compile=jit, autograph=False)

    @property
    def header(self):
        """One line that says how this machine will run it."""
        gpus = tf.config.list_physical_devices("GPU")
        device = f"{len(gpus)} GPU" if gpus else "CPU"
        how = "one program per block of steps" if self.mode == "loop" else "one program per step"
        return f"device: {device}, xla: {'on, ' + how if self.jit else 'off (--no-jit)'}, data: resident"

    def _columns_of(self, logs):
        self.columns = list(logs)
        return stack(logs)

    def _loop(self, images, order, start, stop, sums):
        def body(i, sums):
            return i + 1, self._one(images, order[i], sums)

        return tf.while_loop(lambda i, _: i < stop, body, (start, sums))[1]

    def _one(self, images, rows, sums):
        logs, sound = self.model.learn(tf.gather(images, rows))
        return sums + tf.concat([self._columns_of(logs), [tf.cast(sound, tf.float32)]], axis=0)

    def _measure_batch(self, images, start, index, size):
        x = tf.ensure_shape(images[start : start + size], [size, *images.shape[1:]])
        return self._columns_of(self.model.measure(x, index))

    @functools.cached_property
    def width(self):
        """How many columns a step reports, from shapes alone."""
        spec = tf.TensorSpec([self.batch_size, *self.model.image_shape], tf.float32)
        logs = tf.function(self.model.measure, autograph=False).get_concrete_function(spec)
        return len(logs.structured_outputs)

    def blocks(self, images, order, done=0, sums=None, count=8):
        """Learn from the rows of `order` [steps, B], in `count` pieces: yields (steps done, sums, means so far).

        The last of the sums counts the steps that were sound; the others were skipped (see `VAE.learn`).

        Args:
            images: the resident data, [N, H, W, C].
            done, sums: where an interrupted epoch stood, as yielded before.
        """
        steps = len(order)
        sums = tf.constant(sums if sums is not None else [0.0] * (self.width + 1))
        edges = [edge for edge in np.linspace(0, steps, min(count, steps) + 1).astype(int).tolist() if edge > done]
        rows = tf.constant(order)
        for stop in edges:
            if self.mode == "loop":
                sums = self._learn(images, rows, tf.constant(done), tf.constant(stop), sums)
            else:
                for i in range(done, stop):
                    sums = self._learn(images, order[i], sums)
            done = stop
            totals = sums.numpy()
            yield done, totals.tolist(), dict(zip(self.columns, (totals[:-1] / max(totals[-1], 1.0)).tolist()))

    def measure(self, images):
        """{column: mean over images} without learning; a shorter last batch counts by its size."""
        total, starts = 0.0, range(0, len(images), self.batch_size)
        for index, start in enumerate(starts):
            size = min(self.batch_size, len(images) - start)  # a Python number: at most two programs are compiled
            means = self._measure(images, tf.constant(start), tf.constant(index), size)
            total += means.numpy().astype(np.float64) * size
        return dict(zip(self.columns, (total / len(images)).tolist()))
