"""The ladder against a slow NumPy double; its levels, its priors and its posteriors relative to them."""

import numpy as np
import pytest
import tensorflow as tf
from doubles import convolve, make_shaken_model, sigmoid, split_normal

import tfvae
from tfvae.distributions.terms import compute_normal_kl
from tfvae.errors import UsageError
from tfvae.runtime import random_streams

SPEC, SHAPE = "ladder:levels=2,hidden=4,latent=2", (7, 10, 2)  # sides that halve unevenly: 7 -> 4 -> 2, 10 -> 5 -> 3


def make_small(spec=SPEC, scale=0.3):
    return make_shaken_model(spec, SHAPE, scale)


@pytest.fixture
def x(generator):
    return tf.constant(generator.uniform(size=(2, *SHAPE)), tf.float32)


def silu(v):
    return v * sigmoid(v)


def apply_residuals(blocks, h):
    for block in blocks.layers:
        inner = h
        for conv in block.convs:
            inner = convolve(conv, silu(inner))
        h = h + inner
    return h


def upsample(p, side):
    """[h, w, 4 M] -> [2 h, 2 w, M] cut to `side`, by loops."""
    image = np.zeros((2 * p.shape[0], 2 * p.shape[1], p.shape[2] // 4))
    for i, j in np.ndindex(p.shape[:2]):
        image[2 * i : 2 * i + 2, 2 * j : 2 * j + 2] = p[i, j].reshape(2, 2, -1)
    return image[: side[0], : side[1]]


def compute_slowly(arch, x, noise):
    """Return, for one image and noise of each level, coarse first, its q of eps and eps; and the decoder outputs."""
    h, encoder_maps, groups = x, [], []
    for level in arch.step_layers:
        h = apply_residuals(level.sublayers["encoder_blocks"], convolve(level.sublayers["down"], h, stride=2))
        encoder_maps.append(h)
    h = arch.top.numpy().astype(np.float64)
    for t, eps in enumerate(noise):
        layers, below = arch.step_layers[-1 - t].sublayers, arch.sides[-2 - t]
        inner = convolve(layers["compare"], np.concatenate([encoder_maps[-1 - t], h], axis=-1))
        mean, log_stddev = split_normal(convolve(layers["posterior"], silu(inner)))
        eps = mean + np.exp(log_stddev) * eps
        prior = split_normal(convolve(layers["prior"], silu(h)))
        h = apply_residuals(layers["decoder_blocks"], h + convolve(layers["merge"], prior[0] + np.exp(prior[1]) * eps))
        h = upsample(convolve(layers["up"], silu(h)), below)
        groups.append((mean, log_stddev, eps))
    return groups, h


def test_it_is_what_a_slow_double_computes(x):
    """q, eps and decoder outputs by float64 loops; float32 through two levels leaves 1e-4."""
    arch = make_small().arch
    q = arch.infer(x, 1, (5, 6))
    noise = [
        n.numpy().astype(np.float64)
        for n in arch.split_groups(random_streams.normal([1, 2, arch.latent], (5, 6)), arch.group_shapes)
    ]
    for b in range(2):
        levels, outputs = compute_slowly(arch, x[b].numpy().astype(np.float64), [n[b] for n in noise])
        np.testing.assert_allclose(q.decoder_outputs[0, b], outputs, rtol=1e-4, atol=1e-4)
        for values, expected in zip((q.mean, q.log_stddev, q.z), zip(*levels)):
            flat = np.concatenate([part.ravel() for part in expected])
            np.testing.assert_allclose(values[0, b], flat, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", ["", ",vector=5"])
def test_samples_are_scored_by_the_prior_of_the_kl(x, options):
    """The mean of log q - log p over 4000 draws is the KL within 5 standard errors (a false alarm in 1.7 million)."""
    terms = make_small(SPEC + options).terms(x, samples=4000, seed=(1, 2))
    ratio = (terms.log_qz - terms.log_pz).numpy()
    error = ratio.std(axis=0) / np.sqrt(len(ratio))
    assert terms.kl.shape == (2,) and (np.abs(ratio.mean(axis=0) - terms.kl) < 5 * error).all()
    assert (error < 0.05 * terms.kl.numpy()).all()  # or the line above could not fail


@pytest.mark.parametrize("options", ["", ",vector=5"])
def test_decoding_the_inferred_latent_gives_the_inferred_outputs(x, options):
    arch = make_small(SPEC + options).arch
    q = arch.infer(x, 3, (5, 6))
    np.testing.assert_allclose(arch.generate(q.z), q.decoder_outputs, rtol=1e-5, atol=1e-5)
    assert q.mean.shape == q.z.shape == (3, 2, arch.latent) and q.decoder_outputs.shape == (3, 2, *SHAPE)
    alone = arch.infer_sequentially(x[1:], random_streams.normal([3, 2, arch.latent], (5, 6))[2:, 1:], None)
    np.testing.assert_allclose(q.z[2, 1], alone.z[0, 0], rtol=1e-4, atol=1e-4)


def test_finer_maps_depend_on_coarser_draws(x):
    """The posterior of level 2 differs between draws of level 1, whose own does not differ."""
    arch = make_small().arch
    q, coarse = arch.infer(x, 2, (5, 6)), np.prod(arch.group_shapes[0])
    np.testing.assert_allclose(q.mean[0, :, :coarse], q.mean[1, :, :coarse], atol=1e-6)
    assert np.abs(q.mean[0, :, coarse:] - q.mean[1, :, coarse:]).max() > 1e-3


def test_every_level_reaches_the_picture():
    """A change of each map moves the decoder outputs, and the coarse one moves them almost everywhere."""
    arch = make_small("ladder:levels=3,hidden=4,latent=2").arch
    assert arch.group_shapes == [(1, 2, 2), (2, 3, 2), (4, 5, 2)]
    z = tf.zeros([1, arch.latent])
    before, starts = arch.generate(z), np.cumsum([0] + [np.prod(shape) for shape in arch.group_shapes])
    for level, (a, b) in enumerate(zip(starts, starts[1:])):
        moved = arch.generate(tf.concat([z[:, :a], z[:, a:b] + 1.0, z[:, b:]], axis=-1))
        share = np.mean(np.abs(moved - before) > 1e-4)
        assert share > (0.9 if level == 0 else 0.5)


def test_no_output_is_the_prior(x):
    """Posterior networks that give zero cost zero nats, whatever the priors are."""
    arch = make_small().arch
    for level in arch.step_layers:
        level.sublayers["posterior"].set_weights([0.0 * w for w in level.sublayers["posterior"].get_weights()])
    q = arch.infer(x, 2, (5, 6))
    np.testing.assert_array_equal(compute_normal_kl(q.mean, q.log_stddev), np.zeros((2, 2)))
    np.testing.assert_allclose(q.z, random_streams.normal([2, 2, arch.latent], (5, 6)), atol=1e-6)


def test_it_starts_near_the_prior_with_bounded_scales(x):
    """At the start under 0.01 nats a latent; with weights ten times too large, all is finite."""
    start = tfvae.build("elbo", "gaussian", SPEC, image_shape=SHAPE)
    assert 0 < start.terms(x).kl.numpy().max() / start.arch.latent < 0.01
    terms = make_small(scale=3.0).terms(x, samples=2, seed=(3, 4))
    assert np.abs(terms.q_log_stddev).max() <= 5.0
    assert np.isfinite(terms.kl).all() and np.isfinite(terms.log_qz).all() and np.isfinite(terms.mean).all()


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 10, 3), (28, 28, 1)])
def test_any_size(shape):
    model = tfvae.build("elbo", "gaussian", "ladder:levels=3,hidden=4,latent=1", image_shape=shape)
    sample = model.sample(3, seed=(1, 2))
    assert sample.shape == (3, *shape) and np.isfinite(sample).all()


