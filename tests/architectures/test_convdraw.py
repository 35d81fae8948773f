"""ConvDraw against a slow NumPy double, and each mistake of its public versions as a test."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from doubles import convolve, make_shaken_model, sigmoid, split_normal
from scipy.stats import norm

import tfvae
from tfvae.architectures.convdraw import advance_lstm, join_patches
from tfvae.distributions.terms import compute_normal_kl, compute_normal_log_prob
from tfvae.errors import UsageError
from tfvae.runtime import random_streams

SPEC = "convdraw:steps=3,hidden=5,latent=2,kernel=3"


def make_small(spec=SPEC, scale=0.3):
    return make_shaken_model(spec, (8, 12, 2), scale)


@pytest.fixture
def x(generator):
    return tf.constant(generator.uniform(size=(2, 8, 12, 2)), tf.float32)


# --- the double -------------------------------------------------------------------------------------------------


def advance_cell(gates, cell):
    forget, write, output, value = np.split(gates, 4, axis=-1)
    cell = sigmoid(forget + 1) * cell + sigmoid(write) * np.tanh(value)
    return sigmoid(output) * np.tanh(cell), cell


def split_into_squares(x):
    """[H, W, C] -> [H/4, W/4, 16 C], by loops."""
    squares = np.zeros((x.shape[0] // 4, x.shape[1] // 4, 16 * x.shape[2]))
    for i, j in np.ndindex(squares.shape[:2]):
        squares[i, j] = x[4 * i : 4 * i + 4, 4 * j : 4 * j + 4].ravel()
    return squares


def join_squares(p, channels):
    image = np.zeros((4 * p.shape[0], 4 * p.shape[1], channels))
    for i, j in np.ndindex(p.shape[:2]):
        image[4 * i : 4 * i + 4, 4 * j : 4 * j + 4] = p[i, j].reshape(4, 4, channels)
    return image


def apply_dense(layer, v):
    kernel, bias = (w.astype(np.float64) for w in layer.get_weights())
    return v @ kernel + bias


def silu(v):
    return v * sigmoid(v)


def infer_global_latent(part, image_map, eps):
    """Return the global latent of one image: z-space q and p, z, no canvas; and the map it adds."""
    mean, log_stddev = split_normal(apply_dense(part.posterior, silu(apply_dense(part.compare, image_map.ravel()))))
    z = mean + np.exp(log_stddev) * eps.ravel()
    zeros = np.zeros_like(z)
    added = apply_dense(part.merge, silu(apply_dense(part.expand, z))).reshape(part.map_shape)
    return ((mean, log_stddev), (zeros, zeros), z, None), added


def draw_slowly(arch, x, noise):
    """Return ConvDraw's recurrence for one image and noise of each group: z-space q and p of each, z, canvases."""
    cd = arch.first_cell.numpy().astype(np.float64)
    canvas, image_map, groups = np.zeros((*x.shape[:2], arch.output_channels)), x, []
    for layer in arch.stem:
        image_map = silu(convolve(layer, image_map, stride=2))
    if arch.first_map:
        group, added = infer_global_latent(arch.global_latent, image_map, noise[0])
        groups, noise, cd = [group], noise[1:], cd + added
    hd = np.tanh(cd)
    he = ce = np.zeros_like(cd)
    for t, eps in enumerate(noise):
        layers = arch.step_layers[t % len(arch.step_layers)].sublayers
        image = sigmoid(canvas @ arch.image_kernel.numpy().astype(np.float64))
        gates = convolve(layers["encode"], np.concatenate([split_into_squares(x - image), hd, he], axis=-1))
        he, ce = advance_cell(gates + convolve(layers["read"], image_map), ce)
        q, p = split_normal(convolve(layers["posterior"], he)), split_normal(convolve(layers["prior"], hd))
        q = (p[0] + np.exp(p[1]) * q[0], p[1] + q[1]) if arch.relative else q
        z = q[0] + np.exp(q[1]) * eps
        hd, cd = advance_cell(
            convolve(layers["decode"], np.concatenate([z, split_into_squares(image), hd], axis=-1)), cd
        )
        canvas = canvas + join_squares(convolve(layers["write"], hd), arch.output_channels)
        groups.append((q, p, z, canvas))
    return groups


