"""Whatever takes a model takes a run, a SavedModel and ``zoo:NAME``, on the command line and in Python."""

from __future__ import annotations

import json
import pathlib
import shutil

import numpy as np
import pytest
from PIL import Image

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import IntegrityError
from tfvae.exporting.exported_model import ExportedModel, match_names
from tfvae.runtime import files
from tfvae.training import trainer
from tfvae.zoo.entries import add_entry
from tfvae.zoo.resolve import open_published_model

ZOO = pathlib.Path(__file__).parents[2] / "zoo"
SHIPPED = sorted(ZOO.glob("*/manifest.json"))
POINTS = ZOO / "square-beta-mlp"  # its data need no file
POINT_NAMES = (f"zoo:{POINTS.name}", str(POINTS), str(POINTS / "saved_model"), str(POINTS / "saved_model" / "1"))
TINY = dict(dataset="digits", limit=300, epochs=1, validation=0.0, xla="off", arch="mlp:widths=16,latent=3")
NAMES = ("run", "models/digits", "models/digits/1", "zoo:digits-geco-mlp", "zoo/digits-geco-mlp")
CODES = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder, and the shipped zoo, into which nothing may be written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TFVAE_ZOO", str(ZOO))
    yield tmp_path
    files.verify_folder(POINTS)


def read_json_output(capsys, *argv):
    assert main(list(argv)) == 0
    return json.loads(capsys.readouterr().out)


def draw_with_every_verb(name):
    for verb, *flags in (
        ("sample", "-n", "4"),
        ("reconstruct", "-n", "4"),
        ("traverse", "--dims", "2", "--steps", "2"),
        ("interpolate", "--rows", "2", "--steps", "2"),
    ):
        assert main([verb, name, *flags, "-o", f"{verb}.png"]) == 0
        Image.open(f"{verb}.png").verify()


@pytest.mark.parametrize("name", POINT_NAMES[::2])
def test_verbs_that_draw_take_every_model(name):
    draw_with_every_verb(name)


def test_evaluate_is_given_the_entry_and_its_data_set(monkeypatch, capsys):
    given = []
    monkeypatch.setattr("tfvae.evaluation.evaluate", lambda run, **settings: given.append(run) or {"images": 7})
    for name in POINT_NAMES:
        assert read_json_output(capsys, "evaluate", name, "--json") == {"images": 7}
    assert [run.config.dataset for run in given] == ["square"] * len(POINT_NAMES)
    assert [list(run.image_shape) for run in given] == [[1, 2, 1]] * len(POINT_NAMES)


