"""`tfvae inspect`: what a SavedModel may do is known before TensorFlow sees it, and nothing of it runs."""

import json
import pathlib
import re

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import DataError, IntegrityError, TfvaeError, UntrustedError
from tfvae.exporting import exporter, savedmodel
from tfvae.runtime import files
from tfvae.safety import allowed_ops, savedmodel_check
from tfvae.zoo import load

PARTS = {"likelihood": "gaussian", "arch": "mlp:widths=8,latent=2", "image_shape": (4, 4, 1)}


@pytest.fixture(scope="module")
def genuine(tmp_path_factory):
    """What tfvae itself exports."""
    folder = tmp_path_factory.mktemp("genuine") / "1"
    files.write_folder(folder, lambda beside: exporter.write_model(tfvae.build("elbo", **PARTS), beside, "m"))
    return folder


@pytest.fixture
def no_loading(monkeypatch):
    """Nothing may get as far as TensorFlow's loader."""
    monkeypatch.setattr(tf.saved_model, "load", lambda *_: pytest.fail("TensorFlow saw it"))


def proto(folder):
    return saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())


def forge(genuine, folder, change):
    """The genuine SavedModel with its protobuf changed, and a manifest of hashes that fit."""
    model = proto(genuine)
    change(model)
    about = json.loads((genuine / "manifest.json").read_text())
    about.pop("files")

    def write(beside):
        for path in genuine.rglob("*"):
            to = beside / path.relative_to(genuine)
            to.mkdir() if path.is_dir() else path.name == "manifest.json" or to.write_bytes(path.read_bytes())
        (beside / "saved_model.pb").write_bytes(model.SerializeToString())
        return about

    files.write_folder(folder, write)
    return folder


def foreign(folder, body, *specs):
    """A SavedModel of one function, whose tfvae-like manifest fits."""
    module = tf.Module()
    module.f = tf.function(body, input_signature=specs or [tf.TensorSpec([], tf.string, name="a")], autograph=False)
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)
        files.write_folder(folder, lambda beside: save(module, beside))
    return folder


def save(module, folder):
    tf.saved_model.save(module, str(folder), module.f.get_concrete_function())
    return {"tfvae_export": 1}


def table_from(path):
    """A lookup table that reads a file when the model is loaded."""
    words = tf.lookup.TextFileInitializer(path, tf.string, 0, tf.int64, -1)
    return tf.lookup.StaticHashTable(words, -1)


RAW = tf.raw_ops
# Functions of one string a: what they do, and what inspect must say of it.
BODIES = {
    "read_file": (lambda a: {"x": tf.io.read_file(a)}, "ReadFile (files)"),
    "read_passwords": (lambda a: {"x": tf.io.read_file("/etc/passwd")}, "ReadFile (files)"),
    "write_file": (lambda a: [tf.io.write_file(a, "x"), {"x": a}][1], "WriteFile (files)"),
    "matching_files": (lambda a: {"x": tf.io.matching_files(a)}, "MatchingFiles (files)"),
    "py_function": (lambda a: {"x": tf.py_function(lambda v: v, [a], tf.string)}, "EagerPyFunc (Python)"),
    "numpy_function": (lambda a: {"x": tf.numpy_function(lambda v: v, [a], tf.string)}, "PyFunc (Python)"),
    "print": (lambda a: [RAW.PrintV2(input=a, output_stream="file:///tmp/x"), {"x": a}][1], "PrintV2 (files)"),
    "save": (
        lambda a: [RAW.SaveV2(prefix=a, tensor_names=["t"], shape_and_slices=[""], tensors=[a]), {"x": a}][1],
        "SaveV2 (files)",
    ),
    "restore": (
        lambda a: {"x": RAW.RestoreV2(prefix=a, tensor_names=["t"], shape_and_slices=[""], dtypes=[tf.string])[0]},
        "RestoreV2 (files)",
    ),
    "memory_map": (
        lambda a: {"x": RAW.ImmutableConst(dtype=tf.uint8, shape=[4], memory_region_name="/etc/passwd")},
        "ImmutableConst (files)",
    ),
    "debug_url": (
        lambda a: {"x": RAW.DebugIdentityV2(input=a, debug_urls=["file:///tmp/x"])},
        "DebugIdentityV2 (network)",
    ),
    "text_lines": (
        lambda a: {"x": tf.data.TextLineDataset(a).reduce(a, lambda old, new: new)},
        "TextLineDataset (files)",
    ),
    "records": (
        lambda a: {"x": tf.data.TFRecordDataset(a).reduce(a, lambda old, new: new)},
        "TFRecordDataset (files)",
    ),
    "in_a_branch": (
        lambda a: {"x": tf.cond(tf.strings.length(a) > 3, lambda: tf.io.read_file(a), lambda: a)},
        "ReadFile (files)",
    ),
    "in_a_loop": (
        lambda a: {"x": tf.while_loop(lambda i, v: i < 2, lambda i, v: (i + 1, tf.io.read_file(v)), (0, a))[1]},
        "ReadFile (files)",
    ),
    "random": (lambda a: {"x": RAW.RandomUniform(shape=[2], dtype=tf.float32)}, "RandomUniform (unseeded randomness)"),
}


