"""Latents drawn in groups, each given those before: the part that ConvDraw and the ladder share.

Group t has the prior p(z_t | z_<t) = N(mu_p, s_p^2), which the decoder's state gives. Write z_t = mu_p + s_p eps_t:
then p(eps) = N(0, I) whatever the decoder, and q(z_t | z_<t, x) = N(mu_q, s_q^2) is
q(eps_t | eps_<t, x) = N((mu_q - mu_p) / s_p, (s_q / s_p)^2). The map is affine given eps_<t, so log q - log p and every
KL stay as they are. Hence to the rest of tfvae the latent is eps, all groups flat and joined, [..., L]: priors,
temperatures, traversals and objectives need not know that it has an order.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvae.architectures.base import GaussianArchitecture, InferenceResult, split_mean_and_log_stddev
from tfvae.architectures.conditioning import (
    CONDITIONING_LAYERS,
    ConditioningLayer,
    InitializerFactory,
    make_built_dense,
)
from tfvae.architectures.legacy_names import make_legacy_name
from tfvae.distributions.terms import compute_normal_log_prob
from tfvae.option_values import check_counts
from tfvae.runtime import random_streams

# stddevs of p(z_t|z_<t) and q(z_t|z_<t, x) lie in [exp(-5), exp(5)], their quotients in [exp(-10), exp(10)].
LOG_STDDEV_LIMIT = 5.0

# Of the layer that gives mean and log stddev of eps: near zero, which is the prior.
SmallInitializer = functools.partial(
    keras.initializers.VarianceScaling, scale=0.01, mode="fan_avg", distribution="uniform"
)

# (t, decoder state) -> eps_t [N, h, w, c]; and (t, decoder state) -> mean, log stddev of q(eps_t | eps_<t, x), each so.
GroupSampler = Callable[[int, Any], tf.Tensor]
GroupPosterior = Callable[[int, Any], tuple[tf.Tensor, tf.Tensor]]


def standardise(
    mean_q: tf.Tensor, log_stddev_q: tf.Tensor, mean_p: tf.Tensor, log_stddev_p: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Return mean and log stddev of eps = (z - mean_p) / stddev_p for z ~ N(mean_q, stddev_q^2)."""
    return (mean_q - mean_p) * tf.exp(-log_stddev_p), log_stddev_q - log_stddev_p


def unflatten(values: tf.Tensor, lead: tf.Tensor) -> tf.Tensor:
    """Return [N, ...] as [*lead, ...]."""
    return tf.reshape(values, tf.concat([lead, values.shape[1:]], axis=0))


def repeat_for_samples(maps: tf.Tensor, samples: int) -> tf.Tensor:
    """Return maps of images [B, h, w, c] once for each sample, [samples * B, h, w, c]."""
    return maps if samples == 1 else tf.tile(maps, [samples, 1, 1, 1])


class StepLayers(keras.layers.Layer):
    """The layers of one step or level, by name.

    Args:
        conditioning_layers: {name: how the context changes what that layer yields}.
        **layers: {name: layer}.
    """

    parts, sites = make_legacy_name("sublayers"), make_legacy_name("conditioning_layers")

    def __init__(self, conditioning_layers: Mapping[str, ConditioningLayer], **layers: keras.layers.Layer) -> None:
        super().__init__(name="parts")
        self.sublayers, self.conditioning_layers = layers, conditioning_layers
        self.built = True

    def apply_layer(self, name: str, x: tf.Tensor, context: tf.Tensor | None = None) -> tf.Tensor:
        """Return the output of layer `name` for x, conditioned on the context, float32."""
        outputs = tf.cast(self.sublayers[name](x), tf.float32)
        if name in self.conditioning_layers:
            return self.conditioning_layers[name].apply(outputs, context)
        return outputs


StepLayers.__name__ = "Parts"  # its name in tfvae 0.1, under which Keras stores a list of them in `.keras` files


