"""A zoo that somebody else made, or several people at once: nothing of it is believed, and one entry hides no other."""

import hashlib
import json
import pathlib
import shutil

import numpy as np
import pytest

from tfvae.cli.command_line import main
from tfvae.errors import DataError, IntegrityError, UntrustedError, UsageError
from tfvae.runtime import files
from tfvae.safety.array_files import read_arrays
from tfvae.zoo import entries, index, measurements

SHIPPED = pathlib.Path(__file__).parents[2] / "zoo"
GOOD, OTHER = "square-beta-mlp", "mnist-labels-convdraw"


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """A copy of two shipped entries, which is the zoo of this test."""
    for name in (GOOD, OTHER):
        shutil.copytree(SHIPPED / name, tmp_path / "zoo" / name)
    entries.write_index(tmp_path / "zoo")
    monkeypatch.setenv("TFVAE_ZOO", str(tmp_path / "zoo"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "zoo"


@pytest.fixture
def measured(monkeypatch):
    """Numbers that are measured in no time: those that each entry ships; the data set of OTHER is not at hand."""

    def load(config):
        if config.dataset == "mnist":
            raise DataError("Expected mnist. Received: no files.")
        return (np.zeros((1, 1, 2, 1), np.float32),) * 3

    def measure(folder, data, trusted):
        return {name: entry["value"] for name, entry in measurements.read_metrics(folder)["numbers"].items()}

    monkeypatch.setattr(measurements, "load_test_images", load)
    monkeypatch.setattr(measurements, "measure_entry", measure)


def write_hashes(folder):
    """Write the manifest of an entry anew, as its author could."""
    listed = {}
    for name, path in files.list_files(folder).items():
        data = path.read_bytes()
        listed[name] = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    listed.pop("manifest.json", None)
    files.write_json(folder / "manifest.json", listed)


def test_a_data_set_that_is_not_at_hand_stops_no_other(zoo, measured, capsys):
    """What was not verified is named, and the exit code is that of missing data."""
    assert main(["zoo", "verify"]) == 3
    captured = capsys.readouterr()
    assert captured.out.count("NOT VERIFIED  numbers") == 1 and captured.out.count("ok  ") == 7
    assert captured.err.startswith(f"tfvae: Expected the data sets of all entries. Received: none for {OTHER}; ")
    assert main(["zoo", "verify", GOOD]) == 0


def test_a_damaged_entry_stops_no_other(zoo, measured, monkeypatch, capsys):
    """A file that is damaged, and one that is another's though all hashes fit."""
    (zoo / OTHER / "config.json").write_text("[]")
    for is_hashed in (False, True):
        if is_hashed:
            write_hashes(zoo / OTHER)
        assert main(["zoo", "verify"]) == 4
        captured = capsys.readouterr()
        assert captured.out.count("FAILED") == 1 and captured.out.count("ok  ") == 6 and GOOD in captured.out
        assert len(captured.err.splitlines()) == 1 and "1 that are not" in captured.err


def test_weights_that_are_none(zoo, capsys):
    (zoo / GOOD / "state.npz").write_bytes(b"junk")
    write_hashes(zoo / GOOD)
    assert main(["zoo", "verify", GOOD]) == 4
    out = capsys.readouterr().out
    assert "FAILED  entry: Expected" in out and "state.npz" in out


@pytest.mark.parametrize("content", [b"junk", b"PK\x03\x04", b"", b"\x93NUMPY\x01\x00"])
def test_archives_that_are_none_are_refused(tmp_path, content):
    (tmp_path / "weights.npz").write_bytes(content)
    with pytest.raises(IntegrityError, match="to hold arrays"):
        read_arrays(tmp_path / "weights.npz")


def test_weights_of_texts_and_weights_beyond_memory_are_refused(tmp_path, monkeypatch):
    """A megabyte of zeros is a kilobyte in an archive."""
    np.savez(tmp_path / "texts.npz", **{"0000": np.array(["a"])})
    np.savez_compressed(tmp_path / "zeros.npz", **{"0000": np.zeros(10**6, np.uint8)})
    assert list(read_arrays(tmp_path / "zeros.npz")) == ["0000"]
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 1_000_000})())
    for name, words in (("texts.npz", "Expected numbers in"), ("zeros.npz", "to fit into memory")):
        with pytest.raises(IntegrityError, match=words):
            read_arrays(tmp_path / name)


def test_nothing_is_loaded_before_it_is_checked(zoo, monkeypatch, capsys):
    """Neither to verify an entry nor to copy it."""

    def refuse(folder):
        raise UntrustedError("Expected a SavedModel that only computes. Received: another.")

    monkeypatch.setattr(measurements, "check_trusted", refuse)
    monkeypatch.setattr(measurements.load, "load", lambda *args: pytest.fail("loaded"))
    monkeypatch.setattr(measurements, "load_test_images", lambda config: pytest.fail("read"))
    assert main(["zoo", "verify", GOOD]) == 5 and "FAILED" in capsys.readouterr().out
    (zoo / GOOD / "saved_model" / "1" / "saved_model.pb").write_bytes(b"another")
    write_hashes(zoo / GOOD)
    assert main(["zoo", "get", GOOD, "mine"]) == 4 and sorted(path.name for path in zoo.parent.iterdir()) == ["zoo"]


