"""The values of options and settings: how they are written, and which are of an option's kind. Without TensorFlow.

Every number that a user gives, on the command line, in a spec or in Python, passes here: one spelling, finite, and no
larger than what TensorFlow computes with.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import re
from typing import Any

from tfvae.errors import UsageError, describe_value

KINDS: dict[str, type] = {"int": int, "float": float, "bool": bool, "str": str}
KIND_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
OFF_WORD = "none"  # how a spec and a flag write None
AUTO_WORD = "auto"  # of an option that has it among its words: the data decide

LARGEST_INTEGER = 2**31 - 1  # int32: seeds, counts and sizes
LARGEST_FLOAT = 3.4e38  # float32
NUMBER_FORM = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Option:
    """An option of a part, or a setting of a run.

    Args:
        name: the keyword argument.
        default: its default; None where `optional` means off, or that the part chooses.
        kind: int, float, bool or str; str also stands for "a word or a number".
        optional: whether None is a value; specs and flags write it as ``none``.
        help: one line for the help.
        choices: the values that are allowed; None: all of the kind.
        unit: of a number, a unit that may stand behind it, as in ``0.1rms``; "": none.
        words: that may stand in a number's place.

    Example:
        >>> Option("cycle", None, int, optional=True).accepts(100)
        True
    """

    name: str
    default: Any = None
    kind: type = str
    optional: bool = False
    help: str = ""
    choices: tuple[str, ...] | None = None
    unit: str = ""
    words: tuple[str, ...] = ()

    def accepts(self, value: Any) -> bool:
        """Return whether `value` is of the option's kind, finite, and not beyond what is computed with."""
        if value is None:
            return self.optional
        if isinstance(value, str) and self.is_text(value):
            return True
        if isinstance(value, bool) or self.kind is bool:
            return isinstance(value, bool) and self.kind is bool
        if is_number(value) and not is_finite(value):
            return False
        if self.kind is int:
            return is_number(value) and value == int(value) and abs(value) <= LARGEST_INTEGER
        return is_number(value) if self.kind is float else not is_same_value(value, "")

    def is_text(self, value: str) -> bool:
        """Return whether a text stands for a number: one with its unit, or one of the words."""
        return value in self.words or self.unit != "" and parse_number_with_unit(value, self.unit) is not None

    def describe_values(self, received: Any, off: str = OFF_WORD) -> str:
        """Return what the option accepts in words: 'a number, or none', with `off` for None."""
        most = {int: LARGEST_INTEGER, float: LARGEST_FLOAT}.get(self.kind, math.inf)
        is_too_large = is_number(received) and most < abs(received) < math.inf
        texts = [f"one with {self.unit} behind it"] * bool(self.unit) + list(self.words)
        values = ", ".join([KIND_WORDS[self.kind] + f" up to {most}" * is_too_large, *texts])
        return values + f", or {off}" * self.optional


def is_number(value: Any) -> bool:
    """Return whether a value is a real number of whatever type; true and false count, too."""
    return isinstance(value, numbers.Real)


def is_finite(number: Any) -> bool:
    """Return whether float32 holds a number; NaN is none."""
    return -LARGEST_FLOAT <= number <= LARGEST_FLOAT


def parse_number(text: str) -> int | float | None:
    """Return the number that a text writes plainly, ``3``, ``-0.5`` or ``1e-3``; None: it is none, or is infinite.

    Python's own ``int`` and ``float`` also take ``1_000``, surrounding blanks, other alphabets' digits and ``nan``.
    """
    if not NUMBER_FORM.fullmatch(text):
        return None
    value = float(text)
    if not is_finite(value):
        return None
    return int(text) if re.fullmatch(r"[+-]?\d+", text, re.ASCII) else value


def parse_number_with_unit(text: str, unit: str) -> int | float | None:
    """Return the number before a unit, 0.1 of ``0.1rms``; None: it is none, or has no such unit."""
    return parse_number(text.removesuffix(unit)) if text.endswith(unit) else None


def parse_literal(text: Any) -> Any:
    """Convert '3' to 3, '0.5' to 0.5, 'true' to True, and return anything else as it is."""
    if not isinstance(text, str):
        return text
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    value = parse_number(text)
    return text if value is None else value


def to_plain_value(value: Any) -> Any:
    """Return a NumPy number, or an array of one number without axes, as Python's own; other values as they are."""
    return value.item() if getattr(value, "ndim", None) == 0 and hasattr(value, "item") else value


def translate_off(value: Any) -> Any:
    """Return None for the word ``none``, and any other value as it is."""
    return None if isinstance(value, str) and value == OFF_WORD else value


def is_same_value(value: Any, other: object) -> bool:
    """Return whether two option values are the same; a bool is no number."""
    if isinstance(value, bool) != isinstance(other, bool):
        return False
    return value is other or isinstance(value, (str, numbers.Real)) and value == other


def check_option(is_good: bool, name: str, rule: str, value: Any) -> None:
    """Refuse an option's value; numbers that are not finite, and true or false for a number, keep no rule.

    Args:
        is_good: whether the value keeps the rule.
        name: of the option.
        rule: what was expected, ">= 0".
        value: what came.

    Raises:
        UsageError: `is_good` is False, or the value is no finite number.
    """
    if not is_good or isinstance(value, bool) or is_number(value) and not is_finite(value):
        received = value if is_number(value) else describe_value(value)
        raise UsageError(f"Expected {name} {rule}. Received: {name}={received}.")


def check_counts(least: int = 1, **counts: Any) -> None:
    """Refuse counts that are not whole, are below `least`, or are beyond int32.

    Raises:
        UsageError: one is.
    """
    for name, value in counts.items():
        is_whole = is_number(value) and least <= value <= LARGEST_INTEGER and value == int(value)
        check_option(is_whole, name, f">= {least}", value)
