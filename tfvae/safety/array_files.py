"""The one place that reads NumPy's files: plain arrays, never pickled objects, which would run code."""

from __future__ import annotations

import pathlib
from typing import IO, Any

import numpy as np

from tfvae.errors import IntegrityError
from tfvae.runtime.memory import fits_into_memory
from tfvae.safety.foreign_text import escape_text

NUMBER_KINDS = "biuf"  # of NumPy's types: no texts, complex numbers or dates


def open_arrays(file: pathlib.Path | IO[bytes], in_place: bool = False) -> Any:
    """Return the array of an .npy file, or an .npz archive, which the caller closes: ``with open_arrays(...) as a``.

    Args:
        file: its path, or the open file.
        in_place: whether an array stays in its file, of which only what is used is read.

    Raises:
        ValueError, OSError, zipfile.BadZipFile: as `np.load`; pickled objects are a ValueError.
    """
    return np.load(file, mmap_mode="r" if in_place else None, allow_pickle=False)


def read_arrays(path: pathlib.Path) -> dict[str, np.ndarray]:
    """Return {name: array} of an .npz archive of numbers, which somebody else may have written.

    Raises:
        IntegrityError: it is missing or damaged, holds other things than numbers, or more than fits into memory.
    """
    try:
        with open(path, "rb") as file, open_arrays(file) as stored:  # np.load leaves open what is no archive
            size = sum(member.file_size for member in stored.zip.infolist())
            arrays = {name: stored[name] for name in stored.files} if fits_into_memory(size) else None
    except Exception as error:  # NumPy and zipfile raise almost anything on damaged bytes
        raise IntegrityError(f"Expected {path} to hold arrays. Received: {escape_text(error)}.") from None
    if arrays is None:
        raise IntegrityError(f"Expected {path} to fit into memory. Received: {size:,} bytes.")
    for name, array in arrays.items():
        if array.dtype.kind not in NUMBER_KINDS:
            raise IntegrityError(f"Expected numbers in {path}. Received: {name} of type {array.dtype}.")
    return arrays
