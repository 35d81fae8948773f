"""Which forms a SavedModel may have: those that `tf.saved_model.save` writes, and that TensorFlow reads in one way.

TensorFlow's loaders act on more than ops: they restore what the saver names, run what the init op and the collections
name, rebuild objects and look functions up by name, and the C++ loader does so otherwise than Python's. Each rule here
is about one such place. A name counts only in its one canonical spelling; a place that save leaves empty stays empty.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from typing import Any

from tfvae.safety.allowed_ops import (
    RESTORE_OPS,
    MetaGraph,
    assign_allowed_ops,
    find_checkpoint_nodes,
    find_used_nodes,
    to_node_name,
)
from tfvae.safety.foreign_text import escape_text

Proto = Any  # a SavedModel

TAGS = ["serve"]
INIT_SIGNATURE, INIT_COLLECTION = "__saved_model_init_op", "saved_model_main_op"
CALLS = ("PartitionedCall", "StatefulPartitionedCall")
NODE_NAME = r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*"
OP_NAME = r"_?[A-Z][A-Za-z0-9]*(>[A-Za-z0-9]*)?"  # of every op of TensorFlow, and of no function that it names itself
GRADIENT_NAME = r"CustomGradient-\d+"
HANDLE_TYPES = (20, 21)  # DT_RESOURCE, DT_VARIANT: of a Const, they point to what is in memory already
# What a function's call hands to TensorFlow's own optimizer: number and kind of devices, and nothing to run or connect.
CONFIG_FIELDS = {"device_count", "gpu_options", "allow_soft_placement", "experimental", "pluggable_device_options"}
OBJECT_KINDS = ("user_object", "function", "bare_concrete_function", "variable", "captured_tensor", "constant")
ALLOWED_OBJECTS = (
    "_generic_user_object",
    "signature_map",
    "trackable_dict_wrapper",
    "trackable_list_wrapper",
    "trackable_tuple_wrapper",
)
# Names that TensorFlow calls on the objects that it rebuilds; a child of such a name would be called instead.
RESERVED_CHILDREN = frozenset(
    """
    _add_trackable_child _add_variable_with_custom_getter _checkpoint_adapter _checkpoint_dependencies
    _copy_trackable_to_cpu _create_resource _deferred_dependencies _delete_tracking _deserialization_dependencies
    _deserialize_from_proto _destroy_resource _export_to_saved_model_graph _gather_saveables_for_checkpoint
    _handle_deferred_dependencies _initialize _lookup_dependency _maybe_initialize_trackable
    _name_based_attribute_restore _name_based_restores _no_dependency _object_identifier
    _preload_simple_restoration _restore_from_tensors _self_saveable_object_factories _serialize_to_proto
    _serialize_to_tensors _setattr_tracking _tf_api_names _tf_api_names_v1 _track_trackable _trackable_children
    _unconditional_checkpoint_dependencies _unconditional_dependency_names _update_uid
    """.split()
)


def is_output(reference: str, nodes: Container[str]) -> bool:
    """Return whether a text is the canonical name of a node's output, ``call:0``."""
    return re.fullmatch(NODE_NAME + r":(0|[1-9]\d{0,5})", reference) is not None and to_node_name(reference) in nodes


def iterate_saver_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each field of the saver that `tf.saved_model.save` does not write so.

    TensorFlow runs what the saver names while it loads a model, before anybody asks for anything.
    """
    saver, nodes = graph.saver_def, {node.name: node for node in graph.graph_def.node}
    save, restore = find_checkpoint_nodes(graph)
    if not (saver.save_tensor_name or saver.restore_op_name or saver.filename_tensor_name):
        return
    if save == restore:
        yield f"checkpoint node {escape_text(save)} that both writes and reads"
    if saver.restore_op_name != restore or restore not in nodes:
        yield f"restore op {escape_text(saver.restore_op_name)}, which is no name of a node"
    if saver.save_tensor_name != f"{save}:0" or save not in nodes:
        yield f"save tensor {escape_text(saver.save_tensor_name)}, which is no output of a node"
    file_name = to_node_name(saver.filename_tensor_name)
    file_node = nodes.get(file_name)
    if saver.filename_tensor_name != f"{file_name}:0" or file_node is None or file_node.op != "Placeholder":
        yield f"file name {escape_text(saver.filename_tensor_name)} of the saver, which is no placeholder"
    for name in {save, restore} & nodes.keys():
        if nodes[name].op not in CALLS or list(nodes[name].input[:1]) != [file_name]:
            yield f"checkpoint node {escape_text(name)}, which is no call with the saver's file name"
    for name in sorted(set(filter(None, (save, restore))) & find_used_nodes(graph)):
        yield f"checkpoint node {escape_text(name)} is used by more than the saver"


def iterate_restore_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each op that would read another checkpoint than the model's own while it is loaded."""
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    entry = [node for node in graph.graph_def.node if node.name == find_checkpoint_nodes(graph)[1]]
    called = {node.attr["f"].func.name for node in entry}
    for name, ops in assign_allowed_ops(graph).items():
        readers = [node for node in functions[name].node_def if node.op == "RestoreV2"] if ops is RESTORE_OPS else []
        file_name = [argument.name for argument in functions[name].signature.input_arg[:1]]
        if any(name not in called or list(node.input[:1]) != file_name for node in readers):
            yield f"op RestoreV2 in {escape_text(name)} of another file than the model's checkpoint"


