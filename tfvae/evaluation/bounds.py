"""Bounds, rate, distortion and errors of a model on a split, compiled and in chunks of samples."""

import math

import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import log_weights
from tfvae.errors import UsageError
from tfvae.objectives.geco.constraints import stack_violations
from tfvae.runtime import random_streams
from tfvae.training.engine import uses_xla

# Draws decoded at once: 100 images x 50 samples keep a 784-pixel batch at 16 MB.
IMAGES, SAMPLES, ELEMENTS = 100, 50, 4_000_000


class Scorer:
    """Sums over samples of the terms of one batch, `chunk` samples a call.

    Args:
        model: a `VAE`.
    """

    def __init__(self, model):
        self.model = model
        self.constraints = getattr(model, "constraints", ())
        room = ELEMENTS // (IMAGES * math.prod(model.image_shape[:2]) * model.likelihood.output_channels)
        self.chunk = max(1, min(SAMPLES, room))
        jit = uses_xla(model)
        self.sums = tf.function(self._sums, jit_compile=jit, autograph=False, reduce_retracing=False)

    def _sums(self, x, labels, seed, samples):
        """Over `samples` draws: logsumexp of log w and sums of the rest, {name: [B]}."""
        terms = self.model.terms(x, samples=samples, seed=seed, **self.model.known(labels))
        found = {
            "log_w": tf.reduce_logsumexp(log_weights(terms), axis=0),
            "distortion": -tf.reduce_sum(terms.log_px, axis=0),
            "sq_err": tf.reduce_sum(terms.sq_err, axis=0),
            "rate": terms.kl * samples,
        }
        if self.constraints:
            found["violations"] = tf.reduce_sum(stack_violations(self.constraints, terms), axis=1)
        return found

    def batch(self, x, labels, seed, samples):
        """{name: [B]} for pixels x [B, H, W, C]: means over the samples, and the K-sample bound on log p(x).

        Args:
            labels: [B], or None.
        """
        total = None
        for index, start in enumerate(range(0, samples, self.chunk)):
            size = min(self.chunk, samples - start)
            found = self.sums(x, labels, random_streams.fold_in(seed, index), size)
            found = {name: values.numpy().astype(np.float64) for name, values in found.items()}
            if total is not None:
                log_w = np.logaddexp(total["log_w"], found["log_w"])
                found = {name: values + found[name] for name, values in total.items()} | {"log_w": log_w}
            total = found
        bound = total.pop("log_w") - math.log(samples)
        means = {name: values / samples for name, values in total.items()}
        return means | {"bound": bound, "elbo": -means["distortion"] - means["rate"]}


def score(model, images, samples=1, seed=0, dequantize=False, labels=None):
    """Per-image numbers, float64: {elbo, bound, rate, distortion, sq_err: [N]; violations: [J, N]}.

    Args:
        images: [N, H, W, C] as `datasets.load` gives them.
        samples: K of the bound log 1/K sum_k p(x, z_k) / q(z_k|x), a lower bound of log p(x) in expectation.
        dequantize: score (x + u) / 256 in place of x / 255.
        labels: [N], for a model that is told them: then p(x | label).
    """
    if samples < 1:
        raise UsageError(f"Expected samples >= 1. Received: {samples}.")
    scorer, parts = Scorer(model), []
    for start in range(0, len(images), IMAGES):
        own = random_streams.fold_in(random_streams.fold_in((seed, 0), 7), start)
        x = model.prepare_pixels(
            tf.constant(images[start : start + IMAGES]), random_streams.fold_in(own, 0), dequantize=dequantize
        )
        known = None if labels is None else tf.constant(labels[start : start + IMAGES], tf.int32)
        parts.append(scorer.batch(x, known, random_streams.fold_in(own, 1), samples))
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def fitted_mse(model, images, seed=0, labels=None):
    """Mean squared error per pixel on (at most 10,000) training images: sigma^2 of the calibrated Gaussian."""
    found = score(model, images[:10_000], samples=1, seed=seed, labels=None if labels is None else labels[:10_000])
    return float(found["sq_err"].mean() / math.prod(model.image_shape))


def bits_per_dim(model, images, samples, seed, clean_bound, labels=None):
    """Bits per dimension of 8-bit data (of binary data for a Bernoulli) of each image, [N], or None if they do not fit.

    Args:
        clean_bound: [N], the bound as `score` gives it without dequantisation.
    """
    if images.dtype != np.uint8:
        return None
    if model.likelihood.kind == "binary" and model.binarize == "none" and not np.isin(images, (0, 255)).all():
        return None  # grey levels as probabilities are no likelihood of the data
    if model.likelihood.kind == "continuous":
        clean_bound = score(model, images, samples, seed, dequantize=True, labels=labels)["bound"]
    return model.likelihood.bits_per_dim(clean_bound)
