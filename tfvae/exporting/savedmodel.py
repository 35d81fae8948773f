"""SavedModels read without loading them: signatures, sizes, ops, and whether they may be loaded unasked.

Only the protobuf is parsed, and its graph is walked; no function of the model runs. The text of a foreign file may be
anything, so whatever is shown of it goes through `escape_text`.
"""

from __future__ import annotations

import collections
import os
import pathlib
from collections.abc import Iterator
from typing import Any

from tfvae.errors import IntegrityError, UsageError
from tfvae.runtime import files
from tfvae.runtime.files import MANIFEST
from tfvae.safety.allowed_ops import MetaGraph
from tfvae.safety.foreign_text import escape_text
from tfvae.safety.savedmodel_check import (
    PROTO,
    find_risks,
    find_savedmodel,
    list_savedmodel_files,
    list_versions,
    parse_savedmodel,
    verify_savedmodel,
)

__all__ = ["MANIFEST", "PROTO", "find_savedmodel", "list_versions", "parse_savedmodel", "verify_savedmodel"]
TensorSpec = dict[str, Any]  # {"dtype": name, "shape": list of sides, None where free, or None if of any rank}
Signature = dict[str, dict[str, TensorSpec]]  # {"inputs": {name: spec}, "outputs": {name: spec}}


def make_version_path(path: files.PathLike, number: int | None = None) -> pathlib.Path:
    """Return ``path/<number>``, a folder that does not exist yet.

    Args:
        path: the folder of all versions; it need not exist.
        number: None is the number after the highest.

    Raises:
        UsageError: `path` is a file, or the version exists.
    """
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"Expected a folder of versions. Received: {path}, a file. Choose another.")
    folder = path / str(number or max(list_versions(path), default=0) + 1)
    if os.path.lexists(folder):
        raise UsageError(f"Expected a new version. Received: {folder}, which exists. Leave out --version for the next.")
    return folder


# --- what it offers ----------------------------------------------------------------------------------------------


def describe_tensor(info: Any) -> TensorSpec:
    """Return {dtype, shape} of a TensorInfo: None for free sides; the shape is None when the rank is free."""
    from tensorflow.core.framework import types_pb2

    is_known = info.dtype in types_pb2.DataType.values()
    shape = info.tensor_shape
    sides = None if shape.unknown_rank else [dim.size if dim.size >= 0 else None for dim in shape.dim]
    dtype = types_pb2.DataType.Name(info.dtype).removeprefix("DT_").lower() if is_known else "unknown"
    return {"dtype": {"float": "float32", "double": "float64"}.get(dtype, dtype), "shape": sides}


def describe_signatures(graph: MetaGraph) -> dict[str, Signature]:
    """Return {signature: {inputs, outputs: {name: {dtype, shape}}}} of a MetaGraphDef."""
    sides = ("inputs", "outputs")
    return {
        name: {
            side: {key: describe_tensor(info) for key, info in sorted(getattr(signature, side).items())}
            for side in sides
        }
        for name, signature in sorted(graph.signature_def.items())
        if name != "__saved_model_init_op"
    }


def count_ops(graph: MetaGraph) -> dict[str, int]:
    """Return {op: how often} over the graph and its functions; calls of its own functions are no ops."""
    functions = {function.signature.name for function in graph.graph_def.library.function}
    nodes = [graph.graph_def.node, *(function.node_def for function in graph.graph_def.library.function)]
    counts = collections.Counter(node.op for group in nodes for node in group if node.op not in functions)
    return dict(sorted(counts.items()))


def count_xla_demands(graph: MetaGraph) -> int:
    """Return how many functions and calls demand XLA, which not every server links."""
    functions = graph.graph_def.library.function
    nodes = [graph.graph_def.node, *(function.node_def for function in functions)]
    attributes = [*(function.attr for function in functions), *(node.attr for group in nodes for node in group)]
    return sum("_XlaMustCompile" in attr and attr["_XlaMustCompile"].b for attr in attributes)


# --- manifest and report -----------------------------------------------------------------------------------------


def format_signature(signature: Signature) -> str:
    """Return a signature as 'z float32 [free, 4] -> image float32 [free, 8, 8, 1]'."""

    def format_tensor(key: str, spec: TensorSpec) -> str:
        sides = ["free" if side is None else side for side in spec["shape"] or ()]
        shape = f"[{', '.join(map(str, sides))}]" if spec["shape"] is not None else "of any rank"
        return f"{escape_text(key)} {spec['dtype']} {shape}"

    sides = (", ".join(format_tensor(*item) for item in signature[side].items()) for side in ("inputs", "outputs"))
    return " -> ".join(sides)


def format_report_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what `describe_savedmodel` returned as rows (name, text) for people."""
    yield "path", report["path"]
    yield "written by", f"TensorFlow {escape_text(report['tensorflow'])}"
    yield "size", f"{sum(report['files'].values()):,} bytes in {len(report['files'])} files"
    yield "manifest", escape_text(report["manifest"], 300)
    yield "loads", "unasked" if report["trusted"] else "only with --trust"
    for name, signature in report["signatures"].items():
        yield escape_text(name), format_signature(signature)
    yield "ops", f"{len(report['ops'])} kinds, {sum(report['ops'].values()):,} in all"
    if report["must_compile"]:
        yield "XLA", f"needed by {report['must_compile']} functions; not every server has it"
    for line in report["findings"]:
        yield "careful", line


def describe_savedmodel(folder: files.PathLike) -> dict[str, Any]:
    """Return all that is known of a SavedModel without loading it, as a JSON object.

        report = describe_savedmodel("export/models/digits/1")
        report["trusted"], report["signatures"]["decode"]

    Raises:
        DataError: there is no SavedModel, or it does not parse.
    """
    folder = pathlib.Path(folder)
    model = parse_savedmodel(folder)
    graph = model.meta_graphs[0]
    try:
        list_savedmodel_files(folder)
        verify_savedmodel(folder)
        manifest = "intact"
    except IntegrityError as error:
        manifest = str(error) if (folder / MANIFEST).exists() else "none"
    sizes = {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
    risks = find_risks(model)
    return {
        "path": str(folder),
        "tensorflow": graph.meta_info_def.tensorflow_version,
        "tags": list(graph.meta_info_def.tags),
        "manifest": manifest,
        "trusted": manifest == "intact" and not risks,
        "findings": risks,
        "must_compile": count_xla_demands(graph),
        "signatures": describe_signatures(graph),
        "ops": count_ops(graph),
        "files": sizes,
    }
