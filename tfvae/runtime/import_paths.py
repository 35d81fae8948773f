"""Users' own parts by import path (``my_package.my_module.FreeBits``) or by an entry point of their package."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import traceback
import types
from typing import Any

from tfvae.errors import UsageError, suggest_name
from tfvae.specs import is_import_path

EXAMPLE = "my_package.my_module.my_name"


def import_object(path: str) -> Any:
    """Import the module of an import path and return the class or function that the path names.

    Modules are looked for in the current working directory first, then where Python always looks, as ``python -m``
    does. The directory stays on `sys.path`, so that the module can import its neighbours later as well.

    Args:
        path: modules and names with dots between them; a class inside a class may be named too.

    Returns:
        The object, unchanged: a class, a function or another value, but not a module.

    Raises:
        UsageError: `path` is no import path, there is no such module or name, or the module raised an error while
            it was imported. In that case the error is named in the sentence, and it is the `__cause__`.

    Example:
        >>> import_object("fractions.Fraction")(1, 2)
        Fraction(1, 2)
    """
    if not is_import_path(path):
        raise UsageError(f"Expected an import path such as {EXAMPLE}. Received: {path!r}.")
    _add_working_directory()
    parts = path.split(".")
    result, count = _import_longest_module(parts)
    for position in range(count, len(parts)):
        if not hasattr(result, parts[position]):
            raise UsageError(_describe_missing_name(path, ".".join(parts[:position]), result, parts[position]))
        result = getattr(result, parts[position])
    if isinstance(result, types.ModuleType):
        raise UsageError(
            f"Expected {path!r} to name a class or a function. Received: a module; add the name of one of its "
            f"classes or functions: {path}.my_name."
        )
    return result


def find_entry_points(group: str) -> dict[str, importlib.metadata.EntryPoint]:
    """Look up the names that installed packages register in an entry-point group; nothing is imported.

    Args:
        group: ``tfvae.datasets``, ``tfvae.objectives``, ...

    Returns:
        A dict from each registered name to its entry point. Of two packages that register the same name the one
        that is first on `sys.path` counts.

    Example:
        >>> sorted(find_entry_points("no.such.group"))
        []
    """
    entry_points: dict[str, importlib.metadata.EntryPoint] = {}
    for entry_point in importlib.metadata.entry_points(group=group):
        entry_points.setdefault(entry_point.name, entry_point)
    return entry_points


def load_entry_point(entry_point: importlib.metadata.EntryPoint) -> Any:
    """Import the class or function that an entry point names and return it.

    Args:
        entry_point: a value of the dict that `find_entry_points` returns.

    Raises:
        UsageError: as for `import_object`; the sentence names the entry point too.

    Example:
        >>> point = importlib.metadata.EntryPoint("points", "collections:OrderedDict", "tfvae.datasets")
        >>> load_entry_point(point).__name__
        'OrderedDict'
    """
    try:
        return import_object(entry_point.value.partition("[")[0].strip().replace(":", "."))
    except UsageError as error:
        message = f"Entry point {entry_point.name!r} of the group {entry_point.group!r}: {error}"
        raise UsageError(message) from error.__cause__


def _add_working_directory() -> None:
    """Put the current working directory at the front of `sys.path`, unless it is on it."""
    try:
        directory = os.getcwd()
    except OSError:  # it was deleted
        return
    if not {"", directory} & set(sys.path):
        sys.path.insert(0, directory)
    # A module may have been written a moment ago, after Python had listed its folder.
    importlib.invalidate_caches()


def _import_longest_module(parts: list[str]) -> tuple[types.ModuleType, int]:
    """Import as many leading `parts` as are modules, the last part excepted; return the module and their count."""
    module = None
    for count in range(1, len(parts)):
        name = ".".join(parts[:count])
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:  # the module is there; what is missing is something that it imports
                raise _failed_import(parts, name, error) from error
            if module is None:
                raise UsageError(
                    f"Expected {'.'.join(parts)!r} to be an import path such as {EXAMPLE}. Received: there is no "
                    f"module {name!r}, neither in the current directory nor among the installed packages; "
                    f"change to the folder that holds it, or install it."
                ) from error
            return module, count - 1
        except (Exception, SystemExit) as error:  # a user's module may raise anything
            raise _failed_import(parts, name, error) from error
    assert module is not None
    return module, len(parts) - 1


def _failed_import(parts: list[str], module: str, error: BaseException) -> UsageError:
    """Make the error for a module that raised `error` while it was imported; it says where."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "importlib" not in frame.filename]
    # The first frame is this file's own.
    line = f" ({frames[-1].filename}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    return UsageError(
        f"Expected to import {'.'.join(parts)!r}. Received: {type(error).__name__}: {error}, raised while Python "
        f"imported {module!r}{line}; correct that module or install what it needs."
    )


def _describe_missing_name(path: str, owner: str, value: Any, name: str) -> str:
    """Return the sentence for a name that `value`, a module or a class, does not have."""
    public = [key for key in dir(value) if not key.startswith("_")]
    hint = suggest_name(name, public)
    file = getattr(value, "__file__", None)
    origin = f" ({file})" if file else ""
    if owner == "__main__":
        return (
            f"Expected {path!r}, which was defined in a script or notebook, in this one too. Received: none such. Run "
            f"its definition first, or move it into a file of its own and train with my_module.{name}."
        )
    return (
        f"Expected {path!r} to be an import path such as {EXAMPLE}. Received: {owner!r}{origin} has no {name!r}; "
        f"correct the name.{hint}"
    )
