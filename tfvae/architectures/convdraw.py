"""ConvDraw: a picture drawn in T steps by convolutional LSTMs (Gregor et al., 2016, "Towards conceptual compression").

Step t, with canvas c_t, encoder state h_e and decoder state h_d (hidden and cell):

    error = x - image(c_t)                          what is still wrong
    h_e   = LSTM_e([x, error, h_d], h_e)
    q(z_t | z_<t, x) from h_e;  p(z_t | z_<t) from h_d, which has not seen z_t
    h_d   = LSTM_d([z_t, image(c_t)], h_d)
    c_t+1 = c_t + write(h_d)                        decoder outputs, by sub-pixel convolution

The decoder starts from a trained cell state, one for each grid cell (and context): convolutions do not know where
they are, and the first prior would otherwise be the same everywhere. The rest sees the standardised eps_t in place of
z_t (see `tfvae.architectures.hierarchical`). The canvas holds the decoder outputs, of which this file knows no meaning:
image(c) = sigmoid(A c), with a trained A [P, C] that starts as the copy of the first C outputs, the locations of most
likelihoods. All runs on the grid [H/4, W/4]; pictures are held as its 4 x 4 patches, so that no step shuffles pixels.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvae.architectures.base import split_mean_and_log_stddev
from tfvae.architectures.conditioning import ConditioningLayer, ShiftMaps, make_built_dense
from tfvae.architectures.hierarchical import (
    LOG_STDDEV_LIMIT,
    GroupPosterior,
    GroupSampler,
    HierarchicalArchitecture,
    SmallInitializer,
    StepLayers,
    repeat_for_samples,
    standardise,
    unflatten,
)
from tfvae.architectures.legacy_names import make_legacy_name
from tfvae.errors import UsageError
from tfvae.option_values import check_counts

STRIDE = 4  # pixels of a grid cell, along each side

LstmState = tuple[tf.Tensor, tf.Tensor]  # hidden and cell, [N, h, w, M] each


def advance_lstm(gates: tf.Tensor, cell: tf.Tensor) -> LstmState:
    """Return the new hidden and cell state, [N, h, w, M] each (Hochreiter & Schmidhuber, 1997; forget bias 1).

    Args:
        gates: before their nonlinearities, [N, h, w, 4 M]: forget, input, output, new value.
        cell: the cell state before, [N, h, w, M].
    """
    forget, write, output, value = tf.split(gates, 4, axis=-1)
    cell = tf.sigmoid(forget + 1.0) * cell + tf.sigmoid(write) * tf.tanh(value)
    return tf.sigmoid(output) * tf.tanh(cell), cell


def split_into_patches(images: tf.Tensor) -> tf.Tensor:
    """Return the patches of images: [N, H, W, C] -> [N, H/4, W/4, 16 C]."""
    return tf.nn.space_to_depth(images, STRIDE)


def join_patches(patches: tf.Tensor) -> tf.Tensor:
    """Return the images of patches, [N, h, w, 16 P] -> [N, 4 h, 4 w, P]: sub-pixel convolution's last step."""
    return tf.nn.depth_to_space(patches, STRIDE)


class DecoderState(NamedTuple):
    """What the decoder knows before a step."""

    mean: tf.Tensor  # of p(z_t | z_<t), [N, h, w, latent]
    log_stddev: tf.Tensor  # as mean
    hidden: tf.Tensor  # h_d, [N, h, w, hidden]
    image: tf.Tensor  # image(c_t), [N, h, w, 16 C]


