"""Runs beside each other: what differs, means over seeds, scores kept until a run is trained further, files."""

import csv
import json
import math
import shutil

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from tfvae.cli.command_line import main
from tfvae.config import Config
from tfvae.evaluation import EVALUATION_VERSION, evaluate
from tfvae.plots import planes
from tfvae.reports import comparison, comparison_tables
from tfvae.training import run_folder, trainer

SETTINGS = dict(dataset="digits", arch="mlp:widths=16,latent=3", limit=200, epochs=1, xla="off", batch_size=50)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Two seeds of geco and one beta-VAE."""
    root = tmp_path_factory.mktemp("runs")
    cases = {"a": ("geco:kappa=3", 0), "b": ("geco:kappa=3", 1), "c": ("beta:beta=2", 0)}
    return [
        trainer.train(run_dir=str(root / name), root=str(root), objective=objective, seed=seed, **SETTINGS)
        for name, (objective, seed) in cases.items()
    ]


def build_row(score, seed=None, met=None, **settings):
    """Return a row of `compare_runs` with the same number for all scores."""
    settings |= {} if seed is None else {"seed": seed}
    return {
        "run": f"r{seed}",
        "settings": settings,
        **dict.fromkeys(comparison.SCORES, score),
        comparison.CONSTRAINTS_MET: met,
        "status": "finished",
        "images": 10,
    }


def test_what_differs():
    """Options that are set differ from absent ones, which are None; defaults that an objective lacks do not."""
    configs = [
        Config(objective="geco:kappa=3", seed=0),
        Config(objective="geco", seed=1),
        Config(objective="beta:beta=2", arch="conv"),
    ]
    assert comparison.find_differing_settings(configs) == [
        {"objective": "geco", "kappa": 3, "arch": "mlp", "beta": None, "seed": 0},
        {"objective": "geco", "kappa": 4.0, "arch": "mlp", "beta": None, "seed": 1},
        {"objective": "beta", "kappa": None, "arch": "conv", "beta": 2, "seed": 0},
    ]
    assert comparison.find_differing_settings([Config(), Config()]) == [{}, {}]
    one, two = comparison.find_differing_settings(
        [Config(objective="own.losses.Loss:rate=0.1"), Config(objective="own.losses.Loss:rate=0.2")]
    )
    assert (one, two) == ({"option rate": 0.1}, {"option rate": 0.2})  # `rate` is a score


def test_means_and_standard_errors_over_seeds():
    """As SciPy's `sem`; a seed that is there twice counts once, and what one run lacks has no mean."""
    scores = [1.0, 4.0, 2.5]
    rows = [build_row(score, seed, score > 2, kappa=3) for seed, score in enumerate(scores)]
    rows.append(build_row(2.5, 2, True, kappa=3))
    first, second = comparison.average_over_seeds([*rows, build_row(None, 0, None, kappa=4)])
    assert (
        first["settings"] == {"kappa": 3}
        and first["n"] == 3
        and first[comparison.CONSTRAINTS_MET] == pytest.approx(2 / 3)
    )
    for name in comparison.SCORES:
        assert first[name] == pytest.approx(np.mean(scores))
        assert first[f"{name}_se"] == pytest.approx(stats.sem(scores))
    assert second["n"] == 1 and second["nll"] is second["nll_se"] is second[comparison.CONSTRAINTS_MET] is None
    head, cells, _ = comparison_tables.format_seed_table([first, second])
    assert head[:2] == ["kappa", "n"] and cells[:3] == ["3", "3", "2.5 +- 0.87"] and cells[-1] == "2/3"


def test_points_of_the_planes():
    """Numbers that differ name points, words name lines; what was not measured is not drawn."""
    groups = comparison.average_over_seeds(
        [build_row(1.0, 0, kappa=3, arch="mlp"), build_row(None, 0, kappa=4, arch="conv")]
    )
    one, two = comparison.build_plane_points(groups, "geco", "nll")
    assert one == {"label": "kappa=3", "group": "geco arch=mlp", "x": 1.0, "y": 1.0}
    assert two["group"] == "geco arch=conv" and math.isnan(two["y"])
    assert planes.choose_group_styles([one["group"]])[one["group"]][2]  # still drawn as GECO


