"""Each promise of README and docs/ stands beside the test that would fail if it were not kept."""

from __future__ import annotations

import ast
import configparser
import json
import pathlib
import re
import shlex

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae import part_sources
from tfvae.cli.command_line import main

ROOT = pathlib.Path(__file__).parents[2]
HERE = "docs/test_promises.py"
README, TRAINING, ZOO, SERVING = "README.md", "docs/guide/training.md", "docs/guide/zoo.md", "docs/guide/serving.md"
PICTURES, SECOND = "docs/tutorials/own-pictures.md", "docs/guide/second-stage.md"
CONDITIONS = "docs/guide/conditions.md"

# (page, words of the promise, file of the test below tests/, name of the test)
PROMISES = [
    (README, "which reports whether they are met", "cli/test_cli_verbs.py", "test_evaluate_prints_one_json_object"),
    (README, "ten objectives x nine likelihoods x five architectures x three priors", HERE, "test_numbers_of_parts"),
    (README, "the same seed gives the same bits", "architectures/test_conformance.py",
     "test_compiled_training_repeats_to_the_bit"),
    (README, "it goes on, to the bit", "training/test_survival.py",
     "test_a_killed_run_ends_as_the_uninterrupted_one"),
    (README, "checkpoints that are hashed and renamed", "training/test_runs.py",
     "test_a_damaged_checkpoint_is_passed_over"),
    (README, "2.6 times Keras `fit` on two CPU cores", HERE, "test_speed_is_that_of_the_results"),
    (README, "SavedModels that TensorFlow alone runs", "exporting/test_exporter.py",
     "test_run_and_saved_model_load_alike"),
    (README, "fourteen trained models in the zoo", HERE, "test_numbers_of_the_zoo"),
    (README, "named by its import path", "docs/test_examples.py", "test_all_five_at_once_on_the_command_line"),
    (README, "Python 3.11 to 3.13. From a clone, `pip install .`; extras: `.[serve]`", HERE,
     "test_extras_and_versions_of_python"),
    (README, "The data set `digits` is part of the installation", HERE, "test_the_digits_need_no_file"),
    (README, "tfvae train geco --dataset digits --kappa 1.8", HERE, "test_the_five_minutes_in_the_shell"),
    (README, "A run is a folder that explains itself and is never overwritten", "cli/test_cli_verbs.py",
     "test_a_run_folder_is_what_the_design_says"),
    (README, "`runs/latest` is the newest one", HERE, "test_the_five_minutes_in_the_shell"),
    (README, "Mistakes get one line and exit code 2 and leave nothing behind", "cli/test_cli.py",
     "test_mistakes_are_one_line_without_tensorflow"),
    (README, "images, labels = tfvae.datasets.load", "docs/test_documentation.py", "test_python_runs_as_shown"),
    (README, "Flags, keys of `config.json` and arguments of `tfvae.train(...)` are the same words",
     "cli/test_cli.py", "test_flags_are_config_keys_and_python_names"),
    (README, "`compile`, `fit(tf.data.Dataset)`, callbacks, `evaluate`", HERE, "test_keras_works_as_usual"),
    (README, "`.keras` files work as usual", "models/test_keras_files.py", "test_a_fresh_process_finds_the_class"),
    (README, "All numbers are nats per image", "training/test_runs.py", "test_evaluate_agrees_with_training"),
    (README, "the same in eager mode, in graphs and under XLA", "runtime/test_random_streams.py",
     "test_draws_are_the_same_however_compiled"),
    (README, "there is nothing to register, and no other file to touch", HERE, "test_the_objective_in_a_file"),
    (README, "`make docs` builds the site into `site/`, without a network", "docs/test_documentation.py",
     "test_the_site_builds"),
    (TRAINING, "STATUS (running, finished, stopped, failed, or interrupted)", "training/test_runs.py",
     "test_the_folder_is_as_documented"),
    (TRAINING, "Ctrl-C and SIGTERM save first", "cli/test_cli_verbs.py", "test_signals_save_and_stop"),
    (TRAINING, "A full disk leaves the last good one", "cli/test_cli_verbs.py",
     "test_a_disk_full_later_leaves_previous_files_whole"),
    (TRAINING, "three times at most; then it stops as failed", "training/test_runs.py", "test_divergence_is_reported"),
    (TRAINING, "a resumed run ends with the same weights", "training/test_runs.py",
     "test_a_stopped_run_resumes_to_the_same_bits"),
    (TRAINING, "8 | the device's memory is full", "cli/test_cli.py", "test_device_out_of_memory_has_exit_code_8"),
    (ZOO, "`zoo:NAME` works wherever a model is asked for", "cli/test_model_names.py",
     "test_verbs_that_draw_take_every_model"),
    (ZOO, "measures and compares on the data set of the entry", "cli/test_model_names.py",
     "test_evaluate_and_export_take_a_model_of_the_zoo"),
    (ZOO, "can be trained further", "cli/test_model_names.py", "test_a_model_of_the_zoo_is_trained_further"),
    (ZOO, "a file that differs from its hash is refused", "zoo/test_zoo_entries.py",
     "test_damage_is_found_and_nothing_is_loaded"),
    (ZOO, "measures every number of the card again", "zoo/test_zoo_entries.py",
     "test_verify_measures_what_the_cards_say"),
    (SERVING, "whole or absent, never replaced", "exporting/test_exporter.py",
     "test_a_failure_anywhere_leaves_no_version"),
    (SERVING, "`tfvae.load(path)` takes runs, SavedModels, `.keras` files and `zoo:NAME`",
     "cli/test_model_names.py", "test_a_model_of_the_zoo_is_trained_further"),
    (SECOND, "take the new run as any other", "training/test_second_stage.py", "test_verbs_take_it"),
    (CONDITIONS, "or --label all: a row for each class", "zoo/test_zoo_entries.py", "test_verbs_take_its_name"),
    (PICTURES, "tfvae reconstruct runs/latest -o reconstructions.png", "cli/test_cli_verbs.py",
     "test_pictures_of_a_run"),
]  # fmt: skip


