"""Variants of a good SavedModel that would do harm, written, tried and watched: see `mutated_models`."""

import dataclasses
import itertools
import json
import os
import pathlib
import shutil
import socket
import sys

import mutated_models as places
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2, saved_model_pb2

from tfvae.errors import TfvaeError
from tfvae.safety.model_loading import load_savedmodel

X = tf.constant([[1.0, -2.0], [0.5, 3.0]])


class Canaries:
    """A folder that stays empty, a file that is not read, a port that nobody calls, an environment that stays."""

    def __init__(self, root):
        self.folder, self.secret = root / "canaries", root / "secret"
        self.folder.mkdir()
        self.secret.write_text("word\n" * 20)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        self.port = self.listener.getsockname()[1]
        self.environment = dict(os.environ)
        os.utime(self.secret, (1, 2))  # the next read sets the time of access

    def take(self):
        """Return what was touched since the last call."""
        touched = [path.name for path in self.folder.iterdir()]
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if self.secret.stat().st_atime != 1:
            touched.append("read")
            os.utime(self.secret, (1, 2))
        try:
            self.listener.accept()[0].close()
            touched.append("network")
        except BlockingIOError:
            pass
        if dict(os.environ) != self.environment:
            touched.append("environment")
        return touched


@dataclasses.dataclass(frozen=True)
class Variant:
    """A change of the protobuf, or of the folder's files.

    Attributes:
        name: unique.
        change: of (graph, model, canaries).
        change_files: of (folder, canaries), after the protobuf was written.
    """

    name: str
    change: object = None
    change_files: object = None


def payload(canaries, name):
    return lambda: places.trace_payload(canaries, name)


def arm_saver(graph, kind, canaries):
    """Let the function that writes (or reads) checkpoints call one that does so at a path of ours; return its name.

    The ops of it are allowed there, so that only the way in which it is called elsewhere tells.
    """
    name = places.add_function(graph, payload(canaries, kind))
    graph.object_graph_def.concrete_functions.pop(name)
    places.add_call(places.find_function(graph, f"traced_{kind}"), "StatefulPartitionedCall").attr["f"].func.name = name
    return name


# --- other forms -------------------------------------------------------------------------------------------------


def second_graph(graph, model, canaries):
    places.plant_in_graph(model.meta_graphs.add(), payload(canaries, "write"))


def second_graph_first(graph, model, canaries):
    copy = model.meta_graphs.add()
    copy.CopyFrom(graph)
    copy.meta_info_def.tags[:] = ["serve", "gpu"]
    places.plant_in_function(copy, places.find_function(copy, "__call__"), payload(canaries, "write"))


def rename_function_like_op(name):
    """A harmless function named as an op: one loader calls the function, another might run the op."""

    def change(graph, model, canaries):
        places.add_function(graph, payload(canaries, "nothing"), name)
        places.call_by_name(graph, name)

    return change


def own_optimizer(graph, model, canaries):
    config = config_pb2.ConfigProto()
    config.graph_options.rewrite_options.custom_optimizers.add(name="planted")
    for node in graph.graph_def.node:
        if node.op in ("StatefulPartitionedCall", "PartitionedCall"):
            node.attr["config_proto"].s = config.SerializeToString()


def foreign_gradient(graph, model, canaries):
    for function in graph.graph_def.library.function:
        for node in function.node_def:
            if node.op == "Mul":
                node.attr["_gradient_op_type"].s = b"EagerPyFunc"


def handle_constant(graph, model, canaries):
    node = places.find_function(graph, "__call__").node_def.add(name="planted", op="Const")
    node.attr["dtype"].type = node.attr["value"].tensor.dtype = 20
    node.attr["value"].tensor.resource_handle_val.add(name="planted")


def foreign_variable(graph, model, canaries):
    node = places.find_function(graph, "__call__").node_def.add(name="planted", op="VarHandleOp")
    node.attr["shared_name"].s = b"somebody's"


def own_type(graph, model, canaries):
    for one in graph.object_graph_def.concrete_functions.values():
        value = one.canonicalized_input_signature.tuple_value.values.add()
        value.type_spec_value.type_spec_class_name = "DatasetSpec"


def unknown_field(graph, model, canaries):
    other = saved_model_pb2.SavedModel.FromString(model.SerializeToString() + b"\xfa\x3f\x02hi")
    model.CopyFrom(other)


