"""Tables of text, CSV and JSON values: how rows of results are written, on a terminal, in Markdown, in files."""

from __future__ import annotations

import csv
import io
import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows of texts in columns, two spaces apart."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def format_markdown(rows: Sequence[Sequence[str]]) -> str:
    """Return a header and rows of texts as a table in Markdown."""
    rows = [rows[0], ["---"] * len(rows[0]), *rows[1:]]
    return "\n".join("| " + " | ".join(text.replace("|", "\\|") for text in row) + " |" for row in rows)


def format_csv(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return dicts of the same keys as CSV with a header, numbers in full."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def to_json_value(value: Any) -> Any:
    """Return a value as JSON knows it: NumPy scalars become Python's, NaN and infinities null."""
    if isinstance(value, dict):
        return {str(key): to_json_value(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_json_value(item) for item in value]
    if type(value).__module__ == "numpy" and value.ndim == 0:  # NumPy is not imported for lists of names
        value = value.item()
    if isinstance(value, numbers.Real) and not math.isfinite(value):
        return None
    return value


def format_cell(value: Any) -> str:
    """Return a value as the text of one cell of a table."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {format_cell(item)}" for key, item in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(format_cell, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "-" if value in (None, "") else f"{value:.5g}" if isinstance(value, float) else str(value)
