"""An objective of your own: free bits.

    tfvae train examples.own_objective.FreeBits:floor=2 --dataset digits

An objective is a subclass of `tfvae.VAE`. It says how the numbers of a forward pass become a loss; encoder, decoder,
noise, training step, checkpoints and evaluation are there already.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

import tfvae
from tfvae.errors import UsageError


class FreeBits(tfvae.VAE):
    """Negative ELBO, where a KL below a threshold costs nothing (Kingma et al., 2016, arXiv 1606.04934).

    Args:
        floor: KL in nats per image that is free, >= 0; 0 is the ELBO.
    """

    # The options are the keyword-only arguments that have a default. They become options of the spec. Store each under
    # its own name, so that config.json and .keras files can rebuild the model.
    def __init__(self, *parts: Any, floor: float = 4.0, **context: Any) -> None:
        if floor < 0:
            raise UsageError(f"Expected floor >= 0. Received: floor={floor}.")
        super().__init__(*parts, **context)
        self.floor = floor

    def objective(self, terms: tfvae.Terms) -> tf.Tensor:
        """Return the loss of each image, [B], in nats; the mean over the batch is taken once, elsewhere."""
        distortion = -tf.reduce_mean(terms.log_px, axis=0)  # log p(x|z) is [K, B]: K draws of z for each image
        return tf.maximum(terms.kl, self.floor) + distortion