def revive(identifier):
    def change(graph, model, canaries):
        graph.object_graph_def.nodes[0].user_object.identifier = identifier

    return change


def register(name):
    def change(graph, model, canaries):
        graph.object_graph_def.nodes[0].registered_name = name

    return change


def twice(graph, model, canaries):
    other = graph.graph_def.library.function.add()
    other.CopyFrom(places.find_function(graph, "__call__"))
    places.plant_in_function(graph, other, payload(canaries, "write"))


def clear_objects(graph):
    graph.ClearField("object_graph_def")


FORMS = {
    "second_graph": second_graph,
    "second_graph_first": second_graph_first,
    "function_twice": twice,
    "own_optimizer": own_optimizer,
    "foreign_gradient": foreign_gradient,
    "handle_constant": handle_constant,
    "foreign_variable": foreign_variable,
    "own_type": own_type,
    "unknown_field": unknown_field,
    **{f"function_named_{name}": rename_function_like_op(name) for name in ("ReadFile", "Identity", "_Send")},
    **{f"revived_{name}": revive(name) for name in ("optimizer", "_tf_keras_model", "tf_deprecated_optimizer")},
    **{f"registered_{name}": register(name) for name in ("tf.StaticHashTable", "tf.TrackableConstant", "keras.X")},
}


# --- files -------------------------------------------------------------------------------------------------------


def link_file(name):
    def change(folder, canaries):
        target = canaries.folder.parent / "linked" / folder.name / name
        target.parent.mkdir(parents=True)
        os.replace(folder / name, target)
        (folder / name).symlink_to(target)

    return change


def add_file(name, make=None):
    def change(folder, canaries):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (make or (lambda path, canaries: path.write_bytes(b"any")))(path, canaries)

    return change


def write_pbtxt(path, canaries):
    model = saved_model_pb2.SavedModel.FromString((path.parent / "saved_model.pb").read_bytes())
    graph = model.meta_graphs[0]
    places.plant_in_function(graph, places.find_function(graph, "__call__"), payload(canaries, "write"))
    path.write_text(str(model))


def replace_by_pbtxt(folder, canaries):
    write_pbtxt(folder / "saved_model.pbtxt", canaries)
    (folder / "saved_model.pb").unlink()


def link_folder(folder, canaries):
    os.replace(folder / "variables", canaries.folder.parent / f"variables-of-{folder.name}")
    (folder / "variables").symlink_to(canaries.folder.parent / f"variables-of-{folder.name}")


FILES = {
    "pbtxt_beside": add_file("saved_model.pbtxt", write_pbtxt),
    "pbtxt_instead": replace_by_pbtxt,
    "linked_folder": link_folder,
    "pipe": add_file("variables/variables.data-00001-of-00002", lambda path, canaries: os.mkfifo(path)),
    "link_out": add_file("more", lambda path, canaries: path.symlink_to("/etc")),
    **{f"linked_{name}": link_file(name) for name in ("saved_model.pb", "variables/variables.index",
                                                      "variables/variables.data-00000-of-00001", "fingerprint.pb")},
    **{f"added_{name}": add_file(name) for name in (
        "saved_model.cpb", "saved_model.json", "keras_metadata.pb", "assets/words", "debug/saved_model_debug_info.pb",
        "assets.extra/saved_model_config.pb", "variables/other.index", "variables/more/variables.index", ".hidden")},
}  # fmt: skip


# --- all of them -------------------------------------------------------------------------------------------------


