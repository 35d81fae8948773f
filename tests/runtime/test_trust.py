"""Trust: code that a config names is imported only if the run was signed by this user, or the user says so."""

from __future__ import annotations

import pytest

from tfvae.config import Config
from tfvae.errors import UntrustedError
from tfvae.runtime import trust

OWN = Config(objective="my_losses.FreeBits:floor=4", dataset="digits")


@pytest.fixture(autouse=True)
def state_folder(tmp_path, monkeypatch):
    """A user without a secret, who has trusted nothing."""
    monkeypatch.setattr(trust.platformdirs, "user_state_dir", lambda name: str(tmp_path / "state" / name))
    monkeypatch.setattr(trust, "_TRUSTED_TEXTS", set())
    return tmp_path / "state" / "tfvae"


def test_a_config_without_foreign_code_needs_no_signature(state_folder):
    for config in (Config(), Config(dataset="npz:a.b/c.npz"), Config(dataset="folder:x.y,size=8")):
        assert trust.sign_specs(config) is None
        trust.check_specs(config, {})
    assert not state_folder.exists()


@pytest.mark.parametrize("settings", [{"objective": "a.B"}, {"likelihood": "a.B:c=1"}, {"arch": "a.b.C"},
                                      {"prior": "a.B"}, {"dataset": "a.b:n=3"},
                                      {"objective": "geco:constraints=re<=4;feature:net<=1"}])  # fmt: skip
def test_foreign_code_is_found_and_refused(settings):
    config = Config(**settings)
    assert trust.find_foreign_code(config) == settings
    for environment in ({}, {"config_signature": None}, {"config_signature": "0" * 64}, {"config_signature": "ü"}):
        with pytest.raises(UntrustedError, match="--trust"):
            trust.check_specs(config, environment)


def test_what_was_signed_here_is_loaded_and_nothing_else():
    """More epochs leave the signature valid; other options, or another user's secret, do not."""
    environment = {"config_signature": trust.sign_specs(OWN)}
    trust.check_specs(OWN, environment)
    trust.check_specs(Config(**OWN.to_dict() | {"epochs": 99}), environment)
    with pytest.raises(UntrustedError, match="floor=5"):
        trust.check_specs(Config(objective="my_losses.FreeBits:floor=5"), environment)


def test_another_user_is_not_trusted(state_folder):
    environment = {"config_signature": trust.sign_specs(OWN)}
    (state_folder / "secret").write_bytes(b"x" * 32)
    with pytest.raises(UntrustedError):
        trust.check_specs(OWN, environment)


def test_the_secret_is_the_users_alone_and_stays(state_folder):
    first = trust.sign_config("text")
    assert len(first) == 64 and trust.sign_config("text") == first != trust.sign_config("texts")
    secret = state_folder / "secret"
    assert secret.stat().st_mode & 0o777 == 0o600 and len(secret.read_bytes()) == 32
    assert [path.name for path in state_folder.iterdir()] == ["secret"]


def test_what_the_user_trusts_stays_trusted_in_this_process():
    trust.check_specs(OWN, {}, trusted=True)
    trust.check_specs(OWN, {})
    with pytest.raises(UntrustedError):
        trust.check_specs(Config(objective="my_losses.Other"), {})


def test_a_new_run_has_its_own_signature_and_no_other():
    environment = trust.add_signature(OWN, {"python": "3", "config_signature": "of another config"})
    assert environment == {"python": "3", "config_signature": trust.sign_specs(OWN)}
    assert trust.add_signature(Config(), environment) == {"python": "3"}