def test_a_card_cannot_excuse_its_numbers(zoo, monkeypatch, measured):
    """The tolerance is the metric's own, whatever the entry says."""
    metrics = files.read_json(zoo / GOOD / "metrics.json")
    metrics["numbers"]["elbo"] |= {"tolerance": 0.1}
    files.write_json(zoo / GOOD / "metrics.json", metrics)
    numbers = {name: entry["value"] * 1.05 for name, entry in metrics["numbers"].items()}
    monkeypatch.setattr(measurements, "measure_entry", lambda *args: numbers)
    monkeypatch.setattr(measurements, "check_trusted", lambda folder: None)
    results = {result.name: result.passed for result in measurements.verify_numbers(zoo / GOOD)}
    assert not results["distortion"] and not results["elbo"]


# --- the index ----------------------------------------------------------------------------------------------------


def test_the_entries_say_what_they_are(zoo, capsys):
    """Not the index: it may be another's, older, or gone."""
    contents = index.read_zoo()
    assert list(contents.entries) == [OTHER, GOOD] and not contents.problems
    for text in ("{", "{}", json.dumps({GOOD: contents.entries[GOOD] | {"dataset": "\x1b[31mred"}})):
        (zoo / "index.json").write_text(text)
        assert index.read_zoo().entries == contents.entries
        assert main(["zoo", "list"]) == 0 and "\x1b" not in "".join(capsys.readouterr())
    (zoo / "index.json").unlink()
    assert index.read_zoo().entries == contents.entries
    files.write_json(zoo / "index.json", {"gone": {}, "../outside": {}, GOOD: {"elbo": "high"}})
    (zoo / "linked").symlink_to(zoo / GOOD)
    contents = index.read_zoo()
    assert list(contents.entries) == [OTHER, GOOD]
    assert set(contents.problems) == {"gone", "../outside", GOOD, "linked"}
    with pytest.raises(IntegrityError, match="a link"):
        index.find_entry("linked")


def test_two_that_add_at_once_are_both_in_the_index(zoo, monkeypatch):
    """The other's entry appears while ours is written; whoever writes last sees both."""
    write_json = files.write_json
    shutil.move(zoo / OTHER, zoo.parent / OTHER)

    def write(path, value):
        write_json(path, value)
        if (zoo.parent / OTHER).exists():
            shutil.move(zoo.parent / OTHER, zoo / OTHER)

    monkeypatch.setattr(files, "write_json", write)
    entries.write_index(zoo)
    assert list(files.read_json(zoo / "index.json")) == [OTHER, GOOD]


def test_a_damaged_entry_does_not_keep_others_out_of_the_index(zoo):
    (zoo / OTHER / "metrics.json").write_text("{}")
    entries.write_index(zoo)
    assert list(files.read_json(zoo / "index.json")) == [GOOD]


# --- which zoo ----------------------------------------------------------------------------------------------------


def test_new_entries_go_to_the_zoo_that_was_named_or_nowhere(tmp_path, monkeypatch):
    """Never into that beside the package."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("TFVAE_ZOO", raising=False)
    assert index.find_zoo_folder() == SHIPPED  # to read
    with pytest.raises(UsageError, match="./zoo, which is none"):
        index.find_own_zoo_folder()
    (tmp_path / "zoo").mkdir()
    assert index.find_own_zoo_folder() == pathlib.Path("zoo")
    monkeypatch.setenv("TFVAE_ZOO", str(tmp_path / "mine"))
    for find in (index.find_own_zoo_folder, index.find_zoo_folder):
        with pytest.raises(UsageError, match="mine, which is none"):
            find()
    (tmp_path / "mine").mkdir()
    assert index.find_own_zoo_folder() == tmp_path / "mine"
    (tmp_path / "mine" / "letter.txt").write_text("private")
    with pytest.raises(UsageError, match="which holds other files"):
        index.find_own_zoo_folder()


def test_a_published_model_is_no_run(zoo):
    """It shows no training: no entry is made of another entry."""
    with pytest.raises(UsageError, match="a run folder with metrics.csv"):
        entries.add_entry(zoo, "again", zoo / GOOD)
    assert not (zoo / "again").exists()


def test_a_zoo_without_entries_says_so(tmp_path, monkeypatch, capsys):
    (tmp_path / "index.json").write_text("{}")
    monkeypatch.setenv("TFVAE_ZOO", str(tmp_path))
    assert main(["zoo", "list"]) == 2 and "Expected entries in the zoo" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["Bad Name", "../outside", "a" * 101, "", "index.json", "\x1b[31m"])
def test_names_of_entries_have_limits(name, tmp_path):
    with pytest.raises(UsageError, match="the name of an entry to be a name of a-z"):
        entries.check_new_name(tmp_path, name)
