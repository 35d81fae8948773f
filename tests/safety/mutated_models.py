"""A generator of SavedModels that do harm: good ones, changed at each place that some loader of TensorFlow acts upon.

`list_variants` names them, `write_variant` writes one. Each would write, read or connect, if what is planted ran:
either a planted op (`PAYLOADS`), or the model's own saver with a fixed path, called from where it must not be.
"""

import functools

import tensorflow as tf

RAW = tf.raw_ops
KERNEL = [[1.0, 2.0], [3.0, 4.0]]


# --- the good model ----------------------------------------------------------------------------------------------


class Small(tf.Module):
    """A model with a variable, a captured constant, a loop, a branch and a gradient of its own."""

    def __init__(self):
        super().__init__()
        self.kernel = tf.Variable(KERNEL)
        self.shift = tf.constant([0.5, 0.25])
        self.parts = [tf.Variable(1.0), {"scale": tf.Variable(2.0)}]

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="x")], autograph=False)
    def __call__(self, x):
        @tf.custom_gradient
        def double(value):
            return 2.0 * value, lambda upstream: 2.0 * upstream

        y = double(x @ self.kernel + self.shift) * self.parts[0]
        y = tf.while_loop(lambda i, _: i < 2, lambda i, v: (i + 1, v * 1.5), (0, y))[1]
        return tf.cond(tf.reduce_sum(y) > 0, lambda: y, lambda: y * self.parts[1]["scale"])


def write_good_model(folder):
    tf.saved_model.save(Small(), str(folder), options=tf.saved_model.SaveOptions(experimental_custom_gradients=True))
    return folder


# --- what is planted ---------------------------------------------------------------------------------------------


def make_payloads(canaries):
    """{name: function that builds an op} with paths below `canaries` and its port."""
    planted, secret = str(canaries.folder / "planted"), str(canaries.secret)
    words = ["any"]
    return {
        "nothing": tf.no_op,
        "write": lambda: RAW.WriteFile(filename=planted, contents="x"),
        "save": lambda: RAW.SaveV2(prefix=planted, tensor_names=["t"], shape_and_slices=[""], tensors=[words]),
        "slices": lambda: RAW.SaveSlices(
            filename=planted, tensor_names=["t"], shapes_and_slices=[""], data=[tf.constant([1.0])]
        ),
        "print": lambda: RAW.PrintV2(input="x", output_stream="file://" + planted),
        "debug_file": lambda: RAW.DebugIdentityV2(input=words, debug_urls=["file://" + planted], op_name="o"),
        "debug_net": lambda: RAW.DebugIdentityV2(input=words, debug_urls=[f"grpc://127.0.0.1:{canaries.port}"]),
        "read": lambda: RAW.ReadFile(filename=secret),
        "restore": lambda: RAW.RestoreV2(prefix=secret, tensor_names=["t"], shape_and_slices=[""], dtypes=[tf.string]),
        "list": lambda: RAW.MatchingFiles(pattern=secret + "*"),
        "lines": lambda: tf.data.TextLineDataset(secret).reduce("", lambda old, new: new),
        "cache": lambda: tf.data.Dataset.range(2).cache(planted).reduce(tf.constant(0, tf.int64), lambda a, b: a + b),
        "map": lambda: RAW.ImmutableConst(dtype=tf.uint8, shape=[1], memory_region_name=secret),
    }


@functools.cache
def trace_payload(canaries, name):
    def plant():
        with tf.control_dependencies([tf.nest.flatten(make_payloads(canaries)[name]())[0]]):
            return tf.constant([[0.0, 0.0]])

    return tf.function(plant, input_signature=[], autograph=False).get_concrete_function()


def plant_in_function(graph, function, payload):
    """Add the payload's nodes to a function, which runs them whenever it is called."""
    concrete = payload()
    copies = {n.name: function.node_def.add() for n in concrete.function_def.node_def}
    for node in concrete.function_def.node_def:
        copy = copies[node.name]
        copy.CopyFrom(node)
        copy.name = "planted_" + node.name
        copy.input[:] = [("^planted_" + s[1:]) if s[0] == "^" else "planted_" + s for s in node.input]
        function.control_ret[copy.name] = copy.name
        function.signature.control_output.append(copy.name)
    function.signature.is_stateful = True
    add_library(graph, concrete)


