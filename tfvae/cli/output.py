"""What verbs print: tables and JSON objects."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from typing import Any

from tfvae.runtime.tables import format_table, to_json_value, wrap_text


def get_output_width() -> int | None:
    """Return how many letters a line of a table may have; None: any number.

    That is the width of the terminal, or what the environment variable COLUMNS says. Into a pipe or a file without it,
    lines are as long as their content, so that a row is one line for other programs.
    """
    is_bounded = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return shutil.get_terminal_size().columns if is_bounded else None


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows of texts as a table that fits on the screen, see `tfvae.runtime.tables.format_table`.

    Args:
        rows: texts, as many in each row.

    Example:
        >>> print_table([("name", "epochs"), ("a", "2")])
        name  epochs
        a     2
    """
    print(format_table(rows, get_output_width()))


def print_paragraph(text: str) -> None:
    """Print a text, in lines that fit on the screen."""
    width = get_output_width()
    print("\n".join([text] if width is None else wrap_text(text, width)))


def print_json(value: Any) -> None:
    """Print a value as one JSON object on one line; numbers that are not finite are null."""
    print(json.dumps(to_json_value(value), allow_nan=False))
