"""Whether a run or a zoo entry was made here: own classes that it names are only imported then, or with ``--trust``.

A config can name code: a class of the user's own as its objective, likelihood, architecture, prior or data set, or a
SavedModel in a constraint (``feature:PATH``). Whoever loads such a run executes that code. So a run is signed when it
is created, with a secret that stays in the user's state folder, and the signature is checked when it is loaded.
Configs that name no code need no signature.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import pathlib
import re
import secrets
from collections.abc import Mapping
from typing import Any

import platformdirs

from tfvae import specs
from tfvae.config import Config
from tfvae.errors import UntrustedError
from tfvae.runtime import files

SIGNATURE_KEY = "config_signature"  # in env.json
SECRET_BYTES = 32
_TRUSTED_TEXTS: set[str] = set()  # what the user has said to trust in this process
_TRUSTED_FEATURES: set[str] = set()  # the paths of SavedModels in constraints among it
AXES = ("objective", "likelihood", "arch", "prior", "dataset")


def find_foreign_code(config: Config) -> dict[str, str]:
    """Return {setting: spec} of the settings that name code which is not part of tfvae.

    Example:
        >>> find_foreign_code(Config(objective="my_losses.FreeBits:floor=4"))
        {'objective': 'my_losses.FreeBits:floor=4'}
    """
    return {name: spec for name in AXES if names_foreign_code(name, spec := getattr(config, name))}


def names_foreign_code(setting: str, spec: str) -> bool:
    """Return whether the spec of one setting names a class by its import path, or a SavedModel in a constraint.

    Names that installed packages register for tfvae are not foreign: the user installed them for that.

    Args:
        setting: objective, likelihood, arch, prior or dataset.
    """
    name, _, options = spec.partition(":")
    return specs.is_import_path(name) or setting == "objective" and "feature:" in options


def trusts_features(path: str) -> bool:
    """Return whether the user has said to trust a config with the constraint ``feature:path``.

    A signature is not enough: it says that the user wrote the config, and nothing of the files at that path.
    """
    return path in _TRUSTED_FEATURES


def read_secret() -> bytes:
    """Return this user's secret; the first call creates it, readable by the user alone.

    Raises:
        StorageError: it cannot be written.
    """
    path = pathlib.Path(platformdirs.user_state_dir("tfvae")) / "secret"
    with files.translate_os_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}")
        if not path.exists():
            handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
            try:
                os.link(beside, path)  # unlike a rename, this fails where another process was faster
            except FileExistsError:
                pass
            finally:
                beside.unlink()
        return path.read_bytes()


def sign_config(text: str) -> str:
    """Return the signature of a text, HMAC-SHA256 with this user's secret, in hex."""
    return hmac.new(read_secret(), text.encode(), hashlib.sha256).hexdigest()


def sign_specs(config: Config) -> str | None:
    """Return the signature of the settings that name foreign code, for ``env.json``; None: there are none.

    Only those settings are signed: more epochs leave the signature valid.
    """
    foreign = find_foreign_code(config)
    return sign_config(json.dumps(foreign, sort_keys=True)) if foreign else None


def add_signature(config: Config, environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of ``env.json`` with the signature of a new run's config, instead of any other signature."""
    signature = sign_specs(config)
    rest = {name: value for name, value in environment.items() if name != SIGNATURE_KEY}
    return rest | ({SIGNATURE_KEY: signature} if signature else {})


def check_specs(config: Config, environment: Mapping[str, Any], trusted: bool = False) -> None:
    """Refuse a config that names foreign code, unless it was signed here or the user trusts it.

    Args:
        config: of a run folder or a zoo entry.
        environment: the content of its ``env.json``; {} where it has none.
        trusted: what the user says with ``--trust``.

    What the user trusts is trusted as long as the process lasts, by whatever else loads the same run.

    Raises:
        UntrustedError: as above; nothing was imported.
    """
    foreign = find_foreign_code(config)
    text = json.dumps(foreign, sort_keys=True)
    if trusted:
        _TRUSTED_TEXTS.add(text)
        _TRUSTED_FEATURES.update(re.findall(r"feature:(.+?)\s*<=", config.objective))
    if not foreign or text in _TRUSTED_TEXTS:
        return
    signature, expected = environment.get(SIGNATURE_KEY), sign_config(text)
    if not isinstance(signature, str) or not hmac.compare_digest(signature.encode(), expected.encode()):
        named = ", ".join(f"{name}={spec}" for name, spec in foreign.items())
        raise UntrustedError(
            f"Expected a run that was made by this user, for its config names code of its own. Received: {named}, "
            "without a signature of this user. If you trust where it comes from, say --trust (trust=True)."
        )
