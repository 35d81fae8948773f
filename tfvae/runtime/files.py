"""Files that are whole or absent: written beside, flushed to disk, hashed, then renamed; and locks on folders."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import filelock
import platformdirs

from tfvae.errors import IntegrityError, StorageError, UsageError, describe_value
from tfvae.schemas import HASHED_FILES, Anything, Schema

LOCK_NAME = ".lock"
MANIFEST = "manifest.json"
MAX_TEXT_BYTES = 8 * 2**20  # of a file of metadata; parsed it takes some thirty times as much memory
PathLike = str | os.PathLike[str]


def check_path(path: Any, expected: str) -> pathlib.Path:
    """Return a path of the user's.

    Args:
        path: a text or a path.
        expected: what it is the path of, for the message.

    Raises:
        UsageError: it is something else, an array perhaps.
    """
    if not isinstance(path, (str, os.PathLike)):
        raise UsageError(f"Expected {expected}. Received: {describe_value(path)}.")
    return pathlib.Path(path)


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


@contextlib.contextmanager
def open_replacement(path: PathLike) -> Iterator[BinaryIO]:
    """Open a new file for what shall replace the one at `path`, in one step when the block ends without an error.

    Raises:
        StorageError: it cannot be written; what was there stays.
    """
    path = pathlib.Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with translate_os_errors(path):
        try:
            with open(beside, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)


def write_bytes(path: PathLike, data: bytes) -> None:
    """Replace the file at `path` in one step.

    Raises:
        StorageError: it cannot be written; what was there stays.
    """
    with open_replacement(path) as file:
        file.write(data)


def write_json(path: PathLike, value: Any) -> None:
    """Replace the file at `path` by `value` as JSON, keys in order."""
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def read_text(path: PathLike, most: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a file.

    Args:
        path: of the file.
        most: the greatest size in bytes that is read.

    Raises:
        IntegrityError: it is missing, no plain file, too large, or not UTF-8.
    """
    path = pathlib.Path(path)
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for, a device might never end
            raise IntegrityError(f"Expected {path} to be a file. Received: something else.")
        with open(path, "rb") as file:
            data = file.read(most + 1)
        if len(data) > most:
            raise IntegrityError(f"Expected {path} to have at most {most:,} bytes. Received: more.")
        return data.decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise IntegrityError(f"Expected a readable text in {path}. Received: {reason}.") from None


def read_json(path: PathLike, schema: Schema = Anything()) -> Any:
    """Return the content of a JSON file, which somebody else may have written.

    Args:
        path: of the file.
        schema: what the content has to be, see `tfvae.schemas`.

    Raises:
        IntegrityError: it is missing, damaged, or not as the schema says.
    """
    text = read_text(path)
    try:
        value = json.loads(text, object_pairs_hook=_make_unique_dict)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"Expected readable JSON in {path}. Received: {error}.") from None
    schema.check(value, str(path))
    return value


def _make_unique_dict(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a dict of the pairs; ValueError if a name is there twice, for readers would not agree on its value."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a name that is there twice")
    return values


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
            rename_to_new(beside, path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def rename_to_new(folder: PathLike, path: PathLike) -> None:
    """Give a folder that is complete its name.

    Raises:
        UsageError: the name is taken by now; what has it stays as it is.
    """
    try:
        os.rename(folder, path)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise UsageError(
            f"Expected a new folder. Received: {path}, which another process has made meanwhile. Choose another."
        ) from None


def list_files(path: PathLike) -> dict[str, pathlib.Path]:
    """Return {relative path: path} of all files below a folder.

    Raises:
        IntegrityError: something is neither a file nor a folder: a link, which no hash covers, or a pipe.
    """
    paths = sorted(p for p in pathlib.Path(path).rglob("*") if p.is_symlink() or not p.is_dir())
    for p in paths:
        if p.is_symlink() or not p.is_file():
            kind = "a link" if p.is_symlink() else "a pipe or device"
            raise IntegrityError(
                f"Expected in {path} files and folders. Received: {p.relative_to(path)}, {kind}, which no hash covers."
            )
    return {p.relative_to(path).as_posix(): p for p in paths}


def verify_folder(path: PathLike) -> None:
    """Check that the files of a folder are exactly those that its manifest lists.

    Raises:
        IntegrityError: a file is missing, another, or not in the manifest, or there is a link.
    """
    path = pathlib.Path(path)
    listed = read_hashed_files(path)
    present = list_files(path)
    present.pop(MANIFEST, None)
    if extra := sorted(set(present) - set(listed)):
        raise IntegrityError(f"Expected in {path} only what its manifest lists. Received: {extra[0]}, too.")
    for name, entry in listed.items():
        if name not in present:
            raise IntegrityError(f"Expected {path / name}, which the manifest lists. Received: no such file.")
        try:
            is_same = present[name].stat().st_size == entry["bytes"] and sha256(present[name]) == entry["sha256"]
        except OSError as error:
            raise IntegrityError(f"Expected to read {path / name}. Received: {error.strerror}.") from None
        if not is_same:
            raise IntegrityError(f"Expected {path / name} as its manifest says. Received: other content (damaged).")


def read_hashed_files(path: PathLike) -> dict[str, dict[str, Any]]:
    """Return {relative path: {"bytes", "sha256"}} of the files that the manifest of a folder lists.

    Raises:
        IntegrityError: the manifest is missing, damaged, or of another form.
    """
    manifest_path = pathlib.Path(path) / MANIFEST
    manifest = read_json(manifest_path)
    listed = manifest.get("files", manifest) if isinstance(manifest, dict) else manifest
    HASHED_FILES.check(listed, str(manifest_path))
    return listed