@pytest.mark.parametrize("options", ["", "shared=false", "vector=3", "relative=true", "vector=5,relative=true"])
def test_it_is_the_recurrence_of_a_slow_double(x, options):
    """Canvases, log q(z) - log p(z) and the KL in z-space, by float64 loops and SciPy; float32 leaves 1e-4."""
    model = make_small(f"{SPEC},{options}".rstrip(","))
    q = model.arch.infer(x, 1, (5, 6))
    canvases = model.arch.decode_canvases(q.z)
    noise = random_streams.normal([1, 2, model.arch.latent], (5, 6)).numpy().astype(np.float64)
    for b in range(2):
        parts = np.split(noise[0, b], np.cumsum([math.prod(shape) for shape in model.arch.group_shapes])[:-1])
        parts = [part.reshape(shape) for part, shape in zip(parts, model.arch.group_shapes)]
        steps = draw_slowly(model.arch, x[b].numpy().astype(np.float64), parts)
        for t, (_, _, _, canvas) in enumerate(steps[model.arch.first_map :]):
            np.testing.assert_allclose(canvases[t, 0, b], canvas, rtol=1e-4, atol=1e-4)
        ratio = sum(
            (norm.logpdf(z, mq, np.exp(sq)) - norm.logpdf(z, mp, np.exp(sp))).sum()
            for (mq, sq), (mp, sp), z, _ in steps
        )
        kl = sum(
            (sp - sq + (np.exp(2 * sq) + (mq - mp) ** 2) / (2 * np.exp(2 * sp)) - 0.5).sum()
            for (mq, sq), (mp, sp), _, _ in steps
        )
        log_pz = compute_normal_log_prob(q.z, 0.0 * q.z, 0.0 * q.z)
        np.testing.assert_allclose((q.log_qz - log_pz)[0, b], ratio, rtol=1e-4, atol=1e-3)
        np.testing.assert_allclose(compute_normal_kl(q.mean, q.log_stddev)[0, b], kl, rtol=1e-4, atol=1e-3)


def test_the_cell_forgets_writes_and_shows():
    """Gates at +-infinity: keep all, write nothing, show all gives tanh(cell); the reverse gives the new value."""
    on, off, value = (tf.fill([1, 1, 1, 1], v) for v in (50.0, -50.0, 0.3))
    hidden, cell = advance_lstm(tf.concat([on, off, on, value], axis=-1), tf.fill([1, 1, 1, 1], 0.7))
    np.testing.assert_allclose([cell, hidden], [[[[[0.7]]]], [[[[np.tanh(0.7)]]]]], rtol=1e-6)
    _, cell = advance_lstm(tf.concat([off, on, on, value], axis=-1), tf.fill([1, 1, 1, 1], 0.7))
    np.testing.assert_allclose(cell, [[[[np.tanh(0.3)]]]], rtol=1e-6)


# --- the latent is standardised noise -----------------------------------------------------------------------------


def test_samples_are_scored_by_the_prior_of_the_kl(x):
    """The mean of log q - log p over 4000 draws is the KL within 5 standard errors (a false alarm in 1.7 million)."""
    model = make_small()
    terms = model.terms(x, samples=4000, seed=(1, 2))
    ratio = (terms.log_qz - terms.log_pz).numpy()
    error = ratio.std(axis=0) / np.sqrt(len(ratio))
    assert terms.kl.shape == (2,) and (np.abs(ratio.mean(axis=0) - terms.kl) < 5 * error).all()
    assert (error < 0.05 * terms.kl.numpy()).all()  # or the line above could not fail


def test_decoding_the_inferred_latent_gives_the_inferred_outputs(x):
    model = make_small()
    q = model.arch.infer(x, 3, (5, 6))
    np.testing.assert_allclose(model.arch.generate(q.z), q.decoder_outputs, rtol=1e-5, atol=1e-5)
    assert q.mean.shape == q.log_stddev.shape == q.z.shape == (3, 2, model.arch.latent)
    assert q.log_qz.shape == (3, 2) and q.decoder_outputs.shape == (3, 2, 8, 12, 2)