def iterate_start_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for whatever TensorFlow would run at the start: save writes an op that does nothing."""
    nodes, started = {node.name: node for node in graph.graph_def.node}, set()
    for key, signature in graph.signature_def.items():
        started |= {info.name for info in signature.outputs.values()} if key == INIT_SIGNATURE else set()
    for key, collection in graph.collection_def.items():
        if key != INIT_COLLECTION or collection.WhichOneof("kind") != "node_list":
            yield f"collection {escape_text(key)}"
        started |= {*collection.node_list.value}
    for name in sorted(started):
        if name not in nodes or nodes[name].op != "NoOp" or nodes[name].input:
            yield f"start-up op {escape_text(name)}, which is not one that does nothing"
    for asset in graph.asset_file_def:
        yield f"file {escape_text(asset.filename)} as an asset"


def iterate_signature_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each input or output of a signature that is not one tensor of the graph by its name."""
    nodes = {node.name: node for node in graph.graph_def.node}
    for key, signature in graph.signature_def.items():
        if key == INIT_SIGNATURE:
            continue
        if key.startswith("__saved_model") or signature.defaults:
            yield f"signature {escape_text(key)} of a kind of its own"
        for info in signature.inputs.values():
            is_fed = info.WhichOneof("encoding") == "name" and is_output(info.name, nodes)
            if not is_fed or nodes[to_node_name(info.name)].op != "Placeholder":
                yield f"input {escape_text(info.name)} of {escape_text(key)}, which is no placeholder"
        for info in signature.outputs.values():
            if info.WhichOneof("encoding") != "name" or not is_output(info.name, nodes):
                yield f"output {escape_text(info.name)} of {escape_text(key)}, which is no tensor of the graph"


def iterate_name_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each name of the graph that two loaders might understand in two ways."""
    names = [node.name for node in graph.graph_def.node]
    nodes, functions = set(names), [function.signature.name for function in graph.graph_def.library.function]
    if len(names) != len(nodes):
        yield "two nodes of one name"
    if len(functions) != len(set(functions)):
        yield "two functions of one name"
    for name in sorted(name for name in nodes if not re.fullmatch(NODE_NAME, name)):
        yield f"node {escape_text(name)}, which is no name"
    for name in sorted(set(functions)):
        if re.fullmatch(OP_NAME, name):
            yield f"function {escape_text(name)}, named as an op"
    for source in sorted({source for node in graph.graph_def.node for source in node.input}):
        if source.removeprefix("^") not in nodes and not is_output(source, nodes):
            yield f"input {escape_text(source)}, which is no output of a node"


def iterate_attribute_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each attribute that makes an op do other things than its name says."""
    library = graph.graph_def.library
    groups = [(graph.graph_def.node, False), *((function.node_def, True) for function in library.function)]
    for pair in library.registered_gradients:
        if not re.fullmatch(GRADIENT_NAME, pair.registered_op_type):
            yield f"gradient {escape_text(pair.registered_op_type)}, which is TensorFlow's own"
    if library.gradient:
        yield "gradients of functions in the form of TensorFlow 1"
    for nodes, is_function in groups:
        for node in nodes:
            if is_function and node.op == "VarHandleOp":
                yield f"variable {escape_text(node.name)} by its name inside a function"
            for key, value in node.attr.items():
                if what := describe_attribute_risk(key, value):
                    yield f"{what} in {escape_text(node.name)}"


