"""The lab: runs are found again by their settings, pages hold tables and verdicts, a quick run claims nothing."""

import csv
import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import types

import pytest

from tfvae.cli import command_line, experiment_verbs
from tfvae.cli.command_line import main
from tfvae.errors import TfvaeError
from tfvae.experiments import index_page, recipe_catalogue
from tfvae.experiments import lab as labs
from tfvae.experiments.recipe_catalogue import RECIPES
from tfvae.training.run_folder import create_run

HERE = pathlib.Path(command_line.__file__).parents[2]
TINY = {"dataset": "digits", "arch": "mlp:widths=16,latent=3", "limit": 200, "epochs": 1, "xla": "off"}


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder, from which subprocesses find this tfvae."""
    monkeypatch.setenv("PYTHONPATH", str(HERE))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def lab(here):
    """lab(quick, name) -> a Lab that prints nothing."""

    def make(quick=False, name="tiny"):
        return labs.Lab(name, here / "pages", here / "runs", quick=quick, say=lambda line: None)

    return make


@pytest.fixture
def recipe(monkeypatch):
    """recipe(run): makes `run` the recipe 'tiny', the only one, of the claim 'Parnas: ELBO'."""

    def make(run):
        module = types.ModuleType("tfvae.experiments.tiny")
        module.run = run
        monkeypatch.setitem(sys.modules, module.__name__, module)
        recipes = {"tiny": recipe_catalogue.Recipe("tiny", "a tiny one")}
        claims = {
            "Parnas: ELBO": recipe_catalogue.Claim("the ELBO", ("tiny",)),
            "Parnas: Lagrangian": recipe_catalogue.Claim("lambda", "`tfvae train`"),
        }
        for holder in (index_page, experiment_verbs):
            monkeypatch.setattr(holder, "RECIPES", recipes)
        monkeypatch.setattr(index_page, "CLAIMS", claims)

    return make


def create_finished_run(config, root, name="made-elsewhere", status="finished"):
    """Create a run folder of these settings, as if somebody had trained it."""
    folder = labs.find_run_folder(config, root).with_name(f"{name}-{config.hash}")
    run = create_run(config, {}, str(folder), str(root))
    run.write_rows([{"epoch": 1, "step": 1, "seconds": 30.0, "loss": 0.0}])
    run.write_status(status)
    return run


def test_settings_become_a_config_with_all_images_for_training():
    """Options that are the defaults go, as the command line writes them; quick only cuts epochs and images."""
    full = labs.build_config(TINY | {"objective": "geco:kappa=4,rate=0.01"})
    assert (full.objective, full.validation, full.epochs) == ("geco:multiplier_learning_rate=0.01", 0.0, 1)
    quick = labs.build_config({"epochs": 60, "limit": 0, "validation": 0.1}, quick=True)
    assert (quick.epochs, quick.limit, quick.validation) == (2, 2000, 0.1)
    assert labs.build_config(TINY, quick=True) == labs.build_config(TINY)  # smaller already


def test_a_run_is_found_whoever_trained_it(here, lab, monkeypatch):
    """Finished runs of just these settings are not trained again; others are, and a quick run is another."""
    trained = []
    monkeypatch.setattr(labs, "train_trials", lambda trials, *rest: trained.extend(trials) or [])
    monkeypatch.setattr(labs, "check_part_names", lambda config: None)
    run = create_finished_run(labs.build_config(TINY), here / "runs")
    assert lab().train_runs({"one": TINY})["one"].path == run.path and trained == []
    for name in ("a-broken-one", "z-broken-one"):
        create_finished_run(labs.build_config(TINY), here / "runs", name, status="failed")
    assert lab().train_runs({"one": TINY})["one"].path == run.path and trained == []
    changed = {"seed": TINY | {"seed": 1}, "epochs": TINY | {"epochs": 3}}
    with pytest.raises(TfvaeError):  # the stub makes none
        lab().train_runs(changed)
    assert [trial.config.to_dict() | {"seed": 0, "epochs": 1} for trial in trained] == [run.config.to_dict()] * 2
    assert {trial.status for trial in trained} == {"new"}
    with pytest.raises(TfvaeError):
        lab(quick=True).train_runs({"long": TINY | {"epochs": 50}})
    assert trained[-1].config == dataclasses.replace(run.config, epochs=2)


def test_runs_are_trained_measured_and_kept(lab, monkeypatch):
    """Of a recipe, by `tfvae train`: the same folder, measured once, and its minutes on the page."""
    one = lab().train_run(**TINY)
    assert one.status == "finished" and one.config == labs.build_config(TINY)
    before = (one.path / "metrics.csv").stat().st_mtime_ns
    again = lab()
    assert again.train_run(**TINY).path == one.path and (one.path / "metrics.csv").stat().st_mtime_ns == before
    scores = again.evaluate_run(one, samples=2, limit=20)
    (cache,) = one.path.glob("evaluate-test-K2-20-*.json")
    assert scores["images"] == 20 and again.evaluate_run(one, samples=2, limit=20) == json.loads(cache.read_text())
    monkeypatch.setattr(labs, "QUICK_IMAGES", 30)
    few = lab(quick=True).evaluate_run(one, samples=5000)
    assert (few["samples"], few["images"]) == (labs.QUICK_SAMPLES, 30)
    assert again.write_page("Tiny", "")["training_minutes"] == round(one.rows[-1]["seconds"] / 60, 2)


@pytest.mark.slow
def test_a_run_that_fails_is_one_line(here, recipe, capsys):
    """What went wrong is in the log it names; no page is written."""
    recipe(lambda lab: lab.train_run(**TINY, batch_size=5000))
    assert main(["experiment", "run", "tiny", "-o", "pages"]) == 1
    line = capsys.readouterr().err.splitlines()[-1]
    log = re.search(r"see (\S+)\.$", line)[1]
    assert "Expected all runs to finish" in line and "batch_size" in pathlib.Path(log).read_text()
    assert not (here / "pages" / "tiny" / "README.md").exists()


# --- pages


def write_tiny_page(lab):
    """A recipe with a table and three verdicts."""
    lab.add_table(
        "numbers",
        [{"model": "a", "NLL": 1.23456, "n": None, "met": True}, {"model": "b", "NLL": 2, "n": 3, "met": False}],
        "Numbers",
    )
    lab.add_verdict("Parnas: ELBO; Kuzina: MNIST table", "a is below b", 1.23456 < 2, "1.23 against 2")
    lab.add_verdict("Kuzina: MNIST table", "a is above b", 1.23456 > 2, "1.23 against 2")
    lab.add_verdict("Kuzina: MNIST table", "their figure", None, "another data set")
    lab.write_page("Tiny", "What it is.")


def test_a_page_holds_tables_verdicts_and_csv(here, lab):
    write_tiny_page(lab())
    page = (here / "pages/tiny/README.md").read_text()
    with open(here / "pages/tiny/numbers.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["model", "NLL", "n", "met"],
            ["a", "1.23456", "", "True"],
            ["b", "2", "3", "False"],
        ]
    for line in (
        "| a | 1.235 | - | yes |",
        "| Parnas: ELBO; Kuzina: MNIST table | a is below b | reproduced | 1.23 against 2 |",
        "| Kuzina: MNIST table | a is above b | differs | 1.23 against 2 |",
        "tfvae experiment run tiny`",
        "| Kuzina: MNIST table | their figure | not comparable | another data set |",
    ):
        assert line in page
    assert "quick" not in page


def test_a_quick_run_claims_nothing(here, lab):
    """Whatever the figures say: two epochs of 2,000 images show that a recipe works."""
    write_tiny_page(lab(quick=True))
    about = json.loads((here / "pages/tiny/about.json").read_text())
    assert about["quick"] and {one["outcome"] for one in about["verdicts"]} == {"not comparable"}
    assert "A quick run" in (here / "pages/tiny/README.md").read_text()


def test_the_index_lists_the_verdicts_of_each_claim(here, recipe, capsys):
    """By the claims they name, with the figures; a recipe that never ran is marked."""
    recipe(write_tiny_page)
    assert "no" in index_page.build_index(here / "pages").split("| tiny |")[1].splitlines()[0]
    assert main(["experiment", "run", "all", "-o", "pages"]) == 0
    index = (here / "pages/README.md").read_text()
    row = "| Parnas: ELBO | the ELBO | [tiny](tiny/README.md) | in full | reproduced: a is below b (1.23 against 2) |"
    assert (
        row in index and "| Parnas: Lagrangian | lambda | `tfvae train` | - | - |" in index and "differs" not in index
    )
    assert main(["experiment", "list", "-o", "pages"]) == 0
    assert re.search(r"tiny +in full +a tiny one", capsys.readouterr().out)


def test_a_wrong_name_is_refused_with_the_nearest(capsys):
    for names, word in ((["mnist-tabel"], "Did you mean 'mnist-table'?"), ([], "Expected NAME")):
        assert main(["experiment", "run", *names]) == 2
        assert word in capsys.readouterr().err


def test_the_list_does_not_import_tensorflow():
    code = "import sys; from tfvae.cli.command_line import main; main(['experiment', 'list']);"
    code += "sys.exit('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in RECIPES)


@pytest.mark.slow
def test_a_quick_run_of_a_whole_recipe(here):
    """The theory needs no data: its page has every table and picture, and says that it was a quick run."""
    assert main(["experiment", "run", "theory", "--quick", "-o", "pages"]) == 0
    folder = here / "pages" / "theory"
    assert len(list(folder.glob("*.png"))) == len(list(folder.glob("*.csv"))) == 5
    assert "| Parnas: ELBO |" in (here / "pages/README.md").read_text()
