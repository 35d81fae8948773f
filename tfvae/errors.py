"""Errors that a user can cause: one sentence each (expected, received, way out) and an exit code."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable

MAX_RECEIVED = 100  # letters of what was received, in a sentence


def make_printable(text: str) -> str:
    """Return a text on one line, without the control characters that move a terminal's cursor or colour it."""
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in text)


class TfvaeError(Exception):
    """Base of all errors that the command line prints as one line.

    A sentence may quote names and texts from foreign files, so it is made printable wherever it is shown.
    """

    exit_code = 1
    _keras_call_info_injected = True  # so that Keras leaves the sentence as it is

    def __str__(self) -> str:
        return make_printable(str(self.args[0])) if self.args else ""


class UsageError(TfvaeError, ValueError):
    """A wrong name, option or value."""

    exit_code = 2


class DataError(TfvaeError, ValueError):
    """A data set that is missing, damaged, or does not fit."""

    exit_code = 3


class IntegrityError(TfvaeError):
    """A stored file whose content is not what its manifest says."""

    exit_code = 4


class UntrustedError(TfvaeError):
    """A file that might do more than compute, or names foreign code, and that the user did not say to trust."""

    exit_code = 5


class DivergedError(TfvaeError):
    """Training that produced non-finite numbers and could not go on."""

    exit_code = 6


class StorageError(TfvaeError, OSError):
    """A file that could not be written: permission, existing folder, full disk."""

    exit_code = 7


def describe_unknown(what: str, received: object, choices: Iterable[str]) -> str:
    """Return the sentence for a name that is not in a table, with the nearest one that is, if one is close.

    Args:
        what: what the name is of, "an option".
        received: the name.
        choices: the names in the table.

    Example:
        >>> describe_unknown("arch", "mpl", ["conv", "mlp"])
        "Expected arch to be one of conv, mlp. Received: 'mpl'. Did you mean 'mlp'?"
    """
    choices, text = sorted(choices), describe_value(received)
    return f"Expected {what} to be one of {', '.join(choices)}. Received: {text}.{suggest_name(received, choices)}"


class ShortRepr(reprlib.Repr):
    """What `repr` says, on one short line: of an array its type and shape, of long texts and lists their ends."""

    def __init__(self) -> None:
        super().__init__()
        self.maxstring = self.maxother = MAX_RECEIVED

    def repr_instance(self, x: object, level: int) -> str:
        """Return the text for a value that is neither a text nor a container."""
        dtype, shape = getattr(x, "dtype", None), str(getattr(x, "shape", "()"))
        if dtype is not None and shape != "()":
            return f"{getattr(dtype, 'name', dtype)} array of shape {shape}"
        return " ".join(super().repr_instance(x, level).split())


def describe_value(value: object) -> str:
    """Return a value as one short line for a message; the numbers of an array are not in it.

    Example:
        >>> describe_value(["a"] * 1000)
        "['a', 'a', 'a', 'a', 'a', 'a', ...]"
    """
    return ShortRepr().repr(value)


def suggest_name(received: object, choices: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the choice that `received` is a slip of; "" where it is a slip of none."""
    nearest = find_nearest_name(str(received), choices)
    return f" Did you mean {nearest!r}?" if nearest else ""


def find_nearest_name(name: str, choices: Iterable[str]) -> str | None:
    """Return the choice that `name` is a slip of, or None: no suggestion is better than a bad one.

    A slip is at most one edit in three letters, two and more only with the same first letter; or an end that is left
    out or added ("batch" for "batch-size"), where one choice alone begins so. Case, "-" and "_" do not count.

    Args:
        name: what was received.
        choices: the names in the table; flags with their "--".
    """
    received = _normalize(name)
    edits: dict[str, int] = {}
    begun: list[str] = []
    for choice in choices:
        known = _normalize(choice)
        shorter, longer = sorted((received, known), key=len)
        most = len(longer) // 3
        if len(longer) - len(shorter) <= most:  # each letter too many is an edit: long texts are not gone through
            count = count_edits(received, known)
            if count <= most and (count <= 1 or received[0] == known[0]):
                edits[choice] = count
        begun += [choice] * (len(shorter) >= 3 and longer.startswith(shorter))
    if edits:
        return min(edits, key=lambda choice: edits[choice])
    return begun[0] if len(begun) == 1 else None


def _normalize(name: str) -> str:
    """Return a name as it is compared: small letters, one kind of dash, none in front."""
    return name.lower().replace("_", "-").lstrip("-")


def count_edits(a: str, b: str) -> int:
    """Return how many letters to insert, drop, replace or swap with their neighbour to make `b` of `a`."""
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        earlier, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            count = min(row[j - 1] + 1, before[j] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                count = min(count, earlier[j - 2] + 1)
            row.append(count)
    return row[-1]