@pytest.mark.parametrize("name", BODIES)
def test_ops_that_do_more_than_compute_are_flagged(name, tmp_path, no_loading, capsys):
    """Where ever they sit; load refuses them with exit code 5 although hashes and manifest fit."""
    body, message = BODIES[name]
    folder = foreign(tmp_path / "1", body)
    report = savedmodel.describe_savedmodel(folder)
    assert report["manifest"] == "intact" and not report["trusted"]
    assert any(line.startswith(f"op {message}") for line in report["findings"]), report["findings"]
    with pytest.raises(UntrustedError, match="--trust"):
        load.load(folder)
    assert main(["sample", str(folder)]) == UntrustedError.exit_code == 5
    assert len(capsys.readouterr().err.splitlines()) == 1


def node_of(graph, **fields):
    node = graph.meta_graphs[0].graph_def.node.add()
    for key, value in fields.items():
        setattr(node, key, value)
    return node


def function_named(model, part):
    functions = model.meta_graphs[0].graph_def.library.function
    return next(function for function in functions if part in function.signature.name)


def call_saver_from_a_signature(model):
    """decode runs the function that writes checkpoints."""
    caller = function_named(model, "decode").node_def.add(name="call", op="StatefulPartitionedCall")
    caller.attr["f"].func.name = function_named(model, "traced_save").signature.name


def pass_saver_deep_inside(model):
    caller = function_named(model, "decode").node_def.add(name="call", op="PartitionedCall")
    caller.attr["f"].func.attr["g"].list.func.add(name=function_named(model, "traced_save").signature.name)


def call_saver_by_its_name(model):
    function_named(model, "decode").node_def.add(name="call", op=function_named(model, "traced_restore").signature.name)


def call_saver_from_the_graph(model):
    node = node_of(model, name="more", op="StatefulPartitionedCall")
    node.attr["f"].func.name = function_named(model, "traced_save").signature.name


def offer_saver_to_python(model):
    name = function_named(model, "traced_save").signature.name
    model.meta_graphs[0].object_graph_def.concrete_functions[name].canonicalized_input_signature.SetInParent()


def write_while_restoring(model):
    """What the loader runs to read the weights writes a file."""
    function_named(model, "traced_restore").node_def.add(name="w", op="SaveV2")


def restore_with_the_saver(model):
    saver = model.meta_graphs[0].saver_def
    saver.restore_op_name = saver.save_tensor_name.partition(":")[0]
    function_named(model, "traced_save").node_def.add(name="w", op="WriteFile")


def restore_with_the_savers_output(model):
    """TensorFlow takes ``call:0`` for the node ``call``: it would run the saver while it loads."""
    saver = model.meta_graphs[0].saver_def
    saver.restore_op_name = saver.save_tensor_name


def restore_with_the_saver_as_control_input(model):
    saver = model.meta_graphs[0].saver_def
    saver.restore_op_name = "^" + saver.save_tensor_name.partition(":")[0]


def restore_with_another_spelling(model):
    model.meta_graphs[0].saver_def.restore_op_name += ":0"


def save_with_the_restorer(model):
    saver = model.meta_graphs[0].saver_def
    saver.save_tensor_name = saver.restore_op_name + ":0"


def name_the_file(model):
    node_of(model, name="path", op="Const")
    model.meta_graphs[0].saver_def.filename_tensor_name = "path:0"


