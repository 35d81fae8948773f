"""Exports of runs: versions are whole or not there at all, never replaced, and damage is found before loading."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import DivergedError, IntegrityError, StorageError, UsageError
from tfvae.exporting import exporter, savedmodel
from tfvae.training import run_folder, trainer
from tfvae.zoo import load

SIGNATURES = {
    *("decode", "serving_default", "sample", "encode", "reconstruct", "elbo", "score"),
    *("decode_png", "sample_png"),
}


@pytest.fixture
def copy(run, tmp_path):
    """The same, to be damaged."""
    shutil.copytree(run, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def quick(version, monkeypatch):
    """Graphs are traced once: further exports of the same run take the files of the first one."""

    def copy_files(model, folder, name):
        shutil.copytree(version, folder, dirs_exist_ok=True)
        (folder / "manifest.json").unlink()
        return {
            key: value for key, value in json.loads((version / "manifest.json").read_text()).items() if key != "files"
        }

    monkeypatch.setattr(exporter, "write_model", copy_files)


def test_a_version_is_what_the_design_says(run, version):
    files = {str(path.relative_to(version)) for path in version.rglob("*") if path.is_file()}
    assert files == {
        *("saved_model.pb", "fingerprint.pb", "variables/variables.index", "variables/variables.data-00000-of-00001"),
        *("assets.extra/tf_serving_warmup_requests", "model_card.md", "manifest.json"),
    }
    manifest = json.loads((version / "manifest.json").read_text())
    assert set(manifest["files"]) == files - {"manifest.json"}
    assert manifest["versions"]["tensorflow"] == tf.__version__ and manifest["epoch"] == 3
    assert manifest["config"] == json.loads((run / "config.json").read_text())
    assert {"MatMul", "EncodePng"} <= manifest["ops"].keys() and set(manifest["signatures"]) == SIGNATURES
    assert version.name == "1" and (version.stat().st_mode & 0o777) == 0o755 & ~os.umask(os.umask(0o022))


def test_the_card_says_what_was_measured(run, version):
    """Its numbers are those of the last row of metrics.csv, and it names each signature, with the shapes."""
    card, row = (version / "model_card.md").read_text(), run_folder.open_run(run).rows[-1]
    for name in ("elbo", "rate", "distortion", "sq_err", "lambda", "val_elbo"):
        assert f"| `{name}` | {row[name]:.5g} |" in card
    for text in ("geco:kappa=1.5", "digits", "epoch 3", "likelihood `gaussian`", "n | `int32`", "4096"):
        assert text.replace("n | `int32`", "int32 []") in card
    assert all(f"| `{name}` | input |" in card for name in SIGNATURES)
    assert "{" not in card.replace("{", "", card.count("```python"))


def test_versions_count_up_and_are_never_replaced(run, quick, tmp_path):
    place = tmp_path / "m"
    (place / "not a version").mkdir(parents=True)
    assert [exporter.export_run(run, place).name for _ in range(2)] == ["1", "2"]
    assert exporter.export_run(run, place, 7) == place / "7" and exporter.export_run(run, place).name == "8"
    with pytest.raises(UsageError, match="exists"):
        exporter.export_run(run, place, 2)
    assert savedmodel.find_savedmodel(place) == place / "8"
    (place / "8" / "saved_model.pb").unlink()
    assert savedmodel.find_savedmodel(place) == place / "7"


def test_the_newest_intact_checkpoint_is_exported(copy, quick, tmp_path):
    newest = sorted((copy / "checkpoints").glob("step-*"))[-1]
    data = bytearray((newest / "state.npz").read_bytes())
    data[-100] ^= 1
    (newest / "state.npz").write_bytes(data)
    warnings = []
    folder = exporter.export_run(copy, tmp_path / "m", on_warning=warnings.append)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert len(warnings) == 1 and newest.name in warnings[0] and manifest["epoch"] == 2


def test_weights_that_are_not_finite_are_refused(run, tmp_path, monkeypatch):
    model = trainer.load_run(run)
    last = model.arch.trainable_variables[-1]
    last.assign(np.where(np.arange(last.shape[0]) == 3, np.nan, last.numpy()))
    monkeypatch.setattr(trainer, "load_run", lambda *_: model)
    with pytest.raises(DivergedError, match="finite weights"):
        exporter.export_run(run, tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_a_failure_anywhere_leaves_no_version(run, quick, tmp_path, monkeypatch):
    """The disk is full at the first, second, ... flush: nothing is left, not even beside, or all is there."""
    real, left = os.fsync, [0]

    def fsync(handle):
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")
        real(handle)

    model = trainer.load_run(run)
    monkeypatch.setattr(trainer, "load_run", lambda *_: model)
    monkeypatch.setattr(os, "fsync", fsync)
    failures = 0
    for left[0] in range(40):
        try:
            exporter.export_run(run, tmp_path / "m")
            break
        except StorageError:
            failures += 1
            if whole := list((tmp_path / "m").iterdir()):  # it was the flush after the rename
                savedmodel.verify_savedmodel(*whole)
                break
    assert failures >= 10  # seven files, three folders
    monkeypatch.setattr(os, "fsync", real)
    monkeypatch.setattr(exporter, "write_model", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        exporter.export_run(run, tmp_path / "n")
    assert list((tmp_path / "n").iterdir()) == []


@pytest.mark.slow
def test_killed_half_way_there_is_no_version(run, tmp_path):
    """kill -9 when all files are there but the rename: what is left has no name that a server would take."""
    code = (
        "import os; from tfvae.runtime.environment import import_tensorflow; import_tensorflow();"
        "from tfvae.exporting import exporter; from tfvae.runtime import files;"
        "files.sync_folder = lambda path: os.kill(os.getpid(), 9);"
        f"exporter.export_run({str(run)!r}, {str(tmp_path / 'm')!r})"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == -9
    (left,) = (tmp_path / "m").iterdir()
    assert (left / "saved_model.pb").exists() and not left.name.isdigit() and left.name.startswith(".")
    assert savedmodel.list_versions(tmp_path / "m") == {} and savedmodel.find_savedmodel(tmp_path / "m") is None
    assert exporter.export_run(run, tmp_path / "m").name == "1"


@pytest.mark.parametrize("damage", ["flip", "swap", "missing", "added", "manifest", "shorter", "climb"])
def test_damage_is_found_before_it_is_loaded(damage, version, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "1"
    shutil.copytree(version, folder)
    weights, graph = folder / "variables" / "variables.data-00000-of-00001", folder / "saved_model.pb"
    if damage == "flip":
        data = bytearray(weights.read_bytes())
        data[len(data) // 2] ^= 1
        weights.write_bytes(data)
    elif damage == "swap":
        shutil.copy(folder / "fingerprint.pb", folder / "model_card.md")
    elif damage == "missing":
        (folder / "variables" / "variables.index").unlink()
    elif damage == "added":
        (folder / "saved_model.pbtxt").write_text("")
    elif damage == "manifest":
        (folder / "manifest.json").write_text('{"files": {"saved_model.pb": 3}}')
    elif damage == "shorter":
        graph.write_bytes(graph.read_bytes()[:-1])
    else:
        (folder / "manifest.json").write_text('{"files": {"../x": {"sha256": "", "bytes": 0}}}')
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("TensorFlow saw it"))
    with pytest.raises(IntegrityError, match="only files that" if damage == "added" else "--trust"):
        load.load(folder)
    assert not savedmodel.describe_savedmodel(folder)["trusted"] if damage != "shorter" else True
    assert main(["sample", str(folder)]) == 4
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_command_line(run, tmp_path, monkeypatch, capsys):
    """Export, inspect, sample: the picture from the SavedModel is that from the run, byte for byte."""
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run), "models/m"]) == 0
    assert capsys.readouterr().out.splitlines()[0] == "models/m/1"
    assert main(["inspect", "models/m"]) == 0
    assert "-> image float32 [free, 8, 8, 1]" in capsys.readouterr().out
    for place, name in ((str(run), "a.png"), ("models/m", "b.png"), ("models/m/1", "c.png")):
        assert main(["sample", place, "-n", "9", "--seed", "1", "--temperature", "0.5", "-o", name]) == 0
    a, b, c = (pathlib.Path(name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b == c
    capsys.readouterr()
    for argv, code, text in (
        (["export", str(run), "models/m", "--version", "1"], 2, "exists"),
        (["export", str(run), "models/m", "--version", "0"], 2, ">= 1"),
        (["export", "nothing", "models/m"], 2, "run folder"),
        (["export", str(run), "a.png"], 2, "a file"),
        (["export", str(run), "x", "--format", "onnx", "--version", "2"], 2, "only for a SavedModel"),
        (["export", str(run), "x", "--format", "onxn"], 2, "'onnx'"),
        (["sample", "nothing"], 2, "SavedModel"),
        (["inspect", "."], 2, "SavedModel"),
        (["inspect", str(run)], 0, ""),
    ):
        assert main(argv) == code
        assert text in capsys.readouterr().err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.png", "c.png", "models"]


def test_run_and_saved_model_load_alike(run, version):
    """One call for both; encode takes bytes or floats; reconstruct is from the mean."""
    model, loaded = tfvae.load(run), tfvae.load(version.parent)
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1)).astype(np.uint8)
    np.testing.assert_allclose(loaded.sample(5, 3, 0.5), model.sample(5, 3, 0.5), atol=1e-6)
    np.testing.assert_allclose(loaded.encode(x), model.encode(tf.constant(x)), atol=1e-5)
    np.testing.assert_allclose(loaded.encode(x / 255.0), loaded.encode(x), atol=1e-6)
    np.testing.assert_allclose(loaded.reconstruct(x), model.decode(model.encode(tf.constant(x))[0]), atol=1e-6)
    assert (loaded.image_shape, loaded.latent) == (model.image_shape, model.arch.latent)
