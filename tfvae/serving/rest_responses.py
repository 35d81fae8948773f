"""TensorFlow Serving's REST answers as functions of arrays: no web framework, no model.

Source: TensorFlow Serving, ``g3doc/api_rest.md`` and ``util/json_tensor.cc``. Stricter in one thing: NaN and infinity
are no JSON.
"""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import orjson

from tfvae.exporting.savedmodel import MetaGraph
from tfvae.serving.rest_requests import RequestError


def prepare_output(name: str, value: np.ndarray) -> Any:
    """Return an output as orjson writes it. Bytes become base64 where the name ends in `_bytes`, else text.

    orjson writes the shortest digits that are read back as the same float32.

    Raises:
        RequestError: 400, for NaN and infinity.
    """
    if value.dtype.kind != "O":
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise RequestError(400, f"Expected inputs that give finite numbers. Received: NaN or infinity in {name}.")
        return np.ascontiguousarray(value) if value.ndim else value[()]
    items = np.empty(value.shape, object)
    for i in np.ndindex(value.shape):
        data = bytes(value[i])
        is_binary = name.endswith("_bytes")
        items[i] = {"b64": base64.b64encode(data).decode()} if is_binary else data.decode(errors="replace")
    return items.tolist()


def encode_response(outputs: dict[str, np.ndarray], by_rows: bool) -> bytes:
    """Return the bytes of an answer: {"predictions": rows} or {"outputs": columns}.

    One output alone has no name. Rows of several are objects, so all need the same number of them.

    Args:
        outputs: {output: array}.
        by_rows: whether the request came by rows.

    Raises:
        RequestError: 400, for outputs that are no rows, and for NaN and infinity.
    """
    columns = {name: prepare_output(name, value) for name, value in sorted(outputs.items())}
    if by_rows:
        counts = {len(value) if value.ndim else None for value in outputs.values()}
        if len(counts) != 1 or None in counts:
            raise RequestError(
                400, "Expected outputs with a row for each instance. Received: others. Use inputs instead."
            )
    content: Any = columns
    if len(columns) == 1:
        (content,) = columns.values()
    elif by_rows:
        content = [dict(zip(columns, row)) for row in zip(*columns.values())]
    return orjson.dumps({"predictions" if by_rows else "outputs": content}, option=orjson.OPT_SERIALIZE_NUMPY)


def encode_status(version: int) -> bytes:
    """Return the answer to a request for the model's status, GetModelStatusResponse, with the one version there is."""
    status = {"error_code": "OK", "error_message": ""}
    return orjson.dumps({"model_version_status": [{"version": str(version), "state": "AVAILABLE", "status": status}]})


def encode_metadata(name: str, version: int, graph: MetaGraph, condition: dict[str, Any] | None = None) -> bytes:
    """Return the answer to a request for metadata, GetModelMetadataResponse, all fields written.

    Args:
        name: of the model.
        version: its number.
        graph: a MetaGraphDef with the signatures.
        condition: the entry `condition` of the manifest, which is added as metadata of that name; TensorFlow Serving
            has no such field. None adds nothing.
    """
    from google.protobuf import json_format
    from tensorflow_serving.apis.get_model_metadata_pb2 import SignatureDefMap

    message = SignatureDefMap(signature_def=graph.signature_def)
    options = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}
    metadata = {"signature_def": json_format.MessageToDict(message, **options)}
    metadata |= {"condition": condition} if condition else {}
    spec = {"name": name, "signature_name": "", "version": str(version)}
    return orjson.dumps({"model_spec": spec, "metadata": metadata})


def encode_error(message: str) -> bytes:
    """Return the answer {"error": message}."""
    return orjson.dumps({"error": message})
