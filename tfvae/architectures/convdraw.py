"""ConvDraw: a picture drawn in T steps by convolutional LSTMs (Gregor et al., 2016, "Towards conceptual compression").

Step t, with canvas c_t, encoder state h_e and decoder state h_d (hidden and cell):

    error = x - image(c_t)                          what is still wrong
    h_e   = LSTM_e([x, error, h_d], h_e)
    q(z_t | z_<t, x) from h_e;  p(z_t | z_<t) from h_d, which has not seen z_t
    h_d   = LSTM_d([z_t, image(c_t)], h_d)
    c_t+1 = c_t + write(h_d)                        likelihood features, by sub-pixel convolution

The decoder starts from a learnt cell state, one for each place (and context): convolutions do not know where they are,
and the first prior would otherwise be the same everywhere. The rest sees the standardised eps_t in place of z_t (see
`tfvae.architectures.hierarchical`). The canvas holds the likelihood's features, of which this file knows no meaning: image(c) =
sigmoid(A c), with a learnt A [P, C] that starts as the copy of the first C features, the locations of most likelihoods.
All runs on the grid [H/4, W/4]; pictures are held as its 4 x 4 patches, so that no step shuffles pixels.
"""

import math
from typing import NamedTuple

import tensorflow as tf

from tfvae.architectures.base import mean_and_log_stddev
from tfvae.architectures.conditioning import ShiftMaps, make_dense
from tfvae.architectures.hierarchical import (
    LOG_STDDEV_BOUND,
    SMALL,
    Hierarchy,
    StepLayers,
    check_counts,
    repeat_for_samples,
    standardise,
    unflatten,
)
from tfvae.errors import UsageError

STRIDE = 4  # pixels of a grid cell, along each side


def lstm_cell(gates, cell):
    """Gates [N, h, w, 4 M] and cell [N, h, w, M] -> hidden, cell (Hochreiter & Schmidhuber, 1997; forget bias 1)."""
    keep, write, show, value = tf.split(gates, 4, axis=-1)
    cell = tf.sigmoid(keep + 1.0) * cell + tf.sigmoid(write) * tf.tanh(value)
    return tf.sigmoid(show) * tf.tanh(cell), cell


def to_patches(images):
    """[N, H, W, C] -> [N, H/4, W/4, 16 C]."""
    return tf.nn.space_to_depth(images, STRIDE)


def to_pixels(patches):
    """The inverse of `to_patches`: [N, h, w, 16 P] -> [N, 4 h, 4 w, P], sub-pixel convolution's last step."""
    return tf.nn.depth_to_space(patches, STRIDE)


class DecoderState(NamedTuple):
    """What the decoder knows before a step."""

    mean: tf.Tensor  # of p(z_t | z_<t), [N, h, w, latent]
    log_stddev: tf.Tensor  # as mean
    hidden: tf.Tensor  # h_d, [N, h, w, hidden]
    image: tf.Tensor  # image(c_t), [N, h, w, 16 C]