def list_variants(canaries, function_names):
    """Yield every variant of the good model."""
    names = [name for name in places.make_payloads(canaries) if name != "nothing"]
    for what, part in itertools.product(names, function_names):

        def in_function(graph, model, canaries, what=what, part=part):
            places.plant_in_function(graph, places.find_function(graph, part), payload(canaries, what))

        yield Variant(f"{what}-in-{part}", in_function)
    with_objects = (False, True)
    for place, spelling, what, keeps in itertools.product(
        places.GRAPH_PLACES, places.spell(""), ("write", "save", "debug_file", "read"), with_objects
    ):

        def in_graph(graph, model, canaries, place=place, spelling=spelling, what=what, keeps=keeps):
            place(graph, places.spell(places.plant_in_graph(graph, payload(canaries, what)))[spelling])
            keeps or clear_objects(graph)

        yield Variant(f"{what}-at-{place.__name__}-{spelling}-{keeps}", in_graph)
    for hook, what, keeps in itertools.product(range(4), names[:6], with_objects):

        def hooked(graph, model, canaries, hook=hook, what=what, keeps=keeps):
            planted = places.plant_in_graph(graph, payload(canaries, what))
            places.hang_on(graph, places.list_hooks(graph)[hook], planted)
            keeps or clear_objects(graph)

        yield Variant(f"{what}-hangs-on-{hook}-{keeps}", hooked)
    for place, what in itertools.product(places.OBJECT_PLACES, ("write", "save", "print", "read")):

        def in_objects(graph, model, canaries, place=place, what=what):
            place(graph, places.add_function(graph, payload(canaries, what)))

        yield Variant(f"{what}-{place.__name__}", in_objects)
    for place, kind in itertools.product((*places.OBJECT_PLACES, *places.CALLS), ("save", "restore")):

        def with_saver(graph, model, canaries, place=place, kind=kind):
            place(graph, arm_saver(graph, kind, canaries))

        yield Variant(f"saver-{kind}-{place.__name__}", with_saver)
    for spelling, keeps in itertools.product(places.spell(""), with_objects):

        def restore_by_saver(graph, model, canaries, spelling=spelling, keeps=keeps):
            arm_saver(graph, "save", canaries)
            graph.saver_def.restore_op_name = places.spell(graph.saver_def.save_tensor_name[:-2])[spelling]
            keeps or clear_objects(graph)

        yield Variant(f"saver-restores-{spelling}-{keeps}", restore_by_saver)
    yield from (Variant(f"form-{name}", change) for name, change in FORMS.items())
    yield from (Variant(f"file-{name}", None, change) for name, change in FILES.items())
    for kind in ("save", "restore"):  # nothing else calls what is planted in the saver
        yield Variant(f"saver-{kind}-alone", lambda graph, model, canaries, kind=kind: arm_saver(graph, kind, canaries))


def write_variant(variant, good, folder, canaries):
    """Write a variant of the good model below `good` into a new folder."""
    shutil.copytree(good, folder)
    model = saved_model_pb2.SavedModel.FromString((good / "saved_model.pb").read_bytes())
    if variant.change:
        variant.change(model.meta_graphs[0], model, canaries)
        (folder / "saved_model.pb").write_bytes(model.SerializeToString())
    if variant.change_files:
        variant.change_files(folder, canaries)


def try_variant(folder, trusted):
    """Load a variant and call whatever it offers; return '' or why it was refused."""
    try:
        model = load_savedmodel(folder, trusted, needs_manifest=False)
    except TfvaeError as error:
        return f"{type(error).__name__}: {error}"
    calls = [*model.signatures.values(), *([model] if callable(model) else [])]
    for call in calls:
        try:
            with tf.GradientTape() as tape:
                tape.watch(X)
                value = call(x=X) if call is not model else call(X)
                loss = tf.add_n([tf.reduce_sum(one) for one in tf.nest.flatten(value)])
            tape.gradient(loss, X)
        except Exception:  # a model that cannot be called does no harm
            pass
    return ""


def try_variants(root, trusted=False, choose=lambda number, variant: True):
    """Yield {name, refused, touched} of the variants chosen."""
    canaries = Canaries(root)
    good = places.write_good_model(root / "good")
    graph = saved_model_pb2.SavedModel.FromString((good / "saved_model.pb").read_bytes()).meta_graphs[0]
    names = [function.signature.name for function in graph.graph_def.library.function]
    for number, variant in enumerate(list_variants(canaries, names)):
        if choose(number, variant):
            folder = root / f"variant-{number}"
            write_variant(variant, good, folder, canaries)
            canaries.take()
            refused = try_variant(folder, trusted)
            yield {"name": variant.name, "refused": refused, "touched": canaries.take()}
    canaries.listener.close()


if __name__ == "__main__":
    folder, trust, beginnings = pathlib.Path(sys.argv[1]), sys.argv[2] == "trusted", tuple(sys.argv[3:])
    for result in try_variants(folder, trust, lambda number, variant: variant.name.startswith(beginnings)):
        print(json.dumps(result), flush=True)
