"""What every kind of data set looks like to `tfvae.datasets.load`, and the words of a data set's spec."""

import logging
import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from tfvae.errors import UsageError, describe_unknown
from tfvae.specs import parse_literal

log = logging.getLogger("tfvae")


class Source(NamedTuple):
    """Images that were found, but not yet read.

    Attributes:
        parts: ('train', 'test'), or ('all',) where the data set has no test split of its own.
        read: part -> (images [N,H,W,C], labels int64 [N]); raises DataError if the content is damaged.
        origin: where the images come from, for people.
        notes: what a reader of results must know (lossy copies, unpinned content).
        sha256: () -> {file: hex digest of its decompressed bytes}.
        keep: reading is slow, so the first load leaves a prepared copy behind.
    """

    parts: tuple
    read: Callable
    origin: str
    notes: tuple = ()
    sha256: Callable = dict
    keep: bool = False


def parse_options(name, items, defaults):
    """['size=64'] -> {'size': 64, ...}: the options of data set `name` over their `defaults`.

    Raises:
        UsageError: an unknown option, or a value of another type than its default.
    """
    options = dict(defaults)
    for item in items:
        key, equals, value = item.partition("=")
        if key not in defaults or not equals:
            raise UsageError(f"Data set {name!r}: " + describe_unknown("an option", item, defaults or ["(none)"]))
        value = parse_literal(value)
        whole = isinstance(defaults[key], int)
        if not isinstance(value, int if whole else (int, float)) or isinstance(value, bool) or value < 0:
            kind = "a whole number" if whole else "a number"
            raise UsageError(f"Data set {name!r}: expected {key} to be {kind} >= 0. Received: {value!r}.")
        options[key] = value
    return options


def split_path(rest, known):
    """'/my/a,b=c,size=64' -> ('/my/a,b=c', ['size=64']): taken from the right, so paths may hold , and =."""
    path, items = rest, []
    while "," in path and path.rpartition(",")[2].partition("=")[0] in known:
        path, _, item = path.rpartition(",")
        items.insert(0, item)
    return os.path.expanduser(path), items


def raw_dirs(name, raw_dir=""):
    """Existing folders where the original files of `name` may lie, the most specific first."""
    found = []
    for base in filter(None, (raw_dir, os.environ.get("TFVAE_RAW_DIR", ""))):
        base = pathlib.Path(base).expanduser()
        found += [base / name, base / name.replace("_", "-"), base / name.replace("-", "_"), base]
    return [folder for folder in dict.fromkeys(found) if folder.is_dir()]
