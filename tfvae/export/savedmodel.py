"""SavedModels read without loading them: signatures, sizes, ops, and whether they may be loaded unasked.

Only the protobuf is parsed, and its graph is walked; no function of the model runs. The text of a foreign file may be
anything, so whatever is shown of it goes through `printable`.
"""

import collections
import os
import pathlib

from tfvae.errors import DataError, IntegrityError, UsageError
from tfvae.export.safety import findings_of, printable
from tfvae.runtime import files

PROTO = "saved_model.pb"
MANIFEST = "manifest.json"
MAX_BYTES = 256 * 2**20  # of the protobuf; parsed it takes several times as much memory


def find(path):
    """The folder of a SavedModel: `path` itself, or its highest version; None if there is none."""
    path = pathlib.Path(path)
    if (path / PROTO).is_file():
        return path
    versions = [folder for folder in versions_in(path).values() if (folder / PROTO).is_file()]
    return versions[-1] if versions else None


def versions_in(path):
    """{number: folder} as TensorFlow Serving sees them, in order."""
    folders = pathlib.Path(path).iterdir() if pathlib.Path(path).is_dir() else ()
    found = {int(p.name): p for p in folders if p.is_dir() and p.name.isascii() and p.name.isdigit()}
    return dict(sorted(found.items()))


def version_folder(path, number=None):
    """``path/<number>``, which does not exist yet; by default the number after the highest."""
    path = pathlib.Path(path)
    if path.exists() and not path.is_dir():
        raise UsageError(f"Expected a folder of versions. Received: {path}, a file. Choose another.")
    folder = path / str(number or max(versions_in(path), default=0) + 1)
    if os.path.lexists(folder):
        raise UsageError(f"Expected a new version. Received: {folder}, which exists. Leave out --version for the next.")
    return folder


def parse(folder):
    """The SavedModel protobuf of a folder.

    Raises:
        DataError: missing, too large, or not a SavedModel.
    """
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = pathlib.Path(folder) / PROTO
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise DataError(f"Expected a SavedModel in {folder}. Received: {error.strerror} for {path.name}.") from None
    if len(data) > MAX_BYTES:
        raise DataError(f"Expected {path} to have at most {MAX_BYTES} bytes. Received: more.")
    try:
        found = saved_model_pb2.SavedModel.FromString(data)
    except DecodeError:
        raise DataError(f"Expected {path} to be a SavedModel. Received: bytes that do not parse.") from None
    if not found.meta_graphs:
        raise DataError(f"Expected {path} to hold a graph. Received: none.")
    return found


# --- what it offers ----------------------------------------------------------------------------------------------


def spec_of(info):
    """{dtype, shape} of a TensorInfo, None for free dimensions; shape is None when its rank is free."""
    from tensorflow.core.framework import types_pb2

    names = types_pb2.DataType.Name
    known = info.dtype in types_pb2.DataType.values()
    shape = info.tensor_shape
    sides = None if shape.unknown_rank else [dim.size if dim.size >= 0 else None for dim in shape.dim]
    dtype = names(info.dtype).removeprefix("DT_").lower() if known else "unknown"
    return {"dtype": {"float": "float32", "double": "float64"}.get(dtype, dtype), "shape": sides}


def signatures_of(graph):
    """{signature: {inputs, outputs: {name: spec}}} of a MetaGraphDef."""
    sides = ("inputs", "outputs")
    return {
        name: {side: {key: spec_of(info) for key, info in sorted(getattr(signature, side).items())} for side in sides}
        for name, signature in sorted(graph.signature_def.items())
        if name != "__saved_model_init_op"
    }


def ops_of(graph):
    """{op: how often} over the graph and its functions; calls of its own functions are no ops."""
    functions = {function.signature.name for function in graph.graph_def.library.function}
    nodes = [graph.graph_def.node, *(function.node_def for function in graph.graph_def.library.function)]
    count = collections.Counter(node.op for group in nodes for node in group if node.op not in functions)
    return dict(sorted(count.items()))


def must_compile(graph):
    """How many functions and calls demand XLA, which not every server links."""
    functions = graph.graph_def.library.function
    nodes = [graph.graph_def.node, *(function.node_def for function in functions)]
    marks = [*(function.attr for function in functions), *(node.attr for group in nodes for node in group)]
    return sum("_XlaMustCompile" in attr and attr["_XlaMustCompile"].b for attr in marks)


# --- manifest and report -----------------------------------------------------------------------------------------


def verify(folder):
    """Raise IntegrityError unless the folder holds exactly the files of the manifest that `tfvae export` wrote."""
    files.verify_folder(folder)
    if "files" not in files.read_json(pathlib.Path(folder) / MANIFEST):
        raise IntegrityError(f"Expected {folder} as  tfvae export  writes it. Received: another form of manifest.json.")


def call_text(signature):
    """'z float32 [free, 4] -> image float32 [free, 8, 8, 1]'."""

    def one(key, spec):
        sides = ["free" if side is None else side for side in spec["shape"] or ()]
        shape = f"[{', '.join(map(str, sides))}]" if spec["shape"] is not None else "of any rank"
        return f"{printable(key)} {spec['dtype']} {shape}"

    sides = (", ".join(one(*item) for item in signature[side].items()) for side in ("inputs", "outputs"))
    return " -> ".join(sides)


def rows_of(report):
    """`describe` as rows of texts."""
    yield "path", report["path"]
    yield "written by", f"TensorFlow {printable(report['tensorflow'])}"
    yield "size", f"{sum(report['files'].values()):,} bytes in {len(report['files'])} files"
    yield "manifest", printable(report["manifest"], 300)
    yield "loads", "unasked" if report["trusted"] else "only with --trust"
    for name, signature in report["signatures"].items():
        yield printable(name), call_text(signature)
    yield "ops", f"{len(report['ops'])} kinds, {sum(report['ops'].values()):,} in all"
    if report["must_compile"]:
        yield "XLA", f"needed by {report['must_compile']} functions; not every server has it"
    for line in report["findings"]:
        yield "careful", line


def describe(folder):
    """All that is known of a SavedModel without loading it: JSON."""
    folder = pathlib.Path(folder)
    model = parse(folder)
    graph = model.meta_graphs[0]
    try:
        verify(folder)
        manifest = "intact"
    except IntegrityError as error:
        manifest = str(error) if (folder / MANIFEST).exists() else "none"
    sizes = {str(p.relative_to(folder)): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
    found = findings_of(model)
    return {
        "path": str(folder),
        "tensorflow": graph.meta_info_def.tensorflow_version,
        "tags": list(graph.meta_info_def.tags),
        "manifest": manifest,
        "trusted": manifest == "intact" and not found,
        "findings": found,
        "must_compile": must_compile(graph),
        "signatures": signatures_of(graph),
        "ops": ops_of(graph),
        "files": sizes,
    }
