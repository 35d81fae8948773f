"""``.keras`` files: found in a fresh process, parts given as objects survive, what cannot be saved is refused."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

import tfvae
from tfvae import keras_classes
from tfvae.errors import DataError, UsageError
from tfvae.models.vae import VAE
from tfvae.objectives.geco.constraints import kl
from tfvae.objectives.registry import OBJECTIVES

SHAPE = {"image_shape": (4, 4, 1)}
SMALL = {"arch": "mlp:widths=4,latent=2", **SHAPE}
CODES = np.array([[0.5, -1.0], [2.0, 0.0]], np.float32)


@keras.saving.register_keras_serializable()
def half_kl(terms):
    return 0.5 * terms.kl


def save_and_load(model, path):
    model.save(path)
    again = tfvae.load(path)
    np.testing.assert_array_equal(again.decode(CODES), model.decode(CODES))
    return again


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """The file of a compiled model."""
    model = tfvae.build("geco:kappa=2", **SMALL)
    model.compile("adam")
    path = tmp_path_factory.mktemp("saved") / "model.keras"
    model.save(path)
    return path


@pytest.mark.parametrize("first", ["tfvae", pytest.param("keras", marks=pytest.mark.slow)])
def test_a_fresh_process_finds_the_class(first, saved):
    """After `import tfvae` alone, before or after that of Keras, which then has been told no class."""
    second = {"tfvae": "keras", "keras": "tfvae"}[first]
    program = (
        f"import {first}, {second}, sys\n"
        "assert 'tfvae.models' not in sys.modules\n"
        f"model = keras.saving.load_model({str(saved)!r})\n"
        "assert type(model).__name__ == 'GECO' and model.kappa == 2 and model.optimizer.name.startswith('adam')"
    )
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(tfvae.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr


def test_importing_tfvae_loads_neither_keras_nor_tensorflow():
    program = "import tfvae, sys; assert not {'keras', 'tensorflow'} & set(sys.modules)"
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(tfvae.__file__).parents[1])}
    assert subprocess.run([sys.executable, "-c", program], env=environment).returncode == 0


def test_every_objective_is_announced():
    """Each class that Keras would look for by its name has a stand-in before it is imported."""
    announced: dict[str, object] = {}

    class Registry:
        class saving:
            @staticmethod
            def get_custom_objects():
                return announced

    keras_classes.register_late_classes(Registry)
    ours = {*VAE.__subclasses__(), *OBJECTIVES.values()}
    ours |= {below for one in ours for below in one.__subclasses__()}
    names = {keras.saving.get_registered_name(one) for one in ours if one.__module__.startswith("tfvae.")}
    assert names <= set(announced) and len(names) >= 11


@pytest.mark.parametrize(
    "constraints",
    [
        "re<=2;kl<=9",
        tfvae.Constraint(kl, 20.0, rate_side=True),
        ["re<=2", tfvae.Constraint(half_kl, 20.0, scale=3.0, differentiable=False)],
    ],
    ids=["text", "object", "list"],
)
def test_constraints_survive(constraints, tmp_path):
    model = tfvae.build("geco", constraints=constraints, **SMALL)
    model.multipliers._log_values.assign(np.arange(len(model.constraints), dtype=np.float32))
    again = save_and_load(model, tmp_path / "model.keras")
    names = ("fn", "target", "text", "scale", "upper", "differentiable", "rate_side", "pixel_error")
    for ours, theirs in zip(model.constraints, again.constraints, strict=True):
        assert [getattr(ours, name) for name in names] == [getattr(theirs, name) for name in names]
    np.testing.assert_array_equal(again.multipliers.values, model.multipliers.values)
    assert again.rate_side == model.rate_side


def test_parts_given_as_objects_survive(tmp_path):
    likelihood = tfvae.LIKELIHOODS["gaussian"](sigma="optimal", **SHAPE)
    arch = tfvae.ARCHITECTURES["mlp"](
        widths="4", latent=2, output_channels=likelihood.output_channels, seed=1, dtype="float32", **SHAPE
    )
    prior = tfvae.PRIORS["mixture"](components=3, latent=2, seed=0, **SHAPE)
    model = tfvae.build("elbo", likelihood=likelihood, arch=arch, prior=prior, **SHAPE)
    model.likelihood.running_mse.assign(0.25)
    again = save_and_load(model, tmp_path / "model.keras")
    assert again.likelihood.is_fitted and again.prior.components == 3 and again.arch is not arch
    np.testing.assert_array_equal(again.likelihood.running_mse, 0.25)
    np.testing.assert_array_equal(again.sample(3, 1), model.sample(3, 1))


class TableLikelihood(tfvae.LIKELIHOODS["gaussian"]):
    """A likelihood of a user, with an argument that JSON does not know."""

    def __init__(self, *, table=None, **options):
        super().__init__(**options)
        self.table = table


@pytest.mark.parametrize(
    "objective, options, words",
    [
        ("geco", {"constraints": tfvae.Constraint(lambda terms: terms.kl, 20.0)}, "register_keras_serializable"),
        ("elbo", {"likelihood": TableLikelihood(table={1: 2}, **SHAPE)}, "table"),
    ],
    ids=["lambda", "argument"],
)
def test_what_cannot_be_saved_is_refused_and_the_old_file_stays(objective, options, words, tmp_path):
    (tmp_path / "model.keras").write_text("precious")
    model = tfvae.build(objective, **SMALL | options)
    with pytest.raises(UsageError, match=words) as caught:
        model.save(tmp_path / "model.keras")
    assert "\n" not in str(caught.value) and (tmp_path / "model.keras").read_text() == "precious"
    model.save_weights(tmp_path / "model.weights.h5")  # numbers alone can always be kept


def test_a_subclass_of_the_user_survives(tmp_path):
    likelihood = TableLikelihood(table=2, sigma=0.3, **SHAPE)
    again = save_and_load(tfvae.build("elbo", **SMALL | {"likelihood": likelihood}), tmp_path / "model.keras")
    assert type(again.likelihood) is TableLikelihood and again.likelihood.table == 2


def test_files_that_are_no_models_of_tfvae_are_one_line(tmp_path):
    (tmp_path / "text.keras").write_text("no archive")
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)]).save(tmp_path / "other.keras")
    for name, kind in (("missing", UsageError), ("text", DataError), ("other", UsageError)):
        with pytest.raises(kind) as caught:
            tfvae.load(tmp_path / f"{name}.keras")
        assert "\n" not in str(caught.value) and f"{name}.keras" in str(caught.value)
