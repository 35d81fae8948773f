"""Good SavedModels changed at every place that a loader acts upon: none of them runs anything unasked."""

import json
import os
import pathlib
import subprocess
import sys

import model_variants
import mutated_models
import pytest
import tensorflow as tf

from tfvae.safety.model_loading import load_savedmodel

# The saver itself may write where it is told; nothing that loads or calls a model runs it.
HARMLESS = {"saver-save-alone"}
PROGRAM = pathlib.Path(model_variants.__file__)


def is_harmless(name):
    return name in HARMLESS or name.startswith("save-in-__inference__traced_save")


def check(results):
    assert [result["name"] for result in results if result["touched"]] == []
    assert [r["name"] for r in results if not r["refused"] and not is_harmless(r["name"])] == []


def test_a_sample_of_the_variants_is_refused(tmp_path):
    """About thirty of them, from all places, in this process."""
    results = list(model_variants.try_variants(tmp_path, choose=lambda number, variant: number % 24 == 7))
    check(results)
    assert len(results) >= 25
    model = load_savedmodel(tmp_path / "good", needs_manifest=False)  # it is not all that is refused
    assert model.signatures["serving_default"](x=model_variants.X)["output_0"].shape == (2, 2)


def run_child(root, *words):
    """The results of a child process, which would not outlive every variant."""
    root.mkdir()
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "HOME": str(root)}
    done = subprocess.run(
        [sys.executable, PROGRAM, root, *words], capture_output=True, text=True, env=environment, cwd=root
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.slow
def test_no_variant_runs_anything(tmp_path):
    """All of them; and, so that the canaries are known to sing, some of them trusted."""
    results = run_child(tmp_path / "checked", "checked", "")
    check(results)
    assert len(results) >= 500
    trusted = run_child(tmp_path / "trusted", "trusted", "write-at", "write-hangs", "saver-save-call")
    assert len([result for result in trusted if result["touched"]]) >= 8


def test_names_that_the_loader_calls_are_reserved():
    """Whatever TensorFlow's own objects have as private methods can be no child of a foreign one."""
    from tensorflow.python.trackable import autotrackable, resource

    from tfvae.safety.allowed_forms import RESERVED_CHILDREN

    own = {name for name in dir(autotrackable.AutoTrackable) if name.startswith("_") and not name.startswith("__")}
    made = {name for name in vars(resource.CapturableResource) if name in ("_create_resource", "_initialize")}
    assert own | made <= RESERVED_CHILDREN


def test_gradients_that_a_model_names_are_its_own(tmp_path):
    """Also those of functions that a tape differentiates: the good model has one, and it is used."""
    model = load_savedmodel(mutated_models.write_good_model(tmp_path / "good"), needs_manifest=False)
    with tf.GradientTape() as tape:
        tape.watch(model_variants.X)
        value = tf.reduce_sum(model(model_variants.X))
    assert tape.gradient(value, model_variants.X) is not None