class ConvDraw(HierarchicalArchitecture):
    """A recurrent convolutional VAE that draws in steps; images of any size divisible by 4.

    Args:
        steps: T, how often it draws.
        hidden: channels of the LSTMs' states.
        latent: channels of z_t in each cell of the grid [H/4, W/4].
        kernel: side of the filters.
        shared: whether all steps use the same weights.
        vector: latents of a vector z_0, drawn before the first step, that enters the decoder's start; 0: none.
        relative: whether q is relative to p, as the ladder's: zeros are the prior.

    Example:
        >>> tfvae.build("elbo", "bernoulli", "convdraw:steps=8,hidden=64,latent=2")
    """

    draws_in_steps = True
    option_ineffective_with = {"shared": {"steps": (1,)}}
    cores, told_cell = make_legacy_name("step_layers"), make_legacy_name("condition_cell")

    def __init__(
        self,
        *,
        steps: int = 8,
        hidden: int = 32,
        latent: int = 2,
        kernel: int = 3,
        shared: bool = True,
        vector: int = 0,
        relative: bool = False,
        **common: Any,
    ) -> None:
        height, width, channels = common["image_shape"]
        if height % STRIDE or width % STRIDE:
            raise UsageError(f"Expected image sides divisible by {STRIDE} for convdraw. Received: {height} x {width}.")
        check_counts(steps=steps, hidden=hidden, latent=latent, kernel=kernel)
        step_shape = (height // STRIDE, width // STRIDE, int(latent))
        super().__init__(group_shapes=[step_shape] * int(steps), vector=vector, kernel=kernel, **common)
        self.steps, self.hidden, self.shared, self.relative = int(steps), int(hidden), shared, relative
        self.step_layers = [self.make_step_layers(channels, int(latent)) for _ in range(1 if shared else self.steps)]
        half = (self.hidden + 1) // 2
        self.stem = [self.make_conv(half, channels, strides=2), self.make_conv(self.hidden, half, strides=2)]
        shape = (*step_shape[:2], self.hidden)
        self.first_cell = self.add_weight(name="first_cell", shape=shape, initializer="zeros", autocast=False)
        needs_cell = self.context_width and not self.context_map_shape  # maps reach every grid cell by themselves
        # The other conditionings start as without a context. The seed is taken even where no layer is made of it.
        initializer = self.make_initializer() if self.conditioning == "concat" else "zeros"
        self.condition_cell = (
            make_built_dense(math.prod(shape), self.context_width, initializer) if needs_cell else None
        )
        self.global_latent = self.make_global_latent(math.prod(shape), shape)
        first_outputs = tf.eye(self.output_channels, channels)
        self.image_kernel = self.add_weight(
            name="image", shape=first_outputs.shape, initializer=lambda *_, **__: first_outputs, autocast=False
        )

    def make_step_layers(self, channels: int, latent: int) -> StepLayers:
        """Return the convolutions of one step."""
        patch, gates = STRIDE**2 * channels, 4 * self.hidden
        conditioned_units = {"encode": gates, "decode": gates, "prior": 2 * latent}
        posterior_initializer = SmallInitializer if self.relative else keras.initializers.GlorotUniform
        # The order is that of the weights' seeds and of their places in checkpoints.
        return StepLayers(
            # x's share of the encoder's gates, which no step changes
            read=self.make_conv(gates, self.hidden, use_bias=False),
            encode=self.make_conv(gates, patch + 2 * self.hidden),
            decode=self.make_conv(gates, latent + patch + self.hidden),
            posterior=self.make_conv(2 * latent, self.hidden, initializer=posterior_initializer),
            prior=self.make_conv(2 * latent, self.hidden),
            write=self.make_conv(STRIDE**2 * self.output_channels, self.hidden, kernel=3),
            conditioning_layers={name: self.make_conditioning_layer(n) for name, n in conditioned_units.items()}
            if self.context_width
            else {},
        )

    def make_conditioning_layer(self, units: int) -> ConditioningLayer:
        """Return the layer by which the context enters `units` channels; maps that are joined enter where they are."""
        if self.context_map_shape and self.conditioning == "concat":
            return ShiftMaps(units, self.context_map_shape, STRIDE, self.make_initializer)
        return super().make_conditioning_layer(units)

    def make_encoder_state(self, count: int | tf.Tensor) -> LstmState:
        """Return the encoder's state before the first step, [N, h, w, hidden] each: zeros."""
        zeros = tf.zeros([count, *self.group_shapes[-1][:2], self.hidden])
        return zeros, zeros

    def make_decoder_state(
        self, sample_group: GroupSampler, count: int | tf.Tensor, context: tf.Tensor | None
    ) -> LstmState:
        """Return the decoder's state before the first step, [N, h, w, hidden] each: trained, and moved by z_0."""
        cell = tf.broadcast_to(self.first_cell, [count, *self.first_cell.shape])
        if self.condition_cell is not None:
            cell += tf.reshape(self.condition_cell(context), tf.shape(cell))
        if self.global_latent is not None:
            cell += self.global_latent.draw_map(sample_group, count, context)
        return tf.tanh(cell), cell

    def render_canvas(self, canvas: tf.Tensor) -> tf.Tensor:
        """Return image(c) in [0, 1] of a canvas, both in patches: [N, h, w, 16 P] -> [N, h, w, 16 C]."""
        pixels = tf.reshape(canvas, [-1, *canvas.shape[1:3], STRIDE**2, self.output_channels])
        image = tf.sigmoid(tf.matmul(pixels, self.image_kernel))
        return tf.reshape(image, [-1, *canvas.shape[1:3], STRIDE**2 * self.image_shape[-1]])

    def draw_canvases(
        self, sample_group: GroupSampler, steps: int, count: int | tf.Tensor, context: tf.Tensor | None
    ) -> list[tf.Tensor]:
        """Return the canvas after each of `steps` steps, [N, h, w, 16 P]; the other arguments as for `decode`."""
        hidden, cell = self.make_decoder_state(sample_group, count, context)
        canvas = tf.zeros([count, *self.group_shapes[-1][:2], STRIDE**2 * self.output_channels])
        canvases = []
        for t in range(steps):
            layers = self.step_layers[t % len(self.step_layers)]
            raw = layers.apply_layer("prior", hidden, context)
            mean, log_stddev = split_mean_and_log_stddev(raw, LOG_STDDEV_LIMIT)
            image = self.render_canvas(canvas)
            eps = sample_group(t + self.first_map, DecoderState(mean, log_stddev, hidden, image))
            z = mean + tf.exp(log_stddev) * eps
            gates = layers.apply_layer("decode", tf.concat([z, image, hidden], axis=-1), context)
            hidden, cell = advance_lstm(gates, cell)
            canvas += layers.apply_layer("write", hidden, context)
            canvases.append(canvas)
        return canvases

    def decode(self, sample_group: GroupSampler, count: int | tf.Tensor, context: tf.Tensor | None) -> tf.Tensor:
        """Return the decoder outputs after the last step, [N, H, W, P]; `sample_group` gets a `DecoderState`."""
        return join_patches(self.draw_canvases(sample_group, self.steps, count, context)[-1])

    def make_posterior(self, x: tf.Tensor, samples: int, context: tf.Tensor | None) -> GroupPosterior:
        """Return a function (t, `DecoderState`) -> mean, log stddev of q(eps_t | eps_<t, x), [samples * B, h, w, c].

        It keeps the encoder's state: call it once for each t, in order.
        """
        patches = repeat_for_samples(split_into_patches(x), samples)
        image_map = x
        for conv in self.stem:
            image_map = tf.nn.silu(conv(image_map))
        image_gates = [
            repeat_for_samples(layers.apply_layer("read", image_map, context), samples) for layers in self.step_layers
        ]
        state = self.make_encoder_state(tf.shape(patches)[0])

        def infer_group(t: int, decoder: DecoderState) -> tuple[tf.Tensor, tf.Tensor]:
            nonlocal state
            if self.global_latent is not None and t < self.first_map:
                return self.global_latent.compute_posterior(repeat_for_samples(image_map, samples), context)
            index = (t - self.first_map) % len(self.step_layers)
            layers = self.step_layers[index]
            hidden, cell = state
            inputs = tf.concat([patches - decoder.image, decoder.hidden, hidden], axis=-1)
            state = advance_lstm(layers.apply_layer("encode", inputs, context) + image_gates[index], cell)
            raw = layers.apply_layer("posterior", state[0], context)
            mean, log_stddev = split_mean_and_log_stddev(raw, LOG_STDDEV_LIMIT)
            if self.relative:
                return mean, log_stddev
            return standardise(mean, log_stddev, decoder.mean, decoder.log_stddev)

        return infer_group

    def count_latents(self, steps: int) -> int:
        """Return the length of a z for `steps` steps: the vector's latents, and those of each step."""
        return self.latent + (steps - self.steps) * math.prod(self.group_shapes[-1])

    def decode_canvases(self, z: tf.Tensor, context: tf.Tensor | None = None) -> tf.Tensor:
        """Return the decoder outputs after each step, [S, ..., H, W, P].

        The outputs of earlier steps are the picture so far; the likelihood's parameters are those of the last.

        Args:
            z: [..., vector + S h w latent]: it has as many steps S as are drawn. S may be larger than the `steps` of
                training where all steps share their weights.
            context: [B, D] for the last leading axis of z, or [D] for all; None where the model takes none.

        Raises:
            UsageError: z has no whole number of steps, or too many.
        """
        step_size, vector_size = math.prod(self.group_shapes[-1]), self.count_latents(0)
        steps, rest = divmod(z.shape[-1] - vector_size, step_size)
        if rest or steps < 1 or (steps > self.steps and not self.shared):
            most = "" if self.shared else f", at most {self.steps} (unshared weights)"
            vector = f"{vector_size} latents and " if vector_size else ""
            raise UsageError(
                f"Expected z of {vector}whole steps of {step_size} latents{most}. Received: {z.shape[-1]}."
            )
        lead = tf.shape(z)[:-1]
        groups = self.split_groups(z, self.group_shapes[: self.first_map] + self.group_shapes[-1:] * steps)
        count, context = tf.reduce_prod(lead), self.broadcast_context(context, lead)
        canvases = self.draw_canvases(lambda t, state: groups[t], steps, count, context)
        return tf.stack([unflatten(join_patches(canvas), lead) for canvas in canvases])
