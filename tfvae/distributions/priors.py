"""Priors p(z). Each gives a TFP distribution over [L], its KL from q(z|x), and draws."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.terms import average_over_samples, compute_normal_kl
from tfvae.option_values import check_counts
from tfvae.runtime import random_streams
from tfvae.runtime.saveable_parts import SaveablePart

tfd = tfp.distributions

# The encoder as a prior sees it: images [M, H, W, C] -> mean and log stddev of q(z|x), each [M, L].
Encoder = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]


class Prior(SaveablePart):
    """Base of the priors; a subclass gives `distribution` and `sample`, and `kl` where it has a closed form.

    Args:
        latent: L, the number of latent dimensions.
        image_shape: (H, W, C) of the images.
        seed: seed of the initial weights, where a prior has any.

    Example:
        >>> prior = tfvae.PRIORS["mixture"](components=5, latent=8, image_shape=(28, 28, 1), seed=0)
        >>> z = prior.sample(16, (1, 2), encode=model.arch.encode)  # [16, 8]
    """

    def __init__(self, *, latent: int, image_shape: tuple[int, ...], seed: int) -> None:
        super().__init__(name="prior", dtype="float32")
        self.latent = latent

    def distribution(self, encode: Encoder) -> tfp.distributions.Distribution:
        """Return the TFP distribution of z, event shape [L]; `encode` is for priors that are made of codes."""
        raise NotImplementedError

    def kl(self, q: Any, log_pz: tf.Tensor) -> tf.Tensor:
        """Return KL(q(z|x) || p(z)), [B], nats per image: here the mean of log q(z|x) - log p(z) over the draws.

        Args:
            q: an `InferenceResult` of the architecture.
            log_pz: log p of its draws, [K, B].
        """
        return average_over_samples(q.log_qz - log_pz)

    def sample(self, n: int | tf.Tensor, seed: tf.Tensor, encode: Encoder) -> tf.Tensor:
        """Return n draws of z, [n, L]; row i depends on the seed and on i only."""
        raise NotImplementedError


class Normal(Prior):
    """N(0, I), with the KL in closed form."""

    def distribution(self, encode: Encoder) -> tfp.distributions.Distribution:
        """Return the TFP distribution of z, event shape [L]."""
        return tfd.MultivariateNormalDiag(tf.zeros(self.latent), tf.ones(self.latent))

    def kl(self, q: Any, log_pz: tf.Tensor) -> tf.Tensor:
        """Return KL(q(z|x) || p(z)) in closed form, [B], nats per image."""
        kl = compute_normal_kl(q.mean, q.log_stddev)
        # A hierarchical architecture has one KL for each path of draws, [K, B].
        return average_over_samples(kl) if kl.shape.rank == 2 else kl

    def sample(self, n: int | tf.Tensor, seed: tf.Tensor, encode: Encoder) -> tf.Tensor:
        """Return n draws of z, [n, L]; row i depends on the seed and on i only."""
        return random_streams.normal([n, self.latent], seed, axis=0)


class Mixture(Prior):
    """sum_m pi_m N(mean_m, diag stddev_m^2), all trained; its KL is the Monte Carlo mean over the draws.

    Args:
        components: M, how many.
    """

    log_stddev_limit = 8.0  # as for q(z|x)

    def __init__(self, *, components: int = 10, latent: int, image_shape: tuple[int, ...], seed: int) -> None:
        super().__init__(latent=latent, image_shape=image_shape, seed=seed)
        check_counts(components=components)
        self.components = int(components)
        self.create_weights(image_shape, seed)

    def create_weights(self, image_shape: tuple[int, ...], seed: int) -> None:
        """Create the trained weights of the components."""
        shape = (self.components, self.latent)
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        self.means = self.add_weight(name="means", shape=shape, initializer=initializer)
        self.log_stddevs = self.add_weight(name="log_stddevs", shape=shape, initializer="zeros")
        self.logits = self.add_weight(name="logits", shape=shape[:1], initializer="zeros")

    def compute_components(self, encode: Encoder) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return logits [M], means [M, L] and log stddevs [M, L] of the components."""
        limit = self.log_stddev_limit
        return self.logits.value, self.means.value, limit * tf.tanh(self.log_stddevs / limit)

    def distribution(self, encode: Encoder) -> tfp.distributions.Distribution:
        """Return the TFP distribution of z, event shape [L]; only the VampPrior calls `encode`."""
        logits, means, log_stddevs = self.compute_components(encode)
        components = tfd.MultivariateNormalDiag(means, tf.exp(log_stddevs))
        return tfd.MixtureSameFamily(tfd.Categorical(logits=logits), components)

    def sample(self, n: int | tf.Tensor, seed: tf.Tensor, encode: Encoder) -> tf.Tensor:
        """Return n draws of z, [n, L]; row i depends on the seed and on i only."""
        logits, means, log_stddevs = self.compute_components(encode)
        cumulative = tf.cumsum(tf.nn.softmax(logits))[:-1]  # the last edge is 1; rounding must not push past it
        u = random_streams.uniform([n], random_streams.fold_in(seed, 0), axis=0)
        component = tf.searchsorted(cumulative, u, side="right")
        noise = random_streams.normal([n, self.latent], random_streams.fold_in(seed, 1), axis=0)
        return tf.gather(means, component) + tf.exp(tf.gather(log_stddevs, component)) * noise


class Vamp(Mixture):
    """The VampPrior: 1/M sum_m q(z|u_m) with trained pseudo-images u_m (Tomczak & Welling, 2018, eq. 9).

    Args:
        components: M, how many pseudo-images.
    """

    def __init__(self, *, components: int = 50, latent: int, image_shape: tuple[int, ...], seed: int) -> None:
        super().__init__(components=components, latent=latent, image_shape=image_shape, seed=seed)

    def create_weights(self, image_shape: tuple[int, ...], seed: int) -> None:
        """Create the pseudo-images, as logits of pixels."""
        initializer = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        shape = (self.components, *image_shape)
        self.pseudo_image_logits = self.add_weight(name="pseudo_images", shape=shape, initializer=initializer)

    def compute_components(self, encode: Encoder) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Return logits [M], means [M, L] and log stddevs [M, L] of q(z|u_m)."""
        means, log_stddevs = encode(tf.sigmoid(self.pseudo_image_logits))
        return tf.zeros(self.components), means, log_stddevs


PRIORS = {"normal": Normal, "mixture": Mixture, "vamp": Vamp}
