"""A run's data are compared with those that it began with wherever they are read again."""

import ast
import json
import pathlib
import shutil

import numpy as np
import pytest

import tfvae
from tfvae.cli.command_line import main
from tfvae.config import Config
from tfvae.errors import DataError
from tfvae.evaluation import evaluate
from tfvae.reports.run_figures import draw_run_figures
from tfvae.training import run_data, second_stage, trainer
from tfvae.training.run_folder import create_run, open_run

PACKAGE = pathlib.Path(tfvae.__file__).parent


def make_arrays():
    x = np.random.default_rng(0).integers(0, 256, (60, 4, 4)).astype(np.uint8)
    return {"x_train": x[:40], "y_train": np.arange(40) % 3, "x_test": x[40:], "y_test": np.arange(20) % 3}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on an npz file, made once."""
    root = tmp_path_factory.mktemp("data")
    np.savez(root / "a.npz", **make_arrays())
    settings = dict(arch="mlp:widths=4,latent=2", batch_size=8, epochs=1, xla="off", validation=0.2)
    trainer.train(objective="elbo", dataset=f"npz:{root}/a.npz", run_dir=root / "run", root=root, **settings)
    return root


@pytest.fixture
def run(trained):
    """The run, with its data as they were."""
    np.savez(trained / "a.npz", **make_arrays())
    return open_run(trained / "run")


def change(run, key, edit):
    arrays = make_arrays()
    arrays[key] = edit(arrays[key].copy())
    np.savez(run.path.parent / "a.npz", **arrays)


def raise_first(array):
    array[0] = (array[0].astype(int) + 1) % 3
    return array


@pytest.mark.parametrize(
    "key, edit, others",
    [
        ("x_train", raise_first, {"train", "validation"}),
        ("y_train", lambda y: (y + 1) % 3, {"train", "validation"}),
        ("x_train", lambda x: x[::-1], {"train", "validation"}),
        ("x_train", lambda x: x / 256, {"train", "validation"}),
        ("x_test", raise_first, {"test"}),
        ("y_test", raise_first, {"test"}),
        ("x_test", lambda x: x[::-1], {"test"}),
        ("y_test", lambda y: y, set()),
    ],
)
def test_each_split_is_compared_on_its_own(run, key, edit, others):
    change(run, key, edit)
    refused = set()
    for split in ("train", "validation", "test"):
        try:
            run_data.load_run_split(run, split)
        except DataError as error:
            assert "began with" in str(error) and split in str(error)
            refused.add(split)
    # Of the 40 training images the first is in one of both splits.
    assert refused == others or len(others) == 2 and refused and refused <= others


def test_whatever_reads_the_data_again_refuses_others(run, capsys):
    edit = {key: 255 - value if key.startswith("x") else value for key, value in make_arrays().items()}
    np.savez(run.path.parent / "a.npz", **edit)
    calls = [
        lambda: evaluate(run, samples=1),
        lambda: trainer.resume(run, epochs=2),
        lambda: draw_run_figures(run),
        lambda: second_stage.train_second_stage(
            run, "mixture:components=2", run.path.with_name("second"), run.path.parent
        ),
    ]
    for call in calls:
        with pytest.raises(DataError, match="began with"):
            call()
    for verb in ("evaluate", "reconstruct", "traverse", "interpolate", "resume --epochs 2", f"compare {run.path}"):
        verb, *flags = verb.split()
        assert main([verb, str(run.path), *flags]) == 3
        assert "began with" in capsys.readouterr().err.splitlines()[-1]
    assert not run.path.with_name("second").exists()


def test_a_run_of_an_older_version_knows_its_training_images(run):
    environment = json.loads((run.path / "env.json").read_text())
    del environment["data_sha256"], environment["class_names"]
    folder = run.path.with_name("old")
    shutil.copytree(run.path, folder, dirs_exist_ok=True)
    (folder / "env.json").write_text(json.dumps(environment))
    old = open_run(folder)
    assert len(run_data.load_run_split(old, "test")[0]) == 20
    change(run, "x_train", lambda x: 255 - x)
    for split in ("train", "test"):
        with pytest.raises(DataError, match="began with"):
            run_data.load_run_split(old, split)


def test_labels_that_training_has_not_seen_are_refused(tmp_path):
    """Of a rare class no training image may be left: its label is not taken for 'not known'."""
    np.savez(tmp_path / "a.npz", **make_arrays() | {"y_test": np.arange(20) % 4})
    config = Config(dataset=f"npz:{tmp_path}/a.npz", condition="labels", validation=0.0)
    data = run_data.describe_data(config, run_data.load_split(config, "train"))
    run = create_run(config, data, tmp_path / "run", tmp_path)
    assert len(run_data.load_run_split(run, "train")[0]) == 40
    with pytest.raises(DataError, match="split 'test' .* labels from 0 to 2.* Received: 3"):
        run_data.load_run_split(run, "test")


def test_nothing_else_reads_the_data_of_a_run():
    """Readers go through `load_run_split`; others load no data of a run, or compare fingerprints themselves.

    The training verb looks at the images of a run that is not there yet, where they decide on its kappa.
    """
    found = {"load_split": set(), "datasets.load": set()}
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                name = ast.unparse(node.func)
                for key in found:
                    if name == key or name.endswith(f".{key}"):
                        found[key].add(str(path.relative_to(PACKAGE)))
    assert found["load_split"] == {"training/run_data.py", "training/trainer.py", "cli/training_verbs.py"}
    # The extractor is trained on the data set itself, and its file is named by the fingerprint.
    allowed = {"training/run_data.py", "zoo/measurements.py", "evaluation/feature_extractors.py"}
    assert found["datasets.load"] == allowed