def run_saver_at_the_start(model):
    graph = model.meta_graphs[0]
    graph.collection_def["saved_model_main_op"].node_list.value[:] = [
        graph.saver_def.save_tensor_name.partition(":")[0]
    ]


def fetch_saver(model):
    graph = model.meta_graphs[0]
    graph.signature_def["decode"].outputs["image"].name = graph.saver_def.save_tensor_name


def hang_on_saver(model):
    graph = model.meta_graphs[0]
    node_of(model, name="after", op="NoOp").input.append("^" + graph.saver_def.restore_op_name)


def second_graph(model):
    node = model.meta_graphs.add().graph_def.node.add()
    node.op = "ReadFile"


def asset(model):
    model.meta_graphs[0].asset_file_def.add(filename="../../../etc/passwd")


def revived_object(model):
    model.meta_graphs[0].object_graph_def.nodes[0].user_object.identifier = "_tf_keras_model"


def registered_object(model):
    model.meta_graphs[0].object_graph_def.nodes[0].registered_name = "tensorflow.Thing"


def shadowed_function(model):
    """Two functions of one name: which one would run?"""
    model.meta_graphs[0].graph_def.library.function.add().CopyFrom(function_named(model, "decode"))


def unknown_op(model):
    node_of(model, name="more", op="EvilCustomOp")