@pytest.mark.parametrize("option", ["levels", "hidden", "latent", "blocks", "kernel"])
def test_bad_options_are_refused(option):
    with pytest.raises(UsageError, match=f"Expected {option} >= 1"):
        tfvae.build("elbo", arch=f"ladder:{option}=0", image_shape=(8, 8, 1))


def test_every_weight_learns(x):
    """No layer is built and left unused; the prior of the coarsest map sees zeros until `top` has moved."""
    model = tfvae.build("elbo", "gaussian:sigma=0.5", SPEC, image_shape=SHAPE)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model.objective(model.terms(x, seed=(3, 4))))
    gradients = tape.gradient(loss, model.arch.trainable_variables)
    dead = [v.path for v, g in zip(model.arch.trainable_variables, gradients) if g is None or not np.any(g)]
    assert len(dead) == 1 and dead[0].endswith("kernel")


def test_compiled_equals_eager(x):
    """XLA fuses, so sums differ by rounding: 1e-4 of each number."""
    model = tfvae.build("elbo", "gaussian:sigma=0.5", SPEC, image_shape=SHAPE)
    compiled = tf.function(lambda x: model.terms(x, samples=2, seed=(3, 4))[:5], jit_compile=True, autograph=False)
    for a, b in zip(compiled(x), model.terms(x, samples=2, seed=(3, 4))[:5]):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