def describe_attribute_risk(key: str, value: Any) -> str:
    """Return what is wrong with an attribute, or ''."""
    if key == "_gradient_op_type" and not re.fullmatch(GRADIENT_NAME, value.s.decode(errors="replace")):
        return f"gradient {escape_text(value.s)}, which is TensorFlow's own,"
    if key in ("config", "config_proto") and not is_plain_config(value.s):
        return "settings of the runtime"
    return "pointer to something in memory" if value.tensor.dtype in HANDLE_TYPES else ""


def is_plain_config(data: bytes) -> bool:
    """Return whether a serialized ConfigProto says no more than which devices there are."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import config_pb2

    try:
        config = config_pb2.ConfigProto.FromString(data)
    except DecodeError:
        return False
    return {field.name for field, _ in config.ListFields()} <= CONFIG_FIELDS


def iterate_object_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each object that is rebuilt by code of its own, or that replaces a part of the loader."""
    nodes, functions = graph.object_graph_def.nodes, {f.signature.name for f in graph.graph_def.library.function}
    if not nodes or nodes[0].WhichOneof("kind") != "user_object":
        yield "no objects, as in TensorFlow 1"
    for node in nodes:
        kind, has_own_state = node.WhichOneof("kind"), node.HasField("serialized_user_proto")
        is_constant = kind == "constant" and node.registered_name == "tf.TrackableConstant"
        if kind not in OBJECT_KINDS or node.registered_name and not is_constant:
            yield f"object {escape_text(node.registered_name or kind)}, which is rebuilt by code of its own"
        elif kind == "user_object" and node.user_object.identifier not in ALLOWED_OBJECTS:
            yield f"object {escape_text(node.user_object.identifier)}, which is rebuilt by code of its own"
        if node.registered_saver or node.saveable_objects or node.slot_variables or has_own_state:
            yield f"object {escape_text(kind)}, which is saved and restored by code of its own"
        for child in (*node.children, *node.dependencies):
            name = child.local_name
            if name in RESERVED_CHILDREN or name.startswith("__") and name != "__call__":
                yield f"child {escape_text(name)}, in the place of a part of the loader"
            if not 0 <= child.node_id < len(nodes):
                yield f"child {escape_text(name)}, which is no object"
        named = {*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name}
        for name in sorted({*named, node.captured_tensor.concrete_function} - functions - {""}):
            yield f"function {escape_text(name)} of an object, which is not in the library"


def iterate_structure_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each value of a function's arguments or results that is rebuilt by code of its own."""
    objects = graph.object_graph_def
    pending = [one.canonicalized_input_signature for one in objects.concrete_functions.values()]
    pending += [one.output_signature for one in objects.concrete_functions.values()]
    for node in objects.nodes:
        for spec in (node.function.function_spec, node.bare_concrete_function.function_spec):
            pending += [spec.fullargspec, spec.input_signature]
    while pending:
        value = pending.pop()
        if value.WhichOneof("kind") == "type_spec_value":
            yield f"value of the type {escape_text(value.type_spec_value.type_spec_class_name)}"
        pending += [*value.list_value.values, *value.tuple_value.values, *value.dict_value.fields.values()]
        pending += [pair.value for pair in value.named_tuple_value.values]


def iterate_form_risks(model: Proto) -> Iterator[str]:
    """Yield one line for each part of a SavedModel that has another form than `tf.saved_model.save` gives it."""
    graph = model.meta_graphs[0]
    if len(model.meta_graphs) > 1:
        yield f"{len(model.meta_graphs)} graphs, of which only the first is examined"
    if model.saved_model_schema_version != 1 or list(graph.meta_info_def.tags) != TAGS:
        yield f"version {model.saved_model_schema_version} with tags {escape_text(list(graph.meta_info_def.tags))}"
    known = type(model)()
    known.CopyFrom(model)
    known.DiscardUnknownFields()
    if known.ByteSize() != model.ByteSize():
        yield "fields that this TensorFlow does not know"
    rules = (
        iterate_saver_risks,
        iterate_restore_risks,
        iterate_start_risks,
        iterate_signature_risks,
        iterate_name_risks,
        iterate_attribute_risks,
        iterate_object_risks,
        iterate_structure_risks,
    )
    for rule in rules:
        yield from rule(graph)
