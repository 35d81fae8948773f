"""`score`: what is measured against NumPy, files against the function, labels, the sheet and mistakes."""

import csv
import errno
import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image
from scipy import stats

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import DataError, UsageError
from tfvae.inference import image_scores, score_files, scores
from tfvae.training import trainer
from tfvae.training.stored_calibration import CALIBRATION_FILE

SIGMA = 0.2
SETTINGS = {"dataset": "digits", "epochs": 2, "limit": 64, "batch_size": 32, "arch": "mlp:widths=16,latent=3"}
SETTINGS |= {"xla": "off"}  # compiling takes longer than the rest


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    settings = SETTINGS | {"epochs": 60, "learning_rate": 0.01}  # so that it tells digits from their negatives
    return trainer.train(root=root, objective="elbo", likelihood=f"gaussian:sigma={SIGMA}", **settings)


@pytest.fixture(scope="module")
def digits():
    return tfvae.datasets.load("digits", "test", limit=60)


@pytest.fixture
def pictures(tmp_path, digits):
    """Sixteen digits as PNG files in folders named normal and anomalous."""
    for number, pixels in enumerate(digits[0][:16]):
        folder = tmp_path / "pictures" / ("anomalous" if number % 4 == 0 else "normal")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(folder / f"{number:02d}.png")
    return tmp_path / "pictures"


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def compute_log_weights(run, images, draws, seed):
    """Return log p(x|z), and log p(x|z) + log p(z) - log q(z|x), [N, draws], in float64, by SciPy's densities."""
    codes = tfvae.encode(run, images, draws=draws, seed=seed)
    z = codes.draws.astype(np.float64)
    pictures = tfvae.decode(run, codes.draws.reshape(-1, 3)).reshape(len(images), draws, -1).astype(np.float64)
    log_px = stats.norm.logpdf(images.reshape(len(images), 1, -1) / 255, pictures, SIGMA).sum(-1)
    log_pz = stats.norm.logpdf(z).sum(-1)
    log_qz = stats.norm.logpdf(z, codes.mean[:, None], codes.stddev[:, None]).sum(-1)
    return log_px, log_px + log_pz - log_qz


def test_what_is_measured_against_numpy(run, digits, monkeypatch):
    """Error and rate in closed form; ELBO and bound from other draws of z, within 5 standard errors, 1e-5 of alarms.

    The bound of K draws is averaged over 40 groups of K.
    """
    monkeypatch.setattr(image_scores, "IMAGES_PER_BATCH", 7)
    images, samples, groups = digits[0][:20], 50, 40
    found = tfvae.score(run, images, samples=samples).kinds
    codes = tfvae.encode(run, images)
    mean, stddev = codes.mean.astype(np.float64), codes.stddev.astype(np.float64)
    squares = (images / 255 - tfvae.decode(run, codes.mean)) ** 2
    np.testing.assert_allclose(found["error"], squares.sum((1, 2, 3)), rtol=1e-4)
    rate = 0.5 * np.sum(mean**2 + stddev**2 - 2 * np.log(stddev) - 1, axis=1)
    np.testing.assert_allclose(found["rate"], rate, rtol=1e-4)
    log_px, log_w = compute_log_weights(run, images, samples * groups, seed=5)
    sd = log_px.std(1) / np.sqrt(samples)
    assert np.all(np.abs(found["elbo"] - (log_px.mean(1) - rate)) < 5 * sd * np.sqrt(1 + 1 / groups) + 1e-3)
    bounds = np.logaddexp.reduce(log_w.reshape(20, groups, samples), axis=2) - np.log(samples)
    assert np.all(np.abs(found["bound"] - bounds.mean(1)) < 5 * bounds.std(1) * np.sqrt(1 + 1 / groups) + 1e-3)


