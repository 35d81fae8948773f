"""`evaluate`: everything that is measured of a run, family by family."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

from tfvae.errors import UsageError
from tfvae.evaluation.bounds import measure_training_mse, score_images
from tfvae.evaluation.external_extractors import load_extractor
from tfvae.evaluation.factor_probes import measure_factors
from tfvae.evaluation.hole_metrics import measure_holes
from tfvae.evaluation.latent_metrics import measure_active_units, measure_marginal_kl, measure_mmd
from tfvae.evaluation.likelihood_metrics import measure_constraints, measure_likelihood, measure_rate_and_distortion
from tfvae.evaluation.sample_distances import check_sample_count, measure_sample_quality
from tfvae.models import latent_statistics
from tfvae.models.input_checks import check_count
from tfvae.runtime import files
from tfvae.runtime.memory import check_count_fits
from tfvae.schemas import COUNT, FLAG, AnyOf, Constant, ListOf, Number, Record
from tfvae.training import trainer
from tfvae.training.run_data import load_other_split, load_run_split
from tfvae.training.run_folder import Run, open_run

SPLITS = ("train", "validation", "test")
_SCORES = ("elbo", "nll", "rate", "distortion", "sq_err", "bits_per_dim", "active_units")
# What a file of results has to be before it is believed.
RESULTS = Record(
    dict.fromkeys(_SCORES, AnyOf((Constant((None,)), Number()), "a number or null"))
    | {"images": COUNT, "constraints": ListOf(Record({"met": FLAG}, others=True))},
    others=True,
)


def load_evaluation_split(run: Run, split: str, limit: int, dataset: str = "") -> tuple[np.ndarray, np.ndarray]:
    """Return the images and labels to measure.

    Args:
        split: ``train``, ``validation`` or ``test``.
        limit: the first N images; 0: all.
        dataset: other images than the run's, see `load_other_split`.

    Raises:
        UsageError: there is no such split, or it holds no images; other images have another shape.
    """
    if split not in SPLITS:
        raise UsageError(f"Expected split train, validation or test. Received: {split!r}.")
    if dataset:
        images, labels = load_other_split(run, dataset, split, limit)
    else:
        images, labels = (array[: limit or None] for array in load_run_split(run, split))
    if not len(images):
        own = "" if dataset else f" (validation={run.config.validation})"
        raise UsageError(f"Expected images in split {split!r}. Received: none{own}.")
    return images, labels


def evaluate(
    run: Run | files.PathLike,
    split: str = "test",
    samples: int = 100,
    limit: int = 0,
    seed: int = 0,
    pictures: int = 0,
    say: Callable[[str], Any] = lambda line: None,
    extractor: str = "lenet",
    trust: bool = False,
    dataset: str = "",
) -> dict[str, Any]:
    """Return everything that `tfvae evaluate` prints, as one dict whose metrics `metrics.METRICS` defines.

    ``NAME_low`` and ``NAME_high`` are the 95% confidence interval of ``NAME``. Models whose codes are drawn in several
    steps (ConvDraw, ladder) have no marginal KL and no holes, and neither have models with a condition.

    Args:
        run: the run, or the path of its folder. Its setting ``xla`` is honoured.
        split: ``train``, ``validation`` or ``test``.
        samples: K of the bound on log p(x).
        limit: the first N images, of the training images too; 0: all.
        seed: of all draws.
        pictures: how many samples to compare with the images of the split; 0: none.
        say: called with a line before anything that takes long.
        extractor: whose features compare them: ``lenet``, ``inception``, or the path of a SavedModel.
        trust: load a SavedModel that tfvae cannot vouch for, and code that the config of a run from elsewhere names.
        dataset: measure other images than the model's own: a data set, a folder with pictures, a picture or .npz file.
            The training images, of which a few metrics tell, stay the model's own.

    Raises:
        UsageError: not a run, an unknown split, or one without images; other images have another shape.
        DataError: other images that are damaged, or lack the labels that the model is conditioned on.
        UntrustedError: the run or the SavedModel is from elsewhere, without `trust`.

    Example:
        >>> tfvae.evaluate("runs/latest", samples=1000)["nll"]  # doctest: +SKIP
    """
    begun = time.perf_counter()
    samples, limit = check_count("samples", samples, 1), check_count("limit", limit, 0)
    seed, pictures = check_count("seed", seed, 0), check_count("pictures", pictures, 0)
    run = open_run(run)
    config, model = run.config, trainer.load_run(run, trust_code=trust)
    images, labels = load_evaluation_split(run, split, limit, dataset)
    if pictures:  # what may be missing is reported before anything takes long
        check_sample_count(pictures, len(images))
        check_count_fits(pictures, model.image_shape, "samples")
        features = load_extractor(extractor, config.dataset, config.raw_dir, trust, say)
    train_images, train_labels = load_run_split(run, "train")
    scores = score_images(model, images, samples, seed, labels=labels, xla=config.xla)
    training_mse = measure_training_mse(model, train_images, seed, train_labels, config.xla)
    mean, log_stddev = latent_statistics.encode_images(model, images, labels)
    means = measure_likelihood(model, images, labels, scores, samples, seed, config.xla)
    means |= measure_rate_and_distortion(model, images, labels, scores, training_mse)
    return {
        **{"run": str(run.path), "split": split, "images": len(images), "samples": samples},
        **({"dataset": dataset} if dataset else {}),
        **means,
        **measure_active_units(model, mean, log_stddev, means),
        **measure_marginal_kl(model, mean, log_stddev, means, seed),
        **measure_mmd(model, images, labels, seed),
        **measure_factors(dataset or config.dataset, mean, labels, seed),
        **measure_holes(model, train_images[: limit or None], seed),
        **(measure_sample_quality(model, features, images, pictures, seed) if pictures else {}),
        "constraints": measure_constraints(model, scores),
        "seconds": round(time.perf_counter() - begun, 2),
    }
