"""Bounds, rate, distortion and errors of a model on a split, compiled and in chunks of samples."""

import math
import time

import numpy as np
import tensorflow as tf

from tfvae import rng, runs
from tfvae.constraints import violations
from tfvae.engine import compiles
from tfvae.errors import UsageError
from tfvae.evaluate.latents import active_units, posteriors
from tfvae.evaluate.marginal import marginal_kl
from tfvae.evaluate.pictures import picture_metrics
from tfvae.terms import log_weights
from tfvae.verdict import TOLERANCE

# Draws decoded at once: 100 images x 50 samples keep a 784-pixel batch at 16 MB.
IMAGES, SAMPLES, ELEMENTS = 100, 50, 4_000_000


class Scorer:
    """Sums over samples of the terms of one batch, `chunk` samples a call.

    Args:
        model: a `VAE`.
    """

    def __init__(self, model):
        self.model = model
        self.bounds = getattr(model, "bounds", ())
        room = ELEMENTS // (IMAGES * math.prod(model.image_shape[:2]) * model.likelihood.features)
        self.chunk = max(1, min(SAMPLES, room))
        jit = compiles(model)
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
        if self.bounds:
            found["violations"] = tf.reduce_sum(violations(self.bounds, terms), axis=1)
        return found

    def batch(self, x, labels, seed, samples):
        """{name: [B]} for pixels x [B, H, W, C]: means over the samples, and the K-sample bound on log p(x).

        Args:
            labels: [B], or None.
        """
        total = None
        for index, start in enumerate(range(0, samples, self.chunk)):
            size = min(self.chunk, samples - start)
            found = self.sums(x, labels, rng.fold(seed, index), size)
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
        own = rng.fold(rng.fold((seed, 0), 7), start)
        x = model.pixels(tf.constant(images[start : start + IMAGES]), rng.fold(own, 0), dequantize=dequantize)
        known = None if labels is None else tf.constant(labels[start : start + IMAGES], tf.int32)
        parts.append(scorer.batch(x, known, rng.fold(own, 1), samples))
    return {name: np.concatenate([part[name] for part in parts], axis=-1) for name in parts[0]}


def fitted_mse(model, images, seed=0, labels=None):
    """Mean squared error per pixel on (at most 10,000) training images: sigma^2 of the calibrated Gaussian."""
    found = score(model, images[:10_000], samples=1, seed=seed, labels=None if labels is None else labels[:10_000])
    return float(found["sq_err"].mean() / math.prod(model.image_shape))


def constraint_rows(model, found):
    """[{text, violation, scale, met}] of GECO's constraints on the images scored."""
    return [
        {
            "text": bound.text,
            "violation": float(values.mean()),
            "scale": bound.scale,
            "met": bool(values.mean() <= TOLERANCE * bound.scale),
        }
        for bound, values in zip(getattr(model, "bounds", ()), found.get("violations", ()))
    ]


def bits_per_dim(model, images, samples, seed, clean_bound, labels=None):
    """Bits per dimension of 8-bit data (of binary data for a Bernoulli), or None where the two do not fit."""
    if images.dtype != np.uint8:
        return None
    if model.likelihood.kind == "binary" and model.binarize == "none" and not np.isin(images, (0, 255)).all():
        return None  # grey levels as probabilities are no likelihood of the data
    if model.likelihood.kind == "continuous":
        clean_bound = score(model, images, samples, seed, dequantize=True, labels=labels)["bound"]
    return float(model.likelihood.bits_per_dim(clean_bound.mean()))


def marginal_rows(model, mean, log_stddev, rate, seed):
    """KL(q(z) || p(z)) and what the codes tell about the images, where q(z|x) is one normal."""
    if model.arch.sequential or model.told is not None:
        return {}
    found = marginal_kl(mean, log_stddev, model.prior.distribution(model.arch.encode).log_prob, seed=seed)
    return {
        "marginal_kl": found.kl,
        "marginal_kl_standard_error": found.standard_error,
        "marginal_posteriors": found.posteriors,
        "mutual_information": rate - found.kl,
    }


def evaluate(run, split="test", samples=100, limit=0, seed=0, pictures=0, say=lambda line: None):
    """Everything `tfvae evaluate` prints, as one dict; nats per image unless named otherwise.

    ``elbo``, ``nll`` (minus the K-sample bound), ``rate``, ``distortion``, ``sq_err`` (pixels in [0, 1], z drawn from
    q), ``distortion_optimal_sigma`` (a Gaussian whose sigma^2 is the MSE on the training images), ``bits_per_dim``
    (continuous densities are scored on (x + u) / 256), ``active_units``, ``marginal_kl`` of q(z), the mean of
    ``marginal_posteriors`` posteriors, and ``mutual_information`` (rate - marginal_kl, at most log n) where z is drawn
    at once, ``constraints``, and those of `picture_metrics`.

    Args:
        run: a run folder. split: train, validation or test. samples: K. limit: the first N images; 0: all.
        pictures: how many samples to compare with the images of the split; 0: none.
        say: called with a line before anything that takes long.
    """
    begun = time.perf_counter()
    found_run = runs.find(run)
    config, model = found_run.config, runs.load(run)
    if split not in ("train", "validation", "test"):
        raise UsageError(f"Expected split train, validation or test. Received: {split!r}.")
    images, labels = (array[: limit or None] for array in runs.data_of(config, split))
    if not len(images):
        raise UsageError(f"Expected images in split {split!r}. Received: none (validation={config.validation}).")
    found = score(model, images, samples, seed, labels=labels)
    train_images, train_labels = runs.data_of(config, "train")
    mse = fitted_mse(model, train_images, seed, train_labels)
    dims = math.prod(model.image_shape)
    means = {name: float(found[name].mean()) for name in ("elbo", "rate", "distortion", "sq_err")}
    optimal = 0.5 * dims * math.log(2 * math.pi * mse) + means["sq_err"] / (2 * mse)
    latents = posteriors(model, images, labels)
    return {
        "run": str(found_run.path),
        "split": split,
        "images": len(images),
        "samples": samples,
        **means,
        "nll": -float(found["bound"].mean()),
        "nll_standard_error": float(found["bound"].std(ddof=1) / math.sqrt(len(images))) if len(images) > 1 else None,
        "bits_per_dim": bits_per_dim(model, images, samples, seed, found["bound"], labels),
        "distortion_optimal_sigma": optimal,
        "active_units": active_units(latents[0]),
        "latent": model.arch.latent,
        **marginal_rows(model, *latents, means["rate"], seed),
        **(picture_metrics(model, config, images, pictures, seed, say) if pictures else {}),
        "constraints": constraint_rows(model, found),
        "seconds": round(time.perf_counter() - begun, 2),
    }
