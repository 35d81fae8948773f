"""TensorFlow Serving's REST requests as functions of bytes and arrays: no web framework, no model.

Source: TensorFlow Serving, ``g3doc/api_rest.md`` and ``util/json_tensor.cc``. Stricter in two things: NaN and infinity
are no JSON, and inputs that the signature does not have are refused instead of ignored.
"""

from __future__ import annotations

import base64
import dataclasses
import itertools
import math
import re
from collections.abc import Iterable
from typing import Any, TypeGuard

import numpy as np
import orjson

from tfvae.errors import TfvaeError, describe_unknown
from tfvae.exporting.savedmodel import Signature, TensorSpec
from tfvae.safety.foreign_text import escape_text

DEFAULT_SIGNATURE = "serving_default"  # of a request that names none
MAX_BODY = 4 * 2**20  # bytes of a request
MAX_DEPTH = 32  # brackets in brackets; a batch of images needs six
MAX_NUMBERS = 2**22  # in an answer: some 40 MB of JSON
MAX_NAMES = 20  # of a request that an error names
NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
# What a JSON value may be for a dtype: a flag is no number, 1.0 no whole one. Other dtypes have no JSON.
JSON_TYPES: dict[str, tuple[set[type], str]] = {
    **dict.fromkeys(("half", "float32", "float64"), ({int, float}, "numbers")),
    **dict.fromkeys(("int8", "int16", "int32", "int64"), ({int}, "whole numbers")),
    **dict.fromkeys(("uint8", "uint16", "uint32", "uint64"), ({int}, "whole numbers")),
    "bool": ({bool}, "true or false"),
    "string": ({str, dict}, 'strings or {"b64": ...}'),
}


class RequestError(TfvaeError):
    """A request that is answered with an error.

    Args:
        status: of HTTP, 4xx.
        message: a sentence: expected, received.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """A request for a prediction.

    Attributes:
        signature: its name.
        by_rows: whether the value stands under `instances`, a list of rows; else under `inputs`, by columns.
        value: what stands there, as JSON has it.
    """

    signature: str
    by_rows: bool
    value: Any


def count_nesting(body: bytes) -> int:
    """Return how deep the brackets of a JSON text nest; those in strings do not count."""
    bare = re.sub(rb"\\.", b"", body, flags=re.DOTALL) if b"\\" in body else body
    brackets = np.frombuffer(re.sub(rb'"[^"]*"', b"", bare.translate(None, NO_BRACKETS)), np.uint8)
    steps = np.isin(brackets, list(b"[{")).astype(np.int64) - np.isin(brackets, list(b"]}"))
    return int(np.max(np.cumsum(steps), initial=0))


def parse_request(body: bytes) -> PredictRequest:
    """Parse the body of a request; its tensors are left to `parse_tensors`, which knows the signature.

        parse_request(b'{"instances": [[0.5, -1.0]]}')

    Raises:
        RequestError: 400, with what was expected.
    """
    if count_nesting(body) > MAX_DEPTH:
        raise RequestError(400, f"Expected JSON nested at most {MAX_DEPTH} deep. Received: {count_nesting(body)}.")
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"Expected JSON. Received: {escape_text(error)}.") from None
    if not isinstance(content, dict):
        raise RequestError(400, "Expected a JSON object. Received: another value.")
    signature = content.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(signature, str):
        raise RequestError(400, "Expected signature_name to be a string. Received: another value.")
    keys = [key for key in ("instances", "inputs") if key in content]
    if len(keys) != 1:
        received = "both" if keys else "neither"
        raise RequestError(400, f"Expected either instances or inputs. Received: {received}.")
    return PredictRequest(signature or DEFAULT_SIGNATURE, keys == ["instances"], content[keys[0]])


def select_signature(signatures: dict[str, Signature], name: str) -> Signature:
    """Return the signature of this name; RequestError (400) if there is none."""
    if name not in signatures:
        raise RequestError(400, describe_unknown("signature_name", escape_text(name), signatures))
    return signatures[name]


# --- from JSON values to columns ---------------------------------------------------------------------------------


def is_base64_value(value: Any) -> bool:
    """Return whether a JSON value is {"b64": "..."}, which stands for bytes."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def is_named_row(value: Any) -> TypeGuard[dict[str, Any]]:
    """Return whether a JSON value is an object of named inputs."""
    return isinstance(value, dict) and not is_base64_value(value)


def to_columns(request: PredictRequest, specs: dict[str, TensorSpec]) -> dict[str, Any]:
    """Return {input: JSON value of the whole batch} of a request in either format, by the names of the signature.

    One input alone needs no name. Rows [{a, b}, ...] become {a: [...], b: [...]}.
    """
    value = request.value
    if request.by_rows:
        if not isinstance(value, list) or not value:
            raise RequestError(400, "Expected instances to be a list of at least one. Received: another value.")
        named_count = sum(map(is_named_row, value))
        if named_count not in (0, len(value)):
            raise RequestError(400, "Expected instances to be all objects or all values. Received: both.")
        if named_count:
            for row in value:
                check_names(row, specs)
            return {name: [row[name] for row in value] for name in specs}
    elif is_named_row(value):
        check_names(value, specs)
        return value
    if len(specs) != 1:
        raise RequestError(400, f"Expected objects with {format_names(specs)}. Received: values without names.")
    return {name: value for name in specs}


