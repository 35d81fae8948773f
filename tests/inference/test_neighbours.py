"""`neighbours`: the nearest training pictures, against a slow loop in float64."""

import csv
import pathlib

import numpy as np
import pytest
from PIL import Image

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import UsageError
from tfvae.inference import nearest_pictures
from tfvae.training import trainer
from tfvae.training.run_data import load_run_split

SETTINGS = {"dataset": "digits", "epochs": 1, "limit": 64, "batch_size": 32, "arch": "mlp:widths=16,latent=3"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trainer.train(root=tmp_path_factory.mktemp("runs"), objective="elbo", **SETTINGS)


def find_slowly(points, others, count):
    """All distances in float64, one pair at a time."""
    distances = np.array([[np.sqrt(np.sum((a - b) ** 2)) for b in others] for a in points])
    order = np.argsort(distances, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(distances, order, 1)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_nearest_against_a_slow_loop(kind):
    """Far from the origin, too, where the expansion of the square loses digits, and among pictures that are equal."""
    generator = np.random.default_rng(0)
    others = generator.integers(200, 256, (4100, 2, 3, 1)).astype(kind)
    others[4000] = others[7]
    scale = 255 if kind == np.uint8 else 1
    points = others[[7, 5, 4099]] / scale + generator.normal(0, 0.01, (3, 2, 3, 1)) * [[[[0]]], [[[1]]], [[[1]]]]
    points = points.astype(np.float32)
    indices, distances = nearest_pictures.find_nearest(points, others, 3)
    expected, exact = find_slowly(points.astype(np.float64), (others / np.float32(scale)).astype(np.float64), 3)
    np.testing.assert_array_equal(indices, expected)
    np.testing.assert_allclose(distances, exact, rtol=1e-6, atol=1e-9)
    assert indices[0, :2].tolist() == [7, 4000]


def test_neighbours_of_images_of_files_and_of_samples(run, tmp_path):
    training, _ = load_run_split(run, "train")
    Image.fromarray(training[9, ..., 0]).save(tmp_path / "ninth.png")
    found = tfvae.neighbours(run, [str(tmp_path / "ninth.png")], count=2)
    assert found.names == [str(tmp_path / "ninth.png")]
    for space in nearest_pictures.SPACES:
        assert getattr(found, f"{space}_indices")[0, 0] == 9
        assert getattr(found, f"{space}_distances")[0, 0] < 1e-3 < getattr(found, f"{space}_distances")[0, 1]
    model = trainer.load_run(run)
    samples = np.asarray(model.sample(4, (3, 0)))
    found = tfvae.neighbours(run, samples=4, seed=3, count=2)
    means = [np.float64(model.encode(images)[0]) for images in (samples, training)]
    np.testing.assert_array_equal(found.latent_indices, find_slowly(*means, 2)[0])
    np.testing.assert_array_equal(found.pixels_indices, find_slowly(np.float64(samples), training / 255, 2)[0])


def test_the_file_and_the_sheet(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["neighbours", str(run.path), "digits", "--limit", "3", "-n", "2", "--sheet", "near.png"]) == 0
    assert capsys.readouterr().out.splitlines()[0].startswith("neighbours.csv  3 images")
    with open("neighbours.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    found = tfvae.neighbours(run, "digits", limit=3, count=2)
    assert [row["file"] for row in rows] == [name for name in "012" for _ in range(4)]
    assert [int(row["training_index"]) for row in rows[:4]] == [*found.latent_indices[0], *found.pixels_indices[0]]
    assert [float(row["distance"]) for row in rows[2:4]] == pytest.approx(found.pixels_distances[0], rel=1e-6)
    Image.open("near.png").verify()


@pytest.mark.parametrize(
    "words, expected",
    [
        (["missing.png"], "does not exist"),
        (["digits", "--samples", "3"], "Received: both"),
        (["-n", "65"], "at most 64 neighbours"),
        (["square"], "shape (8, 8, 1)"),
        (["-o", "near.txt"], ".csv"),
        (["--sheet", "near.gif"], "PNG"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(run, words, expected, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["neighbours", str(run.path), *words]) in (2, 3)
    message = capsys.readouterr().err.splitlines()
    assert len([line for line in message if line.startswith("tfvae:")]) == 1 and expected.lower() in message[-1].lower()
    assert not list(pathlib.Path().iterdir())


def test_python_refuses_too(run):
    for settings in ({"count": 0}, {"samples": 0}, {"limit": -1}):
        with pytest.raises(UsageError, match=next(iter(settings))):
            tfvae.neighbours(run, **settings)
