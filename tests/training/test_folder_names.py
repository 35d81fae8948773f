"""Names of run folders: one folder each, short, without paths, commas and equals signs; runs of other names open."""

import re

import pytest

from tfvae.config import Config
from tfvae.training.run_folder import create_run, find_runs_folder, find_unfinished_run, open_run, to_folder_name
from tfvae.training.sweep import find_trial_folder


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("fashion_mnist", "fashion_mnist"),
        ("emnist/letters", "emnist_letters"),
        ("sprites:size=16", "sprites-size-16"),
        ("folder:/home/somebody/my pictures,size=64", "folder-my-pictures-size-64"),
        ("folder:/data/pictures/", "folder-pictures"),
        (r"npz:C:\data\a.npz", "npz-C-a.npz"),
        ("folder:../..", "folder"),
        ("..", "unnamed"),
        ("kappa=3,seed=0", "kappa-3-seed-0"),
        ("npz:/data/" + "x" * 300 + ".npz", "x" * 56 + ".npz"),
    ],
)
def test_names_are_plain_and_short(text, name):
    assert to_folder_name(text) == name and re.fullmatch(r"[\w.-]{1,60}", name)


def test_a_run_lies_three_folders_below_the_root(tmp_path):
    config = Config(objective="geco:kappa=4,controller=log", dataset="folder:/data/pictures,size=64", arch="conv")
    run = create_run(config, {"image_shape": [8, 8, 1]}, root=tmp_path)
    assert run.path.parent == find_runs_folder(config, tmp_path) == tmp_path / "folder-pictures-size-64" / "geco"
    assert re.fullmatch(r"\d{8}-\d{6}-[0-9a-f]+", run.path.name)


def test_runs_with_commas_in_their_names_open_and_go_on(tmp_path):
    """Sweeps of 0.1.0 named folders by what differed: 'sweep-kappa=3,seed=0-HASH'."""
    config = Config(objective="geco:kappa=3", dataset="digits")
    path = tmp_path / "digits" / "geco" / f"sweep-kappa=3,seed=0-{config.hash}"
    run = create_run(config, {"image_shape": [8, 8, 1]}, run_dir=path, root=tmp_path)
    assert open_run(path).config == config and find_unfinished_run(config, path).path == run.path.resolve()
    assert find_trial_folder(config, "kappa=3", tmp_path) == path
