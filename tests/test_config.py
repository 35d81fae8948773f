"""Config: what is off is None, what 0.1.0 wrote is read, and what cannot be meant is refused."""

from __future__ import annotations

import hashlib
import json
import math

import pytest

from tfvae.config import OFF_VALUES, Config, list_settings
from tfvae.errors import UsageError

# config.json of a run of 0.1.0, every setting at its default.
OLD = {
    "objective": "elbo", "dataset": "fashion_mnist", "likelihood": "auto", "arch": "mlp", "prior": "normal",
    "condition": "", "epochs": 50, "batch_size": 128, "learning_rate": 0.001, "schedule": "constant", "rate_warmup": 0,
    "clip_norm": 0.0, "ema": 0.0, "samples": 1, "l2": 0.0, "seed": 0, "binarize": "none", "dequantize": False,
    "validation": 0.1, "limit": 0, "precision": "float32", "xla": "auto", "feed": "auto", "strategy": "none",
    "replicas": 0, "raw_dir": "",
}  # fmt: skip


def test_what_is_off_is_none():
    assert Config.from_dict(OLD) == Config() == Config(**OFF_VALUES)
    assert {name: Config().to_dict()[name] for name in OFF_VALUES} == dict.fromkeys(OFF_VALUES)
    assert json.loads(json.dumps(Config().to_dict()))["limit"] is None
    assert Config().flags() == [] and ("--limit", 5) in Config(limit=5).flags()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"limit": 100, "ema": 0.99},
        {"rate_warmup": 20},
        {"condition": "labels"},
        {"objective": "geco:kappa=2,rate=0.01"},
        {"arch": "mlp:widths=,latent=2"},
    ],
)
def test_the_hash_names_the_folders_of_older_versions(changes):
    """It is that of the file's own text, so that sweeps and experiments find their runs again."""
    text = json.dumps(OLD | changes, sort_keys=True)
    assert Config.from_dict(OLD | changes).hash == hashlib.sha256(text.encode()).hexdigest()[:8]


def test_old_words():
    """Old names are translated; settings that had no effect, or another than named, become what was done."""
    config = Config.from_dict(OLD | {"rate_warmup": 7, "replicas": 2, "objective": "sigma", "binarize": "static"})
    assert config.learning_rate_warmup == 7 and config.replicas is None and config.likelihood == "bernoulli"
    objective = Config.from_dict(OLD | {"objective": "geco:kappa=3,constraints=re<=2"}).objective
    assert objective == "geco:constraints=re<=2,controller=pi"
    assert Config(objective="geco:lam=2,gain=0.0").objective == "geco:initial_multiplier=2"
    with pytest.raises(UsageError, match="Did you mean 'epochs'"):
        Config.from_dict({"epoch": 1})


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"learning_rate": math.nan}, "learning_rate to be a number"),
        ({"learning_rate": math.inf}, "learning_rate to be a number"),
        ({"clip_norm": math.inf}, "clip_norm to be a number, or None"),
        ({"clip_norm": -1.0}, "clip_norm > 0"),
        ({"limit": -1}, "limit > 0"),
        ({"limit": 1.5}, "limit to be a whole number, or None"),
        ({"epochs": None}, "epochs to be a whole number"),
        ({"epochs": 2.0}, "epochs to be a whole number"),
        ({"seed": True}, "seed to be a whole number"),
        ({"seed": -1}, "seed >= 0"),
        ({"ema": 1.0}, "0 <= ema < 1"),
        ({"dequantize": 1}, "dequantize to be true or false"),
        ({"xla": "of"}, "Did you mean 'off'"),
        ({"arch": ""}, "arch to be a word"),
        ({"arch": 3}, "arch to be a word"),
        ({"replicas": 2}, "replicas only with strategy=mirrored"),
        ({"objective": "sigma", "binarize": "dynamic"}, "Use objective beta"),
    ],
)
def test_refused(settings, words):
    with pytest.raises(UsageError, match="Received") as error:
        Config(**settings)
    assert words in str(error.value)


def test_settings_have_help_and_kinds():
    settings = list_settings()
    assert all(setting.help for setting in settings.values())
    assert {name for name, setting in settings.items() if setting.optional} == {*OFF_VALUES, "bad_files"}
    assert settings["learning_rate"].kind is float and settings["xla"].choices == ("auto", "on", "off")
    Config(objective="sigma", binarize="static", likelihood="bernoulli")
    Config(strategy="mirrored", replicas=2)
