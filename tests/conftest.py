"""What the tests share: a quiet TensorFlow, tiny images, tiny models, hand-made Terms."""

import os

# The quick tests compile hundreds of small programs and run each for a moment: optimizing them would take most of the
# time. What they start inherits it. `make test-slow`, which trains for long, sets the variable to nothing.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

from tfvae.runtime.environment import import_tensorflow  # noqa: E402

tf = import_tensorflow()

import keras  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

import tfvae  # noqa: E402

SHAPE = (8, 8, 1)


@pytest.fixture
def generator():
    """The test's own NumPy generator, the same in every run."""
    return np.random.default_rng(20240101)


@pytest.fixture
def images():
    """images(count, shape, seed) -> uint8 [count, H, W, C]: smooth blobs, so that there is something to learn."""

    def make(count=12, shape=SHAPE, seed=0):
        draw = np.random.default_rng(seed).uniform(0.1, 0.9, (4, count, 1, 1, 1))
        y, x = (np.linspace(0, 1, side) for side in shape[:2])
        bump = np.exp(-(((y[:, None, None] - draw[0]) / 0.4) ** 2) - ((x[None, :, None] - draw[1]) / 0.4) ** 2)
        colour = np.linspace(draw[2, :, 0, 0, 0], draw[3, :, 0, 0, 0], shape[2], axis=-1)[:, None, None, :]
        return np.rint(255 * bump * colour).astype("uint8")

    return make


@pytest.fixture
def tiny():
    """tiny(objective, **options) -> a small model, compiled with Adam if learning_rate is given."""

    def make(objective="elbo", learning_rate=None, jit=True, **options):
        parts = {"likelihood": "gaussian:sigma=0.5", "arch": "mlp:widths=12,latent=3", "image_shape": SHAPE}
        model = tfvae.build(objective, **{**parts, **options})
        if learning_rate:
            model.compile(optimizer=keras.optimizers.Adam(learning_rate), jit_compile=jit)
        return model

    return make


@pytest.fixture
def gradients():
    """gradients(model, x, seed) -> loss [B] and the gradients of its mean by encoder and decoder, NumPy."""

    def compute(model, x, seed=(3, 4)):
        variables = model.arch.trainable_variables
        with tf.GradientTape() as tape:
            loss = model.objective(model.terms(x, seed=seed, training=True))
            total = tf.reduce_mean(loss)
        return loss.numpy(), [g.numpy() for g in tape.gradient(total, variables)]

    return compute


@pytest.fixture
def random_terms():
    """random_terms(samples, batch, ...) -> Terms of random numbers of realistic size, as variables of nothing."""

    def make(samples=4, batch=5, latent=3, shape=(4, 6, 3), seed=0):
        draw = np.random.default_rng(seed)

        def normal(*size, scale=1.0, shift=0.0):
            return tf.constant(shift + scale * draw.standard_normal(size), tf.float32)

        x, mean = draw.uniform(size=(batch, *shape)), draw.uniform(size=(samples, batch, *shape))
        return tfvae.Terms(
            log_px=normal(samples, batch, scale=3.0, shift=-50.0),
            log_pz=normal(samples, batch, shift=-4.0),
            log_qz=normal(samples, batch, shift=-2.0),
            kl=tf.abs(normal(batch, scale=5.0)),
            sq_err=tf.constant(np.sum((x - mean) ** 2, axis=(-3, -2, -1)), tf.float32),
            x=tf.constant(x, tf.float32),
            mean=tf.constant(mean, tf.float32),
            z=normal(samples, batch, latent),
            q_mean=normal(batch, latent),
            q_log_stddev=normal(batch, latent, scale=0.3),
        )

    return make
