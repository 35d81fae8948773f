"""A likelihood of your own: a normal density that ends where pixels end.

    tfvae train elbo --likelihood examples.own_likelihood.TruncatedGaussian:sigma=0.2 --dataset digits

A likelihood says how many numbers it needs for each pixel, and makes a TensorFlow Probability distribution of them. The
base class derives log-probabilities, draws, means and bits per dimension.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf
import tensorflow_probability as tfp

from tfvae.distributions.likelihood_base import Likelihood
from tfvae.errors import UsageError


class TruncatedGaussian(Likelihood):
    """Normal density restricted to [0, 1]: no probability is spent on pixels that cannot occur.

    Args:
        sigma: standard deviation before the restriction, in units of pixels in [0, 1], > 0.
    """

    kind = "continuous"  # a density on [0, 1]; "discrete" scores the 256 bytes, "binary" zeros and ones
    outputs_per_channel = 1  # numbers that the decoder gives for each channel of each pixel

    def __init__(self, *, sigma: float = 0.1, **context: Any) -> None:
        if not sigma > 0:
            raise UsageError(f"Expected sigma > 0. Received: sigma={sigma}.")
        super().__init__(**context)
        self.sigma = sigma

    def pixel_distribution(self, h: tf.Tensor, mse: tf.Tensor | None = None) -> Any:
        """Return the distribution of single pixels for decoder outputs h [..., H, W, P], batch shape [..., H, W, C].

        `mse` matters only to likelihoods that fit their scale to the error, such as gaussian:sigma=optimal.
        """
        (raw,) = self.split_outputs(h)  # `outputs_per_channel` tensors of [..., H, W, C]
        return tfp.distributions.TruncatedNormal(tf.sigmoid(raw), self.sigma, low=0.0, high=1.0)
