"""`evaluate`: everything that is measured of a run, group by group; each group is one function and one dict."""

import math
import time

import numpy as np
import tensorflow as tf

from tfvae.distributions.densities import gaussian_distortion
from tfvae.distributions.priors import Normal
from tfvae.errors import UsageError
from tfvae.evaluation import factor_probes, mmd, posterior_holes
from tfvae.evaluation.bounds import bits_per_dim, fitted_mse, score
from tfvae.evaluation.confidence_intervals import Z, half_splits, named, of_mean
from tfvae.evaluation.external_extractors import extractor_of
from tfvae.evaluation.marginal_kl import aggregate_draws, marginal_kl
from tfvae.evaluation.reconstruction_quality import reconstruction_errors
from tfvae.evaluation.sample_distances import check_enough, picture_metrics
from tfvae.models import latent_statistics
from tfvae.models import latent_views as decoding
from tfvae.runtime import random_streams
from tfvae.runtime.constraint_band import TOLERANCE
from tfvae.training import run_folder, trainer

# Streams of randomness below the seed of the evaluation; `scores` and `marginal` have 7 and 11.
PRIOR, AGGREGATE, CODES, PRIOR_CODES = 23, 29, 31, 37
POSTERIORS = 60_000  # of training images at most, for holes,
NUMBERS = 100_000_000  # whose pixels together are no more than 400 MB
CODES_COUNT = 2000
ROOM = 320_000_000  # densities at most for the marginal KL of each dimension by itself


def over_images(found):
    """{name: [N]} -> means over the images with their intervals; of one image no interval."""
    return named({name: of_mean(each) if len(each) > 1 else each.astype(float) for name, each in found.items()})


def bound_rows(model, images, labels, found, samples, seed):
    """ELBO, K-sample bound and bits/dim."""
    bits = bits_per_dim(model, images, samples, seed, found["bound"], labels)
    nll = -found["bound"]
    return {
        **over_images({"elbo": found["elbo"], "nll": nll}),
        "nll_standard_error": float(nll.std(ddof=1) / math.sqrt(len(nll))) if len(nll) > 1 else None,
        **({"bits_per_dim": None} if bits is None else over_images({"bits_per_dim": bits})),
    }


def error_rows(model, images, labels, found, mse):
    """Rate, distortion at three sigmas, and errors of reconstructions."""
    dims = math.prod(model.image_shape)
    return over_images(
        {
            "rate": found["rate"],
            "distortion": found["distortion"],
            "distortion_optimal_sigma": gaussian_distortion(found["sq_err"], mse, dims),
            "distortion_unit_sigma": gaussian_distortion(found["sq_err"], 1.0, dims),
            "sq_err": found["sq_err"],
            **reconstruction_errors(model, images, labels),
        }
    )


def unit_rows(model, mean, log_stddev):
    """How many latent dimensions are in use; by KL too where the prior is N(0, I)."""
    found = {"active_units": latent_statistics.count_active_units(mean), "latent": model.arch.latent}
    if not standard(model):
        return found
    return found | latent_statistics.report_collapse(mean, latent_statistics.kl_from_posteriors(mean, log_stddev))


def standard(model):
    """Whether the prior is N(0, I)."""
    return type(model.prior) is Normal


