"""`Source`, which every kind of data set gives to `tfvae.datasets.load`, and the options in a data set's name."""

from __future__ import annotations

import functools
import logging
import os
import pathlib
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfvae.errors import UsageError, describe_unknown, describe_value, make_printable, suggest_name
from tfvae.specs import parse_literal

log = logging.getLogger("tfvae")

Arrays = tuple[np.ndarray, np.ndarray]  # images [N,H,W,C], labels int64 [N]


class Source(NamedTuple):
    """A data set that was located but not yet read.

    Attributes:
        parts: ('train', 'test'), or ('all',) where the data set has no test split of its own.
        read: takes a part and returns its images [N,H,W,C] and labels int64 [N]; raises DataError if the content
            is damaged.
        origin: where the images come from, for people.
        notes: what a reader of results must know (lossy copies, unpinned content).
        compute_sha256: returns {file: hex digest of its decompressed bytes}.
        is_slow_to_read: whether the first load leaves a prepared copy behind, because reading is slow.
        unlabelled_parts: the parts that have no labels; `read` returns zeros in their place.
        get_class_names: returns the name of each label from 0; () where they have none.
    """

    parts: tuple[str, ...]
    read: Callable[[str], Arrays]
    origin: str
    notes: tuple[str, ...] = ()
    compute_sha256: Callable[[], dict[str, str]] = dict
    is_slow_to_read: bool = False
    unlabelled_parts: tuple[str, ...] = ()
    get_class_names: Callable[[], tuple[str, ...]] = tuple


@functools.cache
def log_once(note: str) -> None:
    """Log a warning once per process: a run loads several splits."""
    log.warning("%s", make_printable(note))


def split_name(name: str) -> tuple[str, str]:
    """Split 'celeb_a:size=64' into the name of the data set, 'celeb_a', and the rest, 'size=64'."""
    if not isinstance(name, str):
        raise UsageError(f"Expected the name of a data set. Received: {describe_value(name)}.")
    base, _, rest = name.partition(":")
    return base, rest


def split_items(rest: str) -> list[str]:
    """Split 'modes=8,sigma=0.1' into ['modes=8', 'sigma=0.1']."""
    return [item for item in rest.split(",") if item]


def parse_options(name: str, items: Sequence[str], defaults: Mapping[str, float]) -> dict[str, float]:
    """Parse options such as ['size=64'] and return them over their defaults: {'size': 64, ...}.

    Args:
        name: the data set, for messages.
        items: texts 'option=value'.
        defaults: {option: default}; the options that the data set has.

    Raises:
        UsageError: an unknown option, one that is given twice, or a value of another type than its default.
    """
    options: dict[str, float] = {}
    for item in items:
        key, equals, text = item.partition("=")
        if key not in defaults:
            raise UsageError(f"Data set {name!r}: " + describe_unknown("an option", key, defaults or ["(none)"]))
        if not equals or key in options:
            received = f"{key} twice" if key in options else f"{key} without a value"
            raise UsageError(f"Data set {name!r}: expected {key}=VALUE once. Received: {received}.")
        value = parse_literal(text)
        is_whole = isinstance(defaults[key], int)
        if not isinstance(value, int if is_whole else (int, float)) or isinstance(value, bool) or value < 0:
            kind = "a whole number" if is_whole else "a number"
            raise UsageError(f"Data set {name!r}: expected {key} to be {kind} >= 0. Received: {value!r}.")
        options[key] = value
    return {**defaults, **options}


def split_path(name: str, rest: str, option_names: Collection[str] = ()) -> tuple[str, list[str]]:
    """Split '/my/a,b=c,size=64' into the path '/my/a,b=c' and ['size=64'].

    Options are taken from the right, so that a path may hold a comma and an equals sign.

    Args:
        name: the data set, 'folder' or 'npz', for messages.
        rest: what stands behind the name.
        option_names: the options that the data set has.

    Raises:
        UsageError: no path; or another option, and nothing on this disk has its text in its name.
    """
    path = rest
    items: list[str] = []
    while "," in path and path.rpartition(",")[2].partition("=")[0] in option_names:
        path, _, item = path.rpartition(",")
        items.insert(0, item)
    path = os.path.expanduser(path)
    if not path:
        raise UsageError(f"Expected {name}:PATH. Received: no path.")
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # whoever reads it says so
    except (OSError, ValueError) as error:  # too long, or with a zero byte
        raise UsageError(f"Expected {name}:PATH. Received: a path that cannot be one: {error.args[-1]}.") from None
    unknown = re.search(r",\s*([A-Za-z][\w-]*)\s*=[^,]*,?$", path)
    if unknown and not os.path.lexists(path):
        ways = f"its options are {', '.join(sorted(option_names))}" if option_names else "it has no options"
        raise UsageError(
            f"Data set {name!r}: expected an option that it has, or a path that exists. Received: {unknown[1]!r}, and "
            f"there is no {path!r}; {ways}.{suggest_name(unknown[1], option_names)}"
        )
    return path, items


def list_raw_folders(name: str, raw_dir: str = "") -> list[pathlib.Path]:
    """List the existing folders where the original files of data set `name` may lie, the most specific first."""
    folders: list[pathlib.Path] = []
    for parent in filter(None, (raw_dir, os.environ.get("TFVAE_RAW_DIR", ""))):
        root = pathlib.Path(parent).expanduser()
        folders += [root / name, root / name.replace("_", "-"), root / name.replace("-", "_"), root]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
