"""What is loaded is what was examined; Keras' files name no code; arrays hold no objects."""

import json
import pathlib
import zipfile

import keras
import mutated_models
import numpy as np
import pytest
import tensorflow as tf

from tfvae.errors import DataError, IntegrityError, UntrustedError
from tfvae.safety import array_files, model_loading, savedmodel_check


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return mutated_models.write_good_model(tmp_path_factory.mktemp("good") / "1")


def copy_model(good, folder):
    for path in good.rglob("*"):
        if path.is_file():
            (folder / path.relative_to(good)).parent.mkdir(parents=True, exist_ok=True)
            (folder / path.relative_to(good)).write_bytes(path.read_bytes())
    return folder


def read_files(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in pathlib.Path(folder).rglob("*") if p.is_file()}


def test_what_is_replaced_after_the_check_is_not_loaded(good, tmp_path, monkeypatch):
    """The original changes between check and load, wholly; the bytes that were examined are loaded, then deleted."""
    folder, seen, examined = copy_model(good, tmp_path / "1"), [], read_files(good)
    find_risks = savedmodel_check.find_risks

    def find_risks_then_replace(model):
        for path in folder.rglob("*"):
            path.is_file() and path.write_bytes(b"another")
        return find_risks(model)

    def load(path):
        seen.append((path, read_files(path)))
        return "loaded"

    monkeypatch.setattr(savedmodel_check, "find_risks", find_risks_then_replace)
    monkeypatch.setattr(tf.saved_model, "load", load)
    assert model_loading.load_savedmodel(folder, needs_manifest=False) == "loaded"
    ((path, loaded),) = seen
    assert loaded == examined and not pathlib.Path(path).exists() and folder not in pathlib.Path(path).parents
    assert model_loading.load_savedmodel(folder, trusted=True) == "loaded" and seen[1][0] == str(folder)


def test_a_link_in_the_place_of_a_file_is_not_followed(good, tmp_path):
    """Also one that appears after the files were listed."""
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    with pytest.raises(DataError, match="readable"):
        savedmodel_check.copy_plain_file(tmp_path / "link", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
    folder = copy_model(good, tmp_path / "1")
    (folder / "variables" / "more").symlink_to(tmp_path)
    with pytest.raises(IntegrityError, match="link"):
        savedmodel_check.copy_checked_savedmodel(folder, tmp_path / "target", needs_manifest=False)
    assert not (tmp_path / "target").exists()


def test_messages_name_the_original(good, tmp_path):
    folder = copy_model(good, tmp_path / "1")
    for path in (folder / "variables").iterdir():
        path.write_bytes(b"damaged")
    with pytest.raises(DataError) as damaged:
        model_loading.load_savedmodel(folder, needs_manifest=False)
    (folder / "saved_model.pb").write_bytes(b"no protobuf")
    with pytest.raises(DataError) as broken:
        model_loading.load_savedmodel(folder, needs_manifest=False)
    for error in (damaged, broken):
        assert str(folder) in str(error.value) and "tfvae-model-" not in str(error.value)
        assert "\n" not in str(error.value)


# --- Keras' files ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def keras_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("keras") / "model.keras"
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)]).save(path)
    return path


def change_config(path, target, change):
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config)
                data = json.dumps(config).encode()
            new.writestr(name, data)
    return target


def name_class(name):
    def change(config):
        config["config"]["layers"][1]["class_name"] = name

    return change


def name_part(key, spec):
    def change(config):
        config["config"]["layers"][1]["config"][key] = spec

    return change


KERAS_CHANGES = [name_class(name) for name in sorted(model_loading.UNSAFE_KERAS_CLASSES)]
KERAS_CHANGES += [name_part(key, "evil.module.Part") for key in ("arch", "likelihood", "prior", "objective")]


def test_keras_files_load_unless_they_name_code(keras_file, tmp_path, monkeypatch):
    x = np.ones([3, 2], np.float32)
    np.testing.assert_array_equal(model_loading.load_keras_model(keras_file)(x), keras.saving.load_model(keras_file)(x))
    monkeypatch.setattr(keras.saving, "load_model", lambda *args, **options: pytest.fail("Keras saw it"))
    for number, change in enumerate(KERAS_CHANGES):
        with pytest.raises(UntrustedError, match="--trust"):
            model_loading.load_keras_model(change_config(keras_file, tmp_path / f"{number}.keras", change))
    (tmp_path / "text.keras").write_text("no archive")
    with pytest.raises(DataError, match=".keras file"):
        model_loading.load_keras_model(tmp_path / "text.keras")


def test_arrays_that_hold_objects_are_refused(tmp_path):
    np.savez(tmp_path / "objects.npz", x=np.array([{}], object))
    np.save(tmp_path / "objects.npy", np.array([{}], object))
    with array_files.open_arrays(tmp_path / "objects.npz") as arrays, pytest.raises(ValueError, match="pickle"):
        arrays["x"]
    for in_place in (False, True):
        with pytest.raises(ValueError, match=r"pickle|Python objects"):
            array_files.open_arrays(tmp_path / "objects.npy", in_place)
