"""A trained run and its export, which the tests of this folder share."""

import pytest

from tfvae.exporting import exporter
from tfvae.training import trainer

SETTINGS = dict(objective="geco:kappa=1.5", dataset="digits", arch="mlp:widths=16,latent=4", limit=300, xla="off")


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run of three epochs with two checkpoints."""
    root = tmp_path_factory.mktemp("run")
    path = trainer.train(run_dir=str(root / "run"), root=str(root), epochs=2, **SETTINGS).path
    trainer.resume(path, epochs=3)
    return path


@pytest.fixture(scope="session")
def version(run, tmp_path_factory):
    return exporter.export_run(run, tmp_path_factory.mktemp("models") / "decoder")
