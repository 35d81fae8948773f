"""Runs on disk: what is in the folder, and that interrupting or damaging one loses nothing."""

import csv
import json
import os

import numpy as np
import pytest

import tfvae
from tfvae.errors import DataError, DivergedError, IntegrityError, StorageError, UsageError
from tfvae.evaluation import evaluate
from tfvae.reports.run_figures import draw_run_figures
from tfvae.runtime import files
from tfvae.training import checkpoints, run_folder, trainer
from tfvae.training.training_state import TrainingState

SETTINGS = dict(objective="geco:kappa=1.5", dataset="digits", arch="mlp:widths=32,latent=4", epochs=4, limit=600)


def weights(path):
    """Every variable of the newest checkpoint, optimizer and multipliers too."""
    newest = sorted((path / "checkpoints").glob("step-*"))[-1]
    with np.load(newest / "state.npz") as stored:
        return {name: stored[name] for name in stored.files}


def without_clock(path):
    with open(path / "metrics.csv", newline="") as file:
        return [{name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run."""
    root = tmp_path_factory.mktemp("whole")
    return trainer.train(run_dir=str(root / "run"), root=str(root), **SETTINGS)


def stop_after(blocks):
    """A `stop` that says so after this many blocks of steps."""
    left = iter(range(blocks))
    return lambda: next(left, None) is None


def same(a, b):
    """Two runs' states agree to the bit."""
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_the_folder_is_as_documented(whole):
    assert {p.name for p in whole.path.iterdir()} == {
        *(".lock", "config.json", "env.json", "metrics.csv", "STATUS", "checkpoints", "plots", "samples")
    }
    assert whole.status == "finished"
    header = (whole.path / "metrics.csv").read_text().splitlines()[0].split(",")
    assert header[:8] == "epoch step seconds loss elbo rate distortion sq_err".split()
    assert header[8:11] == ["lambda", "constraint", "constraint_ma"]
    assert {"val_loss", "val_elbo", "val_rate", "val_distortion", "val_sq_err"} <= set(header)
    rows = whole.rows
    assert [row["epoch"] for row in rows] == [1, 2, 3, 4]
    for row in rows:
        assert row["elbo"] == pytest.approx(-row["rate"] - row["distortion"], rel=1e-5)
        assert row["constraint"] == pytest.approx(row["sq_err"] - 1.5**2, abs=1e-4)
    assert os.readlink(whole.path.parent / "latest") == "run"
    assert tfvae.Config.from_dict(json.loads((whole.path / "config.json").read_text())) == whole.config


@pytest.mark.parametrize(
    "blocks", [pytest.param(1, marks=pytest.mark.slow), 6, pytest.param(10, marks=pytest.mark.slow)]
)
def test_a_stopped_run_resumes_to_the_same_bits(whole, tmp_path, blocks):
    """Stopped within epochs 1, 2 and 3, and twice: weights, optimizer, multipliers and metrics.csv are equal."""
    run = trainer.train(run_dir=str(tmp_path / "run"), root=str(tmp_path), stop=stop_after(blocks), **SETTINGS)
    assert run.status == "stopped"
    run = trainer.resume(run.path, stop=stop_after(2))
    run = trainer.resume(run.path)
    assert run.status == "finished"
    assert same(weights(run.path), weights(whole.path))
    assert without_clock(run.path) == without_clock(whole.path)


@pytest.mark.slow
def test_more_epochs_continue_a_finished_run(tmp_path):
    """As if the run had been that long: but for the default controller, which aims at another end then."""
    settings = SETTINGS | {"objective": "geco:kappa=1.5,controller=pi"}
    short, whole = (
        trainer.train(run_dir=str(tmp_path / str(epochs)), root=str(tmp_path), **settings | {"epochs": epochs})
        for epochs in (2, 4)
    )
    assert same(weights(trainer.resume(short.path, epochs=4).path), weights(whole.path))


def test_a_damaged_checkpoint_is_passed_over(whole, tmp_path):
    """Flipped bit, truncation, missing file: found before a tensor is used; all damaged is an error."""
    model = tfvae.load(whole.path)
    root = tmp_path / "checkpoints"
    checkpoints.save_checkpoint(root, model, TrainingState(epoch=1))
    model.step.assign_add(1)
    newest = checkpoints.save_checkpoint(root, model, TrainingState(epoch=2))
    said = []
    assert checkpoints.restore_newest_checkpoint(root, model, said.append).epoch == 2 and not said
    data = bytearray((newest / "state.npz").read_bytes())
    data[len(data) // 2] ^= 1
    (newest / "state.npz").write_bytes(data)
    assert checkpoints.restore_newest_checkpoint(root, model, said.append).epoch == 1
    assert len(said) == 1 and newest.name in said[0]
    oldest = sorted(root.glob("step-*"))[0]
    (oldest / "position.json").unlink()
    with pytest.raises(IntegrityError, match="all damaged"):
        checkpoints.restore_newest_checkpoint(root, model, said.append)


def test_a_failed_write_leaves_the_last_checkpoint(whole, tmp_path, monkeypatch):
    """A full disk at any write: one sentence, no half-written folder, the old checkpoint intact."""
    model = tfvae.load(whole.path)
    kept = checkpoints.save_checkpoint(tmp_path, model, TrainingState(epoch=1))
    model.step.assign_add(1)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        checkpoints.save_checkpoint(tmp_path, model, TrainingState(epoch=2))
    assert [p.name for p in tmp_path.iterdir()] == [kept.name]
    files.verify_folder(kept)


def test_nothing_is_written_for_what_cannot_train(tmp_path):
    place = dict(run_dir=str(tmp_path / "a" / "run"), root=str(tmp_path / "a"))
    for wrong, error in (
        ({"batch_size": 10_000}, UsageError),
        ({"objective": "geco:kappa=-1"}, UsageError),
        ({"objective": "geco:constraints=re<4"}, UsageError),
        ({"objective": "iwae:k=0"}, UsageError),
        ({"arch": "mlp:latent=0"}, UsageError),
        ({"likelihood": "gaussian:sigma=-1"}, UsageError),
        ({"dataset": "digitz"}, UsageError),
        ({"dataset": f"npz:{tmp_path / 'none.npz'}"}, DataError),
    ):
        with pytest.raises(error):
            trainer.train(**place, **(SETTINGS | wrong))
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_refused(whole):
    with pytest.raises(UsageError, match="tfvae resume"):
        trainer.train(run_dir=str(whole.path), root=str(whole.path.parent), **SETTINGS)
    assert whole.status == "finished"


def test_divergence_is_reported(tmp_path):
    """A learning rate of 1e30 throws the weights out of range: exit 6, STATUS failed, nothing non-finite on disk."""
    with pytest.raises(DivergedError, match="learning-rate"):
        trainer.train(
            run_dir=str(tmp_path / "run"), root=str(tmp_path), **(SETTINGS | {"learning_rate": 1e30, "batch_size": 8})
        )
    run = run_folder.open_run(tmp_path / "run")
    assert run.status == "failed" and DivergedError.exit_code == 6
    assert all(np.isfinite(list(row.values())).all() for row in run.rows)


def test_evaluate_agrees_with_training(whole):
    """On the training split, scores are those of the last epoch but for the weights' last steps and the noise."""
    found = evaluate(whole.path, split="train", samples=20)
    assert found["images"] == 600 and found["latent"] == 4 and 0 <= found["active_units"] <= 4
    assert found["sq_err"] == pytest.approx(whole.rows[-1]["sq_err"], rel=0.1)
    assert found["elbo"] == pytest.approx(-found["rate"] - found["distortion"], rel=1e-6)
    assert -found["nll"] >= found["elbo"]  # Jensen, for these very samples up to the closed form of the KL
    again = evaluate(whole.path, split="train", samples=20)
    assert {**again, "seconds": 0} == {**found, "seconds": 0}
    (row,) = found["constraints"]
    assert row["text"] == "re<=1.5" and row["met"] == (row["violation"] <= 0.0225)


@pytest.mark.slow
def test_pictures_of_every_kind_of_data(whole, tmp_path):
    drawn = draw_run_figures(whole)
    assert {p.name for p in drawn} >= {"curves.png", "geco.png", "samples.png", "reconstructions.png", "report.html"}
    run = trainer.train(objective="beta:beta=0.01", dataset="square", arch="mlp:widths=30-30,latent=1", epochs=1,
                     run_dir=str(tmp_path / "square"), root=str(tmp_path))  # fmt: skip
    assert "points.png" in {p.name for p in draw_run_figures(run)}
    assert evaluate(run.path, samples=2)["bits_per_dim"] is None  # points are not bytes
