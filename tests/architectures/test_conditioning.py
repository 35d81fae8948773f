"""The context vector: in every architecture, by every way of conditioning, on both sides of z."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.architectures import ARCHITECTURES
from tfvae.errors import UsageError
from tfvae.runtime.parts import build_part

SPECS = {
    "mlp": "mlp:widths=12,latent=3",
    "conv": "conv:widths=4,hidden=12,latent=3",
    "resnet": "resnet:widths=4,hidden=12,latent=3",
    "convdraw": "convdraw:steps=2,hidden=4,latent=1",
    "ladder": "ladder:levels=2,hidden=4,latent=1",
}
CONDITIONINGS = ("concat", "film", "mr")
EVERY = pytest.mark.parametrize("name, mode", [(name, mode) for name in SPECS for mode in CONDITIONINGS])


def build_arch(spec, width=3, dtype="float32"):
    common = {"image_shape": (8, 8, 1), "output_channels": 1, "seed": 2, "dtype": dtype}
    return build_part("arch", ARCHITECTURES, spec, context_width=width, **common)


def make_arch(name, mode, width=3, shake=True):
    """Return an architecture with a context; `shake` moves every weight, those that start at zero too."""
    arch = build_arch(f"{SPECS[name]},conditioning={mode}", width)
    draw = np.random.default_rng(4)
    for variable in arch.trainable_variables if shake else ():
        variable.assign_add(0.3 * draw.standard_normal(variable.shape))
    return arch


@pytest.fixture
def x(generator):
    return tf.constant(generator.uniform(size=(4, 8, 8, 1)), tf.float32)


@pytest.fixture
def z(generator):
    return lambda arch, *lead: tf.constant(generator.standard_normal((*lead, arch.latent)), tf.float32)


LABELS = tf.one_hot([0, 1, 2, 0], 3)


def test_every_architecture_is_here():
    assert set(SPECS) == set(ARCHITECTURES)


@EVERY
def test_another_label_gives_another_answer(name, mode, x, z):
    """Encoder and decoder both: each label its own mean, stddev and decoder outputs, the same label the same."""
    arch = make_arch(name, mode)
    same = tf.tile(x[:1], [4, 1, 1, 1])
    codes = tf.tile(z(arch, 1), [4, 1])
    for values in (*arch.encode(same, LABELS), arch.generate(codes, LABELS)):
        values = values.numpy().reshape(4, -1)
        np.testing.assert_allclose(values[0], values[3], rtol=1e-4, atol=1e-5)
        for a, b in ((0, 1), (0, 2), (1, 2)):
            assert np.abs(values[a] - values[b]).max() > 1e-3


@EVERY
def test_each_image_has_its_own_context_in_every_sample(name, mode, x):
    """Sample k of image b is drawn and decoded with context b: as that image alone."""
    arch = make_arch(name, mode)
    q = arch.infer(x, 2, (3, 4), LABELS)
    np.testing.assert_allclose(arch.generate(q.z, LABELS), q.decoder_outputs, rtol=1e-4, atol=1e-4)
    for k in range(2):
        for b in range(4):
            alone = arch.generate(q.z[k, b : b + 1], LABELS[b : b + 1])
            np.testing.assert_allclose(q.decoder_outputs[k, b], alone[0], rtol=1e-4, atol=1e-4)
    mean = arch.encode(x[2:3], LABELS[2:3])[0]
    np.testing.assert_allclose(arch.encode(x, LABELS)[0][2], mean[0], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(arch.infer(x, 1, (3, 4), LABELS).z[0], q.z[0], rtol=1e-4, atol=1e-4)


@EVERY
def test_one_context_serves_many_codes(name, mode, z):
    """A context [D], or [1, D], for all of z."""
    arch = make_arch(name, mode)
    codes = z(arch, 2, 3)
    expected = arch.generate(codes, tf.tile(LABELS[1:2], [3, 1]))
    np.testing.assert_array_equal(arch.generate(codes, LABELS[1]), expected)
    np.testing.assert_array_equal(arch.generate(codes, LABELS[1:2]), expected)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("mode", ["film", "mr"])
def test_film_and_gates_start_as_no_context(name, mode, x, z):
    """Their last layers start at zero: no label matters yet, but every one of those layers has a gradient."""
    arch = make_arch(name, mode, shake=False)
    codes = z(arch, 4)
    for answer in (lambda c: arch.encode(x, c)[0], lambda c: arch.generate(codes, c)):
        np.testing.assert_array_equal(answer(LABELS), answer(tf.zeros([4, 3])))
    with tf.GradientTape() as tape:
        q = arch.infer(x, 1, (3, 4), LABELS)
        loss = tf.reduce_sum(tf.square(q.decoder_outputs)) + tf.reduce_sum(tf.square(q.mean))
    zeros = [v for v in arch.trainable_variables if "kernel" in v.path and not np.any(v)]
    assert len(zeros) >= 2 and all(np.any(g) for g in tape.gradient(loss, zeros))


@pytest.mark.parametrize("mode", CONDITIONINGS)
def test_the_mlp_is_what_numpy_computes(mode, x, z):
    """The decoder by hand: joined to z; (1 + scale) h + shift; softplus(U c + log(e - 1)) h."""
    arch = make_arch("mlp", mode)
    codes, c = z(arch, 4).numpy(), LABELS.numpy()
    network = arch.decoder if mode == "concat" else arch.decoder.network
    (w1, b1), (w2, b2) = (layer.get_weights() for layer in network.layers if layer.get_weights())
    h = np.maximum((np.hstack([codes, c]) if mode == "concat" else codes) @ w1 + b1, 0.0)
    if mode == "film":
        layer = arch.decoder.conditioning_layers[0]
        (u, a), (v, b) = layer.first.get_weights(), layer.last.get_weights()
        inner = c @ u + a
        scale, shift = np.split(inner / (1 + np.exp(-inner)) @ v + b, 2, axis=-1)
        h = (1 + scale) * h + shift
    if mode == "mr":
        u, a = arch.decoder.conditioning_layers[0].last.get_weights()
        h = np.log1p(np.exp(c @ u + a + np.log(np.e - 1))) * h
    outputs = arch.generate(codes, LABELS).numpy()
    np.testing.assert_allclose(outputs.reshape(4, -1), h @ w2 + b2, rtol=1e-4, atol=1e-5)


def test_constant_maps_are_joined_to_images(x):
    """conv with ``concat`` is a convolution of [x, c, c, c] as images."""
    arch = make_arch("conv", "concat")
    maps = tf.tile(LABELS[:, None, None], [1, 8, 8, 1])
    raw = arch.encoder(tf.concat([x, maps], axis=-1))
    np.testing.assert_allclose(arch.encode(x, LABELS)[0], raw[:, :3], rtol=1e-6)


@pytest.mark.parametrize("name", ["convdraw", "ladder"])
def test_a_shift_is_a_convolution_of_constant_maps(name, generator):
    """Away from the borders: W c added to the output equals filters over maps of c whose taps sum to W."""
    layer = make_arch(name, "concat").make_conditioning_layer(2)
    taps = generator.standard_normal((3, 3, 3, 2)).astype(np.float32)
    layer.last.set_weights([taps.sum(axis=(0, 1)), np.zeros(2, np.float32)])
    maps = tf.tile(LABELS[:, None, None], [1, 5, 5, 1])
    shifted = layer.apply(tf.zeros([4, 3, 3, 2]), LABELS)
    np.testing.assert_allclose(tf.nn.conv2d(maps, taps, 1, "VALID"), shifted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SPECS)
def test_a_context_is_asked_for_by_name(name, x, z):
    """One where the model takes none, or none where it takes one: one line, no wrong picture."""
    plain, wants = make_arch(name, "concat", width=0), make_arch(name, "concat")
    for answer in (lambda: plain.encode(x, LABELS), lambda: plain.generate(z(plain, 4), LABELS)):
        with pytest.raises(UsageError, match="Expected no context"):
            answer()
    for answer in (lambda: wants.encode(x), lambda: wants.generate(z(wants, 4)), lambda: wants.infer(x, 1, (1, 2))):
        with pytest.raises(UsageError, match=r"Expected a context \[..., 3\]"):
            answer()


@pytest.mark.parametrize(
    "spec, width, message",
    [
        ("mlp", -1, "context_width >= 0"),
        ("mlp:conditioning=adain", 2, "conditioning"),
        ("mlp:conditioning=film,widths=none", 2, "hidden layers"),
    ],
)
def test_bad_options_are_refused(spec, width, message):
    with pytest.raises(UsageError, match=message):
        build_arch(spec, width)


@pytest.mark.parametrize("name, mode", [("mlp", "film"), ("conv", "mr"), ("convdraw", "film"), ("ladder", "concat")])
def test_it_is_saved_whole(name, mode, x, z, tmp_path):
    """A .keras file brings back what the context does."""
    spec = f"{SPECS[name]},conditioning={mode}"
    model = tfvae.build("elbo", "gaussian", spec, image_shape=(8, 8, 1), condition="labels", classes=3)
    for variable in model.arch.trainable_variables:
        variable.assign_add(tf.random.stateless_normal(variable.shape, (5, 6)))
    model.save(tmp_path / "model.keras")
    again, codes = keras.models.load_model(tmp_path / "model.keras"), z(model.arch, 4)
    np.testing.assert_array_equal(again.arch.generate(codes, LABELS), model.arch.generate(codes, LABELS))
    np.testing.assert_array_equal(again.arch.encode(x, LABELS)[0], model.arch.encode(x, LABELS)[0])


@pytest.mark.parametrize("mode", CONDITIONINGS)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_it_compiles(mode, precision, x):
    """XLA gives the eager numbers (1e-4; bfloat16 rounds at 2^-8, several layers deep); decoder outputs are float32."""
    dtype = precision if precision == "float32" else "mixed_" + precision
    arch = build_arch(f"{SPECS['conv']},conditioning={mode}", dtype=dtype)
    compiled = tf.function(lambda x, c: arch.infer(x, 2, (3, 4), c).decoder_outputs, jit_compile=True, autograph=False)
    eager = arch.infer(x, 2, (3, 4), LABELS).decoder_outputs
    assert eager.dtype == tf.float32
    np.testing.assert_allclose(compiled(x, LABELS), eager, atol=1e-4 if precision == "float32" else 0.05)
