"""Latents drawn in groups, each given those before: the part that ConvDraw and the ladder share.

Group t has the prior p(z_t | z_<t) = N(mu_p, s_p^2), which the decoder's state gives. Write z_t = mu_p + s_p eps_t:
then p(eps) = N(0, I) whatever the decoder, and q(z_t | z_<t, x) = N(mu_q, s_q^2) is
q(eps_t | eps_<t, x) = N((mu_q - mu_p) / s_p, (s_q / s_p)^2). The map is affine given eps_<t, so log q - log p and every
KL stay as they are. Hence to the rest of tfvae the latent is eps, all groups flat and joined, [..., L]: priors,
temperatures, traversals and objectives need not know that it has an order.
"""

import functools
import math

import keras
import tensorflow as tf

from tfvae.architectures.base import GaussianArchitecture, Inference, mean_and_log_stddev
from tfvae.architectures.conditioning import SITES, make_dense
from tfvae.distributions.terms import normal_log_prob
from tfvae.errors import UsageError
from tfvae.runtime import random_streams

# stddevs of p(z_t|z_<t) and q(z_t|z_<t, x) lie in [exp(-5), exp(5)], their quotients in [exp(-10), exp(10)].
LOG_STDDEV_BOUND = 5.0

# Of the layer that gives mean and log stddev of eps: near zero, which is the prior.
SMALL = functools.partial(keras.initializers.VarianceScaling, scale=0.01, mode="fan_avg", distribution="uniform")


def standardise(mean_q, log_stddev_q, mean_p, log_stddev_p):
    """N(mean_q, stddev_q^2) of z -> mean and log stddev of eps = (z - mean_p) / stddev_p."""
    return (mean_q - mean_p) * tf.exp(-log_stddev_p), log_stddev_q - log_stddev_p


def unflatten(values, lead):
    """[N, ...] -> [*lead, ...]."""
    return tf.reshape(values, tf.concat([lead, values.shape[1:]], axis=0))


def repeat_for_samples(maps, samples):
    """Maps of images, [B, h, w, c] -> the same for each sample, [samples * B, h, w, c]."""
    return maps if samples == 1 else tf.tile(maps, [samples, 1, 1, 1])


class StepLayers(keras.layers.Layer):
    """The layers of one step or level, by name.

    Args:
        sites: name -> where the context enters what that layer yields.
        **parts: name -> layer.
    """

    def __init__(self, sites, **parts):
        super().__init__(name="parts")
        self.parts, self.sites = parts, sites
        self.built = True

    def apply_layer(self, name, x, context=None):
        """Layer `name` of x, conditioned: float32."""
        found = tf.cast(self.parts[name](x), tf.float32)
        return self.sites[name].apply(found, context) if name in self.sites else found


def check_counts(**counts):
    """Refuse options below 1."""
    for name, value in counts.items():
        if not value >= 1:
            raise UsageError(f"Expected {name} >= 1. Received: {name}={value}.")


class GlobalLatent(keras.layers.Layer):
    """A first latent that is a vector and belongs to no place of the grid, p(z_0 | context) and what it adds to a map.

    Convolutions agree with their neighbours only; what a picture is of as a whole has to be drawn once, before them.

    Args:
        size: how many latents.
        inputs: numbers of the flattened features that q(z_0 | x) sees.
        outputs: shape (h, w, c) of the map that z_0 is added to.
        context: D, the width of the context; with one, mean and stddev of p(z_0 | context) are learnt, from N(0, I).
        init: makes a seeded weight initializer.
    """

    hidden = 128

    def __init__(self, size, inputs, outputs, context, init):
        super().__init__(name="global", dtype="float32")
        self.outputs = tuple(outputs)
        self.compare = make_dense(self.hidden, inputs + context, init(), "silu")
        self.posterior = make_dense(2 * size, self.hidden, init(SMALL))
        self.prior = make_dense(2 * size, context, "zeros") if context else None
        self.expand = make_dense(self.hidden, size, init(), "silu")
        self.merge = make_dense(math.prod(outputs), self.hidden, init())
        self.size, self.built = size, True

    def spread(self, sample_group, count, context, q=None):
        """Draw z_0 = mean + stddev * sample_group(0, q), for N = count: -> the map [N, h, w, c] that it adds."""
        mean = log_stddev = tf.zeros([count, 1, 1, self.size])
        if self.prior is not None:
            raw = tf.reshape(self.prior(context), [-1, 1, 1, 2 * self.size])
            mean, log_stddev = mean_and_log_stddev(raw, LOG_STDDEV_BOUND)
        z = tf.reshape(mean + tf.exp(log_stddev) * sample_group(0, q), [-1, self.size])
        return tf.reshape(self.merge(self.expand(z)), [-1, *self.outputs])

    def q(self, features, context):
        """Features [N, h, w, c] -> mean, log stddev of q(eps_0|x), [N, 1, 1, size]; zeros are the prior."""
        flat = tf.reshape(tf.cast(features, tf.float32), [-1, math.prod(features.shape[1:])])
        flat = flat if context is None else tf.concat([flat, context], axis=-1)
        raw = tf.reshape(self.posterior(self.compare(flat)), [-1, 1, 1, 2 * self.size])
        return mean_and_log_stddev(raw, LOG_STDDEV_BOUND)


