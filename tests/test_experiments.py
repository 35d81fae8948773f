"""Experiments: every row of the seeds has a place, runs are found again, pages say what was measured."""

import csv
import dataclasses
import importlib
import json
import math
import pathlib
import re
import subprocess
import sys
import types

import numpy as np
import pytest

from tfvae import experiments
from tfvae.cli import command_line, experiment_verbs
from tfvae.cli.command_line import main
from tfvae.errors import TfvaeError
from tfvae.experiments import RECIPES, SEED_ROWS, tuning
from tfvae.experiments import lab as labs
from tfvae.training.run_folder import create_run

HERE = pathlib.Path(command_line.__file__).parents[2]
COUNTS = {"0": 22, "1": 10, "2": 6, "3": 16, "4": 6}  # rows of each seed document
TINY = {"dataset": "digits", "arch": "mlp:widths=16,latent=3", "limit": 200, "epochs": 1, "xla": "off"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder, from which subprocesses find this tfvae."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def lab(here):
    """A recipe's place, in full or quick, that says nothing."""

    def make(quick=False, name="tiny"):
        return labs.Lab(name, here / "pages", here / "runs", quick=quick, say=lambda line: None)

    return make


@pytest.fixture
def recipe(monkeypatch):
    """recipe(run): makes `run` the recipe 'tiny', the only one, of the seeds' row 0.3."""

    def make(run):
        module = types.ModuleType("tfvae.experiments.tiny")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        for place in (experiments, experiment_verbs):
            monkeypatch.setattr(place, "RECIPES", {"tiny": ("tiny", "a tiny one")})
            monkeypatch.setattr(
                place, "SEED_ROWS", {"0.3": ("the ELBO", ("tiny",)), "0.4": ("lambda", "`tfvae train`")}
            )

    return make


def pretend(config, root, name="made-elsewhere", status="finished"):
    """A run folder of these settings, as if somebody had trained it."""
    folder = labs.folder_of(config, root).with_name(f"{name}-{config.hash}")
    run = create_run(config, {}, str(folder), str(root))
    run.write_rows([{"epoch": 1, "step": 1, "seconds": 30.0, "loss": 0.0}])
    run.write_status(status)
    return run


def sources(name):
    """The Python files of a recipe."""
    path = HERE / "tfvae" / "experiments" / RECIPES[name][0]
    return sorted(path.glob("*.py")) if path.is_dir() else [path.with_suffix(".py")]


# --- the table of rows


def test_every_row_of_the_seeds_has_a_place():
    """Each of their 61 rows: recipes that exist, or a text whose every item in backticks is a file or a command."""
    expected = {f"{seed}.{n}" for seed, count in COUNTS.items() for n in range(1, count + 1)} | {"1.8b"}
    assert set(SEED_ROWS) == expected
    for row, (what, where) in SEED_ROWS.items():
        assert what, row
        if not isinstance(where, str):
            assert where and set(where) <= set(RECIPES), row
            continue
        named = re.findall(r"`([^`]+)`", where)
        assert named, row
        for item in named:
            verb = item.split()[1] if item.startswith("tfvae ") else ""
            assert (HERE / item).exists() or verb in command_line.VERBS, (row, item)


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_runs_and_judges_rows_that_lead_to_it(name):
    """A module with run(lab); a verdict on a row that does not name the recipe would be missing from the index."""
    assert callable(importlib.import_module(f"tfvae.experiments.{RECIPES[name][0]}").run)
    text = "".join(path.read_text() for path in sources(name))
    judged = set(" ".join(re.findall(r'\.verdict\(\s*"([\d.b ]+)"', text)).split())
    mapped = {row for row, (_, where) in SEED_ROWS.items() if not isinstance(where, str) and name in where}
    assert judged <= mapped, f"not in SEED_ROWS: {sorted(judged - mapped)}"


# --- runs


def test_settings_become_a_config_with_all_images_for_training():
    """Options that are the defaults go, as the command line writes them; quick only cuts epochs and images."""
    full = labs.config_of(TINY | {"objective": "geco:kappa=4,rate=0.01"})
    assert (full.objective, full.validation, full.epochs) == ("geco:rate=0.01", 0.0, 1)
    quick = labs.config_of({"epochs": 60, "limit": 0, "validation": 0.1}, quick=True)
    assert (quick.epochs, quick.limit, quick.validation) == (2, 2000, 0.1)
    assert labs.config_of(TINY, quick=True) == labs.config_of(TINY)  # smaller already


def test_a_run_is_found_whoever_trained_it(here, lab, monkeypatch):
    """Finished runs of just these settings are not trained again; others are, and a quick run is another."""
    asked, trained = {}, []
    monkeypatch.setattr(labs, "train_trials", lambda trials, *rest: trained.extend(trials) or [])
    monkeypatch.setattr(labs, "check_part_names", lambda config: None)
    run = pretend(labs.config_of(TINY), here / "runs")
    assert lab().runs({"one": TINY})["one"].path == run.path and trained == []
    for name in ("a-broken-one", "z-broken-one"):
        pretend(labs.config_of(TINY), here / "runs", name, status="failed")
    assert lab().runs({"one": TINY})["one"].path == run.path and trained == []
    asked = {"seed": TINY | {"seed": 1}, "epochs": TINY | {"epochs": 3}}
    with pytest.raises(TfvaeError):  # the stub makes none
        lab().runs(asked)
    assert [trial.config.to_dict() | {"seed": 0, "epochs": 1} for trial in trained] == [run.config.to_dict()] * 2
    assert {trial.status for trial in trained} == {"new"}
    with pytest.raises(TfvaeError):
        lab(quick=True).runs({"long": TINY | {"epochs": 50}})
    assert trained[-1].config == dataclasses.replace(run.config, epochs=2)


def test_runs_are_trained_measured_and_kept(lab, monkeypatch):
    """Of a recipe, by `tfvae train`: the same folder, measured once, and its minutes on the page."""
    one = lab().run(**TINY)
    assert one.status == "finished" and one.config == labs.config_of(TINY)
    before = (one.path / "metrics.csv").stat().st_mtime_ns
    again = lab()
    assert again.run(**TINY).path == one.path and (one.path / "metrics.csv").stat().st_mtime_ns == before
    found = again.measured(one, samples=2, limit=20)
    (kept,) = one.path.glob("evaluate-test-K2-20-*.json")
    assert found["images"] == 20 and again.measured(one, samples=2, limit=20) == json.loads(kept.read_text())
    monkeypatch.setattr(labs, "QUICK_IMAGES", 30)
    few = lab(quick=True).measured(one, samples=5000)
    assert (few["samples"], few["images"]) == (labs.QUICK_SAMPLES, 30)
    assert again.publish("Tiny", "")["training_minutes"] == round(one.rows[-1]["seconds"] / 60, 2)


def test_a_run_that_fails_is_one_line(here, recipe, capsys):
    """What went wrong is in the log it names; no page is written."""
    recipe(lambda lab: lab.run(**TINY, batch_size=5000))
    assert main(["experiment", "run", "tiny", "-o", "pages"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    log = re.search(r"see (\S+)\.$", line)[1]
    assert "Expected all runs to finish" in line and "batch_size" in pathlib.Path(log).read_text()
    assert not (here / "pages" / "tiny" / "README.md").exists()


# --- pages


def judge(lab):
    lab.table(
        "numbers",
        [{"model": "a", "NLL": 1.23456, "n": None, "met": True}, {"model": "b", "NLL": 2, "n": 3, "met": False}],
        "Numbers",
    )
    lab.verdict("0.3 1.5", "a is below b", 1.23456 < 2, "1.23 against 2")
    lab.verdict("1.5", "a is above b", 1.23456 > 2, "1.23 against 2")
    lab.verdict("1.5", "their figure", None, "another data set")
    lab.publish("Tiny", "What it is.")


def test_a_page_holds_tables_verdicts_and_csv(here, lab):
    judge(lab())
    page = (here / "pages/tiny/README.md").read_text()
    with open(here / "pages/tiny/numbers.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["model", "NLL", "n", "met"],
            ["a", "1.23456", "", "True"],
            ["b", "2", "3", "False"],
        ]
    for line in (
        "| a | 1.235 | - | yes |",
        "| 0.3, 1.5 | a is below b | reproduced | 1.23 against 2 |",
        "| 1.5 | a is above b | differs | 1.23 against 2 |",
        "tfvae experiment run tiny`",
        "| 1.5 | their figure | not comparable | another data set |",
    ):
        assert line in page
    assert "quick" not in page


def test_a_quick_run_claims_nothing(here, lab):
    """Whatever the figures say: two epochs of 2,000 images show that a recipe works."""
    judge(lab(quick=True))
    about = json.loads((here / "pages/tiny/about.json").read_text())
    assert about["quick"] and {one["outcome"] for one in about["verdicts"]} == {"not comparable"}
    assert "A quick run" in (here / "pages/tiny/README.md").read_text()


def test_the_index_lists_the_verdicts_of_each_row(here, recipe, capsys):
    """By the rows they name, with the figures; what never ran is said to be so."""
    recipe(judge)
    assert "no" in experiment_verbs.index(here / "pages").split("| tiny |")[1].splitlines()[0]
    assert main(["experiment", "run", "all", "-o", "pages"]) == 0
    index = (here / "pages/README.md").read_text()
    row = "| 0.3 | the ELBO | [tiny](tiny/README.md) | in full | reproduced: a is below b (1.23 against 2) |"
    assert row in index and "| 0.4 | lambda | `tfvae train` | - | - |" in index and "differs" not in index
    assert main(["experiment", "list", "-o", "pages"]) == 0
    assert re.search(r"tiny +in full +a tiny one", capsys.readouterr().out)


def test_a_wrong_name_is_refused_with_the_nearest(capsys):
    for names, word in ((["mnist-tabel"], "Did you mean 'mnist-table'?"), ([], "Expected names")):
        assert main(["experiment", "run", *names]) == 2
        assert word in capsys.readouterr().err


def test_the_list_does_not_import_tensorflow():
    code = "import sys; from tfvae.cli.command_line import main; main(['experiment', 'list']); sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in RECIPES)


# --- what recipes compute


class Landscape:
    """Stands for a lab: error = 16 beta^(1/2), KL = 8 / beta; without a warm-up it collapses above beta = `edge`."""

    def __init__(self, edge=math.inf):
        self.edge, self.asked = edge, []

    def run(self, objective, **settings):
        self.asked.append(objective)
        beta = float(re.search(r"beta=([\d.e-]+)", objective)[1])
        collapsed = beta > self.edge and "warmup" not in objective
        row = {"sq_err": 60.0 if collapsed else 16 * beta**0.5, "rate": 0.0 if collapsed else 8 / beta}
        return types.SimpleNamespace(rows=[row])


@pytest.mark.parametrize("start", [0.3, 0.9, 3.0])
def test_a_tuned_beta_comes_near_the_error_and_its_kl_is_read_off(start):
    """On a landscape with known KL: at error 16 beta is 1 and KL 8, and a line in logarithms is exact there."""
    found, warm = tuning.tuned_beta(Landscape(), {}, 16.0, start)
    errors = [one.rows[-1]["sq_err"] for _, one in found]
    assert not warm and abs(math.log(errors[1] / 16)) < abs(math.log(errors[0] / 16))
    assert math.isclose(tuning.between(16.0, *(one.rows[-1] for _, one in found)), 8.0, rel_tol=1e-9)


def test_a_beta_vae_that_collapses_gets_a_warm_up():
    place = Landscape(edge=0.5)
    found, warm = tuning.tuned_beta(place, {"batch_size": 100}, 16.0, 0.9)
    assert warm and len(found) == 2 and ["warmup" in one for one in place.asked] == [False, True, True]
    assert "warmup=6000" in place.asked[-1]  # ten epochs of 600 steps


def test_sharpness_hull_and_alignment_by_hand(generator):
    """Total variation of a checkerboard; heights on a hull of three points; aligned, mirrored and idle codes."""
    from tfvae.experiments import information_plane, rate_distortion

    board = np.indices((4, 4)).sum(0)[None, ..., None] % 2
    assert information_plane.total_variation(board) == 2 * 4 * 3  # every neighbouring pair differs by 1
    assert information_plane.total_variation(np.full((2, 4, 4, 1), 0.3)) == 0
    points = [(0.0, 10.0), (1.0, 9.0), (2.0, 2.0), (4.0, 1.0)]  # the second is above the line of its neighbours
    assert rate_distortion.height(points, 1.0) == 6.0 and rate_distortion.height(points, 9.0) == 1.0
    curve = [{"rate": rate, "error": error} for rate, error in points]
    assert math.isclose(rate_distortion.bulge(curve), 9.0 / 6.0 - 1)
    codes = generator.normal(size=(500, 3)) * [1, 1, 0.01]
    assert math.isclose(rate_distortion.alignment(codes, 2 * codes), 1)
    assert math.isclose(rate_distortion.alignment(codes, codes * [1, -1, 1]), 0, abs_tol=1e-12)
    assert rate_distortion.alignment(codes, 0 * codes) == 0


def test_any_partition_hardly_moves_and_a_soft_posterior_does():
    """`moved` of the theory recipe: 0 for cells, and not for cells whose data lie closer than sigma."""
    from tfvae.experiments.theory import fixed_point as fp
    from tfvae.experiments.theory import partition_recipe, toy_data

    _, log_prior = fp.normal_grid(40, reach=toy_data.REACH)
    labels = np.arange(1600) % 9
    assert partition_recipe.moved(labels, toy_data.points_in_plane(), log_prior) < 1e-9
    assert partition_recipe.moved(labels, 1e-3 * toy_data.points_in_plane(), log_prior) > 0.1


def test_the_first_epochs_of_a_long_run_are_a_row_of_their_own():
    """Peak, end and the epoch of the last entry into the 1% band, read off by hand."""
    from tfvae.experiments import geco_kappa

    rows = [
        {"epoch": n + 1, "sq_err": 16 + c, "rate": 8.0 - n, "lambda": lam, "constraint": c}
        for n, (c, lam) in enumerate([(4.0, 1.0), (0.1, 3.0), (-1.0, 2.0), (0.1, 1.5), (-0.1, 1.0)])
    ]
    found = geco_kappa.row_of("x", rows, 4)
    assert (found["epoch"], found["error"], found["KL"]) == (5, 15.9, 4.0)
    assert (found["lambda peak"], found["peak / end"], found["within 1% from epoch"]) == (3.0, 3.0, 4)
    assert geco_kappa.row_of("x", rows[:3], 4)["within 1% from epoch"] is None


@pytest.mark.slow
def test_a_quick_run_of_a_whole_recipe(here):
    """The theory needs no data: its page has every table and picture, and says that it was a quick run."""
    assert main(["experiment", "run", "theory", "--quick", "-o", "pages"]) == 0
    folder = here / "pages" / "theory"
    assert len(list(folder.glob("*.png"))) == len(list(folder.glob("*.csv"))) == 5
    assert "| 0.3 |" in (here / "pages/README.md").read_text()