def test_samples_of_an_image_do_not_meet(x):
    """Sample k of image b is the one that image alone has with that noise: no axis is mixed up."""
    model = make_small()
    noise = random_streams.normal([3, 2, model.arch.latent], (5, 6))
    together = model.arch.infer_sequentially(x, noise, None)
    for k in range(3):
        for b in range(2):
            alone = model.arch.infer_sequentially(x[b : b + 1], noise[k : k + 1, b : b + 1], None)
            np.testing.assert_allclose(together.z[k, b], alone.z[0, 0], rtol=1e-4, atol=1e-4)
            np.testing.assert_allclose(
                together.decoder_outputs[k, b], alone.decoder_outputs[0, 0], rtol=1e-4, atol=1e-4
            )


def test_encode_follows_the_means(x):
    """The code of an image is the draw without noise, and its first step that of every draw."""
    model = make_small()
    mean, log_stddev = model.arch.encode(x)
    noiseless = model.arch.infer_sequentially(x, tf.zeros([1, 2, model.arch.latent]), None)
    np.testing.assert_array_equal(mean, noiseless.z[0])
    draw, n = model.arch.infer(x, 1, (5, 6)), model.arch.latent // 3
    np.testing.assert_allclose(mean[:, :n], draw.mean[0, :, :n], rtol=1e-5, atol=1e-6)
    assert np.abs(mean[:, n:] - draw.mean[0, :, n:]).max() > 0.01
    assert log_stddev.shape == mean.shape == (2, model.arch.latent)


# --- the mistakes of others ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["encode", "decode"])
def test_the_hidden_state_matters(x, name):
    """Cutting the recurrent filters of one LSTM leaves step 1 as it is and changes the next."""
    model = make_small()
    before = model.arch.infer(x, 1, (5, 6)).mean[0].numpy().reshape(2, 3, -1)
    conv = model.arch.step_layers[0].sublayers[name]
    kernel, bias = conv.get_weights()
    kernel[:, :, -model.arch.hidden :] = 0.0  # each LSTM's own hidden state comes last
    conv.set_weights([kernel, bias])
    after = model.arch.infer(x, 1, (5, 6)).mean[0].numpy().reshape(2, 3, -1)
    np.testing.assert_allclose(before[:, 0], after[:, 0], atol=1e-5)
    assert np.abs(before[:, 1] - after[:, 1]).max() > 1e-3


def test_the_first_prior_knows_its_position_and_the_label():
    """Trained start states: p(z_1) differs between grid cells, and between labels."""
    model = tfvae.build("elbo", "gaussian", SPEC, image_shape=(8, 12, 1), condition="labels", classes=3)
    draw = np.random.default_rng(0)
    for variable in model.arch.trainable_variables:
        variable.assign(variable + draw.normal(0, 0.3, variable.shape))
    means = []
    for label in (0, 1):
        states = []

        def sample_group(t, state):
            states.append(state.mean)
            return tf.zeros_like(state.mean)

        model.arch.draw_canvases(sample_group, 1, 1, tf.one_hot([label], 3))
        means.append(states[0].numpy())
    assert np.abs(means[0][0, 0, 0] - means[0][0, 1, 1]).max() > 1e-3
    assert np.abs(means[0] - means[1]).max() > 1e-3


def test_the_prior_does_not_see_its_own_draw():
    """z_1 moves the canvas from step 1 on; z_2 must leave the canvas of step 1 alone."""
    model = make_small()
    z = tf.random.stateless_normal([1, model.arch.latent], (1, 2))
    n = model.arch.latent // 3
    moved = model.arch.decode_canvases(tf.concat([z[:, :n], z[:, n : 2 * n] + 1.0, z[:, 2 * n :]], axis=-1))
    changed = np.abs(moved - model.arch.decode_canvases(z)).max(axis=(1, 2, 3, 4))
    assert changed[0] == 0.0 and (changed[1:] > 1e-3).all()


def test_every_step_has_a_state_of_its_own():
    """The same noise at every step draws something else each time, with shared weights too."""
    model = make_small()
    n = model.arch.latent // 3
    z = tf.tile(tf.random.stateless_normal([1, n], (1, 2)), [1, 3])
    writes = np.diff(model.arch.decode_canvases(z).numpy(), axis=0, prepend=0.0)
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(writes[a] - writes[b]).max() > 1e-2


