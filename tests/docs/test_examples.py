"""Every file of examples/ works: in Python as a class, and by its import path on the command line."""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np
import pytest

import tfvae
from tfvae.cli.command_line import main

ROOT = pathlib.Path(__file__).parents[2]
PARTS = {
    "objective": "examples.own_objective.FreeBits:floor=2.0",
    "likelihood": "examples.own_likelihood.TruncatedGaussian:sigma=0.2",
    "arch": "examples.own_architecture.PooledConv:widths=4-4,latent=3",
    "prior": "examples.own_prior.LaplacePrior:scale=0.5",
}
PLAIN = {"objective": "elbo", "likelihood": "gaussian", "arch": "mlp:widths=16,latent=3", "prior": "normal"}


@pytest.fixture(autouse=True)
def examples_can_be_imported(monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    yield
    for name in [name for name in sys.modules if name.startswith("examples")]:
        del sys.modules[name]


@pytest.mark.parametrize("kind", PARTS)
def test_a_part_by_import_path_learns(kind):
    """The loss on the digits falls; options arrive; samples are pictures."""
    parts = PLAIN | {kind: PARTS[kind]}
    model = tfvae.build(parts.pop("objective"), **parts, image_shape=(8, 8, 1))
    images, _ = tfvae.datasets.load("digits", "train", limit=16)
    model.compile("adam")
    losses = [float(np.mean(model.optimize(images)[0]["loss"])) for _ in range(5)]
    assert losses[-1] < losses[0] and np.isfinite(losses).all()
    samples = model.sample(5, seed=(0, 1)).numpy()
    assert samples.shape == (5, 8, 8, 1) and 0 <= samples.min() and samples.max() <= 1


def test_free_bits_are_free():
    """Below the floor the KL has no gradient: the loss is floor + distortion."""
    from examples.own_objective import FreeBits

    images, _ = tfvae.datasets.load("digits", "train", limit=4)
    model = tfvae.build(FreeBits, arch=PLAIN["arch"], image_shape=(8, 8, 1), floor=1000.0)
    terms = model.terms(images)
    np.testing.assert_allclose(model.objective(terms), 1000.0 - terms.log_px[0], rtol=1e-6)


def test_the_truncated_gaussian_is_a_density():
    """Its mass on [0, 1] is 1 (midpoint rule, 1,000 cells: error below 1e-4), and draws stay inside."""
    from examples.own_likelihood import TruncatedGaussian

    likelihood = TruncatedGaussian(image_shape=(1, 3, 1), sigma=0.2)
    decoder_outputs = np.array([-3.0, 0.0, 8.0], np.float32).reshape(1, 3, 1)
    grid = (np.arange(1000, dtype=np.float32) + 0.5) / 1000
    density = likelihood.pixel_distribution(decoder_outputs).prob(grid.reshape(-1, 1, 1, 1)).numpy()
    np.testing.assert_allclose(density.mean(0).ravel(), 1.0, atol=1e-3)
    draws = likelihood.sample(decoder_outputs, (0, 1)).numpy()
    assert (draws >= 0).all() and (draws <= 1).all()


def test_draws_of_the_laplace_prior_fit_its_density():
    """Mean |z| of a Laplace density is its scale; 5 standard errors of 20,000 draws."""
    from examples.own_prior import LaplacePrior

    prior = LaplacePrior(latent=2, image_shape=(8, 8, 1), seed=0, scale=0.5)
    draws = np.abs(prior.sample(10_000, (0, 1), None).numpy())
    assert abs(draws.mean() - 0.5) < 5 * 0.5 / 20_000**0.5
    log_density = prior.distribution(None).log_prob(np.zeros((1, 2), np.float32)).numpy()
    np.testing.assert_allclose(log_density, 0.0, atol=1e-6)  # log (1 / (2 * 0.5))^2


def test_stripes_are_the_same_each_time():
    from examples.own_dataset import stripes

    first, again = stripes(count=8, size=12), stripes(count=8, size=12)
    assert first["images"].shape == (8, 12, 12, 1) and first["images"].dtype == np.uint8
    np.testing.assert_array_equal(first["images"], again["images"])
    assert set(first["labels"]) <= {0, 1, 2, 3}


def test_all_five_at_once_on_the_command_line(tmp_path, monkeypatch):
    """A run of own parts alone is trained and found finished; its config.json names them."""
    monkeypatch.chdir(tmp_path)
    parts = dict(PARTS)
    command = ["train", parts.pop("objective"), "--dataset", "examples.own_dataset.stripes:size=8,count=200"]
    for flag, spec in parts.items():
        command += [f"--{flag}", spec]
    assert main([*command, "--epochs", "1", "--batch-size", "32", "--xla", "off", "--run-dir", "run"]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["objective"] == "examples.own_objective.FreeBits:floor=2.0" and config["prior"] == PARTS["prior"]
    assert (tmp_path / "run" / "STATUS").read_text().startswith("finished")
