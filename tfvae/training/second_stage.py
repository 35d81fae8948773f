"""Two-stage sampling: a mixture fitted to the codes of a trained model becomes its prior (after Dai & Wipf, 2019).

The networks stay as they are. q(z) = 1/n sum_i q(z|x_i) is what the decoder has learnt to read; where it differs from
the prior, draws from the prior decode badly, and draws from a density fitted to q(z) do not. Dai and Wipf fit a second
VAE; Ghosh et al. (2020) found a Gaussian mixture to do as well. As a prior it is a proper one: bounds, rates and
exports of the new run are those of the model with the mixture.
"""

import dataclasses

import numpy as np

from tfvae import specs
from tfvae.errors import UsageError
from tfvae.models.latent_statistics import encode_images
from tfvae.runtime import files, random_streams
from tfvae.training import checkpoints, run_folder, trainer
from tfvae.training.run_folder import create_run


def train_second_stage(run, prior="mixture:components=100", run_dir="", root="runs", seed=0):
    """A new run: the networks of `run`, finished, with `prior` fitted to draws z ~ q(z|x) of its training images.

    Args:
        prior: ``mixture:components=M``.

    Raises:
        UsageError: another prior, a run that is told beta or kappa, or a folder that exists.
    """
    source = run_folder.open_run(run)
    name, _ = specs.parse_spec(prior)
    if name != "mixture":
        raise UsageError(f"Expected the prior mixture:components=M for a second stage. Received: {prior!r}.")
    first = trainer.load_run(run)
    if first.condition is not None and first.condition.name != "labels":
        raise UsageError(
            f"Expected a run whose codes do not depend on {first.condition.name}. Received: {source.path}."
        )
    config = dataclasses.replace(source.config, prior=prior, ema=0.0)  # `load` has put averages in the weights' place
    images, labels = trainer.load_split(config, "train")
    environment = files.read_json(source.path / "env.json") | {"second_stage_of": str(source.path)}
    model = trainer.build_model(config, first.image_shape, environment.get("classes", 0))
    trainer.compile_model(model, config, len(images))
    for part in ("arch", "likelihood"):
        copy_weights(getattr(first, part), getattr(model, part))
    model.step.assign(first.step)
    mean, log_stddev = encode_images(first, images, labels)
    z = mean + np.exp(log_stddev) * random_streams.normal(mean.shape, random_streams.fold_in((seed, 0), 13)).numpy()
    fit_mixture(model.prior, z, seed)
    made = create_run(config, environment, run_dir, root)
    with made.locked():
        position = {"epoch": config.epochs, "done": 0, "sums": None, "seconds": 0.0, "rollbacks": 0, "mode": "",
                    "feed": config.feed}  # fmt: skip
        checkpoints.save_checkpoint(made.path / "checkpoints", model, position)
        made.write_rows(source.rows)
        made.write_status("finished")
    return made


def copy_weights(source, target):
    """The weights of one part into the same part of another model."""
    for theirs, ours in zip(source.variables, target.variables, strict=True):
        ours.assign(theirs)


def fit_mixture(prior, z, seed=0):
    """Give a `Mixture` the weights, means and stddevs that EM (scikit-learn) finds for codes z [N, L]: -> the fit."""
    from sklearn.mixture import GaussianMixture

    if len(z) < prior.components:
        raise UsageError(f"Expected components <= the {len(z)} codes. Received: components={prior.components}.")
    fit = GaussianMixture(prior.components, covariance_type="diag", reg_covar=1e-5, max_iter=200, random_state=seed)
    fit.fit(z.astype(np.float64))
    prior.logits.assign(np.log(fit.weights_))
    prior.means.assign(fit.means_)
    clipped = 0.5 * np.log(fit.covariances_) / prior.bound
    prior.log_stddevs.assign(prior.bound * np.arctanh(clipped))  # undoes the soft clip
    return fit
