"""Indexes, manifests, cards, configs and label maps that are broken in hundreds of ways: one line each, no traceback.

Every damage is tried with what reads the file; an entry that is not damaged is listed and intact in each case.
"""

import hashlib
import json
import pathlib
import shutil

import malformed_files
import pytest

from tfvae.cli.command_line import main
from tfvae.errors import TfvaeError
from tfvae.explore.site import describe_model, read_condition_entry
from tfvae.exporting.loading import read_condition
from tfvae.models.conditions import Condition
from tfvae.serving.http_server import MAX_IMAGES, read_manifest, read_max_images
from tfvae.training.run_folder import Run
from tfvae.zoo import index
from tfvae.zoo.entry_cards import matches_card

SHIPPED = pathlib.Path(__file__).parents[2] / "zoo"
COUNT = 45  # damages of single values, a file
ENTRY_FILES = ("config.json", "metrics.json", "manifest.json", "card.md")
RUN_FILES = ("config.json", "env.json", "metrics.csv", "STATUS")
ROW = "epoch,step,seconds,loss\n1,10,0.5,3.25\n"
ENVIRONMENT = {"image_shape": [8, 8, 1], "classes": 10, "class_names": ["a", "b"], "config_signature": "f" * 64}


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A zoo of two good entries, a run and a SavedModel, all of which may be damaged."""
    shutil.copytree(SHIPPED / "square-beta-mlp", tmp_path / "zoo" / "good")
    shutil.copytree(SHIPPED / "mnist-labels-convdraw", tmp_path / "zoo" / "other")
    summaries = json.loads((SHIPPED / "index.json").read_text())
    summaries = {"good": summaries["square-beta-mlp"], "other": summaries["mnist-labels-convdraw"]}
    (tmp_path / "zoo" / "index.json").write_text(json.dumps(summaries))
    shutil.copytree(SHIPPED / "square-beta-mlp" / "saved_model" / "1", tmp_path / "model")  # a small graph
    shutil.copy(tmp_path / "zoo" / "other" / "saved_model" / "1" / "manifest.json", tmp_path / "model")
    (tmp_path / "runs" / "one").mkdir(parents=True)
    shutil.copy(tmp_path / "zoo" / "other" / "config.json", tmp_path / "runs" / "one")
    (tmp_path / "runs" / "one" / "env.json").write_text(json.dumps(ENVIRONMENT))
    (tmp_path / "runs" / "one" / "metrics.csv").write_text(ROW)
    (tmp_path / "runs" / "one" / "STATUS").write_text("finished\n")
    monkeypatch.setenv("TFVAE_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write_hashes(folder):
    """Write the manifest of a folder anew, as its author could."""
    (folder / "manifest.json").unlink(missing_ok=True)
    files = {}
    for path in [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]:
        data = path.read_bytes()
        files[path.relative_to(folder).as_posix()] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    (folder / "manifest.json").write_text(json.dumps(files))


def run_verb(capsys, *words):
    """Run a verb; return its exit code, output and errors, after a look at what no verb may do."""
    code = main(list(words))
    captured = capsys.readouterr()
    assert code in (0, 2, 3, 4, 5) and "Traceback" not in captured.err and "a bug" not in captured.err, captured.err
    assert len(captured.err) < 10_000 and (captured.out + captured.err).replace("\n", "").isprintable()
    return code, captured.out, captured.err.splitlines()


def check_zoo(capsys, damaged):
    """All verbs of a zoo of which the entry "other", or the index, is damaged."""
    code, out, notes = run_verb(capsys, "zoo", "list")
    assert code == 0 and "good" in out and len(notes) <= 21
    code, out, lines = run_verb(capsys, "zoo", "verify", "--quick")
    assert code in (0, 4) and "good  intact" in out and len(lines) <= 22 and (code == 4) >= bool(lines)
    if damaged == "index.json":
        assert run_verb(capsys, "zoo", "info", "good")[0] == 0
        return
    code, _, lines = run_verb(capsys, "zoo", "info", "other")
    assert len(lines) == (code != 0)
    try:
        assert not matches_card(index.find_entry("other"))  # its hashes fit, and its name is another's
    except TfvaeError as error:
        assert "\n" not in str(error)


def damage_entry(damage, path, is_hashed):
    """Damage a file of an entry, and write the manifest anew unless it is the file."""
    damage()
    if is_hashed and not path.is_symlink() and path.is_file():
        write_hashes(path.parent)


def check_run(capsys, run):
    """All that opens a run; no error but those of one line."""
    assert run_verb(capsys, "runs", "list")[0] == 0
    for words in (("runs", "show", str(run)), ("inspect", str(run))):
        code, _, lines = run_verb(capsys, *words)
        assert len(lines) == (code != 0)
    for read in ("config", "environment", "image_shape", "classes", "rows", "status"):
        try:
            getattr(Run(run), read)
        except TfvaeError as error:
            assert "\n" not in str(error) and len(str(error)) < 5000


def check_savedmodel(capsys, folder):
    """All that reads a manifest of a SavedModel."""
    code, _, lines = run_verb(capsys, "inspect", str(folder))
    assert len(lines) == (code != 0)
    assert isinstance(read_condition(folder), Condition | None)
    assert 1 <= read_max_images(read_manifest(folder)) <= MAX_IMAGES
    assert isinstance(describe_model(folder), str) and isinstance(read_condition_entry(folder), dict | None)


def check_reader(capsys, path, damage):
    """Damage a file, and try all that reads it."""
    if path.parent.parent.name == "zoo":
        damage_entry(damage, path, path.name != "manifest.json")
        check_zoo(capsys, "other")
        return
    damage()
    if path.parent.name == "zoo":
        check_zoo(capsys, "index.json")
    else:
        (check_savedmodel if path.parent.name == "model" else check_run)(capsys, path.parent)


def try_damages(foreign, capsys, count, choose):
    """Try those of all damages that `choose(number)` wants; return how many there were, and what was wrong."""
    tried, number, faults = 0, 0, []
    paths = [foreign / "zoo" / "index.json", *(foreign / "zoo" / "other" / name for name in ENTRY_FILES)]
    paths += [foreign / "runs" / "one" / name for name in RUN_FILES]
    paths += [foreign / "model" / "manifest.json"]
    for path in paths:
        original = path.read_bytes()
        for title, damage in malformed_files.iterate_damages(path, count, seed=number):
            number += 1
            if not choose(number):
                continue
            tried += 1
            try:
                check_reader(capsys, path, damage)
            except Exception as error:
                faults.append(f"{path.name}, {title}: {type(error).__name__} {str(error)[-300:]}")
        malformed_files.remove(path)
        path.write_bytes(original)
        if path.parent.name == "other":
            write_hashes(path.parent)
    return tried, faults


def test_a_sample_of_damages(foreign, capsys):
    tried, faults = try_damages(foreign, capsys, 10, lambda number: number % 13 == 0)
    assert tried >= 25 and not faults


@pytest.mark.slow
def test_all_damages(foreign, capsys):
    """10 files, each damaged in 24 ways and, if it is JSON, in 50 more."""
    tried, faults = try_damages(foreign, capsys, COUNT, lambda number: True)
    assert tried >= 600 and not faults
