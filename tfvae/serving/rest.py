"""TensorFlow Serving's REST formats as functions of bytes and arrays: no web framework, no model.

Source: TensorFlow Serving, ``g3doc/api_rest.md`` and ``util/json_tensor.cc``. Stricter in two things: NaN and infinity
are no JSON, neither way, and inputs that the signature does not have are refused instead of ignored.
"""

import base64
import dataclasses
import itertools
import math
import re

import numpy as np
import orjson

from tfvae.errors import TfvaeError, describe_unknown
from tfvae.export.safety import escape_text

DEFAULT_SIGNATURE = "serving_default"  # the signature of a request that names none
MAX_BODY = 4 * 2**20  # bytes of a request
MAX_DEPTH = 32  # brackets in brackets; a batch of images needs six
MAX_NUMBERS = 2**22  # of an answer: some 40 MB of JSON
NO_BRACKETS = bytes(set(range(256)) - set(b'[]{}"'))
# What a JSON value may be for a dtype: a flag is no number, 1.0 no whole one. Other dtypes have no JSON.
JSON_TYPES = {
    **dict.fromkeys(("half", "float32", "float64"), ({int, float}, "numbers")),
    **dict.fromkeys(("int8", "int16", "int32", "int64"), ({int}, "whole numbers")),
    **dict.fromkeys(("uint8", "uint16", "uint32", "uint64"), ({int}, "whole numbers")),
    "bool": ({bool}, "true or false"),
    "string": ({str, dict}, 'strings or {"b64": ...}'),
}


class RequestError(TfvaeError):
    """A request that is answered with `encode_status`, 4xx, and the sentence."""

    def __init__(self, status, sentence):
        super().__init__(sentence)
        self.status = status


@dataclasses.dataclass(frozen=True)
class PredictRequest:
    """A predict request: `value` is what stands under `instances` (`rows`) or `inputs`, as JSON has it."""

    signature: str
    rows: bool
    value: object


def count_nesting(body):
    """How deep the brackets of a JSON text nest; those in strings do not count."""
    bare = re.sub(rb"\\.", b"", body, flags=re.DOTALL) if b"\\" in body else body
    brackets = np.frombuffer(re.sub(rb'"[^"]*"', b"", bare.translate(None, NO_BRACKETS)), np.uint8)
    steps = np.isin(brackets, list(b"[{")).astype(np.int64) - np.isin(brackets, list(b"]}"))
    return int(np.max(np.cumsum(steps), initial=0))


def parse_request(body):
    """The bytes of a request -> `PredictRequest`; tensors are looked at by `parse_tensors`, which knows the signature."""
    if count_nesting(body) > MAX_DEPTH:
        raise RequestError(400, f"Expected JSON nested at most {MAX_DEPTH} deep. Received: {count_nesting(body)}.")
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(400, f"Expected JSON. Received: {escape_text(encode_error)}.") from None
    if not isinstance(found, dict):
        raise RequestError(400, "Expected a JSON object. Received: another value.")
    signature = found.get("signature_name", DEFAULT_SIGNATURE)
    if not isinstance(signature, str):
        raise RequestError(400, "Expected signature_name to be a string. Received: another value.")
    given = [key for key in ("instances", "inputs") if key in found]
    if len(given) != 1:
        raise RequestError(400, f"Expected either instances or inputs. Received: {'both' if given else 'neither'}.")
    return PredictRequest(signature or DEFAULT_SIGNATURE, given == ["instances"], found[given[0]])


# --- what comes in -----------------------------------------------------------------------------------------------


def is_base64_value(value):
    """{"b64": "..."}, which stands for bytes."""
    return isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str)


def is_named_row(value):
    return isinstance(value, dict) and not is_base64_value(value)


def to_columns(request, specs):
    """{input: JSON value of the whole batch} of either format; the names are those of the signature.

    One input alone needs no name. Rows [{a, b}, ...] become {a: [...], b: [...]}.
    """
    value = request.value
    if request.rows:
        if not isinstance(value, list) or not value:
            raise RequestError(400, "Expected instances to be a list of at least one. Received: another value.")
        named = sum(map(is_named_row, value))
        if named not in (0, len(value)):
            raise RequestError(400, "Expected instances to be all objects or all values. Received: both.")
        if named:
            for row in value:
                check_names(row, specs)
            return {name: [row[name] for row in value] for name in specs}
    elif is_named_row(value):
        check_names(value, specs)
        return value
    if len(specs) != 1:
        raise RequestError(400, f"Expected objects with {format_names(specs)}. Received: values without names.")
    return {name: value for name in specs}


def format_names(specs):
    return ", ".join(map(escape_text, specs)) or "no inputs"


def check_names(given, specs):
    if given.keys() != specs.keys():
        raise RequestError(400, f"Expected {format_names(specs)}. Received: {format_names(list(given)[:20])}.")


