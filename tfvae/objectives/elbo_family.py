"""The evidence lower bound and the objectives that weigh its KL: ELBO, beta-VAE, sigma-VAE."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfvae.distributions.terms import Terms, average_over_samples, compute_elbo
from tfvae.errors import UsageError
from tfvae.models.vae import VAE
from tfvae.option_values import check_option


class ELBO(VAE):
    """The evidence lower bound: KL(q||p) - E log p(x|z) (Kingma & Welling, 2014, arXiv 1312.6114)."""

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return -ELBO, [B], nats per image."""
        return -compute_elbo(terms)


class BetaVAE(VAE):
    """beta * KL - E log p(x|z), with warm-up, cycles, or a capacity (Higgins et al., 2017; Burgess et al., 2018).

    Args:
        beta: weight of the KL, >= 0; 1 is the ELBO.
        warmup: steps over which beta (or the capacity) grows linearly from 0; 0: none.
        cycle: steps of one cycle: the first half grows, the second stays, then anew (Fu et al., 2019); 0: no cycles.
        capacity: C in nats: beta * |KL - C| instead of beta * KL (Burgess et al., 2018, eq. 8); 0: no capacity.
    """

    supported_conditions = (*VAE.supported_conditions, "beta")
    option_ineffective_with = {
        "beta": {"condition": ("beta",)},
        "warmup": {"beta": (0,)},
        "cycle": {"beta": (0,)},
        "capacity": {"beta": (0,)},
    }

    def __init__(
        self,
        *parts: Any,
        beta: float = 1.0,
        warmup: int = 0,
        cycle: int = 0,
        capacity: float = 0.0,
        **context: Any,
    ) -> None:
        for name, value in (("beta", beta), ("warmup", warmup), ("cycle", cycle), ("capacity", capacity)):
            check_option(value >= 0, name, ">= 0", value)
        check_option(cycle != 1, "cycle", "0, or >= 2: the weight is 0 in a cycle's first step", cycle)
        super().__init__(*parts, **context)
        self.beta, self.warmup, self.cycle, self.capacity = beta, warmup, cycle, capacity

    def ramp(self, step: Any = None) -> tf.Tensor:
        """Return the share of the final weight at a step, in [0, 1]; None: at the present step."""
        step = tf.cast(self.step if step is None else step, tf.float32)
        share = tf.ones([])
        if self.warmup:
            share = tf.minimum(step / self.warmup, 1.0)
        if self.cycle:
            share *= tf.minimum(2.0 * tf.math.floormod(step, float(self.cycle)) / self.cycle, 1.0)
        return share

    def training_notes(self, steps: int) -> list[str]:
        """Say what weight a warm-up or a cycle longer than the training reaches."""
        longest = max(self.warmup, self.cycle / 2)
        if longest <= steps:
            return []
        share = float(self.ramp(steps))
        name, value = ("capacity", self.capacity) if self.capacity else ("beta", self.beta)
        phase = "warmup" if self.warmup > steps else "half a cycle"
        return [
            f"note: {phase} of {longest:g} steps is longer than this training of {steps} steps: "
            f"{name} reaches {value * share:.4g}, {100 * share:.0f}% of its final value."
        ]

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return the loss of each image, [B], nats per image."""
        if self.capacity:
            excess = tf.abs(terms.kl - self.capacity * self.ramp())
            return self.kl_weight(terms) * excess - average_over_samples(terms.log_px)
        return self.kl_weight(terms) * self.ramp() * terms.kl - average_over_samples(terms.log_px)

    def loss_weight(self, terms: Terms) -> tf.Tensor | float:
        """Return 1 / sqrt(beta) where beta is the condition, else 1.

        It leaves the optimum at each beta where it is, and no end of the range rules the step.
        """
        if self.condition is None or self.condition.name != "beta":
            return 1.0
        return tf.sqrt(self.condition.default_values(1) / terms.condition)

    def kl_weight(self, terms: Terms) -> tf.Tensor | float:
        """Return beta, or each image's own, [B], where beta is the condition."""
        is_condition = self.condition is not None and self.condition.name == "beta"
        return terms.condition if is_condition else self.beta


class SigmaVAE(BetaVAE):
    """The ELBO with a calibrated Gaussian (Rybkin et al., 2021, arXiv 2006.13202): sigma follows the error, not beta.

    Its likelihood is ``gaussian:sigma=optimal`` unless another is asked for.
    """

    def default_likelihood(self) -> str:
        """Return the calibrated Gaussian, which needs grey pixels.

        Raises:
            UsageError: the pixels are binarised, which no Gaussian describes.
        """
        if self.binarize != "none":
            raise UsageError(
                f"Expected grey pixels with the sigma-VAE's Gaussian. Received: binarize={self.binarize}. Train the "
                "objective beta or elbo on binarised pixels, or name the likelihood: likelihood=bernoulli."
            )
        return "gaussian:sigma=optimal"