def test_scores_point_upwards_and_are_ranked(run, digits):
    """Each kind, with its p-values counted from what is stored; negatives are anomalous."""
    stored = None
    for by in scores.KINDS:
        found = tfvae.score(run, digits[0], by=by, samples=2, false_alarms=0.1)
        stored = json.loads((run.path / CALIBRATION_FILE).read_text())["scores"]
        known = {name: np.array(values) for name, values in stored.items()}
        first = -(-len(known["bound"]) // 5)
        known["typicality"] = np.abs(known["bound"] - known["bound"][:first].mean())[first:]
        typicality = np.abs(found.kinds["bound"] - known["bound"][:first].mean())
        np.testing.assert_allclose(found.kinds["typicality"], typicality, rtol=1e-12)
        x, y = np.log(known["detail"] + 1e-3), np.log(known["error"] + 1e-3)
        line = stats.linregress(x[:first], y[:first])
        known["excess"] = (y - line.intercept - line.slope * x)[first:]
        detail = [sum(abs(np.diff(image, axis=n)).sum() for n in (0, 1)) for image in digits[0][..., 0] / 255]
        excess = np.log(found.kinds["error"] + 1e-3) - line.intercept - line.slope * np.log(np.array(detail) + 1e-3)
        np.testing.assert_allclose(found.kinds["excess"], excess, atol=1e-5)
        sign = -1 if by in ("elbo", "bound") else 1
        np.testing.assert_array_equal(found.scores, sign * found.kinds[by])
        counts = [np.sum(sign * known[by] >= score - 1e-12) for score in found.scores]
        np.testing.assert_allclose(found.p_values, (1 + np.array(counts)) / (1 + len(known[by])), rtol=1e-12)
        np.testing.assert_array_equal(found.flags, found.p_values <= 0.1)
    for by in ("error", "elbo", "bound"):
        assert tfvae.score(run, 255 - digits[0][:20], by=by, samples=2).flags.mean() > 0.9


def test_the_same_call_gives_the_same_and_other_seeds_others(run, digits):
    first, again, other = (tfvae.score(run, digits[0][:9], samples=2, seed=seed).kinds["bound"] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
def test_files_hold_what_the_function_returns(run, pictures, suffix, capsys):
    path = pictures.parent / f"scores{suffix}"
    assert main(["score", str(run.path), str(pictures), "-o", str(path), "--samples", "2", "--by", "bound"]) == 0
    lines = capsys.readouterr().out.splitlines()
    found = tfvae.score(run, str(pictures), samples=2, by="bound")
    assert lines[0].startswith(f"{path}  16 images, {found.flags.sum()} flagged: -bound above")
    table = read_csv(path) if suffix == ".csv" else dict(np.load(path))
    columns = list(table[0]) if suffix == ".csv" else list(table)
    first = "file" if suffix == ".csv" else "names"
    assert columns == [first, "flag", "score", "p_value", *scores.KINDS]
    column = {name: [row[name] for row in table] for name in columns} if suffix == ".csv" else table
    assert list(column[first]) == found.names
    expected = found.kinds | {"score": found.scores, "p_value": found.p_values, "flag": found.flags}
    for name, values in expected.items():
        np.testing.assert_allclose(np.array(column[name], float), values, rtol=1e-7)


def test_json_has_these_words_and_no_others(run, pictures, tmp_path, monkeypatch, capsys):
    """Numbers of images of data sets, paths of pictures; nothing is written; no threshold is null."""
    monkeypatch.chdir(tmp_path)
    assert main(["score", str(run.path), "digits", "--limit", "3", "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    found = tfvae.score(run, "digits", limit=3)
    rows = zip(range(3), found.scores.tolist(), found.p_values.tolist(), found.flags.tolist())
    rows = [dict(zip(("file", "score", "p_value", "flag"), row)) for row in rows]
    assert answer == {"threshold": found.threshold, "scores": rows}
    assert main(["score", str(run.path), str(pictures / "normal" / "01.png"), "--json", "--false-alarms", "1e-6"]) == 0
    out, err = capsys.readouterr()
    answer = json.loads(out)
    assert answer["threshold"] is None and answer["scores"][0]["file"].endswith("01.png")
    assert not answer["scores"][0]["flag"] and "nothing can be flagged" in err
    assert list(tmp_path.iterdir()) == [pictures]


def test_known_anomalies_are_measured(run, pictures, digits, tmp_path, monkeypatch, capsys):
    """By folders, by a file beside with paths or numbers, by classes: SciPy's Mann-Whitney of the same scores."""
    monkeypatch.chdir(tmp_path)
    found = tfvae.score(run, "pictures")
    truth = np.array(["/anomalous/" in name for name in found.names])
    expected = stats.mannwhitneyu(found.scores[truth], found.scores[~truth]).statistic / (truth.sum() * (~truth).sum())
    pathlib.Path("labels.csv").write_text(
        "file,label\n" + "".join(f"{name},{'Anomalous' if bad else 0}\n" for name, bad in zip(found.names, truth))
    )
    for words in ([], ["--labels", "labels.csv"]):
        assert main(["score", str(run.path), "pictures", *words]) == 0
        assert f"AUROC {expected:.4f} (" in capsys.readouterr().out
    images, labels = digits
    found, truth = tfvae.score(run, images), ~np.isin(labels, [0, 3])
    expected = stats.mannwhitneyu(found.scores[truth], found.scores[~truth]).statistic / (truth.sum() * (~truth).sum())
    assert main(["score", str(run.path), "digits", "--limit", "60", "--normal", "0,3"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert f"AUROC {expected:.4f} (" in line and f"({np.sum(~truth):,} and {np.sum(truth):,})" in line
    assert f"flagged {found.flags[~truth].mean():.2%} of normal" in line
    pathlib.Path("numbers.csv").write_text("label,file\n" + "".join(f"{int(t)},{n}\n" for n, t in enumerate(truth)))
    assert main(["score", str(run.path), "digits", "--limit", "60", "--labels", "numbers.csv"]) == 0
    assert f"AUROC {expected:.4f} (" in capsys.readouterr().out


def test_the_sheet_shows_the_extremes(run, digits, tmp_path):
    """Kept in batches, they are those of a sort of all, each beside its own map."""
    model = trainer.load_run(run)
    inputs = scores.open_inputs(run, digits[0], "test", 0)
    extremes, parts = score_files.ExtremeImages(count=4), []
    for part in image_scores.iterate_scores(run, model, inputs, image_scores.ScoreSettings(), scores.SeedWord.SCORES):
        for start in range(0, len(part.names), 7):
            rows = slice(start, start + 7)
            few = part._replace(images=part.images[rows], maps=part.maps[rows])
            extremes.add(few, part.kinds["error"][rows])
        parts.append(part)
    errors = np.concatenate([part.kinds["error"] for part in parts])
    for end, order in zip(extremes._ends, (np.argsort(-errors), np.argsort(errors))):
        np.testing.assert_array_equal(end[0], errors[order[:4]])
        np.testing.assert_allclose(end[1], digits[0][order[:4]] / 255, atol=1e-6)
        np.testing.assert_allclose(end[2].sum((1, 2)), errors[order[:4]], rtol=1e-5)
    with Image.open(extremes.draw(tmp_path / "sheet.png")) as sheet:
        assert sheet.mode == "RGB"


@pytest.mark.slow
def test_conditions(tmp_path, digits):
    """No label is told, for an anomaly has none; of a range the middle is taken, or what is asked for."""
    run = trainer.train(root=tmp_path, objective="elbo", condition="labels", **SETTINGS)
    named, bare = tfvae.score(run, "digits", limit=9), tfvae.score(run, digits[0][:9])
    np.testing.assert_array_equal(named.kinds["elbo"], bare.kinds["elbo"])
    run = trainer.train(root=tmp_path, objective="beta", condition="beta:0.1-10", **SETTINGS)
    middle, asked, low = (tfvae.score(run, digits[0][:9], condition=beta) for beta in (None, 1.0, 0.1))
    np.testing.assert_allclose(middle.kinds["elbo"], asked.kinds["elbo"], rtol=1e-5)
    assert np.abs(low.kinds["rate"] - middle.kinds["rate"]).min() > 1e-6
    with pytest.raises(UsageError, match=r"in \[0.1, 10\]"):
        tfvae.score(run, digits[0][:9], condition=11.0)


@pytest.mark.slow
@pytest.mark.parametrize("binarize", ["static", "dynamic"])
def test_grey_pictures_are_binarised_as_in_training(tmp_path, digits, binarize):
    """Floats as the bytes that they stand for; what is scored is zeros and ones."""
    run = trainer.train(root=tmp_path, objective="elbo", binarize=binarize, **SETTINGS)
    found, floats = (tfvae.score(run, images[:9]) for images in (digits[0], digits[0] / np.float32(255)))
    np.testing.assert_array_equal(found.kinds["elbo"], floats.kinds["elbo"])
    settings, inputs = image_scores.ScoreSettings(), scores.open_inputs(run, digits[0], "test", 0)
    (part,) = image_scores.iterate_scores(run, trainer.load_run(run), inputs, settings, scores.SeedWord.SCORES)
    assert set(np.unique(part.images)) == {0, 1}


MISTAKES = {
    "missing.png": (["missing.png"], "does not exist"),
    "shape": (["square"], "shape (8, 8, 1)"),
    "empty": (["empty"], "Expected pictures"),
    "no-picture": (["text.png"], "to be a picture"),
    "nan": (["nan.npz"], "finite"),
    "share": (["digits", "--false-alarms", "1"], "between 0 and 1"),
    "by": (["digits", "--by", "loss"], "loss"),
    "labels": (["digits", "--labels", "missing.csv"], "does not exist"),
    "columns": (["digits", "--labels", "columns.csv"], "columns file and label"),
    "words": (["digits", "--labels", "words.csv"], "'odd'"),
    "unlisted": (["digits", "--limit", "3", "--labels", "few.csv"], "a label of each image"),
    "one-kind": (["digits", "--limit", "3", "--normal", "0,1,2,3,4,5,6,7,8,9"], "normal and anomalous"),
    "classless": (["grey.png", "--normal", "1"], "with classes"),
    "both": (["digits", "--normal", "1", "--labels", "few.csv"], "not allowed"),
    "beta": (["digits", "--beta", "1"], "--condition beta"),
    "calibrate": (["digits", "--calibrate", "missing.png"], "does not exist"),
    "one-to-calibrate": (["digits", "--calibrate", "grey.png"], "at least 2 images"),
    "suffix": (["digits", "-o", "scores.txt"], ".csv"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_one_line_and_leave_nothing(run, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save("grey.png")
    pathlib.Path("text.png").write_text("no picture")
    pathlib.Path("empty").mkdir()
    np.savez("nan.npz", x_train=np.full((3, 8, 8, 1), np.nan, np.float32))
    for file, text in {"columns": "a,b\n", "words": "file,label\n0,odd\n", "few": "file,label\n0,1\n"}.items():
        pathlib.Path(f"{file}.csv").write_text(text)
    before = sorted(pathlib.Path().iterdir())
    words, expected = MISTAKES[name]
    assert main(["score", str(run.path), *words]) in (2, 3)
    message = capsys.readouterr().err.splitlines()
    assert len([line for line in message if line.startswith("tfvae:")]) == 1 and expected in message[-1]
    assert sorted(pathlib.Path().iterdir()) == before


def test_a_full_disk_leaves_nothing(run, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def refuse(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    assert main(["score", str(run.path), "digits", "--limit", "3"]) == 7
    assert "No space left" in capsys.readouterr().err.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_python_refuses_too(run, digits):
    for settings in ({"by": "loss"}, {"samples": 0}, {"seed": -1}, {"false_alarms": 0}, {"limit": -1}):
        with pytest.raises(UsageError, match=str(next(iter(settings)) if "by" not in settings else "loss")):
            tfvae.score(run, digits[0], **settings)
    with pytest.raises(DataError, match="finite"):
        tfvae.score(run, np.full((2, 8, 8, 1), np.nan, np.float32))
