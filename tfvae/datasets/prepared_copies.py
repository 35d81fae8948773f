"""Prepared copies: decoded arrays under TFVAE_DATA_DIR (default ~/.cache/tfvae/data), checked before use.

One folder per data set, ``<name>/{manifest.json, train-images.npy, train-labels.npy, ...}``, written
beside and renamed, so that a reader sees the whole copy or none.
"""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import secrets
import shutil

import numpy as np

from tfvae.datasets.source import Arrays, Source, log
from tfvae.errors import StorageError
from tfvae.safety.array_files import open_arrays

MANIFEST = "manifest.json"


def get_copies_folder() -> pathlib.Path:
    """Return the folder of all prepared copies."""
    return pathlib.Path(os.environ.get("TFVAE_DATA_DIR") or "~/.cache/tfvae/data").expanduser()


def get_copy_folder(key: str) -> pathlib.Path:
    """Return the folder where the copy of `key` ('mnist', 'celeb_a:size=64') lies or would lie."""
    return get_copies_folder() / key.replace(":", "-").replace("/", "_")


def _compute_sha256(path: pathlib.Path) -> str:
    """Compute the hex sha256 of a file's bytes."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _describe_damage(folder: pathlib.Path, digests: dict[str, str]) -> str:
    """Return what is wrong with the copy in `folder`, whose files should have these `digests`, or ''."""
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            return f"{path} is missing"
        if _compute_sha256(path) != digest:
            return f"the sha256 of {path} is not the one in its manifest"
    return ""


def find_prepared_copy(key: str) -> tuple[Source | None, str]:
    """Return the source that reads the prepared copy of `key`, and what is damaged in it.

    Args:
        key: 'mnist', 'celeb_a:size=64'.

    Returns:
        The source, or None where there is no copy or a damaged one, which is never used; and a text that says what
        is damaged, or ''.
    """
    folder = get_copy_folder(key)
    if not folder.is_dir():
        return None, ""
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        damage = _describe_damage(folder, manifest["files"])
        origin, notes, parts = manifest["origin"], tuple(manifest["notes"]), tuple(manifest["parts"])
        unlabelled_parts = tuple(manifest.get("unlabelled_parts", ()))  # copies of 0.1.0 do not say
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        damage = f"{folder / MANIFEST} cannot be read ({error!r})"
    if damage:
        return None, damage

    def read(part: str) -> Arrays:
        images, labels = (open_arrays(folder / f"{part}-{kind}.npy", in_place=True) for kind in ("images", "labels"))
        return images, labels

    def get_sha256() -> dict[str, str]:
        return manifest["sha256"] or manifest["files"]

    text = f"prepared copy in {folder}, from {origin}"
    return Source(parts, read, text, notes, get_sha256, unlabelled_parts=unlabelled_parts), ""


def write_copy(key: str, source: Source) -> pathlib.Path:
    """Write every part of `source` as the prepared copy of `key` and return its folder.

    Raises:
        StorageError: the folder cannot be written.
    """
    folder = get_copy_folder(key)
    temporary_folder = folder.with_name(f".{folder.name}.{os.getpid()}-{secrets.token_hex(4)}")
    try:
        temporary_folder.mkdir(parents=True)
        files: dict[str, str] = {}
        for part in source.parts:
            for kind, array in zip(("images", "labels"), source.read(part)):
                files |= _save_array(temporary_folder / f"{part}-{kind}.npy", array)
        manifest = {
            "parts": source.parts,
            "origin": source.origin,
            "notes": source.notes,
            "sha256": source.compute_sha256(),
            "files": files,
            "unlabelled_parts": source.unlabelled_parts,
        }
        (temporary_folder / MANIFEST).write_text(json.dumps(manifest, indent=1))
        # Another process may have written the same copy meanwhile; a good one is left alone.
        if not find_prepared_copy(key)[0]:
            _replace_folder(temporary_folder, folder)
    except OSError as error:
        raise StorageError(
            f"Expected to write the prepared copy {folder}. Received: {error}; "
            "set TFVAE_DATA_DIR to a folder that can be written."
        ) from error
    finally:
        shutil.rmtree(temporary_folder, ignore_errors=True)
    return folder


def _save_array(path: pathlib.Path, array: np.ndarray) -> dict[str, str]:
    """Save an array and flush it to the disk; return {file name: sha256}."""
    with open(path, "wb") as file:
        np.save(file, array, allow_pickle=False)
        file.flush()
        os.fsync(file.fileno())
    return {path.name: _compute_sha256(path)}


def _replace_folder(new_folder: pathlib.Path, folder: pathlib.Path) -> None:
    """Rename `new_folder` to `folder`, whose content, if any, is deleted."""
    if folder.exists():
        # A folder cannot be renamed onto one that is not empty.
        old_folder = new_folder.with_name(f"{new_folder.name}.old")
        os.rename(folder, old_folder)
        shutil.rmtree(old_folder, ignore_errors=True)
    os.rename(new_folder, folder)


def read_and_write_copy(key: str, source: Source) -> Source:
    """Read all of `source`, write its prepared copy, and return a source that reads from memory.

    A disk that cannot be written is reported in the log, not raised.
    """
    arrays = {part: source.read(part) for part in source.parts}
    source = source._replace(read=arrays.__getitem__, is_slow_to_read=False)
    try:
        log.info("prepared copy written: %s", write_copy(key, source))
    except StorageError as error:
        log.info("%s", error)
    return source
