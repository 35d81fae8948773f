"""Parts by spec: built-in, by import path, registered by a package; and the sentences for what does not fit."""

from __future__ import annotations

import importlib.metadata
import sys
import textwrap
import types

import pytest

from tfvae.errors import UsageError
from tfvae.runtime import import_paths
from tfvae.runtime.parts import build_part


class Base:
    """The base of the table's parts."""

    def __init__(self, *, latent: int, **rest: object) -> None:
        self.latent, self.rest = latent, rest


class Small(Base):
    """A built-in part."""

    option_aliases = {"old": "size"}
    legacy_off = {"old": 0}

    def __init__(self, *, size: int | None = None, **context: object) -> None:
        super().__init__(**context)
        self.size = size


TABLE = {"small": Small}
MODULE = """
from tests_of_parts_base import Base

class Mine(Base):
    def __init__(self, *, floor: float = 1.0, **context):
        super().__init__(**context)
        self.floor = floor

class NoContext(Base):
    def __init__(self, *, floor: float = 1.0):
        self.floor = floor

class Stranger:
    pass

value = 3
"""


@pytest.fixture(autouse=True)
def modules(tmp_path, monkeypatch):
    """A module of a user's own in the current folder."""
    base = types.ModuleType("tests_of_parts_base")
    base.Base = Base
    monkeypatch.setitem(sys.modules, "tests_of_parts_base", base)
    (tmp_path / "parts_of_a_user.py").write_text(textwrap.dedent(MODULE))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("parts_of_a_user", None)


def make(spec, **context):
    return build_part("prior", TABLE, spec, base=Base, **{"latent": 2} | context)


def test_built_in_parts_and_finished_ones():
    assert make("small").size is None and make("small:size=3").size == 3
    assert make("small:old=0").size is None and make("small:size=0").size == 0 and make("small:old=4").size == 4
    finished = Base(latent=1)
    assert make(finished) is finished


def test_a_class_of_the_users_own():
    part = make("parts_of_a_user.Mine:floor=4", image_shape=(1, 2, 1))
    assert (part.floor, part.latent, part.rest) == (4, 2, {"image_shape": (1, 2, 1)})


def test_a_name_that_a_package_registers(monkeypatch):
    point = importlib.metadata.EntryPoint("mine", "parts_of_a_user:Mine", "tfvae.priors")
    monkeypatch.setattr(import_paths, "find_entry_points", lambda group: {"mine": point} if "prior" in group else {})
    assert make("mine:floor=2").floor == 2


@pytest.mark.parametrize(
    "spec, words",
    [
        ("smal", "Did you mean 'small'?"),
        ("small:sice=3", "Did you mean 'size'?"),
        ("small:size=x", "expected size to be a whole number, or none"),
        ("small:size=", "Received: size="),
        ("no_such_module.Mine", "no_such_module"),
        ("parts_of_a_user.Min", "Did you mean 'Mine'?"),
        ("parts_of_a_user.Stranger", "subclass of"),
        ("parts_of_a_user.value", "Received: a int"),
        ("parts_of_a_user.Mine:flor=3", "Did you mean 'floor'?"),
        ("parts_of_a_user.Mine:floor=x", "expected floor to be a number"),
        ("parts_of_a_user.NoContext", "latent"),
    ],
)
def test_mistakes_are_one_sentence(spec, words):
    with pytest.raises(UsageError) as error:
        make(spec)
    assert words in str(error.value) and "\n" not in str(error.value)