def plant_in_graph(graph, payload):
    """Add the payload's nodes to the graph; return the name of the last, which gives a tensor."""
    concrete = payload()
    nodes = concrete.graph.as_graph_def().node
    for node in nodes:
        copy = graph.graph_def.node.add()
        copy.CopyFrom(node)
        copy.name = "planted_" + node.name
        copy.input[:] = [("^planted_" + s[1:]) if s[0] == "^" else "planted_" + s for s in node.input]
    add_library(graph, concrete)
    return "planted_" + nodes[-1].name


def add_library(graph, concrete):
    have = {function.signature.name for function in graph.graph_def.library.function}
    for function in concrete.graph.as_graph_def().library.function:
        if function.signature.name not in have:
            graph.graph_def.library.function.add().CopyFrom(function)


def add_function(graph, payload, name="__inference_planted_1"):
    """Add the payload as a function of its own to the library, known to the objects; return its name."""
    concrete = payload()
    function = graph.graph_def.library.function.add()
    function.CopyFrom(concrete.function_def)
    function.signature.name = name
    add_library(graph, concrete)
    signature = graph.object_graph_def.concrete_functions[name]
    values = signature.canonicalized_input_signature.tuple_value.values
    values.add().tuple_value.SetInParent()
    values.add().dict_value.SetInParent()
    spec = signature.output_signature.tensor_spec_value
    spec.dtype, spec.shape.unknown_rank = tf.float32.as_datatype_enum, True
    return name


def add_function_object(graph, name):
    """Add an object that calls a function of the library; return its number."""
    node = graph.object_graph_def.nodes.add()
    node.bare_concrete_function.concrete_function_name = name
    return len(graph.object_graph_def.nodes) - 1


# --- places in the graph, where a node is planted ----------------------------------------------------------------


def spell(name):
    return {"plain": name, "output": name + ":0", "control": "^" + name, "double": name + ":00"}


def set_restore(graph, text):
    graph.saver_def.restore_op_name = text


def set_save_and_restore(graph, text):
    graph.saver_def.save_tensor_name = text if ":" in text else text + ":0"
    graph.saver_def.restore_op_name = text


def set_filename(graph, text):
    graph.saver_def.filename_tensor_name = text


def set_init_signature(graph, text):
    graph.signature_def["__saved_model_init_op"].outputs["__saved_model_init_op"].name = text


def set_train_signature(graph, text):
    graph.signature_def["__saved_model_train_op"].outputs["__saved_model_train_op"].name = text


def set_main_op(graph, text):
    graph.signature_def.pop("__saved_model_init_op", None)
    graph.collection_def["saved_model_main_op"].node_list.value[:] = [text]


def set_legacy_init(graph, text):
    graph.signature_def.pop("__saved_model_init_op", None)
    graph.collection_def.pop("saved_model_main_op", None)
    graph.collection_def["legacy_init_op"].node_list.value[:] = [text]


def set_output(graph, text):
    graph.signature_def["serving_default"].outputs["output_0"].name = text


def set_sparse_output(graph, text):
    sparse = graph.signature_def["serving_default"].outputs["output_0"].coo_sparse
    sparse.values_tensor_name = sparse.indices_tensor_name = sparse.dense_shape_tensor_name = text


def set_composite_output(graph, text):
    component = graph.signature_def["serving_default"].outputs["output_0"].composite_tensor.components.add()
    component.name = text


def set_asset(graph, text):
    asset = graph.asset_file_def.add(filename="../../planted")
    asset.tensor_info.name = text


GRAPH_PLACES = [set_restore, set_save_and_restore, set_filename, set_init_signature, set_train_signature, set_main_op,
                set_legacy_init, set_output, set_sparse_output, set_composite_output, set_asset]  # fmt: skip


def hang_on(graph, node_name, planted):
    next(node for node in graph.graph_def.node if node.name == node_name).input.append("^" + planted)


def list_hooks(graph):
    """Nodes of the graph that loaders or callers run."""
    saver = graph.saver_def
    return ["NoOp", saver.restore_op_name, saver.save_tensor_name[:-2], "StatefulPartitionedCall"]


# --- places among objects, where a function is named -------------------------------------------------------------


def as_child(local_name):
    def change(graph, name):
        graph.object_graph_def.nodes[0].children.add(node_id=add_function_object(graph, name), local_name=local_name)

    change.__name__ = "as_child" + local_name
    return change


def as_resource(graph, name):
    made = add_function_object(graph, name)
    node = graph.object_graph_def.nodes.add()
    node.resource.SetInParent()
    for local_name in ("_create_resource", "_initialize", "_destroy_resource"):
        node.children.add(node_id=made, local_name=local_name)
    graph.object_graph_def.nodes[0].children.add(node_id=len(graph.object_graph_def.nodes) - 1, local_name="held")


