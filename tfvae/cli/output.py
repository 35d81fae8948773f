"""What verbs print: tables and JSON objects."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from tfvae.runtime.tables import format_table, to_json_value


def print_table(rows: Sequence[Sequence[str]], has_header: bool = True) -> None:
    """Print rows of texts as a table: with colours and wrapped cells on a terminal, plain and stable into a pipe.

    Args:
        rows: texts, as many in each row.
        has_header: whether the first row names the columns.

    Example:
        >>> print_table([("name", "epochs"), ("a", "2")])
        name  epochs
        a     2
    """
    if not sys.stdout.isatty():
        print(format_table(rows))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=has_header, header_style="bold", pad_edge=False, padding=(0, 2, 0, 0))
    head = rows[0] if has_header else [""] * len(rows[0])
    for title in head:
        table.add_column(title, overflow="fold")
    for row in rows[1:] if has_header else rows:
        table.add_row(*(Text(cell) for cell in row))
    Console().print(table)


def print_json(value: Any) -> None:
    """Print a value as one JSON object on one line; numbers that are not finite are null."""
    print(json.dumps(to_json_value(value), allow_nan=False))