def test_compare_writes_tables_and_pictures(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    paths = [str(run.path) for run in trained]
    assert main(["compare", *paths, paths[0], "--samples", "3", "--limit", "50"]) == 0
    out, _ = capsys.readouterr()
    made = {path.name for path in (tmp_path / "comparison").iterdir()}
    assert made == {
        "compare.csv",
        "compare.md",
        "compare_seeds.csv",
        "information_plane.png",
        "rate_distortion.png",
        "samples.png",
    }
    assert all(name in out for name in made)
    with open("comparison/compare.csv", newline="") as file:
        lines = list(csv.DictReader(file))
    assert [(line["objective"], line["kappa"], line["beta"], line["seed"]) for line in lines] == [
        ("geco", "3", "", "0"),
        ("geco", "3", "", "1"),
        ("beta", "", "2", "0"),
    ]
    known = evaluate(trained[2].path, samples=3, limit=50)
    for name in comparison.SCORES:
        assert float(lines[2][name]) == pytest.approx(known[name], rel=1e-6)
    with open("comparison/compare_seeds.csv", newline="") as file:
        geco, beta = csv.DictReader(file)
    assert geco["n"] == "2" and beta["n"] == "1" and beta["nll_se"] == ""
    assert float(geco["nll"]) == pytest.approx(np.mean([float(line["nll"]) for line in lines[:2]]))
    page = (tmp_path / "comparison" / "compare.md").read_text()
    assert "| geco | 3 | - | 0 |" in page and "(samples.png)" in page and "50 images" in page


def test_samples_are_those_of_each_run_from_one_seed(trained, tmp_path):
    """Row r, column c of the picture is image c of ``sample(n, (0, 0))`` of run r."""
    rows = [build_row(1.0, seed) for seed in range(3)]
    (path,) = comparison.draw_samples(trained, rows, tmp_path, print)
    picture = np.asarray(Image.open(path))
    for r, run in enumerate(trained):
        images = trainer.load_run(run.path).sample(comparison.SAMPLES_PER_RUN, (0, 0)).numpy()
        side = 80  # 8 pixels, 10 times enlarged
        line = picture[2 + r * (side + 2) :, -comparison.SAMPLES_PER_RUN * (side + 2) :]
        for c in (0, 5, 9):
            shown = line[5:side:10, c * (side + 2) + 5 : c * (side + 2) + side : 10]
            np.testing.assert_array_equal(shown, np.floor(255 * images[c, ..., 0].astype(np.float64) + 0.5))


def test_scores_are_kept_until_the_run_is_trained_further(trained, tmp_path, monkeypatch):
    """The second time nothing is measured; other settings, or another checkpoint, are measured anew."""
    shutil.copytree(trained[2].path, tmp_path / "run")
    run, calls = run_folder.open_run(tmp_path / "run"), []

    def evaluate(run, split, samples, limit, pictures, say):
        calls.append((run.path, split, samples, limit))
        return dict.fromkeys(comparison.SCORES, float(len(calls))) | {"constraints": [], "images": limit}

    monkeypatch.setattr(comparison, "evaluate", evaluate)
    for limit, count in ((20, 1), (20, 1), (30, 2), (20, 2)):
        comparison.compare_runs([run], samples=2, limit=limit)
        assert len(calls) == count and calls[-1] == (run.path, "test", 2, calls[-1][-1])
    assert comparison.compare_runs([run], samples=2, limit=20)[0]["elbo"] == 1.0
    trainer.resume(run.path, epochs=2)
    assert comparison.compare_runs([run], samples=2, limit=20)[0]["elbo"] == 3.0
    caches = sorted(path.name for path in run.path.glob("evaluate-test-K2-*"))
    expected = ((20, 4), (20, 8), (30, 4))
    assert caches == [
        f"evaluate-test-K2-{limit}-step-0000000{step}-e{EVALUATION_VERSION}.json" for limit, step in expected
    ]
    state = run.path / "checkpoints" / "step-00000008" / "state.npz"
    state.write_bytes(state.read_bytes()[:-1])  # the newest is damaged: what `load` would take is the one before
    (run.path / "STATUS").write_text("stopped\n")
    lines = []
    assert comparison.compare_runs([run], samples=2, limit=20, say=lines.append)[0]["elbo"] == 1.0
    assert len(lines) == 1 and "is stopped" in lines[0]


def test_json(trained, capsys):
    assert main(["compare", str(trained[0].path), "-o", "", "--json", "--samples", "3", "--limit", "50"]) == 0
    output = json.loads(capsys.readouterr().out)
    (one,) = output["runs"]
    assert one["settings"] == {} and output["asked"]["samples"] == 3 and output["files"] == []
    assert isinstance(one["constraints_met"], bool) and output["over_seeds"][0]["elbo"] == one["elbo"]


def test_mistakes(trained, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    empty = tmp_path / "empty"
    empty.mkdir()
    for name in ("config.json", "env.json"):
        (empty / name).write_text((trained[0].path / name).read_text())
    (empty / "STATUS").write_text("stopped\n")
    for argv, code, text in (
        (["no"], 2, "run folder"),
        ([], 2, "RUN"),
        ([str(trained[0].path), "-o", "file/x"], 2, "a folder that exists"),
        ([str(empty), "-o", ""], 4, "intact checkpoint"),
    ):
        assert main(["compare", *argv]) == code
        assert text in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"file", "empty"}