class GlobalLatent(keras.layers.Layer):
    """A first latent z_0 that is a vector and has no position on the grid: p(z_0 | context), and a map made of z_0.

    Convolutions agree with their neighbours only; what a picture is of as a whole has to be drawn once, before them.

    Args:
        size: how many latents.
        inputs: numbers of the flattened encoder map that q(z_0 | x) sees.
        map_shape: shape (h, w, c) of the map that z_0 adds to the decoder's start.
        context_width: D; with a context, mean and stddev of p(z_0 | context) are trained, from N(0, I).
        make_initializer: makes a seeded weight initializer.
    """

    hidden = 128

    def __init__(
        self,
        size: int,
        inputs: int,
        map_shape: tuple[int, ...],
        context_width: int,
        make_initializer: InitializerFactory,
    ) -> None:
        super().__init__(name="global", dtype="float32")
        self.map_shape = tuple(map_shape)
        self.compare = make_built_dense(self.hidden, inputs + context_width, make_initializer(), "silu")
        self.posterior = make_built_dense(2 * size, self.hidden, make_initializer(SmallInitializer))
        self.prior = make_built_dense(2 * size, context_width, "zeros") if context_width else None
        self.expand = make_built_dense(self.hidden, size, make_initializer(), "silu")
        self.merge = make_built_dense(math.prod(map_shape), self.hidden, make_initializer())
        self.size, self.built = size, True

    def draw_map(self, sample_group: GroupSampler, count: int | tf.Tensor, context: tf.Tensor | None) -> tf.Tensor:
        """Draw z_0 = mean + stddev * sample_group(0, None) for N = count; return the map that it adds, [N, h, w, c]."""
        mean = log_stddev = tf.zeros([count, 1, 1, self.size])
        if self.prior is not None:
            raw = tf.reshape(self.prior(context), [-1, 1, 1, 2 * self.size])
            mean, log_stddev = split_mean_and_log_stddev(raw, LOG_STDDEV_LIMIT)
        z = tf.reshape(mean + tf.exp(log_stddev) * sample_group(0, None), [-1, self.size])
        return tf.reshape(self.merge(self.expand(z)), [-1, *self.map_shape])

    def compute_posterior(self, encoder_map: tf.Tensor, context: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and log stddev of q(eps_0 | x), [N, 1, 1, size], from [N, h, w, c]; zeros are the prior."""
        flat = tf.reshape(tf.cast(encoder_map, tf.float32), [-1, math.prod(encoder_map.shape[1:])])
        flat = flat if context is None else tf.concat([flat, context], axis=-1)
        raw = tf.reshape(self.posterior(self.compare(flat)), [-1, 1, 1, 2 * self.size])
        return split_mean_and_log_stddev(raw, LOG_STDDEV_LIMIT)


class HierarchicalArchitecture(GaussianArchitecture):
    """q(eps|x) as a product of conditionals; a subclass gives `decode` and `make_posterior`.

    Args:
        group_shapes: shapes (h, w, c) of the latent maps in the order in which they are drawn.
        kernel: side of the filters.
        vector: latents of a vector that is drawn before them all; 0: none.
    """

    is_hierarchical = True
    whole = make_legacy_name("global_latent")

    def __init__(self, *, group_shapes: Sequence[tuple[int, ...]], kernel: int, vector: int = 0, **common: Any) -> None:
        check_counts(least=0, vector=vector)
        vector_shapes = [(1, 1, int(vector))] if vector else []
        group_shapes = [*vector_shapes, *map(tuple, group_shapes)]
        super().__init__(latent=sum(map(math.prod, group_shapes)), **common)
        self.group_shapes, self.kernel = group_shapes, int(kernel)
        self.first_map = len(vector_shapes)  # the index of the first group that is a map
        self.has_normal_posterior = len(group_shapes) == 1

    def make_conv(
        self,
        channels: int,
        inputs: int,
        kernel: int | None = None,
        initializer: Any = keras.initializers.GlorotUniform,
        **options: Any,
    ) -> keras.layers.Conv2D:
        """Return a convolution with its weights and the next seed of this model.

        Args:
            channels: that it yields.
            inputs: channels that it takes.
            kernel: side of the filters; None: the architecture's.
            initializer: class of the initializer of the filters.
            **options: of `keras.layers.Conv2D`.
        """
        layer = keras.layers.Conv2D(
            channels,
            kernel or self.kernel,
            padding="same",
            kernel_initializer=self.make_initializer(initializer),
            dtype=self.dtype_policy,
            **options,
        )
        layer.build((None, None, None, inputs))
        return layer

    def make_global_latent(self, inputs: int, map_shape: tuple[int, ...]) -> GlobalLatent | None:
        """Return the `GlobalLatent` of this net, or None."""
        if not self.first_map:
            return None
        return GlobalLatent(self.group_shapes[0][-1], inputs, map_shape, self.context_width, self.make_initializer)

    def make_conditioning_layer(self, units: int) -> ConditioningLayer:
        """Return the layer by which the context enters `units` channels; ``concat`` of constant maps is a shift."""
        return CONDITIONING_LAYERS[self.conditioning](units, self.context_width, self.make_initializer)

    def decode(self, sample_group: GroupSampler, count: int | tf.Tensor, context: tf.Tensor | None) -> tf.Tensor:
        """Return the decoder outputs [N, H, W, P] of eps_t = sample_group(t, state), for every group t in turn.

        Args:
            sample_group: called with t and what the decoder knows before group t, as the posterior wants it.
            count: N.
            context: [N, D], or None.
        """
        raise NotImplementedError

    def make_posterior(self, x: tf.Tensor, samples: int, context: tf.Tensor | None) -> GroupPosterior:
        """Return a function (t, state) -> mean, log stddev of q(eps_t | eps_<t, x), each [samples * B, h, w, c].

        Args:
            x: images [B, H, W, C].
            samples: K.
            context: [samples * B, D], or None.
        """
        raise NotImplementedError

    def split_groups(self, eps: tf.Tensor, group_shapes: Sequence[tuple[int, ...]]) -> list[tf.Tensor]:
        """Split [..., L] and return eps_t of each group, [N, h, w, c]."""
        sizes = [math.prod(shape) for shape in group_shapes]
        flat_groups = tf.split(tf.reshape(eps, [-1, sum(sizes)]), sizes, axis=-1)
        return [tf.reshape(flat, [-1, *shape]) for flat, shape in zip(flat_groups, group_shapes)]

    def join_groups(self, groups: Sequence[tf.Tensor], lead: tf.Tensor) -> tf.Tensor:
        """Join eps_t of each group, [N, h, w, c], and return [*lead, L]: the inverse of `split_groups`."""
        flat_groups = [tf.reshape(group, [-1, math.prod(group.shape[1:])]) for group in groups]
        return unflatten(tf.concat(flat_groups, axis=-1), lead)

    def infer_sequentially(self, x: tf.Tensor, noise: tf.Tensor, context: tf.Tensor | None) -> InferenceResult:
        """Return the draws eps_t = mean + stddev * noise_t, group after group, for noise [K, B, L]."""
        lead = tf.shape(noise)[:2]
        context = self.broadcast_context(context, lead)
        posterior = self.make_posterior(x, noise.shape[0], context)
        noise_groups = self.split_groups(noise, self.group_shapes)
        groups = []  # (mean, log stddev, eps) of each

        def sample_group(t: int, state: Any) -> tf.Tensor:
            mean, log_stddev = posterior(t, state)
            eps = mean + tf.exp(log_stddev) * noise_groups[t]
            groups.append((mean, log_stddev, eps))
            return eps

        decoder_outputs = unflatten(self.decode(sample_group, tf.reduce_prod(lead), context), lead)
        mean, log_stddev, eps = (self.join_groups(values, lead) for values in zip(*groups))
        log_qz = compute_normal_log_prob(eps, mean, log_stddev)
        return InferenceResult(mean, log_stddev, eps, log_qz, decoder_outputs)

    def infer(self, x: tf.Tensor, samples: int, seed: tf.Tensor, context: tf.Tensor | None = None) -> InferenceResult:
        """Return `samples` draws eps ~ q(eps|x) for each image; mean and log stddev are [K, B, L]."""
        noise = random_streams.normal([samples, tf.shape(x)[0], self.latent], seed, axis=1)
        return self.infer_sequentially(x, noise, context)

    def encode(self, x: tf.Tensor, context: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and log stddev of the conditionals, each [B, L], on the path where every eps_t is its mean."""
        q = self.infer_sequentially(x, tf.zeros([1, tf.shape(x)[0], self.latent]), context)
        return q.mean[0], q.log_stddev[0]

    def generate(self, z: tf.Tensor, context: tf.Tensor | None = None) -> tf.Tensor:
        """Return the decoder outputs [..., H, W, P], float32, of z = eps [..., L]."""
        lead, groups = tf.shape(z)[:-1], self.split_groups(z, self.group_shapes)
        context = self.broadcast_context(context, lead)
        return unflatten(self.decode(lambda t, state: groups[t], tf.reduce_prod(lead), context), lead)