def test_scales_are_bounded(x):
    """Weights a thousand times too large leave standard deviations in [e^-10, e^10] and every number finite."""
    model = make_small(scale=300.0)
    terms = model.terms(x, samples=2, seed=(3, 4))
    assert np.isfinite(terms.kl).all() and np.isfinite(terms.log_qz).all() and np.isfinite(terms.mean).all()
    assert np.abs(terms.q_log_stddev).max() <= 10.0


@pytest.mark.parametrize("shape", [(4, 4, 1), (8, 12, 2), (28, 28, 1)])
def test_sample_shapes(shape):
    """Any size divisible by 4, any channels; the caller chooses the count of samples, not a batch of images."""
    model = tfvae.build("elbo", "gaussian", SPEC, image_shape=shape)
    sample = model.sample(5, seed=(1, 2))
    assert sample.shape == (5, *shape) and np.isfinite(sample).all()
    assert model.arch.latent == 3 * 2 * shape[0] * shape[1] // 16
    assert np.abs(sample[0] - sample[1]).max() > 0


@pytest.mark.parametrize("options", ["steps=0", "hidden=0", "latent=0", "kernel=0"])
def test_bad_options_are_refused(options):
    with pytest.raises(UsageError, match="Expected " + options[:-2]):
        tfvae.build("elbo", arch="convdraw:" + options, image_shape=(8, 8, 1))


def test_sides_must_be_divisible_by_four():
    with pytest.raises(UsageError, match="divisible by 4"):
        tfvae.build("elbo", arch=SPEC, image_shape=(8, 10, 1))


@pytest.mark.parametrize("objective", ["tc", "iwae:gradient=stl", "iwae:gradient=dreg"])
def test_objectives_that_need_one_step_say_so(objective):
    with pytest.raises(UsageError, match="draws"):
        tfvae.build(objective, arch=SPEC, image_shape=(8, 8, 1))


# --- drawing ------------------------------------------------------------------------------------------------------


