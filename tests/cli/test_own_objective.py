"""An objective of the user's own on the command line: trained, stopped, resumed, measured, exported, and trusted."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from tfvae import specs
from tfvae.cli.arguments import parse_arguments, read_config
from tfvae.cli.command_line import main
from tfvae.runtime import trust
from tfvae.training.preflight import check_part_names

MODULE = """
import tensorflow as tf
import tfvae

class FreeBits(tfvae.VAE):
    \"\"\"The ELBO whose KL is free up to a floor.\"\"\"

    def __init__(self, *parts, floor: float = 4.0, **context):
        super().__init__(*parts, **context)
        self.floor = floor

    def objective(self, terms):
        return tf.maximum(terms.kl, self.floor) - tf.reduce_mean(terms.log_px, axis=0)

class Stranger:
    pass
"""
TINY = "--dataset digits --arch mlp:widths=16,latent=3 --batch-size 64 --limit 200 --xla off".split()


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """A folder with a module of the user's own, and a state folder of their own."""
    (tmp_path / "losses_of_a_user.py").write_text(MODULE)
    monkeypatch.setattr(trust.platformdirs, "user_state_dir", lambda name: str(tmp_path / "state"))
    monkeypatch.setattr(trust, "_TRUSTED_TEXTS", set())
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path
    sys.modules.pop("losses_of_a_user", None)


@pytest.mark.slow
def test_every_verb_takes_it_like_a_built_in_one(here, capsys):
    spec = "losses_of_a_user.FreeBits:floor=2.5"
    assert main(["train", spec, *TINY, "--epochs", "1", "--run-dir", "run"]) == 0
    config = json.loads((here / "run" / "config.json").read_text())
    assert config["objective"] == spec and json.loads((here / "run" / "env.json").read_text())["config_signature"]
    assert main(["resume", "run", "--epochs", "2"]) == 0
    for argv in (
        ["evaluate", "run", "--samples", "2", "--limit", "10", "--json"],
        ["sample", "run", "-n", "4", "-o", "s.png"],
        ["reconstruct", "run", "-n", "2", "-o", "r.png"],
        ["compare", "run", "--samples", "2", "--limit", "10", "-o", "cmp"],
        ["export", "run", "model"],
        ["sample", "model", "-n", "2", "-o", "m.png"],
        ["runs", "show", "run"],
    ):
        assert main(argv) == 0, argv
    capsys.readouterr()
    assert main(["sweep", spec, *TINY, "--epochs", "1", "--seed", "0,1", "--dry-run"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_run_from_elsewhere_is_refused_without_trust(here, capsys, monkeypatch):
    """Copied without its signature, it runs no code of its own until the user says --trust."""
    assert main(["train", "losses_of_a_user.FreeBits", *TINY, "--epochs", "1", "--run-dir", "run"]) == 0
    shutil.copytree("run", "elsewhere")
    environment = json.loads((here / "elsewhere" / "env.json").read_text())
    del environment["config_signature"]
    (here / "elsewhere" / "env.json").write_text(json.dumps(environment))
    sys.modules.pop("losses_of_a_user", None)
    capsys.readouterr()
    (here / "zoo").mkdir()
    refused = (
        ["resume", "elsewhere"],
        ["evaluate", "elsewhere"],
        ["sample", "elsewhere"],
        ["traverse", "elsewhere"],
        ["compare", "elsewhere"],
        ["export", "elsewhere", "model"],
        ["second-stage", "elsewhere"],
        ["serve", "elsewhere", "--backend", "python"],
        ["explore", "elsewhere", "--no-browser"],
        ["zoo", "add", "mine", "elsewhere"],
    )
    for argv in refused:
        assert main(argv) == 5, argv
        out, err = capsys.readouterr()
        assert "--trust" in err and len(err.splitlines()) == 1 and out == ""
    assert "losses_of_a_user" not in sys.modules
    assert main(["sample", "elsewhere", "--trust", "-n", "2", "-o", "s.png"]) == 0


@pytest.mark.parametrize(
    "spec, words",
    [
        ("losses_of_a_user.FreeBits:flor=2", "Did you mean 'floor'?"),
        ("losses_of_a_user.FreeBits:floor=x", "floor to be a number"),
        ("losses_of_a_user.FreeBit", "Did you mean 'FreeBits'?"),
        ("losses_of_a_user.Stranger", "subclass of"),
        ("no_such_module.FreeBits", "no_such_module"),
    ],
)
def test_mistakes_are_one_line_and_leave_no_run(spec, words, here, capsys):
    assert main(["train", spec, *TINY]) == 2
    err = capsys.readouterr().err
    assert words in err and len(err.splitlines()) == 1
    assert not (here / "runs").exists()


def test_a_name_that_a_package_registers_is_taken_too(monkeypatch):
    monkeypatch.setattr(specs, "list_registered_names", lambda kind: {"free-bits": "losses_of_a_user:FreeBits"})
    config = read_config(parse_arguments(["train", "free-bits:floor=3", "--epochs", "2"]))
    check_part_names(config)
    assert (config.objective, config.epochs) == ("free-bits:floor=3", 2)


def test_options_of_an_own_objective_stand_in_its_spec(capsys):
    assert main(["train", "losses_of_a_user.FreeBits", "--floor", "3"]) == 2
    assert "losses_of_a_user.FreeBits:floor=..." in capsys.readouterr().err
