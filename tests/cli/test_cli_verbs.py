"""The verbs at work: a run from its first step to its pictures, stopped, resumed, measured, looked at."""

import csv
import errno
import json
import os
import pathlib
import signal

import numpy as np
import pytest
from PIL import Image

import tfvae
from tfvae.cli.command_line import main
from tfvae.config import Config
from tfvae.runtime import tables
from tfvae.runtime.progress_reporters import PlainReporter

TINY = ["--dataset", "digits", "--arch", "mlp:widths=16,latent=4", "--batch-size", "64"]
TRAIN = ["train", "geco", *TINY]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of two epochs."""
    root = tmp_path_factory.mktemp("trained") / "runs"
    assert main(["train", "geco", "--kappa", "2", "--epochs", "2", "--root", str(root), *TINY]) == 0
    return (root / "latest").resolve()


def rows_of(run):
    """metrics.csv as a list of dicts."""
    with open(run / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_disk_full_later_leaves_previous_files_whole(here, capsys, monkeypatch):
    saved = main([*TRAIN, "--epochs", "1", "--run-dir", "run", "--xla", "off"])
    before = {path: path.read_bytes() for path in (here / "run" / "checkpoints").rglob("*") if path.is_file()}
    rows = (here / "run" / "metrics.csv").read_bytes()
    calls, real = [], os.fsync

    def fsync(handle):
        calls.append(handle)
        if len(calls) > 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    capsys.readouterr()
    assert saved == 0 and main(["resume", "run", "--epochs", "2"]) == 7
    out, err = capsys.readouterr()
    assert "No space left on device" in err.splitlines()[-1] and "Traceback" not in err
    assert {path: path.read_bytes() for path in before} == before
    assert (here / "run" / "metrics.csv").read_bytes() == rows


def test_bernoulli_on_grey_says_what_it_does(here, capsys):
    argv = ["train", "elbo", "--likelihood", "bernoulli", "--epochs", "1", "--limit", "100", "--xla", "off", *TINY]
    assert main(argv) == 0
    assert "treats grey levels as probabilities" in capsys.readouterr().err


@pytest.mark.parametrize(
    "number, code", [pytest.param(signal.SIGINT, 130, marks=pytest.mark.slow), (signal.SIGTERM, 143)]
)
def test_signals_save_and_stop(number, code, here, capsys, monkeypatch):
    handler = signal.getsignal(number)
    with monkeypatch.context() as patch:
        patch.setattr(PlainReporter, "epoch", lambda *row: os.kill(os.getpid(), number))
        assert main([*TRAIN, "--epochs", "3", "--run-dir", "run", "--limit", "200", "--xla", "off"]) == code
    assert signal.getsignal(number) == handler
    assert (here / "run" / "STATUS").read_text() == "stopped\n"
    assert "tfvae resume run" in capsys.readouterr().out
    assert [row["epoch"] for row in rows_of(here / "run")] == ["1"]


def test_resume_goes_on_to_more_epochs(here, capsys):
    assert main([*TRAIN, "--epochs", "1", "--run-dir", "run", "--limit", "200", "--xla", "off"]) == 0
    assert main(["resume", "run", "--epochs", "3"]) == 0
    assert capsys.readouterr().out.count("run: run\n") == 2
    assert (here / "run" / "STATUS").read_text() == "finished\n"
    assert [row["epoch"] for row in rows_of(here / "run")] == ["1", "2", "3"]


def test_a_run_folder_is_what_the_design_says(trained):
    assert {path.name for path in trained.iterdir() if not path.name.startswith(".")} == {
        "config.json", "env.json", "metrics.csv", "STATUS", "plots", "samples", "checkpoints", "report.html"
    }  # fmt: skip
    assert trained.parent.parts[-2:] == ("digits", "geco")
    rows = rows_of(trained)
    names = "epoch step seconds loss elbo rate distortion sq_err".split()
    assert list(rows[0])[:8] == names and {"lambda", "constraint", "constraint_ma", "val_elbo"} <= set(rows[0])
    assert len(rows) == 2 and (trained / "STATUS").read_text() == "finished\n"
    assert Config.from_dict(json.loads((trained / "config.json").read_text())).objective == "geco:kappa=2"
    for picture in ("plots/curves.png", "plots/geco.png", "samples/reconstructions.png", "samples/samples.png",
                    "samples/traversals.png"):  # fmt: skip
        Image.open(trained / picture).verify()


def test_evaluate_prints_one_json_object(trained, capsys):
    assert main(["evaluate", str(trained), "--json", "--samples", "3", "--limit", "20"]) == 0
    out, err = capsys.readouterr()
    found = json.loads(out)
    assert err == "" and found["images"] == 20 and found["samples"] == 3
    keys = {"elbo", "nll", "bits_per_dim", "rate", "distortion", "sq_err", "active_units", "constraints"}
    assert keys <= set(found)
    assert found["constraints"][0]["met"] == (found["constraints"][0]["violation"] <= 0.01 * 4.0)


def test_numbers_that_json_does_not_know_become_null():
    found = tables.to_json_value(
        {"a": np.float32("nan"), "b": [float("inf"), np.int64(3)], "c": np.bool_(True), "d": "x"}
    )
    assert json.dumps(found, allow_nan=False) == '{"a": null, "b": [null, 3], "c": true, "d": "x"}'


@pytest.mark.parametrize("argv", [["sample", "-n", "9", "--seed", "1"], ["reconstruct", "-n", "5"],
                                  ["reconstruct", "--images", "own"], ["traverse", "--dims", "3"],
                                  ["interpolate", "--rows", "2", "--steps", "4"],
                                  ["interpolate", "--images", "own/a.png", "own/b.jpg"]], ids=" ".join)  # fmt: skip
def test_pictures_of_a_run(argv, trained, here, capsys):
    for name in ("own", "out"):
        (here / name).mkdir()
    for name, size in (("a.png", (30, 20)), ("b.jpg", (8, 8))):
        Image.new("RGB", size, (200, 100, 50)).save(here / "own" / name)
    assert main([argv[0], str(trained), *argv[1:], "-o", "out/grid.png"]) == 0
    assert capsys.readouterr().out == "out/grid.png\n"
    Image.open("out/grid.png").verify()


def test_pictures_repeat_with_their_seed(trained, here, capsys):
    for name, seed in (("a.png", "1"), ("b.png", "1"), ("c.png", "2")):
        assert main(["sample", str(trained), "-n", "4", "--seed", seed, "-o", name]) == 0
    a, b, c = ((here / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c
    fails_with = main(["reconstruct", str(trained), "--images", "missing.png"])
    assert fails_with == 3


def test_samples_in_a_picture_each(trained, here, capsys):
    """They are those of the grid, in its order."""
    sampling = ["sample", str(trained), "-n", "3", "--seed", "1"]
    assert main([*sampling, "--separate", "each"]) == main([*sampling, "--separate", "all.npz"]) == 0
    with np.load("all.npz") as arrays:
        images = arrays["images"]
    assert sorted(path.name for path in pathlib.Path("each").glob("*.png")) == [
        "000000.png",
        "000001.png",
        "000002.png",
    ]
    for number in range(3):
        pixels = np.asarray(Image.open(f"each/00000{number}.png"), np.float32)
        np.testing.assert_allclose(pixels / 255, images[number, ..., 0], atol=0.51 / 255)
    capsys.readouterr()
    assert main([*sampling, "--separate", "more", "-o", "grid.png"]) == 2
    assert "Received: both" in capsys.readouterr().err and not pathlib.Path("more").exists()
    assert main(["interpolate", str(trained), "--images", "each/000000.png"]) == 2
    assert "at least 2 images" in capsys.readouterr().err


def test_reconstructions_in_a_picture_each(trained, here, capsys):
    """They are named after their sources, and equal what the .npz holds; the model tells a dark image from a bright."""
    for name, grey in (("a/x.png", 0), ("b/X.jpg", 255), ("b/y.png", 90)):
        (here / name).parent.mkdir(exist_ok=True)
        Image.new("L", (30, 20), grey).save(here / name)
    verb = ["reconstruct", str(trained), "--images", "a", "b"]
    assert main([*verb, "-o", "each"]) == main([*verb, "-o", "all.npz"]) == 0
    assert capsys.readouterr().out == "each\nall.npz\n"
    with np.load("all.npz") as arrays:
        images = arrays["images"]
    assert {path.stem for path in pathlib.Path("each").glob("*.png")} == {"x", "X-2", "y"}
    for name, image in zip(("x", "X-2", "y"), images, strict=True):
        pixels = np.asarray(Image.open(f"each/{name}.png"), np.float32)
        np.testing.assert_allclose(pixels / 255, image[..., 0], atol=0.51 / 255)
    assert np.abs(images[0] - images[1]).max() > 2 / 255
    model = tfvae.load(trained)
    x = model.prepare_pixels(np.stack([np.full((8, 8, 1), grey, np.uint8) for grey in (0, 255, 90)]), (0, 0))
    np.testing.assert_allclose(images, model.reconstruct(x, (0, 1)), atol=1e-6)  # the draws of the sheet
    assert main(["reconstruct", str(trained), "-n", "2", "-o", "own"]) == 0
    assert {path.name for path in pathlib.Path("own").glob("*.png")} == {"000000.png", "000001.png"}


@pytest.mark.parametrize("name", ["own", "new/own", "own.jpg"])
def test_reconstructions_are_refused_where_they_cannot_go(name, trained, here, capsys):
    (here / "own").mkdir()
    before = everything(here)
    assert main(["reconstruct", str(trained), "-o", name]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and everything(here) == before


@pytest.mark.parametrize("argv", [["interpolate", "--rows", "2"], ["traverse", "--dims", "2"]], ids=" ".join)
def test_animations_have_a_frame_for_each_step(argv, trained, here, capsys):
    assert main([argv[0], str(trained), *argv[1:], "--steps", "5", "-o", "a.gif"]) == 0
    with Image.open("a.gif") as picture:
        assert 2 <= picture.n_frames <= 5  # Pillow merges frames that are alike


def test_runs_and_doctor_look_without_touching(trained, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")  # a row stays one line
    before = everything(trained)
    assert main(["runs", "--root", str(trained.parents[2])]) == 0
    out = capsys.readouterr().out.splitlines()
    assert (
        len(out) == 3
        and "training split" in out[2]
        and "finished" in out[1]
        and "geco:kappa=2" in out[1]
        and "2/2" in out[1]
    )
    assert main(["runs", "show", str(trained)]) == 0
    assert "learning_rate" in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["xla"] == "ok" and "digits" not in report["data_found"]
    assert {"python", "tensorflow", "keras", "devices", "disk_free_gb", "threads"} <= set(report)
    assert everything(trained) == before
