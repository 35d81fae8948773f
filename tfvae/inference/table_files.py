"""Tables of any columns in files, written a part at a time: CSV, .npz, Parquet where pyarrow is there."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Callable, Iterable
from typing import BinaryIO

import numpy as np

from tfvae.errors import UsageError
from tfvae.runtime import files

Table = dict[str, np.ndarray]  # column -> values, all of one length; the first is file, those of floats are the last


def write_csv(parts: Iterable[Table], file: BinaryIO) -> None:
    """Write tables of the same columns as CSV, UTF-8; floats have nine digits, which tell float32 apart.

    Raises:
        UsageError: the tables have different columns.
    """
    names: list[str] | None = None
    for table in parts:
        if names is None:
            names = list(table)
            file.write((",".join(names) + "\n").encode())
        if list(table) != names:
            raise UsageError("Expected images that all have labels, or none. Received: both; take them one by one.")
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        numbers = [values for values in table.values() if values.dtype.kind == "f"]
        heads = zip(*(values for values in table.values() if values.dtype.kind != "f"))
        row_format = ",".join(["%.9g"] * len(numbers))
        for head, row in zip(heads, np.stack(numbers, axis=1).tolist()):
            writer.writerow([*head, *(row_format % tuple(row)).split(",")])
        file.write(text.getvalue().encode("utf-8", "surrogateescape"))


def write_npz(parts: Iterable[Table], file: BinaryIO) -> None:
    """Write tables of the same columns as one array for each column; that of file is called names, as of codes."""
    tables = list(parts)
    arrays = {name: np.concatenate([table[name] for table in tables]) for name in tables[0]}
    np.savez(file, allow_pickle=False, names=arrays.pop("file").astype(str), **arrays)


def write_parquet(parts: Iterable[Table], file: BinaryIO) -> None:
    """Write tables of the same columns as Parquet."""
    import pyarrow
    from pyarrow import parquet

    writer = None
    for part in parts:
        table = pyarrow.table(part)
        writer = writer or parquet.ParquetWriter(file, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


# suffix -> how such a file is written
WRITERS: dict[str, Callable[[Iterable[Table], BinaryIO], None]] = {
    ".csv": write_csv,
    ".npz": write_npz,
    ".parquet": write_parquet,
}


def write_tables(parts: Iterable[Table], path: pathlib.Path) -> None:
    """Write tables to a file of the kind that its suffix in `WRITERS` says; it is there when all is written.

    Raises:
        StorageError: it cannot be written; what was there stays.
    """
    with files.open_replacement(path) as file:
        WRITERS[path.suffix.lower()](parts, file)