def test_canvases_at_any_number_of_steps():
    """Earlier canvases do not depend on later noise; more steps than trained go on, if weights are shared."""
    arch = make_small().arch
    n = arch.latent // 3
    z = tf.random.stateless_normal([2, 4, 5 * n], (1, 2))
    five = arch.decode_canvases(z)
    assert five.shape == (5, 2, 4, 8, 12, 2) and arch.count_latents(5) == 5 * n
    np.testing.assert_allclose(arch.decode_canvases(z[..., : 2 * n]), five[:2], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(arch.generate(z[..., : 3 * n]), five[2], rtol=1e-5, atol=1e-5)
    with pytest.raises(UsageError, match="whole steps"):
        arch.decode_canvases(z[..., : n + 1])
    with pytest.raises(UsageError, match="at most 3"):
        make_small(SPEC + ",shared=false").arch.decode_canvases(z)


def test_a_vector_comes_before_all_steps():
    """It moves every canvas; with it z is longer by its size, for any number of steps."""
    arch = make_small(SPEC + ",vector=5").arch
    assert arch.latent == arch.count_latents(3) == 5 + 3 * 12
    z = tf.random.stateless_normal([1, arch.count_latents(4)], (1, 2))
    canvases = arch.decode_canvases(z)
    assert len(canvases) == 4
    np.testing.assert_allclose(arch.decode_canvases(z[:, : arch.count_latents(2)]), canvases[:2], rtol=1e-5, atol=1e-5)
    moved = arch.decode_canvases(tf.concat([z[:, :5] + 1.0, z[:, 5:]], axis=-1))
    assert (np.abs(moved - canvases).max(axis=(1, 2, 3, 4)) > 1e-3).all()


@pytest.mark.parametrize("spec", [SPEC, "ladder:levels=2,hidden=4,latent=1"])
def test_the_vectors_prior_knows_the_label(spec, generator):
    """p(z_0 | label) starts as N(0, I) for every label and is trained; q(z_0 | x) depends on it from the start."""
    model = tfvae.build("elbo", "gaussian", spec + ",vector=5", image_shape=(8, 12, 1), condition="labels", classes=3)
    vector = model.arch.global_latent

    def maps():
        """What z_0 = its prior's mean adds under labels 0 and 1."""
        return vector.draw_map(lambda t, state: tf.zeros([2, 1, 1, 5]), 2, tf.one_hot([0, 1], 3)).numpy()

    first, second = maps()
    np.testing.assert_array_equal(first, second)
    vector.prior.kernel.assign(generator.normal(size=vector.prior.kernel.shape))
    first, second = maps()
    assert np.abs(first - second).max() > 1e-3
    encoder_map = tf.ones([2, 1, 1, vector.compare.kernel.shape[0] - 3])
    means = vector.compute_posterior(encoder_map, tf.one_hot([0, 1], 3))[0].numpy()
    assert np.abs(means[0] - means[1]).max() > 1e-5


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian:sigma=per-pixel", "student-t", "laplace"])
def test_the_error_image_starts_as_the_mean_of_the_canvas(likelihood, generator):
    """x - image(canvas) is what the likelihood would miss by, before A learns."""
    model = tfvae.build("elbo", likelihood, SPEC, image_shape=(8, 8, 3))
    canvas = tf.constant(generator.standard_normal((2, 2, 2, 16 * model.arch.output_channels)), tf.float32)
    expected = model.likelihood.mean(join_patches(canvas))
    np.testing.assert_allclose(join_patches(model.arch.render_canvas(canvas)), expected, atol=1e-6)


# --- training -----------------------------------------------------------------------------------------------------


def test_it_starts_with_a_small_kl(images):
    """Below 0.2 nats a latent at the start, so that a learning rate of 1e-3 is safe from the first step."""
    model = tfvae.build("elbo", "bernoulli", "convdraw:steps=8,hidden=16,latent=2", image_shape=(8, 8, 1))
    assert 0 < model.terms(images(8)).kl.numpy().max() / model.arch.latent < 0.2


def test_compiled_equals_eager(images):
    """XLA fuses, so sums differ by rounding: 1e-4 of each number."""
    model = tfvae.build("elbo", "gaussian:sigma=0.5", SPEC, image_shape=(8, 8, 1))
    x = tf.constant(images(4))
    compiled = tf.function(lambda x: model.terms(x, samples=2, seed=(3, 4))[:5], jit_compile=True, autograph=False)
    for a, b in zip(compiled(x), model.terms(x, samples=2, seed=(3, 4))[:5]):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("spec", [SPEC, "ladder:levels=2,hidden=4,latent=1"])
def test_one_program_serves_any_number_of_images(spec):
    """With the batch left open, as in a SavedModel, encoding, drawing and decoding are the eager ones."""
    arch = make_shaken_model(spec, (8, 8, 1)).arch
    images = tf.TensorSpec([None, 8, 8, 1])
    infer = tf.function(lambda x: arch.infer(x, 2, (5, 6))[:5], [images], autograph=False)
    encode = tf.function(arch.encode, [images], autograph=False)
    generate = tf.function(arch.generate, [tf.TensorSpec([None, arch.latent])], autograph=False)
    x = tf.random.stateless_uniform([3, 8, 8, 1], (1, 2))
    for n in (1, 3):
        compiled, eager = infer(x[:n]), arch.infer(x[:n], 2, (5, 6))
        for a, b in zip((*compiled, *encode(x[:n])), (*eager, *arch.encode(x[:n]))):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(generate(eager.z[0]), eager.decoder_outputs[0], rtol=1e-4, atol=1e-4)


def test_every_weight_learns(images):
    """Nothing is built and left unused: of all gradients one is zero, that of the first step's prior filters."""
    model = tfvae.build("elbo", "gaussian:sigma=0.5", SPEC + ",shared=false", image_shape=(8, 8, 1))
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.objective(model.terms(images(4), seed=(3, 4))))
    gradients = tape.gradient(loss, model.arch.trainable_variables)
    dead = [v.path for v, g in zip(model.arch.trainable_variables, gradients) if g is None or not np.any(g)]
    assert len(dead) == 1 and dead[0].endswith("kernel")  # they see the state before any step: zeros


def test_it_learns_at_the_usual_rate(images):
    """After 60 steps of Adam at 1e-3 with clipping, the loss is finite and far below its start."""
    model = tfvae.build("elbo", "bernoulli", "convdraw:steps=2,hidden=16,latent=2", image_shape=(8, 8, 1))
    model.compile(keras.optimizers.Adam(1e-3, global_clipnorm=10.0))
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.optimize, autograph=False)
    x = tf.constant(images(32))
    losses = [float(tf.reduce_mean(step(x)[0]["loss"])) for _ in range(60)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0] - 5.0
