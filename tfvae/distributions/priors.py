"""p(z). A prior gives a TFP distribution over [L], its KL from q(z|x), and draws."""

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.terms import mean_over_samples, normal_kl
from tfvae.errors import UsageError
from tfvae.runtime import random_streams

tfd = tfp.distributions


class Normal(keras.layers.Layer):
    """N(0, I), with the KL in closed form."""

    def __init__(self, *, latent, image_shape, seed):
        super().__init__(name="prior", dtype="float32")
        self.latent = latent

    def distribution(self, encode):
        """The TFP distribution of z, event [L]."""
        return tfd.MultivariateNormalDiag(tf.zeros(self.latent), tf.ones(self.latent))

    def kl(self, q, log_pz):
        """KL(q(z|x) || p(z)) of an `Inference`, [B]; log_pz [K, B] is log p of its draws."""
        kl = normal_kl(q.mean, q.log_stddev)
        return (
            mean_over_samples(kl) if kl.shape.rank == 2 else kl
        )  # of a sequential architecture: its conditionals', [K, B]

    def sample(self, n, seed, encode):
        """n draws, [n, L]."""
        return random_streams.normal([n, self.latent], seed, axis=0)


class Mixture(Normal):
    """sum_m pi_m N(mean_m, diag stddev_m^2), all trained; its KL is the Monte Carlo mean over the draws.

    Args:
        components: M, how many.
    """

    bound = 8.0  # of log stddevs, as those of q(z|x)

    def __init__(self, *, components=10, latent, image_shape, seed):
        super().__init__(latent=latent, image_shape=image_shape, seed=seed)
        if not components >= 1:
            raise UsageError(f"Expected components >= 1. Received: components={components}.")
        self.components = int(components)
        self.add_parameters(image_shape, seed)

    def add_parameters(self, image_shape, seed):
        shape = (self.components, self.latent)
        spread = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        self.means = self.add_weight(name="means", shape=shape, initializer=spread)
        self.log_stddevs = self.add_weight(name="log_stddevs", shape=shape, initializer="zeros")
        self.logits = self.add_weight(name="logits", shape=shape[:1], initializer="zeros")

    def parts(self, encode):
        """logits [M], means [M, L], log stddevs [M, L] of the components."""
        return self.logits.value, self.means.value, self.bound * tf.tanh(self.log_stddevs / self.bound)

    def distribution(self, encode):
        logits, means, log_stddevs = self.parts(encode)
        components = tfd.MultivariateNormalDiag(means, tf.exp(log_stddevs))
        return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components)

    def kl(self, q, log_pz):
        return mean_over_samples(q.log_qz - log_pz)

    def sample(self, n, seed, encode):
        logits, means, log_stddevs = self.parts(encode)
        cumulative = tf.cumsum(tf.nn.softmax(logits))[:-1]  # the last edge is 1; rounding must not push past it
        which = tf.searchsorted(
            cumulative, random_streams.uniform([n], random_streams.fold_in(seed, 0), axis=0), side="right"
        )
        noise = random_streams.normal([n, self.latent], random_streams.fold_in(seed, 1), axis=0)
        return tf.gather(means, which) + tf.exp(tf.gather(log_stddevs, which)) * noise


class Vamp(Mixture):
    """The VampPrior: 1/M sum_m q(z|u_m) with trained pseudo-images u_m (Tomczak & Welling, 2018, eq. 9)."""

    def __init__(self, *, components=50, latent, image_shape, seed):
        super().__init__(components=components, latent=latent, image_shape=image_shape, seed=seed)

    def add_parameters(self, image_shape, seed):
        spread = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        shape = (self.components, *image_shape)
        self.pseudo = self.add_weight(name="pseudo_images", shape=shape, initializer=spread)

    def parts(self, encode):
        means, log_stddevs = encode(tf.sigmoid(self.pseudo))
        return tf.zeros(self.components), means, log_stddevs


PRIORS = {"normal": Normal, "mixture": Mixture, "vamp": Vamp}
