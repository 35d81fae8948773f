"""Files that are whole or absent: written beside, flushed to disk, hashed, then renamed."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil

from tfvae.errors import IntegrityError, StorageError


@contextlib.contextmanager
def translate_os_errors(path):
    """Turn an operating system's refusal to write into one sentence."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise StorageError(
            f"Could not write {path}: {error.strerror or error}. Free or choose another place."
        ) from error


def make_folder(path):
    """A folder for results, which may be there already."""
    with translate_os_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def cache_folder():
    """``$XDG_CACHE_HOME/tfvae``: what can be made anew."""
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "tfvae"


def sync_folder(path):
    """Make a rename inside `path` survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def lock_folder(folder):
    """Hold a folder for this process as long as the block runs: yields whether it was free.

    The lock is the operating system's, on the folder itself: it leaves no file and ends with the process.
    """
    try:
        import fcntl
    except ImportError:  # Windows has none
        yield True
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            free = True
        except BlockingIOError:
            free = False
        yield free
    finally:
        os.close(handle)


def is_locked(folder):
    with lock_folder(folder) as free:
        return not free


def write_bytes(path, data):
    """Replace the file at `path` in one step."""
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


def write_json(path, value):
    write_bytes(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode())


def read_json(path):
    """The content of a JSON file; IntegrityError names a damaged one."""
    try:
        return json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        raise IntegrityError(f"Expected readable JSON in {path}. Received: {error}.") from None


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_folder(path, write):
    """Create folder `path` with what ``write(folder)`` puts there, a manifest of hashes added, or nothing at all.

    What ``write`` returns, if anything, goes into the manifest too, the hashes then under "files".
    """
    path = pathlib.Path(path)
    beside = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    with translate_os_errors(path):
        try:
            shutil.rmtree(beside, ignore_errors=True)
            beside.mkdir(parents=True)
            about = write(beside)
            files = sorted(p for p in beside.rglob("*") if p.is_file())
            for file in files:
                with open(file, "rb") as handle:
                    os.fsync(handle.fileno())
            manifest = {str(p.relative_to(beside)): {"sha256": sha256(p), "bytes": p.stat().st_size} for p in files}
            write_json(beside / "manifest.json", {**about, "files": manifest} if about else manifest)
            for folder in (*(p for p in beside.rglob("*") if p.is_dir()), beside):
                sync_folder(folder)
            beside.rename(path)
            sync_folder(path.parent)
        finally:
            shutil.rmtree(beside, ignore_errors=True)


def verify_folder(path):
    """Raise IntegrityError unless the files are exactly those that the manifest lists."""
    path = pathlib.Path(path)
    manifest = read_json(path / "manifest.json")
    try:
        listed = {name: (entry["bytes"], entry["sha256"]) for name, entry in manifest.get("files", manifest).items()}
    except (AttributeError, KeyError, TypeError):
        raise IntegrityError(f"Expected sizes and hashes in {path / 'manifest.json'}. Received: other JSON.") from None
    found = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file()} - {"manifest.json"}
    if extra := sorted(found - set(listed)):
        raise IntegrityError(f"Expected in {path} only what its manifest lists. Received: {extra[0]}, too.")
    for name, (size, digest) in listed.items():
        file = path / name
        if name not in found:
            raise IntegrityError(f"Expected {file}, which the manifest lists. Received: no such file.")
        if file.stat().st_size != size or sha256(file) != digest:
            raise IntegrityError(f"Expected {file} as its manifest says. Received: other content (damaged).")
