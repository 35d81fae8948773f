"""The zoo: entries zoo_and_run from runs, listed without TensorFlow, refused when damaged, measured again."""

import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

import tfvae
from tfvae.cli.command_line import main
from tfvae.config import Config
from tfvae.errors import IntegrityError, UsageError
from tfvae.runtime import files
from tfvae.training import trainer
from tfvae.zoo import index
from tfvae.zoo.entries import add_entry
from tfvae.zoo.entry_cards import format_entry_card, matches_card
from tfvae.zoo.measurements import load_model, verify_numbers

SETTINGS = dict(dataset="digits", limit=300, epochs=1, validation=0.0, xla="off")


@pytest.fixture(scope="module")
def zoo_and_run(tmp_path_factory):
    """A zoo of two entries, and the run of the first."""
    root = tmp_path_factory.mktemp("made")
    geco = {"objective": "geco:kappa=2", "arch": "mlp:widths=16,latent=3", "ema": 0.9, **SETTINGS}
    labels = {"objective": "elbo", "arch": "mlp:widths=16,latent=2", "condition": "labels", **SETTINGS}
    first = trainer.train(run_dir=str(root / "a"), root=str(root), **geco)
    second = trainer.train(run_dir=str(root / "b"), root=str(root), **labels)
    (root / "zoo").mkdir()
    add_entry(root / "zoo", "digits-geco-mlp", first.path)
    add_entry(root / "zoo", "digits-labels-mlp", second.path)
    return root / "zoo", first


