"""A SavedModel is copied, then the copy is checked: what is loaded or served are the very bytes that were examined."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import stat
from typing import Any

from tfvae.errors import DataError, IntegrityError, StorageError, TfvaeError, UntrustedError
from tfvae.runtime import files
from tfvae.safety.allowed_forms import iterate_form_risks
from tfvae.safety.allowed_ops import iterate_op_risks
from tfvae.safety.foreign_text import escape_text

Proto = Any  # a SavedModel; protobuf messages carry no types

PROTO = "saved_model.pb"
MAX_BYTES = 256 * 2**20  # of the protobuf; parsed it takes several times as much memory
MAX_RISKS = 20  # lines
TRUST = "If you trust where it comes from, say --trust (trust=True)."
# What tf.saved_model.save and `tfvae export` write, and all that TensorFlow's loaders and servers find beside it.
FILE_NAMES = (
    r"saved_model\.pb|fingerprint\.pb|variables/variables\.(index|data-\d{5}-of-\d{5})"
    r"|manifest\.json|model_card\.md|assets\.extra/tf_serving_warmup_requests"
)


def find_savedmodel(path: files.PathLike) -> pathlib.Path | None:
    """Return the folder of a SavedModel: `path` itself, or its highest version; None if there is none."""
    path = pathlib.Path(path)
    if (path / PROTO).is_file():
        return path
    versions = [folder for folder in list_versions(path).values() if (folder / PROTO).is_file()]
    return versions[-1] if versions else None


def list_versions(path: files.PathLike) -> dict[int, pathlib.Path]:
    """Return {number: folder} of the versions that TensorFlow Serving sees in a folder, in order."""
    folders = pathlib.Path(path).iterdir() if pathlib.Path(path).is_dir() else ()
    versions = {int(p.name): p for p in folders if p.is_dir() and p.name.isascii() and p.name.isdigit()}
    return dict(sorted(versions.items()))


def parse_savedmodel(folder: files.PathLike) -> Proto:
    """Parse the SavedModel protobuf of a folder; nothing of the model runs.

    Raises:
        DataError: missing, too large, or not a SavedModel.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = pathlib.Path(folder) / PROTO
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"Expected a SavedModel in {folder}. Received: {error.strerror} for {path.name}.") from None
    if len(data) > MAX_BYTES:
        raise DataError(f"Expected {path} to have at most {MAX_BYTES} bytes. Received: more.")
    try:
        model = saved_model_pb2.SavedModel.FromString(data)
    except DecodeError:
        raise DataError(f"Expected {path} to be a SavedModel. Received: bytes that do not parse.") from None
    if not model.meta_graphs:
        raise DataError(f"Expected {path} to hold a graph. Received: none.")
    return model


def find_risks(model: Proto) -> list[str]:
    """Return what a SavedModel could do besides computing, a line each, at most `MAX_RISKS`; [] for tfvae's own.

        risks = find_risks(parse_savedmodel(folder))      # ["op ReadFile (files) in decode"], say

    Args:
        model: the protobuf, as `parse_savedmodel` gives it.
    """
    risks = list(dict.fromkeys([*iterate_op_risks(model.meta_graphs[0]), *iterate_form_risks(model)]))
    return risks[:MAX_RISKS] + ["and more"] * (len(risks) > MAX_RISKS)


def list_savedmodel_files(folder: pathlib.Path) -> dict[str, pathlib.Path]:
    """Return {relative path: path} of a SavedModel's files.

    Raises:
        IntegrityError: one is a link, or of a name that neither TensorFlow's save nor `tfvae export` writes.
    """
    paths = files.list_files(folder)
    if others := [name for name in paths if not re.fullmatch(FILE_NAMES, name)]:
        raise IntegrityError(
            f"Expected in {folder} only files that TensorFlow's save or  tfvae export  writes. "
            f"Received: {escape_text(others[0])}, too."
        )
    return paths


def copy_plain_file(source: pathlib.Path, target: pathlib.Path) -> None:
    """Copy a regular file; a link that has taken its place, or a pipe, is refused instead of followed or waited for.

    Raises:
        DataError: it cannot be read.
    """
    try:
        handle = os.open(source, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError("no regular file")
            with files.translate_os_errors(target), open(target, "wb") as copy:
                shutil.copyfileobj(file, copy, 1 << 20)
    except StorageError:
        raise
    except OSError as error:
        raise DataError(f"Expected {source} to be readable. Received: {error.strerror or error}.") from None


def check_trusted(folder: pathlib.Path, needs_manifest: bool = True) -> None:
    """Refuse a SavedModel that may do more than compute. It must lie where nobody else writes: see below.

    Args:
        folder: of the SavedModel.
        needs_manifest: whether only what `tfvae export` wrote is accepted; False accepts whatever only computes.

    Raises:
        UntrustedError: it has no manifest, or may do more than compute.
        IntegrityError: its files are not those of its manifest.
        DataError: it is no SavedModel.
    """
    has_manifest = (folder / files.MANIFEST).exists()
    if needs_manifest and not has_manifest:
        raise UntrustedError(f"Expected a SavedModel by tfvae. Received: {folder}, without manifest.json. {TRUST}")
    try:
        list_savedmodel_files(folder)
        if has_manifest:
            verify_savedmodel(folder)
    except IntegrityError as error:
        raise IntegrityError(f"{error} {TRUST}") from None
    risks = find_risks(parse_savedmodel(folder))
    if risks:
        more = f" and {len(risks) - 1} more, see  tfvae inspect {folder}" if len(risks) > 1 else ""
        raise UntrustedError(f"Expected a SavedModel that only computes. Received: {risks[0]}{more}. {TRUST}")


def copy_checked_savedmodel(folder: pathlib.Path, target: pathlib.Path, needs_manifest: bool = True) -> None:
    """Copy a SavedModel and check the copy, which is deleted again unless it may be loaded.

    Args:
        folder: of the SavedModel.
        target: a folder that does not exist, at a place where nobody else writes.
        needs_manifest: see `check_trusted`.

    Raises:
        UntrustedError: it has no manifest, or may do more than compute.
        IntegrityError: its files are not those of its manifest.
        DataError: it is no SavedModel.
    """
    target.mkdir(mode=0o700, parents=True)
    try:
        for name, path in list_savedmodel_files(folder).items():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            copy_plain_file(path, target / name)
        check_trusted(target, needs_manifest)
    except BaseException as error:
        shutil.rmtree(target)
        if isinstance(error, TfvaeError):  # people know the original, not the copy
            raise type(error)(str(error).replace(str(target), str(folder))) from None
        raise


def verify_savedmodel(folder: files.PathLike) -> None:
    """Raise IntegrityError unless the folder holds exactly the files of the manifest that `tfvae export` wrote."""
    files.verify_folder(folder)
    if "files" not in files.read_json(pathlib.Path(folder) / files.MANIFEST):
        raise IntegrityError(f"Expected {folder} as  tfvae export  writes it. Received: another form of manifest.json.")