def format_names(names: Iterable[str]) -> str:
    """Return the names of inputs for an error."""
    return ", ".join(map(escape_text, names)) or "no inputs"


def check_names(values: dict[str, Any], specs: dict[str, TensorSpec]) -> None:
    """Refuse inputs whose names are not exactly those of the signature."""
    if values.keys() != specs.keys():
        received = format_names(list(values)[:MAX_NAMES])
        raise RequestError(400, f"Expected {format_names(specs)}. Received: {received}.")


# --- from columns to arrays --------------------------------------------------------------------------------------


def parse_array(name: str, value: Any, spec: TensorSpec, max_images: float = math.inf) -> np.ndarray:
    """Return a JSON value as an array of the spec's dtype and shape.

    Lists are walked level by level, so that depth costs no stack, and a length that is wrong ends it at once.

    Args:
        name: of the input.
        value: the JSON value.
        spec: {dtype, shape}; None in the shape is free, a shape None is any.
        max_images: the greatest length of a free first dimension.

    Raises:
        RequestError: 400, with what was expected.
    """
    if spec["dtype"] not in JSON_TYPES:
        raise RequestError(400, f"Expected an input that JSON can write. Received: {name}, {spec['dtype']}.")
    expected = spec["shape"]
    shape: list[int] = []
    items = [value]
    while items and isinstance(items[0], list):
        shape.append(len(items[0]))
        check_shape(name, shape, None if expected is None else expected[: len(shape)], spec)
        if len(shape) == 1 and (expected or [None])[0] is None:
            check_count(shape[0], max_images)
        if {len(item) if isinstance(item, list) else -1 for item in items} != {shape[-1]}:
            raise RequestError(400, f"Expected {name} as lists of equal lengths. Received: unequal ones.")
        items = list(itertools.chain.from_iterable(items))
    check_shape(name, shape, expected, spec)
    types, description = JSON_TYPES[spec["dtype"]]
    if not {type(item) for item in items} <= types:
        raise RequestError(
            400, f"Expected {name} to be {description}, {spec['dtype']}. Received: other values among them."
        )
    parse = parse_strings if spec["dtype"] == "string" else parse_numbers
    return parse(name, items, spec["dtype"]).reshape(shape)


def check_shape(name: str, shape: list[int], expected: list[int | None] | None, spec: TensorSpec) -> None:
    """Refuse a shape that is not the expected one, in which None is a free side; None expects nothing."""
    if expected is None:
        return
    if len(shape) != len(expected) or any(side not in (None, length) for length, side in zip(shape, expected)):
        sides = ", ".join("free" if side is None else str(side) for side in spec["shape"])
        raise RequestError(400, f"Expected {name} of shape [{sides}]. Received: {shape}.")


def check_count(count: int, max_images: float) -> None:
    """Refuse more images than one request may ask for."""
    if count > max_images:
        raise RequestError(400, f"Expected at most {max_images} images in one request. Received: {count}.")


def parse_numbers(name: str, items: list[Any], dtype: str) -> np.ndarray:
    """Return JSON numbers, or flags, as an array [N] of the dtype, which has to hold them."""
    try:
        with np.errstate(over="ignore"):
            array = np.array(items, dtype)
        if np.isfinite(array).all():
            return array
    except OverflowError:
        pass
    raise RequestError(400, f"Expected {name} to fit into {dtype}. Received: a larger number.")


def parse_strings(name: str, items: list[Any], dtype: str) -> np.ndarray:
    """Return strings, or bytes as {"b64": ...}, as an array [N] of bytes."""
    array = np.empty(len(items), object)
    for i, item in enumerate(items):
        try:
            array[i] = item.encode() if isinstance(item, str) else base64.b64decode(item["b64"], validate=True)
        except (KeyError, TypeError, ValueError):  # binascii.Error is a ValueError
            raise RequestError(400, f'Expected {name} to be {{"b64": base64}}. Received: another object.') from None
    return array


def parse_tensors(request: PredictRequest, signature: Signature, max_images: int) -> dict[str, np.ndarray]:
    """Return {input: array} of a request.

    Args:
        request: as `parse_request` returns it.
        signature: {inputs, outputs: {name: spec}}, as `savedmodel.describe_signatures` has it.
        max_images: rows of a free batch, or `n`, in one request; fewer when the answer would be too long.

    Raises:
        RequestError: 400, with what was expected.
    """
    specs = signature["inputs"]
    sides = [[side or 1 for side in spec["shape"][1:]] for spec in signature["outputs"].values() if spec["shape"]]
    if sides:
        max_images = max(1, min(max_images, MAX_NUMBERS // sum(map(math.prod, sides))))
    columns = to_columns(request, specs)
    arrays = {name: parse_array(name, value, specs[name], max_images) for name, value in columns.items()}
    if specs.get("n", {}).get("shape") == []:
        check_count(int(arrays["n"]), max_images)
    return arrays
