"""Specs: their grammar, the kinds of options, old words, and what is refused."""

from __future__ import annotations

import math

import pytest

from tfvae import part_sources, specs
from tfvae.errors import UsageError
from tfvae.specs import Option, PartSignature

PART = PartSignature(
    "part",
    options={
        "speed": Option("speed", None, float, optional=True),
        "count": Option("count", 3, int),
        "shared": Option("shared", True, bool),
        "word": Option("word", "a", str),
        "kind": Option("kind", "pi", str),
        "text": Option("text", None, str, optional=True),
    },
    aliases={"rate": "speed"},
    legacy_off={"rate": 0.0, "text": ""},
    requires={"speed": {"kind": ("pi",)}},
)


class Base:
    """A base. With a second sentence.

    Args:
        first: what the first is,
            in two lines.
    """

    option_aliases = {"old": "first"}

    def __init__(self, *, first: int = 1, shape: tuple = (), context_width: int = 0) -> None:
        pass


class Part(Base):
    """A part (Somebody et al., 2020): it has options.

    Args:
        rate, gain: None: off.
        mode: a word.
    """

    option_aliases = {"older": "rate"}

    def __init__(
        self,
        *,
        rate: float | None = None,
        gain: float | str = 2,
        mode: str = "x",
        flag=False,
        size: int,
        **rest: object,
    ) -> None:
        super().__init__(**rest)


def test_the_grammar_goes_both_ways():
    """Numbers, words and switches come back; inf is refused, and so is an option without a value or given twice."""
    text = "conv:widths=32-64,latent=8,rate=0.5,shared=True,off=none"
    name, options = specs.parse_spec(text)
    assert options == {"widths": "32-64", "latent": 8, "rate": 0.5, "shared": True, "off": "none"}
    assert specs.format_spec(name, options) == text
    assert specs.format_spec("a", {"b": None}) == "a:b=none" and specs.parse_spec("a") == ("a", {})
    for bad in ("a:b", "a:=1", "a:b=1,b=2", "a:b=inf", "a:b=-Infinity", "a:b=NaN"):
        with pytest.raises(UsageError, match="Received"):
            specs.parse_spec(bad)


@pytest.mark.parametrize(
    "text, kind",
    [
        ("int", (int, False)),
        ("float | None", (float, True)),
        ("Optional[int]", (int, True)),
        ("typing.Optional[bool]", (bool, True)),
        ("int | float", (float, False)),
        ("float | str", (str, False)),
        ("Literal['a', 'float']", (str, False)),
        ("Literal['a', 'b'] | None", (str, True)),
        ("Callable", None),
    ],
)
def test_annotations(text, kind):
    assert specs.parse_annotation(text) == kind


def test_options_of_a_live_class():
    """Base classes count, arguments that the model provides do not, and each option has its line of help."""
    part = specs.describe_class("part", Part)
    assert part.summary == "A part (Somebody et al., 2020): it has options."
    assert specs.describe_class("base", Base).summary == "A base."
    assert part.aliases == {"old": "first", "older": "rate"} and part.defaults["rate"] is None
    assert part.options == {
        "first": Option("first", 1, int, False, "what the first is, in two lines"),
        "rate": Option("rate", None, float, True, "None: off"),
        "gain": Option("gain", 2, str, False, "None: off"),
        "mode": Option("mode", "x", str, False, "a word"),
        "flag": Option("flag", False, bool, False, ""),
    }


@pytest.mark.parametrize(
    "name, good, bad",
    [
        ("speed", (None, 0, 0.5, -1), ("x", True, math.inf, math.nan)),
        ("count", (0, 4, 4.0), (None, 0.5, "4", True, math.inf)),
        ("shared", (True, False), (0, 1, "yes", None)),
        ("word", ("b", 4, 0.5), ("", None, True, math.nan)),
        ("text", (None, "b"), ("", False)),
    ],
)
def test_values_of_each_kind(name, good, bad):
    for value in good:
        specs.check_options("kind", PART, {name: value})
    for value in bad:
        with pytest.raises(UsageError, match=f"expected {name} to be"):
            specs.check_options("kind", PART, {name: value})


def test_old_words_are_translated_and_zero_is_zero_for_new_ones():
    assert specs.translate_options(PART, {"rate": 0.0, "text": ""}, is_old_file=True) == {"speed": None, "text": None}
    assert specs.translate_options(PART, {"rate": 0.0, "text": ""}) == {"speed": None, "text": ""}  # refused as empty
    assert specs.translate_options(PART, {"rate": 0}) == {"speed": None}
    assert specs.translate_options(PART, {"rate": 0.1}) == {"speed": 0.1}
    assert specs.translate_options(PART, {"speed": 0.0}) == {"speed": 0.0}
    assert specs.translate_options(PART, {"speed": "none", "word": "none"}) == {"speed": None, "word": "none"}
    assert specs.translate_options(PART, {"rate": False}) == {"speed": False}  # no number, and refused as such
    with pytest.raises(UsageError, match="also as rate"):
        specs.translate_options(PART, {"speed": 1, "rate": 1})
    assert specs.translate_options(Part, {"older": 3, "other": 1}) == {"rate": 3, "other": 1}


def test_options_without_effect_are_refused_and_left_out_of_old_files():
    specs.check_options("kind", PART, {"speed": 1, "kind": "pi"})
    specs.check_options("kind", PART, {"speed": None, "kind": "log"})
    with pytest.raises(UsageError, match="with kind=log. Received: speed=1. Leave speed out, or let kind be pi"):
        specs.check_options("kind", PART, {"speed": 1, "kind": "log"})
    old = "geco:kappa=2,constraints=re<=3,rate=0.01,gain=0.0"
    new = "geco:constraints=re<=3,multiplier_learning_rate=0.01"
    assert part_sources.translate_spec("objective", old, old_settings={}) == new
    assert part_sources.restore_old_words("objective", new + ",controller=pi") == "geco:constraints=re<=3,rate=0.01"
    today = "geco:constraints=re<=3,rate=0.01,controller=forecast"  # which 0.1.0 did not have
    assert part_sources.restore_old_words("objective", new) == today
    for spec in ("geco", "geco:kappa=2", "my_losses.FreeBits:rate=0.0", "unknown:rate=0.0"):
        assert part_sources.translate_spec("objective", spec) == spec
    with pytest.raises(UsageError, match="kappa has no effect"):
        part_sources.check_spec("objective", "geco:kappa=2,constraints=re<=3")


def test_every_axis_is_read_without_importing_it_and_checked():
    for kind in part_sources.TABLES:
        assert part_sources.read_parts(kind)
        with pytest.raises(UsageError, match=f"Expected {kind} to be one of"):
            part_sources.check_spec(kind, "no-such-part")
        part_sources.check_spec(kind, "my_module.MyClass:any=1")  # known when it is imported
    assert part_sources.read_defaults("objective", "geco")["kappa"] == 4.0
    assert part_sources.read_defaults("objective", "my_module.MyClass") == {}


@pytest.mark.parametrize("name, is_path", [("a.b", True), ("a.b.C", True), ("geco", False), ("../a.b", False),
                                           ("a.b-c", False), ("1.5", False)])  # fmt: skip
def test_import_paths(name, is_path):
    assert specs.is_import_path(name) is is_path
