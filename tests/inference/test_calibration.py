"""Conformal thresholds and p-values: counted by hand, and their guarantee on many draws."""

import json
import math
import os

import numpy as np
import pytest

import tfvae
from tfvae.datasets.image_inputs import wrap_arrays
from tfvae.errors import StorageError, UsageError
from tfvae.inference import calibration
from tfvae.inference.calibration import Calibration, compute_p_values, compute_threshold
from tfvae.inference.image_scores import MEASURED, ScoreSettings
from tfvae.runtime import files
from tfvae.training import trainer
from tfvae.training.run_data import load_run_split
from tfvae.training.run_folder import open_run
from tfvae.training.stored_calibration import CALIBRATION_FILE

SETTINGS = {
    "dataset": "digits",
    "limit": 64,
    "batch_size": 32,
    "arch": "mlp:widths=16,latent=3",
    "epochs": 1,
    "xla": "off",
}


@pytest.mark.parametrize(
    "count, false_alarms, rank",
    [(19, 0.05, 19), (99, 0.05, 95), (100, 0.05, 96), (999, 0.001, 999), (9, 0.3, 7), (5, 0.5, 3), (999, 0.1, 900)],
)
def test_the_threshold_is_the_rank_that_the_guarantee_needs(count, false_alarms, rank):
    """ceil((n + 1)(1 - alpha)) in whole numbers by hand; binary fractions would give one more for some."""
    scores = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert compute_threshold(scores, false_alarms) == rank


@pytest.mark.parametrize("count, false_alarms", [(18, 0.05), (98, 0.01), (1, 0.4)])
def test_too_few_images_give_no_threshold(count, false_alarms):
    assert compute_threshold(np.arange(float(count)), false_alarms) == math.inf


def test_p_values_against_a_slow_count_and_flags_against_them():
    """Ties included; a flag is p <= alpha, for every alpha on a grid that hits the steps of p exactly."""
    draw = np.random.default_rng(1)
    known, new = draw.integers(0, 15, 39).astype(float), draw.integers(-2, 18, 200).astype(float)
    found = compute_p_values(np.sort(known), new)
    np.testing.assert_array_equal(found, [(1 + sum(k >= s for k in known)) / 40 for s in new])
    for alpha in np.round(np.arange(1, 40) / 40, 3):
        np.testing.assert_array_equal(new > compute_threshold(known, alpha), found <= alpha + 1e-12)


@pytest.mark.parametrize("alpha", [0.01, 0.05, 0.1])
def test_the_rate_of_false_alarms_is_exact(alpha):
    """Without ties P(flag) is floor(alpha (n + 1)) / (n + 1): 4,000 draws; within 5 sd, a false alarm in 1e6."""
    draw, count, rounds = np.random.default_rng(2), 150, 4000
    scores = draw.exponential(size=(rounds, count + 1))
    hits = np.mean([row[-1] > compute_threshold(row[:-1], alpha) for row in scores])
    expected = math.floor(round(alpha * (count + 1), 9)) / (count + 1)
    assert abs(hits - expected) < 5 * math.sqrt(expected * (1 - expected) / rounds) and expected <= alpha


def test_typicality_is_ranked_among_images_that_had_no_part_in_the_mean():
    bounds = np.array([-10.0, -20.0, -30.0, -40.0, -50.0, -60.0])
    found = Calibration("some images", {"bound": bounds, "error": -bounds, "detail": -bounds})
    assert found.reference.mean_bound == -15.0  # of the first fifth, rounded up
    np.testing.assert_array_equal(found.select_scores("typicality"), [15, 25, 35, 45])
    np.testing.assert_array_equal(found.select_scores("bound"), -bounds)
    np.testing.assert_array_equal(found.select_scores("error"), -bounds)
    np.testing.assert_allclose(found.select_scores("excess"), np.zeros(4), atol=1e-9)  # error is detail everywhere


@pytest.mark.parametrize("share", [0, 1, -0.1, float("nan")])
def test_a_rate_that_is_none_is_refused(share):
    with pytest.raises(UsageError, match="false_alarms"):
        compute_threshold(np.arange(9.0), share)


