"""A prior of your own: Laplace, which favours sparse codes.

    tfvae train elbo --prior examples.own_prior.LaplacePrior:scale=0.7 --dataset digits

A prior gives a TensorFlow Probability distribution of z, and draws. Its KL divergence from q(z|x) is estimated from the
draws of z, unless the method `kl` gives a closed form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.priors import Prior
from tfvae.errors import UsageError
from tfvae.runtime import random_streams


class LaplacePrior(Prior):
    """Independent Laplace densities with mean 0 (Barello et al., 2018, study such priors for sparse coding).

    Args:
        scale: of each dimension, > 0; its standard deviation is sqrt(2) times that. 0.7071 has variance 1.
    """

    # latent is L; image_shape and seed are for priors with weights, such as a mixture.
    def __init__(self, *, scale: float = 0.7071, latent: int, image_shape: tuple[int, ...], seed: int) -> None:
        if not scale > 0:
            raise UsageError(f"Expected scale > 0. Received: scale={scale}.")
        super().__init__(latent=latent, image_shape=image_shape, seed=seed)
        self.scale = scale

    def distribution(self, encode: Callable[..., Any]) -> Any:
        """Return the distribution of z, event shape [L]; `encode` is the encoder, for priors that are made of codes."""
        single = tfp.distributions.Laplace(tf.zeros(self.latent), self.scale)
        return tfp.distributions.Independent(single, reinterpreted_batch_ndims=1)

    def sample(self, n: int, seed: Any, encode: Callable[..., Any]) -> tf.Tensor:
        """Return n draws, [n, L]. All randomness is a function of `seed`: the same seed gives the same draws."""
        uniform = random_streams.uniform([n, self.latent], seed, axis=0)
        return tfp.distributions.Laplace(0.0, self.scale).quantile(uniform)
