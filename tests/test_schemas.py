"""Schemas: what fits passes, what does not is named with its place, in one line."""

import math

import pytest

from tfvae.errors import IntegrityError
from tfvae.schemas import (
    FLAG,
    HASHED_FILES,
    IMAGE_SHAPE,
    RELATIVE_PATH,
    SETTINGS,
    AnyOf,
    Constant,
    ListOf,
    MapOf,
    Number,
    Record,
    Text,
)

HASH = {"sha256": "0" * 64, "bytes": 3}


@pytest.mark.parametrize(
    "schema, good, bad",
    [
        (Number(0, 5), (0, 5, 2.5), (-1, 6, math.nan, math.inf, 10**400, True, "3", None, [3])),
        (Number(0, 5, whole=True), (0, 5), (2.5, 2.0, True)),
        (Number(0, 5, may_be_nan=True), (1, math.nan), (6, math.inf)),
        (Text(3), ("", "abc", "a\nb"), ("abcd", 3, None, ["a"])),
        (FLAG, (True, False), (1, 0, None, "true")),
        (IMAGE_SHAPE, ([8, 8, 1],), ([8, 8], [8, 8, 0], [8, 8, 2**40], "881", [8.0, 8, 1])),
        (MapOf(Text(3), Number(), most=2), ({}, {"a": 1}), ({"abcd": 1}, {"a": "x"}, {"a": 1, "b": 1, "c": 1}, [])),
        (AnyOf((Constant((None,)), Number()), "a number"), (None, 3), ("x", [])),
        (Record({"a": Number()}, {"b": FLAG}), ({"a": 1}, {"a": 1, "b": True}), ({}, {"a": 1, "c": 1}, {"a": "x"})),
        (Record({}, others=True), ({"any": [1]},), ([], None)),
        (SETTINGS, ({"epochs": 3, "xla": "auto", "limit": None},), ({"x": [1]}, {"x": math.nan}, {"x": "y" * 5000})),
        (
            RELATIVE_PATH,
            ("a", "a/b.txt", ".hidden", "a/..b", "päth/日本"),
            ("", "/a", "../a", "a/../b", "a/..", "a//b", "a/", ".", "a\\b", "a\x1b[31m", "a\nb"),
        ),
        (HASHED_FILES, ({"a/b": HASH},), ({"../a": HASH}, {"a": {"sha256": "0" * 64}}, {"a": HASH | {"bytes": -1}})),
        (ListOf(Number(), most=2), ([], [1, 2]), ([1, 2, 3], ["x"], {}, None)),
    ],
)  # fmt: skip
def test_values(schema, good, bad):
    for value in good:
        schema.check(value, "file.json")
    for value in bad:
        with pytest.raises(IntegrityError, match="file.json") as error:
            schema.check(value, "file.json")
        assert len(str(error.value)) < 400 and str(error.value).isprintable()


def test_the_place_of_a_mistake_is_named():
    schema = Record({"numbers": MapOf(Text(), ListOf(Number()))})
    with pytest.raises(IntegrityError, match=r"metrics.json: numbers: elbo\[1\] to be a number .* Received: 'x'"):
        schema.check({"numbers": {"elbo": [1, "x"]}}, "metrics.json")
