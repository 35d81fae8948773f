"""Objectives that act on the aggregate posterior q(z): beta-TC-VAE and InfoVAE."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from tfvae.distributions.divergences import estimate_mmd2, estimate_total_correlation
from tfvae.distributions.terms import Terms, average_over_samples, compute_elbo
from tfvae.models.vae import VAE
from tfvae.option_values import check_option
from tfvae.runtime.random_streams import PassStream, fold_in


class TCVAE(VAE):
    """KL + (beta - 1) * TC: the total correlation of q(z) weighs beta, the rest of the KL 1 (Chen et al., 2018).

    TC = E log q(z) - sum_d E log q(z_d), with q(z) the mean of q(z|x_j) over the batch (their eq. 5 with constants
    that do not move the gradient left out), so that its value is that of the batch as a whole data set.

    Args:
        beta: weight of the total correlation, >= 0; 1 is the ELBO.
    """

    def __init__(self, *parts: Any, beta: float = 6.0, **context: Any) -> None:
        check_option(beta >= 0, "beta", ">= 0", beta)
        super().__init__(*parts, **context)
        name = type(self.arch).__name__  # q(z_i|x_j) for all i, j costs B more passes where z is drawn in steps
        rule = "that draws all of z at once, for the total correlation"
        check_option(not self.arch.is_hierarchical, "arch", rule, name)
        self.beta = beta

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return the loss of each image, [B], nats per image."""
        return -compute_elbo(terms) + (self.beta - 1.0) * estimate_total_correlation(terms)


class InfoVAE(VAE):
    """-E log p(x|z) + (1 - alpha) KL + mmd * MMD^2(q(z), p(z)) (Zhao et al., 2019, with a Gaussian kernel).

    Args:
        alpha: weight of the mutual information, <= 1; 1 leaves MMD alone to match the prior.
        mmd: weight of MMD^2, >= 0, nats.
        bandwidth: kernel width, > 0; None: sqrt(L), the scale of distances under N(0, I).
    """

    legacy_off = {"bandwidth": 0.0}
    option_ineffective_with = {"bandwidth": {"mmd": (0,)}}

    def __init__(
        self, *parts: Any, alpha: float = 0.0, mmd: float = 100.0, bandwidth: float | None = None, **context: Any
    ) -> None:
        check_option(alpha <= 1, "alpha", "<= 1", alpha)
        check_option(mmd >= 0, "mmd", ">= 0", mmd)
        check_option(bandwidth is None or bandwidth > 0, "bandwidth", "> 0", bandwidth)
        super().__init__(*parts, **context)
        self.alpha, self.mmd, self.bandwidth = alpha, mmd, bandwidth

    def terms(
        self, x: Any, samples: int | None = None, seed: Any = (0, 0), training: bool = False, condition: Any = None
    ) -> Terms:
        """Return the terms of a forward pass; `extra` is a draw from the prior for each image, [B, L]."""
        terms = super().terms(x, samples, seed, training, condition)
        seed = fold_in(seed, PassStream.PRIOR)
        return terms._replace(extra=self.prior.sample(tf.shape(terms.kl)[0], seed, self.arch.encode))

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return the loss of each image, [B], nats per image."""
        bandwidth = math.sqrt(terms.z.shape[-1]) if self.bandwidth is None else self.bandwidth
        distance = estimate_mmd2(terms.z[0], terms.extra, bandwidth)
        return -average_over_samples(terms.log_px) + (1.0 - self.alpha) * terms.kl + self.mmd * distance