def read_words(page):
    """Return the text of a page with single spaces."""
    return " ".join((ROOT / page).read_text().split())


@pytest.mark.parametrize("page, words, file, name", PROMISES, ids=lambda value: re.sub(r"\W+", "-", value)[:40])
def test_a_promise_stands_beside_its_test(page, words, file, name):
    assert " ".join(words.split()) in read_words(page)
    tree = ast.parse((ROOT / "tests" / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_numbers_of_parts():
    words = {3: "three", 5: "five", 9: "nine", 10: "ten"}
    counts = [words[len(part_sources.read_parts(kind))] for kind in ("objective", "likelihood", "arch", "prior")]
    sentence = "{} objectives x {} likelihoods x {} architectures x {} priors".format(*counts)
    assert sentence in read_words(README)


def test_numbers_of_the_zoo():
    assert len(list((ROOT / "zoo").glob("*/manifest.json"))) == 14


def test_speed_is_that_of_the_results():
    (ratio,) = re.findall(r"\| stock Keras `fit` \| [\d,]+ \| ([\d.]+) \|", read_words("docs/results.md"))
    assert f"{float(ratio):.1f} times Keras `fit`" in read_words(README)


def test_extras_and_versions_of_python():
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg")
    assert set(re.findall(r"`\.\[(\w+)\]`", read_words(README))) == set(setup["options.extras_require"])
    assert setup["options"]["python_requires"] == ">=3.11,<3.14"


def test_the_digits_need_no_file(monkeypatch, tmp_path):
    for name in ("TFVAE_DATA_DIR", "TFDS_DATA_DIR", "TFVAE_RAW_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "nothing"))
    images, labels = tfvae.datasets.load("digits", "test")
    assert images.dtype == np.uint8 and images.shape[1:] == (8, 8, 1) and len(labels) == len(images)


def test_keras_works_as_usual(tmp_path):
    images, _ = tfvae.datasets.load("digits", "train", limit=64)
    model = tfvae.build("geco:kappa=2", arch="mlp:widths=8,latent=2", image_shape=(8, 8, 1))
    model.compile("adam")
    callbacks = [
        keras.callbacks.ModelCheckpoint(tmp_path / "best.keras", monitor="val_loss"),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.EarlyStopping("val_sq_err", mode="min", patience=3),
    ]
    data = tf.data.Dataset.from_tensor_slices(images).batch(32)
    history = model.fit(data, validation_data=data, epochs=2, shuffle=False, callbacks=callbacks, verbose=0).history
    assert {"loss", "elbo", "lambda", "val_sq_err"} <= set(history) and len(history["loss"]) == 2
    assert (tmp_path / "log.csv").read_text().count("\n") == 3
    loaded = keras.saving.load_model(tmp_path / "best.keras")
    scores = model.evaluate(data, verbose=0, return_dict=True)
    assert loaded.evaluate(data, verbose=0, return_dict=True)["elbo"] == pytest.approx(scores["elbo"])


def find_block(page, words):
    """Return the fenced block of a page that holds the words."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", (ROOT / page).read_text(), re.M | re.S)
    (block,) = [block for block in blocks if words in block]
    return block


@pytest.mark.slow
def test_the_objective_in_a_file(tmp_path, monkeypatch, capsys):
    """The class of the README, as it stands, in my_losses.py."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "my_losses.py").write_text(find_block(README, "class FreeBits").partition("\nmodel =")[0])
    flags = "--dataset digits --limit 200 --epochs 1 --batch-size 64 --arch mlp:widths=8,latent=2 --xla off"
    assert main(shlex.split(f"train my_losses.FreeBits:floor=2 {flags} --run-dir run")) == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["objective"] == "my_losses.FreeBits:floor=2"


@pytest.mark.slow
def test_the_five_minutes_in_the_shell(tmp_path, monkeypatch, capsys):
    """Every line of the README's first session, in an empty folder; the page is only named, for it would not end."""
    monkeypatch.chdir(tmp_path)
    for line in find_block(README, "tfvae traverse").splitlines():
        words = shlex.split(line, comments=True)[1:]
        if words[0] != "explore":
            assert main(words) == 0, capsys.readouterr().err
    assert (tmp_path / "runs" / "latest").resolve().parent == tmp_path / "runs" / "digits" / "geco"
    for path in ("grid.png", "traversals.png", "export/models/digits/1/saved_model.pb", "runs/latest/report.html"):
        assert (tmp_path / path).is_file(), path
