"""Tables of text: they fit into a width with all that is in them, whatever is in them."""

import pathlib
import random

import pytest
from rich.cells import cell_len

import tfvae
from tfvae.runtime import tables

ALPHABET = ["a", "bc", "-", "/", ",", " ", "=", "漢字", "é", "🙂", "1e-05", "folder:", "x" * 30, "\n", "\t", "\x1b[31m"]


def test_a_table_that_fits_is_one_line_a_row():
    rows = [("name", "value"), ("a", "some words"), ("long name", "2")]
    text = "name       value\na          some words\nlong name  2"
    assert tables.format_table(rows) == tables.format_table(rows, 21) == text


def test_long_cells_are_continued_below():
    rows = [("name", "value"), ("a", "first, second and third"), ("b", "2")]
    assert tables.format_table(rows, 20).splitlines() == [
        "name  value",
        "a     first, second",
        "      and third",
        "b     2",
    ]


def test_columns_that_have_no_room_stand_in_a_table_below():
    rows = [("run", *("abcd")), ("runs/1", *["-1234.5"] * 4), ("runs/2", *"5678")]
    assert tables.format_table(rows, 26) == (
        "run     a        b\nruns/1  -1234.5  -1234.5\nruns/2  5        6\n\n"
        "run     c        d\nruns/1  -1234.5  -1234.5\nruns/2  7        8"
    )


def test_tables_that_are_cut_have_numbers_where_the_first_column_names_no_row():
    rows = [("objective", "nll", "rate"), ("geco", "-1234.56", "7"), ("geco", "2", "8")]
    assert tables.format_table(rows, 26) == "objective  nll       rate\ngeco       -1234.56  7\ngeco       2         8"
    assert tables.format_table(rows, 20).split("\n\n")[1] == "#  nll       rate\n1  -1234.56  7\n2  2         8"


@pytest.mark.parametrize("seed", range(8))
def test_any_table_fits_into_any_width_and_keeps_all_letters(seed):
    """Random cells with wide letters, long words, control characters; 13 columns, 1 to 200 letters a line."""
    draw = random.Random(seed)
    for _ in range(40):
        columns, width = draw.randint(1, 13), draw.choice([1, 8, 20, 60, 80, 200])
        rows = [
            ["".join(draw.choices(ALPHABET, k=draw.randint(0, 12))) for _ in range(columns)]
            for _ in range(draw.randint(1, 5))
        ]
        text = tables.format_table(rows, width)
        widest = max(cell_len(line) for line in text.split("\n"))
        assert widest <= max(width, 2 if columns == 1 else 6)  # a wide letter takes two, two columns and a gap six
        assert all(letter.isprintable() or letter == "\n" for letter in text)
        shown = "".join(text.split())
        cells = ["".join(tables.make_printable(cell).split()) for row in rows for cell in row]
        assert all(set(cell) <= set(shown) for cell in cells) and len(shown) >= sum(map(len, cells))


@pytest.mark.parametrize(
    ("text", "width", "lines"),
    [
        ("", 5, [""]),
        ("train --batch-size 4", 14, ["train", "--batch-size 4"]),
        ("runs/digits/geco/2026", 12, ["runs/digits/", "geco/2026"]),
        ("abcdefgh", 3, ["abc", "def", "gh"]),
        ("漢字漢字", 5, ["漢字", "漢字"]),
        ("a-b 1e-05", 5, ["a-b", "1e-05"]),
    ],
)
def test_texts_are_wrapped_at_spaces_and_only_long_words_within(text, width, lines):
    assert tables.wrap_text(text, width) == lines


def test_verbs_print_tables_for_the_width_of_the_screen():
    """One function prints tables and asks for the width; no verb lays out columns by itself."""
    verbs = pathlib.Path(tfvae.__file__).parent / "cli"
    users = [path.name for path in verbs.glob("*.py") if "format_table(" in path.read_text(encoding="utf-8")]
    assert users == ["output.py"]
