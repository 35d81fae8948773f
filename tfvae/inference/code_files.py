"""Files of codes: written by ``tfvae encode``, read by ``tfvae decode``; CSV, .npz, Parquet where pyarrow is there."""

from __future__ import annotations

import csv
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import BinaryIO

import numpy as np

from tfvae.datasets.npz_files import list_keys, read_member
from tfvae.errors import DataError, UsageError
from tfvae.inference import table_files
from tfvae.inference.codes import Codes, join_codes
from tfvae.inference.table_files import Table
from tfvae.runtime import files
from tfvae.safety.foreign_text import escape_text


def make_table(codes: Codes) -> Table:
    """Return codes as columns: file, label where known, then mean_0... and stddev_0..., or draw and z_0...

    With draws there is a row for each of them, without a row for each image.
    """
    count = 1 if codes.draws is None else codes.draws.shape[1]
    table: Table = {"file": np.repeat(np.array(codes.names, dtype=object), count)}
    if codes.labels is not None:
        table["label"] = np.repeat(codes.labels, count)
    if codes.draws is None:
        groups = {"mean": codes.mean, "stddev": codes.stddev}
    else:
        table["draw"] = np.tile(np.arange(count), len(codes.names))
        groups = {"z": codes.draws.reshape(-1, codes.draws.shape[2])}
    for stem, values in groups.items():
        table |= {f"{stem}_{column}": values[:, column] for column in range(values.shape[1])}
    return table


def write_csv(parts: Iterable[Codes], file: BinaryIO) -> None:
    """Write the columns of `make_table` as CSV, a part at a time."""
    table_files.write_csv(map(make_table, parts), file)


def write_npz(parts: Iterable[Codes], file: BinaryIO) -> None:
    """Write codes as arrays: names, mean and stddev [N, L], and draws [N, draws, L] and labels [N] where there are."""
    codes = join_codes(list(parts))._asdict()
    arrays = {name: np.array(value) for name, value in codes.items() if value is not None}
    np.savez(file, allow_pickle=False, **arrays)


def write_parquet(parts: Iterable[Codes], file: BinaryIO) -> None:
    """Write the columns of `make_table` as Parquet, a part at a time."""
    table_files.write_parquet(map(make_table, parts), file)


# suffix -> how such a file is written
WRITERS: dict[str, Callable[[Iterable[Codes], BinaryIO], None]] = {
    ".csv": write_csv,
    ".npz": write_npz,
    ".parquet": write_parquet,
}


def write_codes(parts: Iterable[Codes], path: pathlib.Path) -> None:
    """Write codes to a file of the kind that its suffix in `WRITERS` says; it is there when all is written.

    Raises:
        UsageError: images of which only some have labels.
        StorageError: it cannot be written; what was there stays.
    """
    with files.open_replacement(path) as file:
        WRITERS[path.suffix.lower()](parts, file)


def read_codes(path: pathlib.Path) -> np.ndarray:
    """Return the codes in a file, [N, L]: its draws where it has some, otherwise the means.

    Args:
        path: a .csv or .npz as `write_codes` writes it; other tables need columns z_0... or mean_0... alone.

    Raises:
        UsageError: no such file, or of another kind.
        DataError: it holds no codes.
    """
    if not path.is_file():
        raise UsageError(f"Expected a file of codes. Received: {path}, which does not exist.")
    if path.suffix.lower() == ".npz":
        return _read_npz(path)
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    raise UsageError(f"Expected codes in a .csv or .npz file. Received: {path}.")


def _read_npz(path: pathlib.Path) -> np.ndarray:
    keys = list_keys(path)
    key = next((name for name in ("draws", "z", "mean") if name in keys), None)
    if key is None:
        received = escape_text(", ".join(sorted(keys)))
        raise DataError(f"Expected an array draws, z or mean in {path}. Received: {received or 'none'}.")
    codes = read_member(path, key)
    if codes.dtype.kind != "f" or codes.ndim < 2:
        raise DataError(f"Expected numbers [N, L] as {key} in {path}. Received: {list(codes.shape)} of {codes.dtype}.")
    return codes.reshape(-1, codes.shape[-1])


def _read_csv(path: pathlib.Path) -> np.ndarray:
    try:
        with open(path, newline="", encoding="utf-8", errors="surrogateescape") as file:
            reader = csv.reader(file)
            names = next(reader, [])
            columns = next(filter(None, (_find_columns(names, stem) for stem in ("z", "mean"))), None)
            if columns is None:
                raise DataError(f"Expected columns z_0 or mean_0 in {path}. Received: {escape_text(','.join(names))}.")
            rows = [[row[column] for column in columns] for row in _read_rows(reader, path, len(names))]
        return np.array(rows, np.float32).reshape(len(rows), len(columns))
    except DataError:
        raise
    except (ValueError, csv.Error) as error:
        raise DataError(f"Expected numbers in {path}. Received: {escape_text(str(error))}.") from None


def _read_rows(reader: Iterator[list[str]], path: pathlib.Path, width: int) -> Iterator[list[str]]:
    for number, row in enumerate(reader, start=2):
        if len(row) != width:
            raise DataError(f"Expected {width} columns in each line of {path}. Received: {len(row)} in line {number}.")
        yield row


def _find_columns(names: Sequence[str], stem: str) -> list[int]:
    """Return where the columns stem_0, stem_1, ... are."""
    found: list[int] = []
    while f"{stem}_{len(found)}" in names:
        found.append(names.index(f"{stem}_{len(found)}"))
    return found