CHANGES = [
    call_saver_from_a_signature,
    pass_saver_deep_inside,
    call_saver_by_its_name,
    call_saver_from_the_graph,
    offer_saver_to_python,
    write_while_restoring,
    restore_with_the_saver,
    restore_with_the_savers_output,
    restore_with_the_saver_as_control_input,
    restore_with_another_spelling,
    save_with_the_restorer,
    name_the_file,
    run_saver_at_the_start,
    fetch_saver,
    hang_on_saver,
    second_graph,
    asset,
    revived_object,
    registered_object,
    shadowed_function,
    unknown_op,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_graphs_are_flagged(change, genuine, tmp_path, no_loading):
    """Every SavedModel can write checkpoints; one that lets anybody else do so, or worse, is not trusted."""
    folder = forge(genuine, tmp_path / "1", change)
    report = savedmodel.describe_savedmodel(folder)
    assert report["manifest"] == "intact" and report["findings"] and not report["trusted"]
    with pytest.raises(UntrustedError):
        load.load(folder)


@pytest.mark.parametrize(
    "op, touched",
    [
        ("RpcClient", "network"),
        ("RemoteCall", "network"),
        ("CollectiveReduceV2", "network"),
        ("_Recv", "network"),
        ("DataServiceDatasetV4", "network"),
        ("XlaCallModule", "native code"),
        ("XlaCustomCallV2", "native code"),
        ("XlaLaunch", "native code"),
        ("FixedLengthRecordDatasetV2", "files"),
        ("CacheDatasetV2", "files"),
        ("SnapshotDatasetV2", "files"),
        ("WholeFileReaderV2", "files"),
        ("CreateSummaryFileWriter", "files"),
        ("LMDBDataset", "files"),
        ("MergeV2Checkpoints", "files"),
        ("FileSystemSetConfiguration", "files"),
        ("PyFuncStateless", "Python"),
        ("HashTableV2", "state that outlives a call"),
        ("AssignVariableOp", "state that outlives a call"),
        ("Multinomial", "unseeded randomness"),
        ("EvilCustomOp", "an op tfvae does not know"),
    ],
)
def test_every_kind_of_op_is_named(op, touched, genuine, tmp_path):
    """Also in a function that nothing calls."""

    def change(model):
        function = model.meta_graphs[0].graph_def.library.function.add()
        function.signature.name = "unused"
        function.node_def.add(name="n", op=op)

    assert savedmodel.describe_savedmodel(forge(genuine, tmp_path / "1", change))["findings"] == [
        f"op {op} ({touched}) in unused"
    ]


def test_a_table_from_a_file_is_flagged(tmp_path, no_loading):
    (tmp_path / "words").write_text("a\n")
    table = table_from(str(tmp_path / "words"))
    module = tf.Module()
    module.table = table
    module.f = tf.function(lambda a: {"x": table.lookup(a)}, input_signature=[tf.TensorSpec([], tf.string, name="a")])
    files.write_folder(tmp_path / "1", lambda beside: save(module, beside))
    text = "\n".join(savedmodel.describe_savedmodel(tmp_path / "1")["findings"])
    assert "InitializeTableFromTextFileV2 (files)" in text and "words as an asset" in text and "rebuilt" in text


def test_ours_is_clean_and_loads(genuine):
    assert savedmodel.describe_savedmodel(genuine)["findings"] == [] and load.load(genuine).sample(2).shape == (
        2,
        4,
        4,
        1,
    )
    same = forge(genuine, genuine.parent / "2", lambda model: None)  # the forger alone changes nothing
    assert savedmodel.describe_savedmodel(same)["trusted"]


def test_what_is_reported_is_what_tensorflow_finds(genuine):
    """Signatures, types and shapes beside those of the loaded model; ops beside the text of the whole graph."""
    report, loaded = savedmodel.describe_savedmodel(genuine), tf.saved_model.load(str(genuine)).signatures
    assert set(report["signatures"]) == set(loaded)
    for name, signature in report["signatures"].items():
        for key, spec in loaded[name].structured_outputs.items():
            assert signature["outputs"][key] == {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
        for key, spec in loaded[name].structured_input_signature[1].items():
            assert signature["inputs"][key] == {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
    assert set(report["ops"]) == set(re.findall(r'^\s+op: "(\w+)"$', str(proto(genuine)), flags=re.MULTILINE))
    assert report["files"]["saved_model.pb"] == (genuine / "saved_model.pb").stat().st_size


def test_the_list_holds_only_ops_that_compute():
    """Every name on it is an op of this TensorFlow, and none that touches files, network, Python or native code."""
    registered = {op.name for op in tf_ops()}
    assert allowed_ops.ALLOWED_OPS <= registered
    assert {
        op for op in allowed_ops.ALLOWED_OPS if allowed_ops.classify_op(op) in list(allowed_ops.OP_EFFECTS)[:4]
    } == set()
    stateful = {op.name for op in tf_ops() if op.is_stateful} & allowed_ops.ALLOWED_OPS
    # Variables are read only; calls and branches run functions that are examined; Assert fails, or does nothing.
    assert stateful <= {
        "VarHandleOp",
        "VarIsInitializedOp",
        "ReadVariableOp",
        "ResourceGather",
        "ResourceGatherNd",
        "DisableCopyOnRead",
        "StatefulPartitionedCall",
        "If",
        "While",
        "Case",
        "Assert",
        "CheckNumerics",
        "Placeholder",
        "StatelessRandomGetAlg",
    }


def tf_ops():
    from tensorflow.core.framework import op_def_pb2
    from tensorflow.python.client import pywrap_tf_session as session

    return op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList())).op


def test_foreign_models_load_only_when_trusted(genuine, tmp_path, capsys, monkeypatch):
    """Without manifest 5, with a wrong hash 4, each in one line that says --trust; with it they load."""
    monkeypatch.chdir(tmp_path)
    forge(genuine, tmp_path / "bare", lambda model: None)
    (tmp_path / "bare" / "manifest.json").unlink()
    forge(genuine, tmp_path / "wrong", lambda model: None)
    with open(tmp_path / "wrong" / "model_card.md", "a") as file:
        file.write("more")
    for name, code, error in (("bare", 5, UntrustedError), ("wrong", 4, IntegrityError)):
        with pytest.raises(error):
            tfvae.load(name)
        assert main(["sample", name, "-n", "2", "-o", f"{name}.png"]) == code
        err = capsys.readouterr().err
        assert "--trust" in err and len(err.splitlines()) == 1 and not pathlib.Path(f"{name}.png").exists()
        assert main(["sample", name, "-n", "2", "-o", f"{name}.png", "--trust"]) == 0
        assert tfvae.load(name, trust=True).latent == 2


def test_a_trusted_model_must_still_have_the_signatures(tmp_path, capsys):
    folder = foreign(tmp_path / "1", lambda a: {"x": a})
    assert main(["sample", str(folder), "--trust"]) == DataError.exit_code
    assert "signature decode" in capsys.readouterr().err
    for number, image in ((2, lambda z: z), (3, lambda z: z[0, 0])):  # one of its own inputs, one of no image
        module = tf.Module()
        names = ["n", "z"][number == 3 :]
        specs = [tf.TensorSpec([None, 2], name=name) for name in names]
        module.f = tf.function(lambda *values: {"image": image(values[-1])}, input_signature=specs)
        tf.saved_model.save(module, str(tmp_path / str(number)), {"decode": module.f.get_concrete_function()})
        assert main(["sample", str(tmp_path / str(number)), "--trust"]) == DataError.exit_code
        assert "Expected" in capsys.readouterr().err


def test_inspect_prints_what_it_found(genuine, tmp_path, no_loading, capsys):
    assert main(["inspect", str(genuine), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["trusted"] and report["signatures"]["decode"]["inputs"]["z"] == {
        "dtype": "float32",
        "shape": [None, 2],
    }
    assert main(["inspect", str(genuine)]) == 0
    out = capsys.readouterr().out
    assert "z float32 [free, 2] -> image float32 [free, 4, 4, 1]" in out and "unasked" in out
    folder = foreign(tmp_path / "1", BODIES["write_file"][0])
    assert main(["inspect", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "only with --trust" in out and "WriteFile (files) in" in out


def test_foreign_text_does_not_reach_the_terminal(genuine, tmp_path, capsys):
    """Escape sequences, newlines and very long names in a file are shown, not obeyed."""
    evil = "\x1b[2Jgone\nx" + "y" * 500

    def change(model):
        model.meta_graphs[0].signature_def[evil].inputs[evil].name = evil
        model.meta_graphs[0].meta_info_def.tensorflow_version = evil
        node_of(model, name=evil, op=evil)
        model.meta_graphs[0].asset_file_def.add(filename=evil)

    folder = forge(genuine, tmp_path / "1", change)
    assert main(["inspect", str(folder)]) == 0 and main(["sample", str(folder)]) == 5
    out, err = capsys.readouterr()
    assert r"\x1b[2Jgone\nx" in out and "\x1b" not in out + err and max(map(len, out.splitlines())) < 1000


def test_size_and_form_have_limits(genuine, tmp_path, monkeypatch, capsys):
    """Too large, cut short, empty, no protobuf, no graph, a folder in its place: one line and exit code 2 or 3."""
    for name, data in (
        ("cut", (genuine / "saved_model.pb").read_bytes()[:-7]),
        ("empty", b""),
        ("text", b"hello" * 99),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "saved_model.pb").write_bytes(data)
        assert main(["inspect", str(tmp_path / name)]) == 3
        assert len(capsys.readouterr().err.splitlines()) == 1
    (tmp_path / "deep" / "saved_model.pb").mkdir(parents=True)
    assert main(["inspect", str(tmp_path / "deep")]) == 2
    monkeypatch.setattr(savedmodel_check, "MAX_BYTES", 1000)
    with pytest.raises(DataError, match="1000 bytes"):
        savedmodel.parse_savedmodel(genuine)


def fuzz(genuine, folder, count):
    """`count` mutations of the protobuf, each described or refused in one sentence: -> how many parsed."""
    whole, draw, parsed = (genuine / "saved_model.pb").read_bytes(), np.random.default_rng(7), 0
    for _ in range(count):
        data = bytearray(whole)
        for _ in range(draw.integers(1, 9)):
            place = int(draw.integers(len(data)))
            kind = draw.integers(4)
            if kind == 0:
                data[place] = draw.integers(256)
            elif kind == 1:
                data[place] ^= 1 << int(draw.integers(8))
            elif kind == 2:
                del data[place : place + int(draw.integers(1, 50))]
            else:
                data[place:place] = draw.bytes(int(draw.integers(1, 20)))
        (folder / "saved_model.pb").write_bytes(data)
        try:
            list(savedmodel.format_report_rows(savedmodel.describe_savedmodel(folder)))
            parsed += 1
        except TfvaeError:
            pass
    return parsed


def test_mutated_files_do_not_crash_it(genuine, tmp_path):
    """The same 150 each time. Some must parse, or this would test nothing but the parser."""
    assert 5 < fuzz(genuine, tmp_path, 150) < 150


@pytest.mark.slow
def test_many_mutated_files_do_not_crash_it(genuine, tmp_path):
    assert fuzz(genuine, tmp_path, 10_000) > 100