class ConvDraw(Hierarchy):
    """A recurrent convolutional VAE that draws in steps; images of any size divisible by 4.

    Args:
        steps: T, how often it draws.
        hidden: channels of the LSTMs' states.
        latent: channels of z_t at each place of the grid [H/4, W/4].
        kernel: side of the filters.
        shared: whether all steps use the same weights.
        vector: latents of a vector z_0, drawn before the first step, that enters the decoder's start; 0: none.
        relative: whether q is told relative to p, as the ladder's: zeros are the prior.
    """

    draws_in_steps = True

    def __init__(self, *, steps=8, hidden=32, latent=2, kernel=3, shared=True, vector=0, relative=False, **common):
        height, width, channels = common["image_shape"]
        if height % STRIDE or width % STRIDE:
            raise UsageError(f"Expected image sides divisible by {STRIDE} for convdraw. Received: {height} x {width}.")
        check_counts(steps=steps, hidden=hidden, latent=latent, kernel=kernel)
        group = (height // STRIDE, width // STRIDE, int(latent))
        super().__init__(groups=[group] * int(steps), vector=vector, kernel=kernel, **common)
        self.steps, self.hidden, self.shared, self.relative = int(steps), int(hidden), shared, relative
        self.cores = [self.core(channels, group[-1]) for _ in range(1 if shared else self.steps)]
        half = (self.hidden + 1) // 2
        self.stem = [self.conv(half, channels, strides=2), self.conv(self.hidden, half, strides=2)]
        shape = (*group[:2], self.hidden)
        self.first_cell = self.add_weight(name="first_cell", shape=shape, initializer="zeros", autocast=False)
        vector = self.context and not self.context_maps  # maps reach every place by themselves
        kind = self.init() if self.conditioning == "concat" else "zeros"  # the others start as without a context
        self.condition_cell = make_dense(math.prod(shape), self.context, kind) if vector else None
        self.whole = self.global_latent(math.prod(shape), shape)
        first = tf.eye(self.output_channels, channels)
        self.image_kernel = self.add_weight(
            name="image", shape=first.shape, initializer=lambda *_, **__: first, autocast=False
        )

    def core(self, channels, latent):
        """The convolutions of one step."""
        patch, gates = STRIDE**2 * channels, 4 * self.hidden
        units = {"encode": gates, "decode": gates, "prior": 2 * latent}
        return StepLayers(
            # x's share of the encoder's gates, which no step changes
            read=self.conv(gates, self.hidden, use_bias=False),
            encode=self.conv(gates, patch + 2 * self.hidden),
            decode=self.conv(gates, latent + patch + self.hidden),
            posterior=self.conv(2 * latent, self.hidden, **({"init": SMALL} if self.relative else {})),
            prior=self.conv(2 * latent, self.hidden),
            write=self.conv(STRIDE**2 * self.output_channels, self.hidden, kernel=3),
            sites={name: self.site(n) for name, n in units.items()} if self.context else {},
        )

    def site(self, units):
        if self.context_maps and self.conditioning == "concat":
            return ShiftMaps(units, self.context_maps, STRIDE, self.init)
        return super().site(units)

    def blank(self, count):
        """Hidden and cell state of the encoder before the first step, [N, h, w, hidden] each: zeros."""
        zeros = tf.zeros([count, *self.groups[-1][:2], self.hidden])
        return zeros, zeros

    def start(self, sample_group, count, context):
        """Hidden and cell state of the decoder before the first step, [N, h, w, hidden] each: learnt, and of z_0."""
        cell = tf.broadcast_to(self.first_cell, [count, *self.first_cell.shape])
        if self.condition_cell is not None:
            cell += tf.reshape(self.condition_cell(context), tf.shape(cell))
        if self.whole is not None:
            cell += self.whole.spread(sample_group, count, context)
        return tf.tanh(cell), cell

    def image(self, canvas):
        """Features [N, h, w, 16 P] -> picture in [0, 1], [N, h, w, 16 C]; both in patches."""
        pixels = tf.reshape(canvas, [-1, *canvas.shape[1:3], STRIDE**2, self.output_channels])
        found = tf.sigmoid(tf.matmul(pixels, self.image_kernel))
        return tf.reshape(found, [-1, *canvas.shape[1:3], STRIDE**2 * self.image_shape[-1]])

    def draw_canvases(self, sample_group, steps, count, context):
        """The canvas after each of `steps` steps, [N, h, w, 16 P]; `draw` as for `decode`."""
        hidden, cell = self.start(sample_group, count, context)
        canvas = tf.zeros([count, *self.groups[-1][:2], STRIDE**2 * self.output_channels])
        found = []
        for t in range(steps):
            core = self.cores[t % len(self.cores)]
            mean, log_stddev = mean_and_log_stddev(core.apply_layer("prior", hidden, context), LOG_STDDEV_BOUND)
            image = self.image(canvas)
            z = mean + tf.exp(log_stddev) * sample_group(t + self.first, DecoderState(mean, log_stddev, hidden, image))
            hidden, cell = lstm_cell(core.apply_layer("decode", tf.concat([z, image, hidden], axis=-1), context), cell)
            canvas += core.apply_layer("write", hidden, context)
            found.append(canvas)
        return found

    def decode(self, sample_group, count, context):
        return to_pixels(self.draw_canvases(sample_group, self.steps, count, context)[-1])

    def posterior(self, x, samples, context):
        patches = repeat_for_samples(to_patches(x), samples)
        features = x
        for conv in self.stem:
            features = tf.nn.silu(conv(features))
        shares = [repeat_for_samples(core.apply_layer("read", features, context), samples) for core in self.cores]
        state = self.blank(tf.shape(patches)[0])

        def q(t, decoder):
            nonlocal state
            if t < self.first:
                return self.whole.q(repeat_for_samples(features, samples), context)
            t = (t - self.first) % len(self.cores)
            hidden, cell = state
            seen = tf.concat([patches - decoder.image, decoder.hidden, hidden], axis=-1)
            state = lstm_cell(self.cores[t].apply_layer("encode", seen, context) + shares[t], cell)
            raw = self.cores[t].apply_layer("posterior", state[0], context)
            if self.relative:
                return mean_and_log_stddev(raw, LOG_STDDEV_BOUND)
            return standardise(*mean_and_log_stddev(raw, LOG_STDDEV_BOUND), decoder.mean, decoder.log_stddev)

        return q

    def width(self, steps):
        """The length of a z for `steps` steps: the vector's latents, and those of each step."""
        return self.latent + (steps - self.steps) * math.prod(self.groups[-1])

    def decode_canvases(self, z, context=None):
        """The features after each step, [S, ..., H, W, P], of z [..., vector + S h w latent]: as many steps S as z has.

        S may be larger than the `steps` of training where all steps share their weights. Features of earlier steps
        are the picture so far; the likelihood's parameters are those of the last.
        """
        first, size, whole = self.groups[: self.first], math.prod(self.groups[-1]), self.width(0)
        steps, rest = divmod(z.shape[-1] - whole, size)
        if rest or steps < 1 or (steps > self.steps and not self.shared):
            most = "" if self.shared else f", at most {self.steps} (unshared weights)"
            raise UsageError(
                f"Expected z of {f'{whole} latents and ' * bool(whole)}whole steps of {size} latents{most}. "
                f"Received: {z.shape[-1]}."
            )
        lead, parts = tf.shape(z)[:-1], self.split(z, first + self.groups[-1:] * steps)
        count, context = tf.reduce_prod(lead), self.spread(context, lead)
        found = self.draw_canvases(lambda t, state: parts[t], steps, count, context)
        return tf.stack([unflatten(to_pixels(canvas), lead) for canvas in found])