def parse_array(name, value, spec, most=math.inf):
    """A JSON value as an array of the spec's dtype, {dtype, shape}; None in the shape is free, a shape None is any.

    Lists are walked level by level, so that depth costs no stack, and a length that is wrong ends it at once.

    Args:
        most: the greatest length of a free first dimension.
    """
    if spec["dtype"] not in JSON_TYPES:
        raise RequestError(400, f"Expected an input that JSON can write. Received: {name}, {spec['dtype']}.")
    shape, items, wanted = [], [value], spec["shape"]
    while items and isinstance(items[0], list):
        shape.append(len(items[0]))
        check_shape(name, shape, None if wanted is None else wanted[: len(shape)], spec)
        if len(shape) == 1 and (wanted or [None])[0] is None:
            check_count(shape[0], most)
        if {len(item) if isinstance(item, list) else -1 for item in items} != {shape[-1]}:
            raise RequestError(400, f"Expected {name} as lists of equal lengths. Received: unequal ones.")
        items = list(itertools.chain.from_iterable(items))
    check_shape(name, shape, wanted, spec)
    types, what = JSON_TYPES[spec["dtype"]]
    if not {type(item) for item in items} <= types:
        raise RequestError(400, f"Expected {name} to be {what}, {spec['dtype']}. Received: other values among them.")
    return (parse_strings if spec["dtype"] == "string" else parse_numbers)(name, items, spec["dtype"]).reshape(shape)


def check_shape(name, shape, wanted, spec):
    if wanted is not None and (len(shape) != len(wanted) or any(b not in (None, a) for a, b in zip(shape, wanted))):
        shown = ", ".join("free" if side is None else str(side) for side in spec["shape"])
        raise RequestError(400, f"Expected {name} of shape [{shown}]. Received: {shape}.")


def check_count(count, most):
    if count > most:
        raise RequestError(400, f"Expected at most {most} images in one request. Received: {count}.")


def parse_numbers(name, items, dtype):
    """A list of JSON numbers, or of flags, as an array of the dtype, which has to hold them."""
    try:
        with np.errstate(over="ignore"):
            found = np.array(items, dtype)
        fits = np.isfinite(found).all()
    except OverflowError:
        fits = False
    if not fits:
        raise RequestError(400, f"Expected {name} to fit into {dtype}. Received: a larger number.")
    return found


def parse_strings(name, items, dtype):
    """A list of strings, or of bytes as {"b64": ...}, as an array of bytes."""
    found = np.empty(len(items), object)
    for i, item in enumerate(items):
        try:
            found[i] = item.encode() if isinstance(item, str) else base64.b64decode(item["b64"], validate=True)
        except (KeyError, TypeError, ValueError):  # binascii.Error is a ValueError
            raise RequestError(400, f'Expected {name} to be {{"b64": base64}}. Received: another object.') from None
    return found


def parse_tensors(request, signature, most):
    """{input: array} of a request.

    Args:
        signature: {inputs, outputs: {name: spec}}, as `savedmodel.signatures_of` has it.
        most: images, that is rows of a free batch, or `n`, in one request; fewer when the answer would be too long.
    """
    specs = signature["inputs"]
    sides = [[side or 1 for side in spec["shape"][1:]] for spec in signature["outputs"].values() if spec["shape"]]
    most = max(1, min(most, MAX_NUMBERS // sum(map(math.prod, sides)))) if sides else most
    found = {name: parse_array(name, value, specs[name], most) for name, value in to_columns(request, specs).items()}
    if specs.get("n", {}).get("shape") == []:
        check_count(int(found["n"]), most)
    return found


# --- what goes out -----------------------------------------------------------------------------------------------


def prepare_output(name, value):
    """An output as orjson writes it. Bytes are base64 where the name ends in `_bytes`, else text.

    orjson writes the shortest digits that are read back as the same float32.
    """
    if value.dtype.kind != "O":
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise RequestError(400, f"Expected inputs that give finite numbers. Received: NaN or infinity in {name}.")
        return np.ascontiguousarray(value) if value.ndim else value[()]
    found = np.empty(value.shape, object)
    for i in np.ndindex(value.shape):
        if name.endswith("_bytes"):
            found[i] = {"b64": base64.b64encode(value[i]).decode()}
        else:
            found[i] = value[i].decode(errors="replace")
    return found.tolist()


def encode_response(outputs, rows):
    """{output: array} -> the answer's bytes: {"predictions": rows} or {"outputs": columns}.

    One output alone has no name. Rows of several are objects, so all need the same number of them.
    """
    found = {name: prepare_output(name, value) for name, value in sorted(outputs.items())}
    if rows:
        counts = {len(value) if value.ndim else None for value in outputs.values()}
        if len(counts) != 1 or None in counts:
            raise RequestError(
                400, "Expected outputs with a row for each instance. Received: others. Use inputs instead."
            )
    if len(found) == 1:
        (found,) = found.values()
    elif rows:
        found = [dict(zip(found, row)) for row in zip(*found.values())]
    return orjson.dumps({"predictions" if rows else "outputs": found}, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_status(version):
    """GetModelStatusResponse of the one version there is."""
    fine = {"error_code": "OK", "error_message": ""}
    found = {"version": str(version), "state": "AVAILABLE", "status": fine}
    return orjson.dumps({"model_version_status": [found]})


def encode_metadata(name, version, graph):
    """GetModelMetadataResponse with the signatures of a MetaGraphDef, all fields written."""
    from google.protobuf import json_format
    from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap

    signatures = SignatureDefMap(signature_def=graph.signature_def)
    shown = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    spec = {"name": name, "signature_name": "", "version": str(version)}
    found = {"model_spec": spec, "metadata": {"signature_def": json_format.MessageToDict(signatures, **shown)}}
    return orjson.dumps(found)


def encode_error(sentence):
    return orjson.dumps({"error": sentence})


def select_signature(signatures, name):
    """The signature of this name, or 400."""
    if name not in signatures:
        raise RequestError(400, describe_unknown("signature_name", escape_text(name), signatures))
    return signatures[name]