def as_saveable(graph, name):
    made = add_function_object(graph, name)
    for node in graph.object_graph_def.nodes:
        if node.WhichOneof("kind") == "variable":
            node.saveable_objects["VARIABLE_VALUE"].save_function = made
            node.saveable_objects["VARIABLE_VALUE"].restore_function = made


def as_serialized(graph, name):
    made = add_function_object(graph, name)
    saveable = graph.object_graph_def.nodes[0].saveable_objects["SERIALIZE_TO_TENSORS"]
    saveable.save_function = saveable.restore_function = made


def as_trace(graph, name):
    for node in graph.object_graph_def.nodes:
        if node.WhichOneof("kind") == "function":
            node.function.concrete_functions[:] = [name]


def as_captured(graph, name):
    node = graph.object_graph_def.nodes.add()
    node.captured_tensor.concrete_function, node.captured_tensor.name = name, "planted:0"


def as_alias(graph, name):
    graph.meta_info_def.function_aliases[name] = "decode"


def as_gradient(graph, name):
    for pair in graph.graph_def.library.registered_gradients:
        pair.gradient_func = name


def as_old_gradient(graph, name):
    caller = find_function(graph, "__call__")
    graph.graph_def.library.gradient.add(function_name=caller.signature.name, gradient_func=name)


CHILDREN = (
    "__call__ _restore_from_tensors _serialize_to_tensors _trackable_children _lookup_dependency "
    "_gather_saveables_for_checkpoint __init__ free"
).split()
OBJECT_PLACES = [as_resource, as_saveable, as_serialized, as_trace, as_captured, as_alias, as_gradient]
OBJECT_PLACES += [as_old_gradient, *map(as_child, CHILDREN)]


# --- places in functions, where a function is called -------------------------------------------------------------


def find_function(graph, part):
    return next(f for f in graph.graph_def.library.function if part in f.signature.name)


def add_call(function, op):
    """Add a node without inputs, of one output, to a function, which runs it; return it."""
    node = function.node_def.add(name="planted_call", op=op)
    node.attr["Tin"].list.SetInParent()
    node.attr["Tout"].list.type.append(tf.float32.as_datatype_enum)
    function.control_ret[node.name] = node.name
    function.signature.control_output.append(node.name)
    function.signature.is_stateful = True
    return node


def call_by(op, attribute):
    """Call through an attribute of an op: plainly, in a list, deep in another's attributes, or as a text."""

    def change(graph, name):
        for part in ("__call__", "while_body"):
            node = add_call(find_function(graph, part), op)
            if attribute == "list":
                node.attr["branches"].list.func.add(name=name)
            elif attribute == "deep":
                node.attr["f"].func.name = find_function(graph, "cond_true").signature.name
                node.attr["f"].func.attr["g"].list.func.add(name=name)
            elif attribute == "text":
                node.attr["f"].s = name.encode()
            elif attribute == "placeholder":
                node.attr["f"].placeholder = name
            else:
                node.attr[attribute].func.name = name

    change.__name__ = f"call_by_{op}_{attribute}"
    return change


def call_by_name(graph, name):
    node = add_call(find_function(graph, "__call__"), name)
    node.attr.clear()


def call_from_graph(graph, name):
    node = graph.graph_def.node.add(name="planted", op="StatefulPartitionedCall")
    node.attr["Tin"].list.SetInParent()
    node.attr["Tout"].list.type.append(tf.float32.as_datatype_enum)
    node.attr["f"].func.name = name
    graph.signature_def["serving_default"].outputs["output_0"].name = "planted:0"


def implement_the_same(graph, name):
    for function in (find_function(graph, "__call__"), find_function(graph, name)):
        function.attr["api_implements"].s = b"decode"
    find_function(graph, "__call__").attr["_forward_function_name"].s = name.encode()


CALLS = [call_by("StatefulPartitionedCall", "f"), call_by("PartitionedCall", "f"), call_by("If", "then_branch"),
         call_by("StatelessIf", "else_branch"), call_by("While", "cond"), call_by("StatelessWhile", "body"),
         call_by("Case", "list"), call_by("PartitionedCall", "deep"), call_by("PartitionedCall", "text"),
         call_by("NoOp", "placeholder"), call_by_name, call_from_graph, implement_the_same]  # fmt: skip