def marginal_rows(model, mean, log_stddev, means, seed):
    """KL(q(z) || p(z)) and what the codes tell about the images, where q(z|x) is one normal."""
    if not model.arch.has_normal_posterior or model.condition is not None:
        return {}
    found = marginal_kl(mean, log_stddev, model.prior.distribution(model.arch.encode).log_prob, seed=seed,
                        rate=means["rate"])  # fmt: skip
    surgery = latent_statistics.split_elbo(means["distortion"], means["rate"], means["nll"], found.kl, found.posteriors)
    half, shared = Z * found.standard_error, surgery["mutual_information"]
    rows = named(
        {
            "marginal_kl": (found.kl, found.kl - half, found.kl + half),
            "mutual_information": (shared, shared - half, shared + half),  # given these images the rate is exact
        }
    )
    rows |= {"marginal_kl_standard_error": found.standard_error, "marginal_posteriors": found.posteriors}
    if standard(model):
        draws = max(200, min(2000, ROOM // mean.size))
        dims = mmd.marginal_kl_dims(mean, log_stddev, draws=draws, seed=seed)
        rows |= {
            "marginal_kl_moments": mmd.moment_kl(mean, log_stddev),
            "marginal_kl_dims": float(dims.kl.sum()),
            "marginal_kl_per_dimension": dims.kl.tolist(),
        }
    return rows | {"elbo_surgery": surgery}


def mmd_rows(model, images, labels, seed):
    """MMD^2 of codes z ~ q(z) and draws of the prior, of every kind of architecture."""
    if model.condition is not None and model.condition.name != "labels" or len(images) < 10:
        return {}
    codes = []
    for start in range(0, min(len(images), CODES_COUNT), latent_statistics.BATCH):
        rows = slice(start, min(start + latent_statistics.BATCH, CODES_COUNT))
        own = random_streams.fold_in(random_streams.fold_in((seed, 0), CODES), start)
        codes.append(model.terms(tf.constant(images[rows]), 1, own, **model.known(labels[rows])).z[0])
    codes = np.concatenate(codes)
    prior = model.prior.sample(len(codes), random_streams.fold_in((seed, 0), PRIOR_CODES), model.arch.encode).numpy()
    found = half_splits(lambda a, b: [mmd.mmd2(a, b)], (codes, prior), seed=seed)
    return named({"mmd": [part[0] for part in found]}) | {"mmd_codes": len(codes)}


def hole_rows(model, images, seed):
    """Holes of the prior, overlap of posteriors and the decoder's distance from g*, by the training images."""
    if not model.arch.has_normal_posterior or model.condition is not None:
        return {}
    images = images[: min(POSTERIORS, max(2, NUMBERS // math.prod(model.image_shape)))]
    mean, log_stddev = latent_statistics.encode_images(model, images)
    x = [
        model.prepare_pixels(tf.constant(images[i : i + latent_statistics.BATCH]), (0, 0))
        for i in range(0, len(images), latent_statistics.BATCH)
    ]
    x = np.concatenate(x).reshape(len(images), -1)
    own = random_streams.fold_in((seed, 0), PRIOR), random_streams.fold_in((seed, 0), AGGREGATE)
    drawn = {
        "prior": model.prior.sample(posterior_holes.DRAWS, own[0], model.arch.encode).numpy(),
        "posterior": aggregate_draws(mean, log_stddev, posterior_holes.DRAWS, own[1])[1].astype(np.float32),
    }
    rows = {}
    for name, z in drawn.items():
        found = posterior_holes.weights_at(z, mean, log_stddev, x)
        if name == "prior":
            log_p = model.prior.distribution(model.arch.encode).log_prob(tf.constant(z)).numpy()
            rows["hole_mass"] = posterior_holes.hole_mass(found.log_q - log_p)
            rows["reverse_kl"] = of_mean(log_p - found.log_q)
        rows[f"overlap_{name}"] = of_mean(found.overlap)
        g = decoding.decode_codes(model, z).reshape(len(z), -1)
        rows[f"decoder_gap_{name}"] = of_mean(posterior_holes.decoder_gap(g, found.optimum))
    stated = {
        "hole_threshold": posterior_holes.THRESHOLD,
        "hole_draws": posterior_holes.DRAWS,
        "hole_posteriors": len(images),
    }
    return named(rows) | stated


def factor_rows(config, mean, labels, seed):
    """What the means of q(z|x) tell of known factors, else of labels."""
    known = factor_probes.factors_of(config.dataset, labels)
    found = factor_probes.label_probe(mean, labels, seed=seed) if known is None else {}
    if known is not None and len(mean) >= 100:
        found = factor_probes.factor_scores(mean, *known, seed=seed)
    return named(found) | ({"probe_codes": min(len(mean), factor_probes.DATA)} if found else {})


def constraint_rows(model, found):
    """[{text, violation, scale, met}] of GECO's constraints on the images scored."""
    return [
        {
            "text": bound.text,
            "violation": float(values.mean()),
            "scale": bound.scale,
            "met": bool(values.mean() <= TOLERANCE * bound.scale),
        }
        for bound, values in zip(getattr(model, "constraints", ()), found.get("violations", ()))
    ]


def evaluate(run, split="test", samples=100, limit=0, seed=0, pictures=0, say=lambda line: None, extractor="lenet",
             trust=False):  # fmt: skip
    """Everything `tfvae evaluate` prints, as one dict; nats per image unless named otherwise, see the README's table.

    ``NAME_low`` and ``NAME_high`` are the 95% interval of ``NAME``. Codes in ConvDraw's steps or a ladder have no
    marginal KL and no holes, and neither has a model that is told something beside the image.

    Args:
        run: a run folder. split: train, validation or test. samples: K.
        limit: the first N images, of the training images too; 0: all.
        pictures: how many samples to compare with the images of the split; 0: none.
        extractor: whose features compare them: lenet, inception, or the path of a SavedModel (see `foreign`).
        trust: load a SavedModel that tfvae cannot vouch for.
        say: called with a line before anything that takes long.
    """
    begun = time.perf_counter()
    found_run = run_folder.open_run(run)
    config, model = found_run.config, trainer.load_run(run)
    if split not in ("train", "validation", "test"):
        raise UsageError(f"Expected split train, validation or test. Received: {split!r}.")
    images, labels = (array[: limit or None] for array in trainer.load_split(config, split))
    if not len(images):
        raise UsageError(f"Expected images in split {split!r}. Received: none (validation={config.validation}).")
    if pictures:  # what it may lack is said before anything takes long
        check_enough(pictures, len(images))
        extractor = extractor_of(extractor, config.dataset, config.raw_dir, trust, say)
    train_images, train_labels = trainer.load_split(config, "train")
    found = score(model, images, samples, seed, labels=labels)
    mse = fitted_mse(model, train_images, seed, train_labels)
    mean, log_stddev = latent_statistics.encode_images(model, images, labels)
    rows = bound_rows(model, images, labels, found, samples, seed) | error_rows(model, images, labels, found, mse)
    return {
        "run": str(found_run.path),
        "split": split,
        "images": len(images),
        "samples": samples,
        **rows,
        **unit_rows(model, mean, log_stddev),
        **marginal_rows(model, mean, log_stddev, rows, seed),
        **mmd_rows(model, images, labels, seed),
        **factor_rows(config, mean, labels, seed),
        **hole_rows(model, train_images[: limit or None], seed),
        **(picture_metrics(model, extractor, images, pictures, seed) if pictures else {}),
        "constraints": constraint_rows(model, found),
        "seconds": round(time.perf_counter() - begun, 2),
    }
