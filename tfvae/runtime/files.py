"""Files that are whole or absent: written beside, flushed to disk, hashed, then renamed; and locks on folders."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import filelock
import platformdirs

from tfvae.errors import IntegrityError, StorageError

LOCK_NAME = ".lock"
MANIFEST = "manifest.json"
PathLike = str | os.PathLike[str]


@contextlib.contextmanager
def translate_os_errors(path: PathLike) -> Iterator[None]:
    """Turn an operating system's refusal to write `path` into one sentence.

    Raises:
        StorageError: inside, an OSError was raised.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"Could not write {path}: {error.strerror or error}. Free or choose another place."
        ) from error


def make_folder(path: pathlib.Path) -> None:
    """Create a folder for results, which may be there already."""
    with translate_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def cache_folder() -> pathlib.Path:
    """Return the user's cache folder of tfvae: what it holds can be made anew."""
    return pathlib.Path(platformdirs.user_cache_dir("tfvae"))


def sync_folder(path: PathLike) -> None:
    """Make a rename inside `path` survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def lock_folder(folder: PathLike) -> Iterator[bool]:
    """Lock a folder for this process as long as the block runs, and yield whether it was free.

    The lock is the operating system's, on a file of the folder: it ends with the process, however that ends.
    """
    lock = filelock.FileLock(pathlib.Path(folder) / LOCK_NAME, blocking=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()


def is_locked(folder: PathLike) -> bool:
    """Tell whether a process holds `lock_folder` on this folder."""
    if not (pathlib.Path(folder) / LOCK_NAME).exists():
        return False
    try:
        with lock_folder(folder) as is_free:
            return not is_free
    except OSError:  # a folder that cannot be written: nobody trains there
        return False


def write_bytes(path: PathLike, data: bytes) -> None:
    """Replace the file at `path` in one step.

    Raises:
        StorageError: it cannot be written; what was there stays.
    """
    path = pathlib.Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with translate_os_errors(path):
        try:
            with open(beside, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def write_json(path: PathLike, value: Any) -> None:
    """Replace the file at `path` by `value` as JSON, keys in order."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def read_json(path: PathLike) -> Any:
    """Return the content of a JSON file.

    Raises:
        IntegrityError: it is missing or damaged.
    """
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        raise IntegrityError(f"Expected readable JSON in {path}. Received: {error}.") from None


def sha256(path: PathLike) -> str:
    """Return the SHA-256 of a file, as hex digits."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_folder(path: PathLike, write: Callable[[pathlib.Path], Any]) -> None:
    """Create folder `path` with what ``write(folder)`` puts there, a manifest of hashes added, or nothing at all.

    Args:
        path: the folder to create.
        write: fills the folder it is given. What it returns, if anything, goes into the manifest too, the hashes then
            under "files".

    Raises:
        StorageError: it cannot be written.
    """
    path = pathlib.Path(path)
    beside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with translate_os_errors(path):
        try:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            metadata = write(beside)
            files = sorted(p for p in beside.rglob("*") if p.is_file())
            for file in files:
                with open(file, "rb") as handle:
                    os.fsync(handle.fileno())
            entries = {str(p.relative_to(beside)): {"sha256": sha256(p), "bytes": p.stat().st_size} for p in files}
            write_json(beside / MANIFEST, {**metadata, "files": entries} if metadata else entries)
            for folder in (*(p for p in beside.rglob("*") if p.is_dir()), beside):
                sync_folder(folder)
            beside.rename(path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def verify_folder(path: PathLike) -> None:
    """Check that the files of a folder are exactly those that its manifest lists.

    Raises:
        IntegrityError: a file is missing, another, or not in the manifest, or there is a link.
    """
    path = pathlib.Path(path)
    manifest = read_json(path / MANIFEST)
    try:
        listed = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest.get("files", manifest).items()}
    except (AttributeError, KeyError, TypeError):
        raise IntegrityError(f"Expected sizes and hashes in {path / MANIFEST}. Received: other JSON.") from None
    if links := sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_symlink()):
        raise IntegrityError(
            f"Expected in {path} files and folders. Received: {links[0]}, a link, which no hash covers."
        )
    present = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()} - {MANIFEST}
    if extra := sorted(present - set(listed)):
        raise IntegrityError(f"Expected in {path} only what its manifest lists. Received: {extra[0]}, too.")
    for name, (size, digest) in listed.items():
        file = path / name
        if name not in present:
            raise IntegrityError(f"Expected {file}, which the manifest lists. Received: no such file.")
        if file.stat().st_size != size or sha256(file) != digest:
            raise IntegrityError(f"Expected {file} as its manifest says. Received: other content (damaged).")