def test_images_are_picked_from_all_inputs():
    """Numbers run on from one input to the next, also past one that is short, in any order."""
    images = np.arange(9, dtype=np.uint8).reshape(9, 1, 1, 1)
    inputs = [wrap_arrays(images[rows], None, (1, 1, 1), "") for rows in (np.s_[:4], np.s_[4:5], np.s_[5:])]
    picked = calibration.pick_images(inputs, np.array([8, 4, 0, 3, 5]))
    np.testing.assert_array_equal(picked.read(0, 5).ravel(), [8, 4, 0, 3, 5])
    np.testing.assert_array_equal(picked.read(1, 3).ravel(), [4, 0])
    assert picked.names == ["3", "0", "0", "3", "0"]


# --- where they are kept -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trainer.train(root=tmp_path_factory.mktemp("runs"), objective="elbo", **SETTINGS)


@pytest.fixture
def calls(monkeypatch):
    """The calls that measured images for a calibration; each gives other numbers, and computes nothing."""
    calls = []

    def measure(run, model, inputs, settings):
        calls.append((len(inputs[0].names), settings))
        return {name: np.random.default_rng(len(calls)).exponential(size=20) for name in MEASURED}

    monkeypatch.setattr(calibration, "measure_calibration", measure)
    return calls


def find(run, images=(), **settings):
    """Return the bounds of a calibration, as a new process would find it."""
    model = trainer.load_run(run)
    found = calibration.find_calibration(open_run(os.fspath(run)), model, ScoreSettings(**settings), images)
    return found.scores["bound"].tolist()


def test_a_run_keeps_its_calibration_until_something_differs(tmp_path, calls):
    run = trainer.train(root=tmp_path, objective="elbo", validation=0.25, **SETTINGS)
    first = find(run)
    assert (run.path / CALIBRATION_FILE).is_file()
    assert find(run) == first and len(calls) == 1
    assert calls[0][0] == len(load_run_split(run, "validation")[0])
    for number, settings in enumerate([{"samples": 3}, {"seed": 1}], start=2):
        changed = find(run, **settings)
        assert changed != first and find(run, **settings) == changed and len(calls) == number
    trainer.resume(run.path, epochs=2)
    trained = find(run, seed=1)
    assert len(calls) == 4 and find(run, seed=1) == trained
    torn = json.loads((run.path / CALIBRATION_FILE).read_text())
    torn["scores"]["error"].pop()
    for damage in ('{"version": "?"}', "[" * 9, json.dumps({"version": 1}), json.dumps(torn)):
        (run.path / CALIBRATION_FILE).write_text(damage)
        count = len(calls)
        find(run, seed=1)
        assert len(calls) == count + 1
    count = len(calls)
    assert find(run, ["digits"], seed=1) != find(run, seed=1)
    assert len(calls) == count + 1  # images that are given are measured, and not kept


def test_an_export_takes_it_along_and_others_use_the_cache(run, tmp_path, calls, monkeypatch):
    monkeypatch.setattr(files.platformdirs, "user_cache_dir", lambda name: str(tmp_path / "cache"))
    without = tfvae.export(run, tmp_path / "without")
    expected = find(run)
    within = tfvae.export(run, tmp_path / "within")
    before = {path: path.read_bytes() for path in [*within.rglob("*"), *without.rglob("*")] if path.is_file()}
    assert find(within) == expected and len(calls) == 1 and not files.cache_folder().exists()
    others = find(without)
    assert others != expected and find(without) == others and len(calls) == 2
    assert len(list((files.cache_folder() / "calibrations").glob("*.json"))) == 1
    assert before == {path: path.read_bytes() for path in [*within.rglob("*"), *without.rglob("*")] if path.is_file()}


def test_a_run_that_cannot_be_written_is_measured_each_time(run, calls, monkeypatch):
    def refuse(path, value):
        raise StorageError("Could not write.")

    monkeypatch.setattr(files, "write_json", refuse)
    assert find(run, samples=7) != find(run, samples=7) and len(calls) == 2


def test_a_single_image_is_no_calibration(run):
    with pytest.raises(UsageError, match="at least 2 images to calibrate on"):
        tfvae.score(run, "digits", calibrate=np.zeros((1, 8, 8, 1), np.uint8))