@pytest.fixture
def zoo_folder(zoo_and_run, tmp_path, monkeypatch):
    """A copy of that zoo that may be damaged, and is the zoo of this test."""
    shutil.copytree(zoo_and_run[0], tmp_path / "zoo")
    monkeypatch.setenv("TFVAE_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "zoo"


def test_list_and_info_need_no_tensorflow(zoo_folder, capsys):
    program = (
        "import sys; from tfvae.cli.command_line import main\n"
        "assert main(['zoo', 'list']) == main(['zoo', 'info', 'digits-geco-mlp']) == 0\n"
        "assert 'tensorflow' not in sys.modules"
    )
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "digits-geco-mlp" in process.stdout and "tfvae train geco --kappa 2 --dataset digits" in process.stdout
    assert main(["zoo", "list", "*labels*", "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out).values()
    assert entry["condition"] == "labels" and entry["MB"] > 0


def test_the_recipe_is_the_command_of_the_config(zoo_folder):
    """Parsed again, the command gives the config of the entry."""
    from tfvae.cli import arguments

    for name in index.read_zoo().entries:
        config = Config.from_dict(files.read_json(zoo_folder / name / "config.json"))
        args = arguments.parse_arguments(index.format_train_command(config).split()[1:])
        assert arguments.read_config(args) == config


def test_the_card_of_an_older_entry(zoo_folder):
    """Its words for options are those of 0.1.0, and its hashes too; another number is still found."""
    folder = zoo_folder / "digits-geco-mlp"
    config = files.read_json(folder / "config.json")
    config["rate_warmup"] = config.pop("learning_rate_warmup") or 0
    files.write_json(folder / "config.json", config | {"objective": "geco:kappa=2,rate=0.01"})
    new = format_entry_card(folder)
    old = new.replace(",controller=pi", "").replace(" --controller pi", "")  # the default then
    old = old.replace("multiplier_learning_rate", "rate").replace("--multiplier-learning-rate", "--rate")
    old = old.replace(" minutes.", " minutes on two CPU cores.")
    assert "--multiplier-learning-rate 0.01" in new and "geco:kappa=2,rate=0.01" in old and "--rate 0.01" in old
    for card, is_card in ((new, True), (old, True), (old.replace("| 0.001 |", "| 0.01 |"), False)):
        (folder / "card.md").write_text(card)
        assert matches_card(folder) is is_card


def test_the_recipe_of_a_second_stage_has_two_commands():
    config = Config(objective="sigma", dataset="digits", prior="mixture:components=7")
    assert index.format_commands(config, True) == [
        "tfvae train sigma --dataset digits",
        "tfvae second-stage runs/latest --prior mixture:components=7",
    ]
    assert index.format_commands(config) == ["tfvae train sigma --dataset digits --prior mixture:components=7"]


def test_an_entry_computes_what_its_run_does(zoo_folder, zoo_and_run):
    """SavedModel and weights alike, with the averaged weights that `tfvae.load` gives of a run with ema."""
    run = tfvae.load(zoo_and_run[1].path)
    z = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_allclose(tfvae.load("zoo:digits-geco-mlp").decode(z), run.decode(z), atol=1e-6)
    live = load_model(zoo_folder / "digits-geco-mlp")
    np.testing.assert_array_equal(live.decode(z), run.decode(z))
    for a, b in zip(live.variables, run.variables):
        np.testing.assert_array_equal(a, b)  # steps and multipliers as well


def test_an_entry_of_0_1_0_has_its_weights_twice(zoo_folder, zoo_and_run):
    """Those of all variables, in weights.npz."""
    folder, run = zoo_folder / "digits-geco-mlp", tfvae.load(zoo_and_run[1].path)
    (folder / "state.npz").unlink()
    np.savez(folder / "weights.npz", **{f"{i:04d}": v.numpy() for i, v in enumerate(run.variables)})
    for a, b in zip(load_model(folder).variables, run.variables):
        np.testing.assert_array_equal(a, b)
    np.savez(folder / "weights.npz", **{f"{i:04d}": v.numpy() for i, v in enumerate(run.variables[1:])})
    with pytest.raises(IntegrityError, match="arrays of the model of its config"):
        load_model(folder)


def test_verbs_take_its_name(zoo_folder, capsys):
    assert main(["sample", "zoo:digits-labels-mlp", "--label", "3", "-n", "4", "-o", "grid.png"]) == 0
    assert main(["inspect", "zoo:digits-geco-mlp"]) == 0
    assert main(["zoo", "get", "digits-geco-mlp", "mine"]) == 0 and main(["sample", "mine", "-o", "mine.png"]) == 0
    assert main(["zoo", "get", "digits-geco-mlp", "mine"]) == 2
    capsys.readouterr()
    assert main(["sample", "zoo:digits-geco-mpl"]) == 2 and "'digits-geco-mlp'" in capsys.readouterr().err


def test_verify_measures_what_the_cards_say(zoo_folder, capsys):
    assert main(["zoo", "verify"]) == 0
    out = capsys.readouterr().out
    assert out.count("ok  ") == 12 and "FAILED" not in out


def test_verification_returns_results_and_prints_nothing(zoo_folder, capsys):
    """A list for a program: each number as shipped and as measured, and the card; nothing on the terminal."""
    results = verify_numbers(zoo_folder / "digits-geco-mlp")
    assert [result.name for result in results] == ["distortion", "elbo", "error", "nll", "rate", "card.md"]
    assert all(result.passed for result in results) and index.verify_files("digits-geco-mlp").passed
    shipped = files.read_json(zoo_folder / "digits-geco-mlp" / "metrics.json")["numbers"]
    for result in results[:-1]:
        assert result.shipped == shipped[result.name]["value"] == pytest.approx(result.measured, rel=1e-3)
    damage_bit(zoo_folder / "digits-geco-mlp")
    damaged = index.verify_files("digits-geco-mlp")
    assert not damaged.passed and "damaged" in damaged.detail
    assert capsys.readouterr().out == ""


def damage_bit(entry):
    file = entry / "saved_model" / "1" / "variables" / "variables.data-00000-of-00001"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def swap(entry):
    a, b = (folder / "state.npz" for folder in (entry, entry.parent / "digits-labels-mlp"))
    shutil.copy(b, a)


def edit_card(entry):
    card = entry / "card.md"
    card.write_text(card.read_text().replace("`elbo` | -", "`elbo` | -0"))


@pytest.mark.parametrize("damage", [damage_bit, swap, edit_card])
def test_damage_is_found_and_nothing_is_loaded(zoo_folder, damage, capsys):
    damage(zoo_folder / "digits-geco-mlp")
    assert main(["zoo", "verify", "--quick"]) == 4 and "FAILED" in capsys.readouterr().out
    assert main(["sample", "zoo:digits-geco-mlp", "-o", "no.png"]) == 4
    with pytest.raises(IntegrityError):
        tfvae.load("zoo:digits-geco-mlp")


def test_a_number_that_is_not_so_fails_though_all_hashes_fit(zoo_folder, capsys):
    """Weights, card and manifest of somebody who lies about the ELBO: measuring finds out."""
    entry = zoo_folder / "digits-geco-mlp"
    metrics = files.read_json(entry / "metrics.json")
    metrics["numbers"]["elbo"]["value"] += 1.0
    files.write_json(entry / "metrics.json", metrics)
    manifest = files.read_json(entry / "manifest.json")
    path = entry / "metrics.json"
    manifest["metrics.json"] = {"sha256": files.sha256(path), "bytes": path.stat().st_size}
    files.write_json(entry / "manifest.json", manifest)
    assert main(["zoo", "verify", "digits-geco-mlp"]) == 4
    out = capsys.readouterr().out
    assert "FAILED  elbo" in out and "ok  rate" in out and "FAILED  card.md" in out


def test_mistakes(zoo_folder, zoo_and_run, tmp_path, monkeypatch, capsys):
    for name, text in (("Bad Name", "a-z"), ("digits-geco-mlp", "which the zoo has")):
        with pytest.raises(UsageError, match=text):
            add_entry(zoo_folder, name, zoo_and_run[1].path)
    assert main(["zoo", "info"]) == 2 and main(["zoo", "list", "nothing*"]) == 2
    monkeypatch.setenv("TFVAE_ZOO", str(tmp_path / "empty"))
    monkeypatch.setattr(index, "__file__", str(tmp_path / "a" / "b" / "c" / "d.py"))
    monkeypatch.chdir(zoo_and_run[0].parent / "a")
    capsys.readouterr()
    assert main(["zoo", "list"]) == 2 and "TFVAE_ZOO" in capsys.readouterr().err


# --- what is shipped -----------------------------------------------------------------------------------------------

SHIPPED = pathlib.Path(__file__).parents[2] / "zoo"
NAMES = sorted(path.parent.name for path in SHIPPED.glob("*/manifest.json"))


@pytest.fixture
def shipped(monkeypatch):
    monkeypatch.setenv("TFVAE_ZOO", str(SHIPPED))


def test_the_index_names_what_is_there(shipped):
    assert list(index.read_zoo().entries) == NAMES and len(NAMES) >= 3


@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_entry_is_intact_and_its_card_is_that_of_its_numbers(name, shipped):
    folder = index.find_entry(name)
    assert matches_card(folder)
    assert sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) < 15e6


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_entry_has_the_numbers_of_its_card(name, shipped, capsys):
    """Needs the data sets' original files; every number within its tolerance."""
    assert main(["zoo", "verify", name]) == 0 and "FAILED" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("batch", [1, 2, 7, 64])
def test_a_shipped_savedmodel_computes_what_its_live_model_does(name, batch, shipped):
    """decode of the same codes by TensorFlow alone and by the live model, to 1e-5."""
    folder = index.find_entry(name)
    served, model = tfvae.load(folder / "saved_model"), load_model(folder)
    z = np.random.default_rng(batch).normal(size=(batch, model.arch.latent)).astype(np.float32)
    np.testing.assert_allclose(served.decode(z), model.decode(z), atol=1e-5)
    np.testing.assert_allclose(served.sample(batch, (3, 4)), tfvae.load(f"zoo:{name}").sample(batch, (3, 4)), atol=1e-5)
