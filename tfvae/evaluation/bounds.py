"""Bounds on log p(x), rate, distortion and squared errors of each image, compiled and in chunks of samples."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import compute_log_weights
from tfvae.errors import UsageError
from tfvae.models.vae import VAE
from tfvae.objectives.geco.constraints import stack_violations
from tfvae.runtime import random_streams
from tfvae.runtime.random_streams import SeedStream
from tfvae.training.engine import uses_xla

# Samples decoded at once: 100 images x 50 samples keep a batch of 784-pixel images at 16 MB.
IMAGES_PER_BATCH, MAX_SAMPLES_PER_CHUNK, MAX_PIXELS_PER_CHUNK = 100, 50, 4_000_000
IMAGES_FOR_MSE = 10_000


class BatchScorer:
    """Sums the terms of one batch of images over samples of z, a chunk of samples per call of the compiled program.

    Args:
        model: the trained model.
        xla: as the setting of a run: ``on``, ``off``, or ``auto``, which leaves the choice to the architecture.

    Attributes:
        chunk: how many samples are decoded at once.
        jit_compile: whether the program is compiled with XLA.
    """

    def __init__(self, model: VAE, xla: str = "auto") -> None:
        self.model = model
        self.constraints = getattr(model, "constraints", ())
        pixels = IMAGES_PER_BATCH * math.prod(model.image_shape[:2]) * model.likelihood.output_channels
        self.chunk = max(1, min(MAX_SAMPLES_PER_CHUNK, MAX_PIXELS_PER_CHUNK // pixels))
        self.jit_compile = uses_xla(model, xla)
        self.sum_over_samples = tf.function(
            self._sum_over_samples, jit_compile=self.jit_compile, autograph=False, reduce_retracing=False
        )

    def _sum_over_samples(
        self, x: tf.Tensor, labels: tf.Tensor | None, seed: tf.Tensor, samples: int, condition: tf.Tensor | None
    ) -> dict[str, tf.Tensor]:
        """Return logsumexp of the log weights, and sums of the other terms, over `samples` draws: {name: [B]}."""
        given = self.model.condition_kwargs(labels) if condition is None else {"condition": condition}
        terms = self.model.terms(x, samples=samples, seed=seed, **given)
        sums = {
            "log_w": tf.reduce_logsumexp(compute_log_weights(terms), axis=0),
            "distortion": -tf.reduce_sum(terms.log_px, axis=0),
            "sq_err": tf.reduce_sum(terms.sq_err, axis=0),
            "rate": terms.kl * samples,
        }
        if self.constraints:
            sums["violations"] = tf.reduce_sum(stack_violations(self.constraints, terms), axis=1)
        return sums

    def score_batch(
        self,
        x: tf.Tensor,
        labels: tf.Tensor | None,
        seed: tf.Tensor,
        samples: int,
        condition: tf.Tensor | None = None,
    ) -> dict[str, np.ndarray]:
        """Return each image's means over the samples and its K-sample bound on log p(x), nats.

        Args:
            x: pixels [B, H, W, C] in the domain of the likelihood.
            labels: [B], or None.
            seed: of the draws.
            samples: K.
            condition: [B, ...], of any condition, in place of labels; None: beta and kappa are drawn.

        Returns:
            {elbo, bound, rate, distortion, sq_err: [B]; violations: [J, B] of a model with J constraints}, float64.
        """
        total: dict[str, np.ndarray] = {}
        for index, start in enumerate(range(0, samples, self.chunk)):
            size = min(self.chunk, samples - start)
            tensors = self.sum_over_samples(x, labels, random_streams.fold_in(seed, index), size, condition)
            sums = {name: values.numpy().astype(np.float64) for name, values in tensors.items()}
            if total:
                log_w = np.logaddexp(total["log_w"], sums["log_w"])
                sums = {name: values + sums[name] for name, values in total.items()} | {"log_w": log_w}
            total = sums
        bound = total.pop("log_w") - math.log(samples)
        means = {name: values / samples for name, values in total.items()}
        return means | {"bound": bound, "elbo": -means["distortion"] - means["rate"]}


def score_images(
    model: VAE,
    images: np.ndarray,
    samples: int = 1,
    seed: int = 0,
    dequantize: bool = False,
    labels: np.ndarray | None = None,
    xla: str = "auto",
) -> dict[str, np.ndarray]:
    """Return the ELBO, the K-sample bound, rate, distortion and squared error of each image, nats but for the last.

    Args:
        images: [N, H, W, C], N >= 1, as `datasets.load` returns them.
        samples: K of the bound log 1/K sum_k p(x, z_k) / q(z_k|x), a lower bound of log p(x) in expectation.
        seed: of the draws.
        dequantize: score (x + u) / 256, u uniform in [0, 1), in place of x / 255.
        labels: [N], for a model that is conditioned on labels: then p(x | label).
        xla: as the setting of a run: ``on``, ``off`` or ``auto``.

    Returns:
        {elbo, bound, rate, distortion, sq_err: [N]; violations: [J, N] of a model with J constraints}, float64.

    Raises:
        UsageError: samples < 1, or labels that the model does not have.

    Example:
        >>> score_images(model, images, samples=100)["bound"].mean()  # doctest: +SKIP
    """
    if samples < 1:
        raise UsageError(f"Expected samples >= 1. Received: {samples}.")
    if labels is not None and model.condition is not None and model.condition.uses_labels:
        model.condition.check_values(labels, len(images))  # a compiled program cannot look at them
    scorer, parts = BatchScorer(model, xla), []
    for start in range(0, len(images), IMAGES_PER_BATCH):
        batch_seed = random_streams.fold_in(random_streams.fold_in((seed, 0), SeedStream.IMPORTANCE_SAMPLES), start)
        x = model.prepare_pixels(
            tf.constant(images[start : start + IMAGES_PER_BATCH]),
            random_streams.fold_in(batch_seed, 0),
            dequantize=dequantize,
        )
        batch_labels = None if labels is None else tf.constant(labels[start : start + IMAGES_PER_BATCH], tf.int32)
        parts.append(scorer.score_batch(x, batch_labels, random_streams.fold_in(batch_seed, 1), samples))
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def measure_training_mse(
    model: VAE, images: np.ndarray, seed: int = 0, labels: np.ndarray | None = None, xla: str = "auto"
) -> float:
    """Return the mean squared error per pixel on (at most 10,000) training images: sigma^2 of the calibrated Gaussian.

    Args:
        images: [N, H, W, C] of the training split.
        seed: of the draws z ~ q(z|x).
        labels: [N], for a model that is conditioned on labels.
        xla: see `score_images`.
    """
    labels = None if labels is None else labels[:IMAGES_FOR_MSE]
    scores = score_images(model, images[:IMAGES_FOR_MSE], samples=1, seed=seed, labels=labels, xla=xla)
    return float(scores["sq_err"].mean() / math.prod(model.image_shape))


def measure_bits_per_dim(
    model: VAE,
    images: np.ndarray,
    samples: int,
    seed: int,
    clean_bound: np.ndarray,
    labels: np.ndarray | None = None,
    xla: str = "auto",
) -> np.ndarray | None:
    """Return the bits per dimension of each image of 8-bit data (of binary data for a Bernoulli), [N].

    Args:
        images: [N, H, W, C].
        samples, seed, labels, xla: see `score_images`.
        clean_bound: [N], the bound as `score_images` returns it without dequantisation.

    Returns:
        None where the likelihood is none of such data: images of floats, or grey levels below a Bernoulli.
    """
    if images.dtype != np.uint8:
        return None
    if model.likelihood.kind == "binary" and model.binarize == "none" and not np.isin(images, (0, 255)).all():
        return None  # grey levels as probabilities are no likelihood of the data
    if model.likelihood.kind == "continuous":
        clean_bound = score_images(model, images, samples, seed, dequantize=True, labels=labels, xla=xla)["bound"]
    return model.likelihood.bits_per_dim(clean_bound)
