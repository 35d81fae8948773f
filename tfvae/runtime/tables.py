"""Tables of text, CSV and JSON values: how rows of results are written, on a terminal, in Markdown, in files."""

from __future__ import annotations

import csv
import io
import itertools
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.cells import cell_len

from tfvae.errors import make_printable

GAP = "  "  # between columns
LONGEST_PIECE = 24  # letters that a column keeps together
BREAKS = re.compile(r"(?<=[ ,;/])(?=[^ ])|(?<=[a-z]-)(?=[a-z])")  # where a text may be continued on the next line


def format_table(rows: Sequence[Sequence[str]], width: int | None = None) -> str:
    """Return rows of texts in columns, two spaces apart, in lines no wider than a screen.

    Where a table is too wide, the longest cells are continued on further lines; where even that is not enough, the
    table is cut into several below each other, each with the first column, or with numbers where the first column does
    not tell the rows apart. Nothing is left out.

    Args:
        rows: texts, as many in each row; the first row may hold the names of the columns.
        width: how many letters a line may have; None: any number.

    Example:
        >>> print(format_table([("name", "value"), ("a", "some words")], width=11))
        name  value
        a     some
              words
    """
    cells = [[make_printable(text) for text in row] for row in rows]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(len(cells[0]))]
    if width is None or _add_gaps(widths) <= width:
        return _lay_out(cells, widths)
    first = min(widths[0], max(1, width // 2))
    most = max(1, min(LONGEST_PIECE, width - first - len(GAP)))  # of the least that another column gets
    least = [first, *(min(most, max(map(_measure_longest_piece, texts))) for texts in list(zip(*cells))[1:])]
    parts = _share_out(least, width)
    if len(parts) > 1 and len({row[0] for row in cells}) < len(cells):
        numbers = ["#", *map(str, range(1, len(cells)))]
        return format_table([[number, *row] for number, row in zip(numbers, rows)], width)
    tables = []
    for columns in parts:
        shares = _narrow([widths[column] for column in columns], [least[column] for column in columns], width)
        tables.append(_lay_out([[row[column] for column in columns] for row in cells], shares))
    return "\n\n".join(tables)


def _add_gaps(widths: Sequence[int]) -> int:
    """Return how wide a table of such columns is."""
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _measure_longest_piece(text: str) -> int:
    """Return the width of the longest piece of a text that should stay on one line."""
    return max((cell_len(piece.rstrip()) for piece in BREAKS.split(text)), default=0)


def _share_out(least: Sequence[int], width: int) -> list[list[int]]:
    """Return the columns of each table, the first column in all, so that all fit with their least widths."""
    tables = [[0]]
    for column in range(1, len(least)):
        if len(tables[-1]) > 1 and _add_gaps([least[n] for n in (*tables[-1], column)]) > width:
            tables.append([0])
        tables[-1].append(column)
    return tables


def _narrow(widths: Sequence[int], least: Sequence[int], width: int) -> list[int]:
    """Return the widths of columns after the widest gave way, letter by letter, until all fit into `width`."""
    shares = [min(share, width) for share in widths]
    while _add_gaps(shares) > width and any(share > few for share, few in zip(shares, least)):
        column = max((n for n in range(len(shares)) if shares[n] > least[n]), key=shares.__getitem__)
        shares[column] -= 1
    return shares


def _lay_out(cells: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    """Return rows of cells in columns of these widths; what is longer is continued below."""
    lines = []
    for row in cells:
        wrapped = [wrap_text(text, width) for text, width in zip(row, widths)]
        for parts in itertools.zip_longest(*wrapped, fillvalue=""):
            padded = [part + " " * (width - cell_len(part)) for part, width in zip(parts, widths)]
            lines.append(GAP.join(padded).rstrip())
    return "\n".join(lines)


def wrap_text(text: str, width: int) -> list[str]:
    """Return a text as lines of at most `width` letters, broken at spaces, or within words that are too long.

    These are broken after , ; / and -, where that is enough, so that words and flags stay whole. Wide letters (those
    of Chinese, say) count as two.
    """
    lines = [""]
    for word in re.findall(r"\S+\s*|\s+", text):
        pieces = [word] if cell_len(word.rstrip()) <= width else BREAKS.split(word)
        for piece in pieces:
            if cell_len(lines[-1] + piece.rstrip()) > width and lines[-1]:
                lines.append("")
            for letter in piece:
                if cell_len(lines[-1] + letter) > width and lines[-1] and not letter.isspace():
                    lines.append("")
                lines[-1] += letter
    return [line.rstrip() for line in lines]


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
