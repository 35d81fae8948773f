"""``kappa=auto``: a number by the images, the same wherever it is asked for, and what stands in the config."""

import json

import numpy as np
import pytest

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import DataError, UsageError
from tfvae.runtime import files
from tfvae.training import trainer

TRAIN = ["train", "geco", "--kappa", "auto", "--dataset", "digits", "--epochs", "1", "--xla", "off"]
TRAIN += ["--limit", "300", "--validation", "0"]
TINY = ["--arch", "mlp:widths=8,latent=2"]


def test_the_number_does_not_depend_on_how_the_images_are_given():
    images = tfvae.datasets.load("digits", "train")[0]
    kappa = tfvae.choose_kappa(images)
    assert kappa == tfvae.choose_kappa(images / np.float32(255)) == tfvae.choose_kappa(images[..., 0])
    assert 0.9 < kappa < 1.4  # the mean digit is wrong by 2.2
    assert kappa == pytest.approx(0.5 * tfvae.choose_kappa(np.repeat(np.repeat(images, 2, 1), 2, 2)), rel=0.01)


def test_the_number_stands_in_the_run_and_the_same_command_goes_on(tmp_path, capsys):
    folders = ["--run-dir", str(tmp_path / "run"), "--root", str(tmp_path)]
    assert main([*TRAIN, *TINY, "--dry-run"]) == 0
    objective = json.loads(capsys.readouterr().out)["objective"]
    kappa = tfvae.choose_kappa(tfvae.datasets.load("digits", "train", limit=300)[0])
    assert objective == f"geco:kappa={kappa:g}"
    assert main([*TRAIN, *TINY, *folders]) == 0
    assert f"kappa: {kappa:g}" in capsys.readouterr().err
    assert files.read_json(tmp_path / "run" / "config.json")["objective"] == objective
    assert main([*TRAIN, *TINY, *folders]) == 0 and "finished already" in capsys.readouterr().out


@pytest.mark.slow
def test_python_trains_with_it(tmp_path):
    images = tfvae.datasets.load("digits", "train", limit=100)[0]
    settings = {"objective": "geco:kappa=auto", "arch": "mlp:widths=8,latent=2", "dataset": "digits"}
    settings |= {"limit": 100, "validation": 0}
    run = trainer.train(**settings, epochs=1, batch_size=50, xla="off", root=str(tmp_path))
    assert run.config.objective == f"geco:kappa={tfvae.choose_kappa(images):g}"


def test_where_there_is_nothing_to_choose_by(capsys):
    with pytest.raises(DataError, match="images that differ"):
        tfvae.choose_kappa(np.zeros((5, 8, 8, 1), np.uint8))
    with pytest.raises(DataError, match="divide grey levels by 255"):
        tfvae.choose_kappa(np.full((5, 8, 8, 1), 200.0))
    with pytest.raises(UsageError, match="a model has no images.*choose_kappa"):
        tfvae.build("geco:kappa=auto", image_shape=(8, 8, 1))
    assert main(["sweep", "geco", "--kappa", "auto,4", "--dry-run"]) == 2
    assert "--kappa auto --dry-run" in capsys.readouterr().err
