"""What ``tfvae data info`` and ``tfvae data prepare`` do: describe a data set, and leave a copy of it on this disk."""

from __future__ import annotations

from typing import Any

import numpy as np

from tfvae.datasets import prepared_copies, tfds_source
from tfvae.datasets.catalogue import CATALOGUE
from tfvae.datasets.name_resolution import find_source, is_user_function, make_copy_key
from tfvae.datasets.source import log_once, parse_options, split_items, split_name
from tfvae.errors import DataError, UsageError


def info(name: str, raw_dir: str = "") -> dict[str, Any]:
    """Describe a data set without downloading it and return a dict for ``tfvae data info``.

    Args:
        name: as for `load`.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR.

    Returns:
        A dict with the keys name, what, source, available, origin (or the ways out), notes; shape, counts and classes
        as the catalogue says or, where the images are here, as they are; sha256 {file: digest of decompressed bytes}.

    Raises:
        UsageError: unknown name or option.

    Example:
        >>> info("digits")["shape"]
        [8, 8, 1]
    """
    base, _ = split_name(name)
    entry = CATALOGUE.get(base)
    report: dict[str, Any] = {
        "name": str(name),
        "what": "",
        "source": "yours" if is_user_function(base) else "tfds",
        "available": False,
        "notes": [],
        "sha256": {},
    }
    if entry:
        counts = {"train": entry.train, "test": entry.test} if entry.train else {}
        report |= {"what": entry.what, "source": entry.source, "classes": entry.classes, "counts": counts}
        report["shape"] = list(entry.shape) if entry.shape else None
    try:
        source = find_source(name, raw_dir, bad_files="skip", allow_download=False)
    except UsageError:
        raise
    except DataError as error:
        return report | {"origin": str(error)}
    arrays = {part: source.read(part) for part in source.parts}
    return report | {
        "available": True,
        "origin": source.origin,
        "notes": list(source.notes),
        "sha256": source.compute_sha256(),
        "shape": list(next(iter(arrays.values()))[0].shape[1:]),
        "counts": {part: len(labels) for part, (_, labels) in arrays.items()},
        "classes": len(np.unique(np.concatenate([labels for _, labels in arrays.values()]))),
    }


def prepare(name: str, raw_dir: str = "", allow_download: bool = True) -> str:
    """Leave a checked copy of a data set on this disk, so that later loads need no network.

    Args:
        name: as for `load`.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR.
        allow_download: whether TFDS may fetch the data set.

    Returns:
        The folder of the copy, or a sentence for data sets that need none.

    Raises:
        DataError: it is not on this machine and cannot be downloaded.
        StorageError: the copy cannot be written.

    Example:
        >>> prepare("digits")
        'digits: made by tfvae itself; nothing to prepare.'
    """
    base, rest = split_name(name)
    entry = CATALOGUE.get(base)
    if entry and entry.source != "tfds" or is_user_function(base):
        source = find_source(name, raw_dir)
        source.read(source.parts[0])
        return f"{name}: {source.origin}; nothing to prepare."
    source = find_source(name, raw_dir, allow_download=allow_download)
    key = make_copy_key(base, parse_options(base, split_items(rest), tfds_source.TFDS_OPTIONS)["size"])
    if not prepared_copies.find_prepared_copy(key)[0]:
        prepared_copies.write_copy(key, source)
    for note in source.notes:
        log_once(f"{name}: {note}.")
    return str(prepared_copies.get_copy_folder(key))
