"""`Source`, which every kind of data set gives to `tfvae.datasets.load`, and the options in a data set's name."""

from __future__ import annotations

import functools
import logging
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tfvae.errors import UsageError, describe_unknown
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
    """

    parts: tuple[str, ...]
    read: Callable[[str], Arrays]
    origin: str
    notes: tuple[str, ...] = ()
    compute_sha256: Callable[[], dict[str, str]] = dict
    is_slow_to_read: bool = False
    unlabelled_parts: tuple[str, ...] = ()


@functools.cache
def log_once(note: str) -> None:
    """Log a warning once per process: a run loads several splits."""
    log.warning("%s", note)


def split_name(name: str) -> tuple[str, str]:
    """Split 'celeb_a:size=64' into the name of the data set, 'celeb_a', and the rest, 'size=64'."""
    base, _, rest = str(name).partition(":")
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
        UsageError: an unknown option, or a value of another type than its default.
    """
    options = dict(defaults)
    for item in items:
        key, equals, text = item.partition("=")
        if key not in defaults or not equals:
            raise UsageError(f"Data set {name!r}: " + describe_unknown("an option", item, defaults or ["(none)"]))
        value = parse_literal(text)
        is_whole = isinstance(defaults[key], int)
        if not isinstance(value, int if is_whole else (int, float)) or isinstance(value, bool) or value < 0:
            kind = "a whole number" if is_whole else "a number"
            raise UsageError(f"Data set {name!r}: expected {key} to be {kind} >= 0. Received: {value!r}.")
        options[key] = value
    return options


def split_path(rest: str, option_names: Mapping[str, object]) -> tuple[str, list[str]]:
    """Split '/my/a,b=c,size=64' into the path '/my/a,b=c' and ['size=64'].

    Options are taken from the right, so that a path may hold a comma and an equals sign.
    """
    path = rest
    items: list[str] = []
    while "," in path and path.rpartition(",")[2].partition("=")[0] in option_names:
        path, _, item = path.rpartition(",")
        items.insert(0, item)
    return os.path.expanduser(path), items


def list_raw_folders(name: str, raw_dir: str = "") -> list[pathlib.Path]:
    """List the existing folders where the original files of data set `name` may lie, the most specific first."""
    folders: list[pathlib.Path] = []
    for parent in filter(None, (raw_dir, os.environ.get("TFVAE_RAW_DIR", ""))):
        root = pathlib.Path(parent).expanduser()
        folders += [root / name, root / name.replace("_", "-"), root / name.replace("-", "_"), root]
    return [folder for folder in dict.fromkeys(folders) if folder.is_dir()]
