"""Schemas of JSON that somebody else may have written: kinds, ranges, lengths and names are checked before use.

    METRICS = Record({"images": Number(1, 10**9, whole=True)}, others=True)
    METRICS.check(values, "metrics.json")

A schema checks a value and returns nothing; what does not fit is an `IntegrityError` of one line that names the place.
Nothing here imports TensorFlow or reads a file.
"""

from __future__ import annotations

import dataclasses
import re
import reprlib
from collections.abc import Mapping
from typing import Any, NoReturn, Protocol

from tfvae.errors import IntegrityError

MAX_PATH = 4096  # characters, as of Linux
# Inside a folder: no path that is absolute or leads out, no control characters, no separators of other systems.
_PART = r"(?!\.{1,2}(?:/|$))[^/\\\x00-\x1f\x7f-\x9f]+"


class Schema(Protocol):
    """What checks a value."""

    def check(self, value: Any, place: str) -> None:
        """Refuse a value that does not fit.

        Args:
            value: as `json.loads` returns it.
            place: what the value is, for the message: a file, and the way to the value in it.

        Raises:
            IntegrityError: it does not fit.
        """


def refuse(value: Any, place: str, words: str) -> NoReturn:
    """Raise IntegrityError: `place` should be what `words` say, and is `value`."""
    raise IntegrityError(f"Expected {place} to be {words}. Received: {reprlib.repr(value)}.")


@dataclasses.dataclass(frozen=True)
class Anything:
    """Every value; the reader of the file has bounded its size."""

    def check(self, value: Any, place: str) -> None:
        """Accept the value."""


@dataclasses.dataclass(frozen=True)
class Number:
    """A number in a range, finite unless the range says otherwise; true and false are none.

    Args:
        low: the least value.
        high: the greatest value.
        whole: whether it has to be a whole number.
        may_be_nan: whether NaN is allowed, too.
    """

    low: float = -1e300
    high: float = 1e300
    whole: bool = False
    may_be_nan: bool = False

    def check(self, value: Any, place: str) -> None:
        """Refuse anything else."""
        is_number = isinstance(value, int if self.whole else (int, float)) and not isinstance(value, bool)
        if is_number and self.may_be_nan and value != value:
            return
        if not is_number or not self.low <= value <= self.high:  # NaN is in no range
            kind = "a whole number" if self.whole else "a number"
            refuse(value, place, f"{kind} from {self.low:g} to {self.high:g}")


@dataclasses.dataclass(frozen=True)
class Text:
    """A text.

    Args:
        longest: the greatest length in characters.
        pattern: a regular expression that the whole text matches.
        words: what such a text is, for messages.
    """

    longest: int = 200
    pattern: str = r"(?s).*"
    words: str = "a text"

    def check(self, value: Any, place: str) -> None:
        """Refuse anything else."""
        if not isinstance(value, str) or len(value) > self.longest or not re.fullmatch(self.pattern, value):
            refuse(value, place, f"{self.words} of at most {self.longest:,} characters")


@dataclasses.dataclass(frozen=True)
class Constant:
    """One of some values: true, false or null, say."""

    values: tuple[Any, ...]

    def check(self, value: Any, place: str) -> None:
        """Refuse anything else; 1 is not true."""
        if not any(value is allowed for allowed in self.values):
            refuse(value, place, " or ".join({True: "true", False: "false", None: "null"}[one] for one in self.values))


@dataclasses.dataclass(frozen=True)
class AnyOf:
    """A value that fits one of several schemas.

    Args:
        schemas: which.
        words: what such a value is, for messages.
    """

    schemas: tuple[Schema, ...]
    words: str

    def check(self, value: Any, place: str) -> None:
        """Refuse what fits none."""
        for schema in self.schemas:
            try:
                return schema.check(value, place)
            except IntegrityError:
                continue
        refuse(value, place, self.words)


@dataclasses.dataclass(frozen=True)
class ListOf:
    """A list of values of one schema.

    Args:
        item: the schema of each.
        least: the least length.
        most: the greatest length.
    """

    item: Schema
    least: int = 0
    most: int = 100_000

    def check(self, value: Any, place: str) -> None:
        """Refuse anything else."""
        if not isinstance(value, list) or not self.least <= len(value) <= self.most:
            refuse(value, place, f"a list of {self.least} to {self.most:,} values")
        for number, item in enumerate(value):
            self.item.check(item, f"{place}[{number}]")


@dataclasses.dataclass(frozen=True)
class MapOf:
    """An object whose keys are of one kind and whose values are of one schema.

    Args:
        key: the schema of each key.
        value: the schema of each value.
        most: the greatest length.
    """

    key: Text
    value: Schema
    most: int = 100_000

    def check(self, value: Any, place: str) -> None:
        """Refuse anything else."""
        if not isinstance(value, Mapping) or len(value) > self.most:
            refuse(value, place, f"an object of at most {self.most:,} names")
        for name, item in value.items():
            self.key.check(name, f"a name in {place}")
            self.value.check(item, f"{place}: {name}")


@dataclasses.dataclass(frozen=True)
class Record:
    """An object with certain names.

    Args:
        required: {name: schema} of what must be there.
        optional: {name: schema} of what may be there.
        others: whether other names may be there, too; nothing may be done with those but to show them.
    """

    required: Mapping[str, Schema]
    optional: Mapping[str, Schema] = dataclasses.field(default_factory=dict)
    others: bool = False

    def check(self, value: Any, place: str) -> None:
        """Refuse anything else."""
        if not isinstance(value, Mapping):
            refuse(value, place, "an object")
        schemas = {**self.required, **self.optional}
        for name in self.required:
            if name not in value:
                raise IntegrityError(f"Expected {name} in {place}. Received: none.")
        for name, item in value.items():
            if name in schemas:
                schemas[name].check(item, f"{place}: {name}")
            elif not self.others:
                raise IntegrityError(f"Expected in {place} only {', '.join(schemas)}. Received: {reprlib.repr(name)}.")


# --- schemas of what stands in several files ---------------------------------------------------------------------

FLAG = Constant((True, False))
RELATIVE_PATH = Text(MAX_PATH, rf"{_PART}(?:/{_PART})*", "a path inside the folder")
IMAGE_SHAPE = ListOf(Number(1, 2**16, whole=True), least=3, most=3)  # [H, W, C]
COUNT = Number(0, 2**53, whole=True)
CLASS_COUNT = Number(0, 2**63, whole=True)  # one more than the largest label, which may be any number
CLASS_NAMES = ListOf(Text(255), most=10**6)  # a folder's name is no longer
SETTING = AnyOf((Constant((None, True, False)), Number(), Text(MAX_PATH)), "a word, a number, true, false or null")
SETTINGS = MapOf(Text(100), SETTING, most=200)  # of a run, as config.json has them; `Config` checks each of them
_HASHED_FILE = Record({"sha256": Text(64, "[0-9a-f]{64}", "a hash"), "bytes": COUNT})
HASHED_FILES = MapOf(RELATIVE_PATH, _HASHED_FILE)
