"""The second stage: a mixture fitted to the codes becomes the prior, and every verb takes the new run."""

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.cli.command_line import main
from tfvae.distributions.priors import Mixture
from tfvae.errors import UsageError
from tfvae.evaluation import evaluate
from tfvae.training import trainer
from tfvae.training.second_stage import fit_mixture, train_second_stage

SETTINGS = dict(dataset="digits", arch="mlp:widths=32,latent=3", limit=400, epochs=2, xla="off", validation=0.0)


def test_the_mixture_is_the_one_that_scikit_learn_found():
    """log p(z) of the prior equals the fit's score at every point; the codes are three clusters."""
    z = np.random.default_rng(0).normal(size=(600, 2)) * 0.2 + np.repeat([[-2, 0], [2, 1], [0, 3]], 200, axis=0)
    prior = Mixture(components=3, latent=2, image_shape=(1, 1, 1), seed=0)
    fit = fit_mixture(prior, z)
    mine = prior.distribution(None).log_prob(tf.constant(z, tf.float32))
    np.testing.assert_allclose(mine, fit.score_samples(z), rtol=1e-4, atol=1e-4)
    assert sorted(np.round(prior.means.numpy()[:, 0])) == [-2, 0, 2]


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A run, and the run of its second stage."""
    root = tmp_path_factory.mktemp("runs")
    first = trainer.train(run_dir=str(root / "first"), root=str(root), objective="elbo", ema=0.9, **SETTINGS)
    return first, train_second_stage(first.path, "mixture:components=5", run_dir=str(root / "second"), root=str(root))


def test_networks_stay_and_the_prior_fits_better(both):
    """Same codes and decoder; codes are likelier under the new prior, so the rate falls and the ELBO rises."""
    first, second = both
    old, new = tfvae.load(first.path), tfvae.load(second.path)
    images = tfvae.datasets.load("digits", "train")[0][:50]
    for a, b in zip(old.encode(images), new.encode(images)):
        np.testing.assert_array_equal(a, b)
    z = old.encode(images)[0]
    np.testing.assert_array_equal(old.decode(z), new.decode(z))
    before, after = (evaluate(run.path, samples=20, split="train") for run in both)
    assert after["rate"] < before["rate"] and after["elbo"] > before["elbo"]
    assert after["marginal_kl"] < before["marginal_kl"]
    assert second.status == "finished" and second.config.prior == "mixture:components=5"


def test_verbs_take_it(both, tmp_path, capsys):
    _, second = both
    assert main(["sample", str(second.path), "-n", "4", "-o", str(tmp_path / "grid.png")]) == 0
    assert main(["export", str(second.path), str(tmp_path / "model")]) == 0
    served, live = tfvae.load(tmp_path / "model"), tfvae.load(second.path)
    np.testing.assert_allclose(served.sample(5, (0, 3)), live.sample(5, (0, 3)), atol=1e-5)
    capsys.readouterr()


def test_mistakes(both, tmp_path):
    first, _ = both
    with pytest.raises(UsageError, match="mixture:components=M"):
        train_second_stage(first.path, "vamp")
    with pytest.raises(UsageError, match="components <= the 400 codes"):
        train_second_stage(first.path, "mixture:components=500", run_dir=str(tmp_path / "none"))
    assert not (tmp_path / "none").exists()
    assert main(["second-stage", str(first.path), "--run-dir", str(first.path)]) == 2
