"""Importance-weighted bounds: IWAE, MIWAE, CIWAE."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfvae.distributions.terms import (
    Terms,
    average_over_samples,
    compute_importance_weighted_bound,
    compute_log_weights,
    compute_normal_log_prob,
)
from tfvae.errors import UsageError
from tfvae.models.vae import VAE
from tfvae.option_values import check_option


class IWAE(VAE):
    """-log mean_k w_k, the importance-weighted bound (Burda et al., 2016, arXiv 1509.00519).

    k=1 is the ELBO's one-sample estimate.

    Args:
        k: samples of z per image, >= 1.
        gradient: ``standard``; ``stl`` drops the score of q (Roeder et al., 2017); ``dreg`` is doubly
            reparametrised (Tucker et al., 2019), whose signal does not fade as k grows.
    """

    replaced_settings = {"samples": "k"}

    def __init__(self, *parts: Any, k: int = 5, gradient: str = "standard", **context: Any) -> None:
        check_option(k >= 1, "k", ">= 1", k)
        check_option(gradient in ("standard", "stl", "dreg"), "gradient", "standard, stl or dreg", gradient)
        super().__init__(*parts, **context)
        rule = "standard with an architecture that draws z in steps"  # q's parameters carry z's path there
        check_option(gradient == "standard" or not self.arch.is_hierarchical, "gradient", rule, gradient)
        self.k, self.gradient, self.samples = int(k), gradient, int(k)

    def terms(
        self, x: Any, samples: int | None = None, seed: Any = (0, 0), training: bool = False, condition: Any = None
    ) -> Terms:
        """Return the terms of a forward pass; with ``dreg`` in training, `extra` is d log w_k / d z_k, [K, B, L]."""
        if self.gradient != "dreg" or not training:
            return super().terms(x, samples, seed, training, condition)
        with tf.GradientTape() as tape:
            terms = super().terms(x, samples, seed, training, condition)
            log_w = self.log_w(terms)
        return terms._replace(extra=tape.gradient(log_w, terms.z))

    def log_w(self, terms: Terms) -> tf.Tensor:
        """Return log w [K, B]; ``stl`` and ``dreg`` keep z's path through q but stop that through q's parameters."""
        if self.gradient == "standard":
            return compute_log_weights(terms)
        mean, log_stddev = tf.stop_gradient(terms.q_mean), tf.stop_gradient(terms.q_log_stddev)
        return compute_log_weights(terms._replace(log_qz=compute_normal_log_prob(terms.z, mean, log_stddev)))

    def bound(self, terms: Terms, log_w: tf.Tensor) -> tf.Tensor:
        """Return the bound on log p(x) that is raised, [B], of log weights [K, B]."""
        return compute_importance_weighted_bound(log_w)

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return minus the bound, [B], nats per image."""
        log_w = self.log_w(terms)
        loss = -self.bound(terms, log_w)
        if terms.extra is None:
            return loss
        # dreg: z's path wants weight w~^2, the decoder's wants w~; add what z lacks, with value 0.
        weights = tf.stop_gradient(tf.nn.softmax(log_w, axis=0))
        correction = tf.stop_gradient((weights**2 - weights)[..., None] * terms.extra)
        return loss - tf.reduce_sum(correction * (terms.z - tf.stop_gradient(terms.z)), axis=[0, 2])


class MIWAE(IWAE):
    """The mean over m groups of the k-sample bound (Rainforth et al., 2018): tighter than ELBO, steadier than IWAE.

    Args:
        m: groups, >= 1; m * k samples in all.
    """

    def __init__(self, *parts: Any, m: int = 5, k: int = 5, gradient: str = "standard", **context: Any) -> None:
        check_option(m >= 1, "m", ">= 1", m)
        check_option(gradient != "dreg", "gradient", "standard or stl for miwae", gradient)
        super().__init__(*parts, k=k, gradient=gradient, **context)
        self.m, self.samples = int(m), int(m) * int(k)

    def bound(self, terms: Terms, log_w: tf.Tensor) -> tf.Tensor:
        """Return the mean of the groups' bounds, [B]."""
        if (log_w.shape[0] or self.m) % self.m:
            raise UsageError(f"Expected samples in {self.m} equal groups. Received: samples={log_w.shape[0]}.")
        groups = tf.reshape(log_w, [self.m, -1, tf.shape(log_w)[1]])
        group_size = tf.cast(tf.shape(groups)[1], tf.float32)
        return average_over_samples(tf.reduce_logsumexp(groups, axis=1) - tf.math.log(group_size))


class CIWAE(IWAE):
    """beta * ELBO + (1 - beta) * IWAE_k (Rainforth et al., 2018).

    Args:
        beta: share of the ELBO, in [0, 1].
    """

    option_ineffective_with = {"beta": {"k": (1,)}}

    def __init__(self, *parts: Any, beta: float = 0.5, k: int = 5, gradient: str = "standard", **context: Any) -> None:
        check_option(0 <= beta <= 1, "beta", "in [0, 1]", beta)
        check_option(gradient != "dreg", "gradient", "standard or stl for ciwae", gradient)
        super().__init__(*parts, k=k, gradient=gradient, **context)
        self.beta = beta

    def bound(self, terms: Terms, log_w: tf.Tensor) -> tf.Tensor:
        """Return the mixture of the two bounds, [B]."""
        return self.beta * average_over_samples(log_w) + (1.0 - self.beta) * compute_importance_weighted_bound(log_w)