class Hierarchy(GaussianArchitecture):
    """q(eps|x) as a product of conditionals; a subclass gives `decode` and `posterior`.

    Args:
        groups: shapes (h, w, c) of the latents in the order in which they are drawn.
        kernel: side of the filters.
        vector: latents of a vector that is drawn before them all; 0: none.
    """

    is_hierarchical = True

    def __init__(self, *, groups, kernel, vector=0, **common):
        if not vector >= 0:
            raise UsageError(f"Expected vector >= 0. Received: vector={vector}.")
        groups = [(1, 1, int(vector))] * bool(vector) + [tuple(group) for group in groups]
        super().__init__(latent=sum(map(math.prod, groups)), **common)
        self.groups, self.kernel, self.first = groups, int(kernel), int(bool(vector))
        self.has_normal_posterior = len(groups) == 1

    def conv(self, channels, inputs, kernel=None, init=keras.initializers.GlorotUniform, **options):
        """A convolution, built."""
        layer = keras.layers.Conv2D(
            channels,
            kernel or self.kernel,
            padding="same",
            kernel_initializer=self.init(init),
            dtype=self.dtype_policy,
            **options,
        )
        layer.build((None, None, None, inputs))
        return layer

    def global_latent(self, inputs, outputs):
        """The `GlobalLatent` of this net, or None."""
        size = self.groups[0][-1] if self.first else 0
        return GlobalLatent(size, inputs, outputs, self.context, self.init) if size else None

    def site(self, units):
        """A place where the context enters `units` channels: constant maps ``concat`` there are a shift."""
        return SITES[self.conditioning](units, self.context, self.init)

    def decode(self, sample_group, count, context):
        """Features [N, H, W, P] of eps_t = sample_group(t, state) [N, h, w, c], for every group t in turn; N = count.

        `state` is what the decoder knows before group t, as `posterior` wants it.
        """
        raise NotImplementedError

    def posterior(self, x, samples, context):
        """-> a function (t, state) -> mean, log stddev of q(eps_t | eps_<t, x), each [samples * B, h, w, c]."""
        raise NotImplementedError

    def split(self, eps, groups):
        """[..., L] -> eps_t of each group, [N, h, w, c]."""
        sizes = [math.prod(group) for group in groups]
        parts = tf.split(tf.reshape(eps, [-1, sum(sizes)]), sizes, axis=-1)
        return [tf.reshape(part, [-1, *group]) for part, group in zip(parts, groups)]

    def join(self, parts, lead):
        """The inverse of `split`: -> [*lead, L]."""
        flat = [tf.reshape(part, [-1, math.prod(part.shape[1:])]) for part in parts]
        return unflatten(tf.concat(flat, axis=-1), lead)

    def infer_sequentially(self, x, noise, context):
        """eps_t = mean + stddev * noise_t, t after t, for noise [K, B, L]: -> `Inference`."""
        lead = tf.shape(noise)[:2]
        context = self.spread(context, lead)
        posterior = self.posterior(x, noise.shape[0], context)
        noises, found = self.split(noise, self.groups), []

        def sample_group(t, state):
            mean, log_stddev = posterior(t, state)
            eps = mean + tf.exp(log_stddev) * noises[t]
            found.append((mean, log_stddev, eps))
            return eps

        features = unflatten(self.decode(sample_group, tf.reduce_prod(lead), context), lead)
        mean, log_stddev, eps = (self.join(parts, lead) for parts in zip(*found))
        return Inference(mean, log_stddev, eps, normal_log_prob(eps, mean, log_stddev), features)

    def infer(self, x, samples, seed, context=None):
        """Draw eps ~ q(eps|x) `samples` times and decode it; mean and log stddev are [K, B, L]."""
        return self.infer_sequentially(
            x, random_streams.normal([samples, tf.shape(x)[0], self.latent], seed, axis=1), context
        )

    def encode(self, x, context=None):
        """Mean and log stddev of the conditionals, each [B, L], along the path on which every eps_t is its mean."""
        q = self.infer_sequentially(x, tf.zeros([1, tf.shape(x)[0], self.latent]), context)
        return q.mean[0], q.log_stddev[0]

    def generate(self, z, context=None):
        lead, parts = tf.shape(z)[:-1], self.split(z, self.groups)
        features = self.decode(lambda t, state: parts[t], tf.reduce_prod(lead), self.spread(context, lead))
        return unflatten(features, lead)
