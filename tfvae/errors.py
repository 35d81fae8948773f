"""Errors a user can cause: one sentence each (expected, received, way out) and an exit code."""

import difflib


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
    """A file that might do more than compute, and nobody said that it may."""

    exit_code = 5


class DivergedError(TfvaeError):
    """Training that produced non-finite numbers and could not go on."""

    exit_code = 6


class StorageError(TfvaeError, OSError):
    """A file that could not be written: permission, existing folder, full disk."""

    exit_code = 7

    def __str__(self):
        return str(self.args[0]) if self.args else ""


def describe_unknown(what, received, choices):
    """The sentence for a name that is not in a table, with the nearest one that is."""
    choices = sorted(choices)
    near = difflib.get_close_matches(str(received), choices, n=1, cutoff=0.5)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    return f"Expected {what} to be one of {', '.join(choices)}. Received: {received!r}.{hint}"
