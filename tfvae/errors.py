"""Errors that a user can cause: one sentence each (expected, received, way out) and an exit code."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class TfvaeError(Exception):
    """Base of all errors that the command line prints as one line."""

    exit_code = 1


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

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


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
    choices = sorted(choices)
    return (
        f"Expected {what} to be one of {', '.join(choices)}. Received: {received!r}.{suggest_name(received, choices)}"
    )


def suggest_name(received: object, choices: Iterable[str]) -> str:
    """Return " Did you mean ...?" with the choice that is spelt most alike; "" where none is close."""
    near = difflib.get_close_matches(str(received), list(choices), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
