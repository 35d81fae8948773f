"""Two-stage sampling: a mixture fitted to the codes of a trained model becomes its prior (after Dai & Wipf, 2019).

The networks stay as they are. q(z) = 1/n sum_i q(z|x_i) is what the decoder has learnt to read; where it differs from
the prior, draws from the prior decode badly, and draws from a density fitted to q(z) do not. Dai and Wipf fit a second
VAE; Ghosh et al. (2020) found a Gaussian mixture to do as well. As a prior it is a proper one: bounds, rates and
exports of the new run are those of the model with the mixture.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from sklearn.mixture import GaussianMixture

from tfvae import specs
from tfvae.errors import UsageError
from tfvae.models.latent_statistics import encode_images
from tfvae.runtime import files, random_streams
from tfvae.runtime.random_streams import SeedStream, fold_in
from tfvae.training import checkpoints, trainer
from tfvae.training.run_data import load_run_split
from tfvae.training.run_folder import Run, create_run, open_run
from tfvae.training.training_state import TrainingState


def train_second_stage(
    run: Run | files.PathLike,
    prior: str = "mixture:components=100",
    run_dir: files.PathLike | None = None,
    root: files.PathLike = "runs",
    seed: int = 0,
    trust_code: bool = False,
) -> Run:
    """Return a new run: the networks of `run`, with `prior` fitted to draws z ~ q(z|x) of its training images.

    Args:
        run: a finished run, or its folder.
        prior: ``mixture:components=M``.
        run_dir: the folder to create; None: below `root`.
        root: the folder of all runs.
        seed: of the draws and of the fit.
        trust_code: import what the config names by import path, also if the run was made elsewhere.

    Raises:
        UsageError: another prior, a run that is conditioned on beta or kappa, or a folder that exists.
    """
    source = open_run(run)
    if specs.parse_spec(prior)[0] != "mixture":
        raise UsageError(f"Expected the prior mixture:components=M for a second stage. Received: {prior!r}.")
    first = trainer.load_run(source, trust_code=trust_code)
    if first.condition is not None and not first.condition.uses_labels:
        raise UsageError(
            f"Expected a run whose codes do not depend on {first.condition.name}. Received: {source.path}."
        )
    config = dataclasses.replace(source.config, prior=prior, ema=None)  # `load_run` has put averages in their place
    images, labels = load_run_split(source, "train")
    environment = source.environment | {"second_stage_of": str(source.path)}
    model = trainer.build_model(config, first.image_shape, source.classes, source.class_names)
    trainer.compile_model(model, config, len(images))
    for part in ("arch", "likelihood"):
        copy_weights(getattr(first, part), getattr(model, part))
    model.step.assign(first.step)
    mean, log_stddev = encode_images(first, images, labels)
    noise = random_streams.normal(mean.shape, fold_in((seed, 0), SeedStream.SECOND_STAGE)).numpy()
    fit_mixture(model.prior, mean + np.exp(log_stddev) * noise, seed)
    new = create_run(config, environment, run_dir, root)
    with new.locked():
        state = TrainingState(epoch=config.epochs, feed=config.feed)
        checkpoints.save_checkpoint(new.checkpoints_folder, model, state)
        new.write_rows(source.rows)
        new.write_status("finished")
    return new


def copy_weights(source: Any, target: Any) -> None:
    """Copy the weights of one part into the same part of another model."""
    for theirs, ours in zip(source.variables, target.variables, strict=True):
        ours.assign(theirs)


def fit_mixture(prior: Any, z: np.ndarray, seed: int = 0) -> GaussianMixture:
    """Give a `Mixture` the weights, means and stddevs that EM finds for codes z [N, L], and return scikit-learn's fit.

    Raises:
        UsageError: fewer codes than components.
    """
    if len(z) < prior.components:
        raise UsageError(f"Expected components <= the {len(z)} codes. Received: components={prior.components}.")
    fit = GaussianMixture(prior.components, covariance_type="diag", reg_covar=1e-5, max_iter=200, random_state=seed)
    fit.fit(z.astype(np.float64))
    prior.logits.assign(np.log(fit.weights_))
    prior.means.assign(fit.means_)
    clipped = 0.5 * np.log(fit.covariances_) / prior.log_stddev_limit
    prior.log_stddevs.assign(prior.log_stddev_limit * np.arctanh(clipped))  # undoes the soft clip
    return fit