@pytest.mark.slow
def test_evaluate_and_export_take_a_model_of_the_zoo(here, capsys):
    """The data set is the entry's, and the numbers are those of its card."""
    metrics = read_json_output(capsys, "evaluate", POINT_NAMES[0], "--json", "--samples", "2", "--limit", "1000")
    shipped = files.read_json(POINTS / "metrics.json")["numbers"]["elbo"]["value"]
    assert metrics["images"] == 1000 and metrics["elbo"] == pytest.approx(shipped, abs=0.2)
    assert main(["export", POINT_NAMES[0], "again"]) == 0
    first, again = (trainer.load_run(path) for path in (POINTS, "again"))
    for ours, theirs in zip(first.trainable_variables, again.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_every_name_of_a_model_leads_to_the_same_weights():
    models = [trainer.load_run(name) for name in POINT_NAMES]
    for variables in zip(*(model.trainable_variables for model in models), strict=True):
        for one in variables[1:]:
            np.testing.assert_array_equal(one, variables[0])


@pytest.mark.parametrize("name", POINT_NAMES)
def test_what_cannot_be_resumed_says_what_can_be_done(name, here, capsys):
    assert main(["resume", name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "optimizer's state" in line and "model.fit" in line and list(here.iterdir()) == []


def test_a_model_of_the_zoo_is_trained_further(here):
    """A live model with its constraint, likelihood and multipliers, which learns, and is kept in a .keras file."""
    model = tfvae.load("zoo:mnist-geco-mlp")
    assert isinstance(model, tfvae.VAE) and [one.text for one in model.constraints] == ["re<=4.0"]
    images = np.random.default_rng(0).integers(0, 256, (64, 28, 28, 1), dtype=np.uint8)
    model.compile("adam", run_eagerly=True)
    history = model.fit(images, batch_size=64, epochs=3, verbose=0).history
    assert history["sq_err"][-1] < history["sq_err"][0] and model.multipliers._updates > 0
    model.save("tuned.keras")
    z = np.zeros((1, 200), np.float32)
    np.testing.assert_array_equal(tfvae.load("tuned.keras").decode(z), model.decode(z))
    assert main(["sample", "tuned.keras", "-n", "4", "-o", "tuned.png"]) == 0


@pytest.mark.parametrize("verb", ["evaluate", "reconstruct", "resume", "export"])
def test_a_keras_file_without_data_is_refused_in_one_line(verb, here, capsys):
    (here / "model.keras").write_text("never read")
    assert main([verb, "model.keras", *(["out"] if verb == "export" else [])]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "tfvae.load" in line


def test_savedmodels_that_tfvae_did_not_write_or_that_were_changed(here, capsys):
    for name in ("bare", "changed"):
        shutil.copytree(POINTS / "saved_model" / "1", here / name)
    (here / "bare" / "manifest.json").unlink()
    with open(here / "changed" / "variables" / "variables.data-00000-of-00001", "r+b") as file:
        file.write(b"\0\1\2\3")
    for name, code in (("bare", 2), ("changed", 4)):
        assert main(["evaluate", name]) == code
        assert len(capsys.readouterr().err.splitlines()) == 1


def test_names_are_matched_by_kind_and_order():
    ours = ["sequential/dense_9/kernel", "sequential_1/dense_10/kernel", "geco/step"]
    assert match_names(ours, ["sequential_4/dense_100/kernel", "sequential_3/dense_99/kernel"]) == [
        "sequential_3/dense_99/kernel",
        "sequential_4/dense_100/kernel",
        None,
    ]
    with pytest.raises(IntegrityError, match="named dense/kernel"):
        match_names(["dense/kernel"], ["dense/kernel", "dense_1/kernel"])


def test_weights_of_another_model_are_refused():
    other = tfvae.build("elbo", arch="mlp:widths=30,latent=2", image_shape=(1, 2, 1))
    with pytest.raises(IntegrityError):
        ExportedModel(POINTS / "saved_model" / "1").assign_weights(other.variables)
    assert open_published_model("run") is None


@pytest.mark.parametrize(
    "argv, words",
    [
        (["sample", "run", "-o", "a.gif"], ("PNG", "a.png")),
        (["sample", "run", "-o", "nowhere/a.png"], ("nowhere", "mkdir -p")),
        (["compare", "run", "-o", "nowhere/comparison"], ("nowhere", "mkdir -p")),
        (["sweep", "geco", "--kappa", "3,4", "-o", "nowhere/comparison"], ("nowhere", "mkdir -p")),
        (["experiment", "run", "mnist-table", "-o", "nowhere/pages"], ("nowhere", "mkdir -p")),
        (["rd-curve", "run", "-o", "nowhere/curve"], ("nowhere", "mkdir -p")),
    ],
    ids=lambda value: value[0] if value[0].islower() else "",
)
def test_places_of_output_are_checked_before_any_work(argv, words, here, capsys, monkeypatch):
    monkeypatch.setattr("tfvae.runtime.environment.import_tensorflow", lambda: pytest.fail("work was begun"))
    assert main(argv) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(word in line for word in words) and list(here.iterdir()) == [], line


# --- slow: one model as a run, as a SavedModel and as an entry of a new zoo ----------------------------------------


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A folder with the same model under all of `NAMES`."""
    folder = tmp_path_factory.mktemp("models")
    run = trainer.train(run_dir=str(folder / "run"), root=str(folder / "runs"), objective="geco:kappa=2", **TINY)
    tfvae.export(run, folder / "models" / "digits")
    (folder / "zoo").mkdir()
    add_entry(folder / "zoo", "digits-geco-mlp", run.path)
    return folder


@pytest.fixture
def models(root, here, monkeypatch):
    """The models in the current folder; nothing may be written into the published ones."""
    for name in ("run", "models", "zoo"):
        (here / name).symlink_to(root / name)
    monkeypatch.setenv("TFVAE_ZOO", str(root / "zoo"))
    yield
    for folder in (root / "zoo" / "digits-geco-mlp", root / "models" / "digits" / "1"):
        files.verify_folder(folder)


@pytest.mark.slow
def test_measurements_of_one_model_by_its_names(models, capsys):
    """The data set is that of the model, and its weights are the same bits; Python takes the names, too."""
    flags = ("--json", "--samples", "2", "--limit", "20")
    metrics = [read_json_output(capsys, "evaluate", name, *flags) for name in NAMES]
    metrics += [tfvae.evaluate(name, samples=2, limit=20) for name in NAMES[1::2]]
    for key in ("elbo", "nll", "rate", "sq_err", "images"):
        assert {one[key] for one in metrics} == {metrics[0][key]}
    rows = read_json_output(capsys, "compare", *NAMES[:4:3], NAMES[1], *flags, "-o", "comparison")["runs"]
    rows += tfvae.compare([NAMES[3]], samples=2, limit=20)
    assert {row["elbo"] for row in rows} == {metrics[0]["elbo"]} and len(rows) == 4


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_pictures_export_and_second_stage_take_every_model(name, models):
    draw_with_every_verb(name)
    assert main(["export", name, "again"]) == 0
    assert main(["second-stage", name, "--prior", "mixture:components=2", "--run-dir", "second"]) == 0
    again = tfvae.load("again").decode(CODES)
    np.testing.assert_allclose(again, tfvae.load("run").decode(CODES), atol=1e-6)
    np.testing.assert_allclose(tfvae.load("second").decode(CODES), again, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("manifest", SHIPPED, ids=lambda path: path.parent.name)
def test_a_shipped_savedmodel_is_the_live_model_of_its_entry(manifest):
    """Weights that training moves are the same bits, whether they come from the entry or from its SavedModel."""
    entry, exported = trainer.load_run(manifest.parent), trainer.load_run(manifest.parent / "saved_model")
    for ours, theirs in zip(entry.trainable_variables, exported.trainable_variables, strict=True):
        np.testing.assert_array_equal(ours, theirs)
