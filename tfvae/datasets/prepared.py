"""Prepared copies: decoded arrays under TFVAE_DATA_DIR (default ~/.cache/tfvae/data), checked before use.

One folder per data set, ``<name>/{manifest.json, train-images.npy, train-labels.npy, ...}``, written
beside and renamed, so that a reader sees the whole copy or none.
"""

import hashlib
import json
import os
import pathlib
import secrets
import shutil

import numpy as np

from tfvae.datasets.source import Source, log
from tfvae.errors import StorageError

MANIFEST = "manifest.json"


def root():
    """The folder of all prepared copies."""
    return pathlib.Path(os.environ.get("TFVAE_DATA_DIR") or "~/.cache/tfvae/data").expanduser()


def folder(key):
    """Where the copy of `key` ('mnist', 'celeb_a:size=64') lies."""
    return root() / key.replace(":", "-").replace("/", "_")


def _digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damage(place, manifest):
    """What is wrong with the copy, or ''."""
    for name, digest in manifest["files"].items():
        path = place / name
        if not path.is_file():
            return f"{path} is missing"
        if _digest(path) != digest:
            return f"the sha256 of {path} is not the one in its manifest"
    return ""


def find(key):
    """(Source or None, what is damaged or ''); a damaged copy is never used."""
    place = folder(key)
    if not place.is_dir():
        return None, ""
    try:
        manifest = json.loads((place / MANIFEST).read_text())
        damage = _damage(place, manifest)
        origin, notes, parts = manifest["origin"], tuple(manifest["notes"]), tuple(manifest["parts"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        damage = f"{place / MANIFEST} cannot be read ({error!r})"
    if damage:
        return None, damage

    def read(part):
        return tuple(
            np.load(place / f"{part}-{kind}.npy", mmap_mode="r", allow_pickle=False) for kind in ("images", "labels")
        )

    def digests():
        return manifest["sha256"] or manifest["files"]

    return Source(parts, read, f"prepared copy in {place}, from {origin}", notes, digests), ""


def store(key, source):
    """Write every part of `source` as the copy of `key`; returns its folder.

    Raises:
        StorageError: the folder cannot be written.
    """
    place = folder(key)
    beside = place.with_name(f".{place.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        beside.mkdir(parents=True)
        files = {}
        for part in source.parts:
            for kind, array in zip(("images", "labels"), source.read(part)):
                files |= _save(beside / f"{part}-{kind}.npy", array)
        manifest = {
            "parts": source.parts,
            "origin": source.origin,
            "notes": source.notes,
            "sha256": source.sha256(),
            "files": files,
        }
        (beside / MANIFEST).write_text(json.dumps(manifest, indent=1))
        # Another process may have written the same copy meanwhile; a good one is left alone.
        if not find(key)[0]:
            _replace(beside, place)
    except OSError as error:
        raise StorageError(
            f"Expected to write the prepared copy {place}. Received: {error}; "
            "set TFVAE_DATA_DIR to a folder that can be written."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return place


def _save(path, array):
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return {path.name: _digest(path)}


def _replace(beside, place):
    if place.exists():
        # A folder cannot be renamed onto one that is not empty.
        old = beside.with_name(f"{beside.name}.old")
        os.rename(place, old)
        shutil.rmtree(old, ignore_errors=True)
    os.rename(beside, place)


def keep(key, source):
    """A Source that reads the copy of `key` made from `source` now, or from memory if the disk refuses it."""
    arrays = {part: source.read(part) for part in source.parts}
    source = source._replace(read=arrays.__getitem__, keep=False)
    try:
        log.info("prepared copy written: %s", store(key, source))
    except StorageError as error:
        log.info("%s", error)
    return source
