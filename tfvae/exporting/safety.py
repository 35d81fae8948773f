"""What a SavedModel could do besides computing: its graph walked op by op, before TensorFlow sees it.

An op is allowed because it only computes: its outputs are functions of its inputs and of the model's own variables.
What is not listed is reported, known or not; `OP_EFFECTS` only says why. Every SavedModel holds ops that write and read
checkpoints; they are allowed in functions that nothing but its saver calls, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

# Protobuf messages, which carry no types: a MetaGraphDef, a NodeDef, a SavedModel.
MetaGraph = Any
Node = Any
Proto = Any

ALLOWED_OPS = frozenset(
    """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin Asin Asinh Assert Atan Atan2 Atanh AvgPool BatchMatMul
    BatchMatMulV2 BatchMatMulV3 BatchToSpaceND BesselI0e BesselI1e Betainc BiasAdd BiasAddGrad Bincount Bitcast
    BitwiseAnd BitwiseOr BitwiseXor BroadcastArgs BroadcastGradientArgs BroadcastTo Bucketize Case Cast Ceil
    CheckNumerics Cholesky CholeskyGrad ClipByValue Complex Concat ConcatV2 Const Conv2D Conv2DBackpropFilter
    Conv2DBackpropInput Conv3D Cos Cosh Cumprod Cumsum CumulativeLogsumexp DenseBincount DepthToSpace
    DepthwiseConv2dNative Diag DiagPart Digamma DisableCopyOnRead Div DivNoNan DynamicPartition DynamicStitch Einsum Elu
    EluGrad EncodePng EnsureShape Equal Erf Erfc Erfinv Exp ExpandDims Expm1 Fill Floor FloorDiv FloorMod
    FusedBatchNormV3 Gather GatherNd GatherV2 Greater GreaterEqual Identity IdentityN If Igamma Igammac Inv
    InvertPermutation InvGrad IsFinite IsInf IsNan L2Loss LeakyRelu LeakyReluGrad LeftShift Less LessEqual Lgamma
    LinSpace Log Log1p LogicalAnd LogicalNot LogicalOr LogSoftmax LowerBound MatMul MatrixBandPart MatrixDeterminant
    MatrixDiag MatrixDiagPart MatrixDiagPartV3 MatrixDiagV3 MatrixInverse MatrixSetDiagV3 MatrixSolve
    MatrixTriangularSolve Max Maximum MaxPool MaxPoolV2 Mean Min Minimum MirrorPad Mod Mul MulNoNan Ndtri Neg NextAfter
    NoOp NotEqual OneHot OnesLike Pack Pad PadV2 ParallelDynamicStitch PartitionedCall Placeholder
    PlaceholderWithDefault Polygamma Pow PreventGradient Prod Qr RandomGammaGrad Range Rank ReadVariableOp Real RealDiv
    Reciprocal ReciprocalGrad Relu Relu6 Relu6Grad ReluGrad Reshape ResizeBicubic ResizeBilinear ResizeNearestNeighbor
    ResourceGather ResourceGatherNd ReverseV2 RightShift Rint Roll Round Rsqrt RsqrtGrad ScatterNd SegmentSum Select
    SelectV2 SelfAdjointEigV2 Selu SeluGrad Shape ShapeN Sigmoid SigmoidGrad Sign Sin Sinh Size Slice Softmax
    SoftmaxCrossEntropyWithLogits Softplus SoftplusGrad Softsign SpaceToBatchND SpaceToDepth
    SparseSoftmaxCrossEntropyWithLogits Split SplitV Sqrt SqrtGrad Square SquaredDifference Squeeze
    StatefulPartitionedCall StatelessCase StatelessIf StatelessRandomGetAlg StatelessRandomGetKeyCounter
    StatelessRandomNormalV2 StatelessRandomUniformFullIntV2 StatelessRandomUniformIntV2 StatelessRandomUniformV2
    StatelessTruncatedNormalV2 StatelessWhile StopGradient StridedSlice Sub Sum Tan Tanh TanhGrad TensorListConcatV2
    TensorListElementShape TensorListFromTensor TensorListGetItem TensorListLength TensorListReserve TensorListSetItem
    TensorListStack TensorScatterAdd TensorScatterUpdate Tile TopKV2 Transpose TruncateDiv TruncateMod Unpack
    UnsortedSegmentSum UpperBound VarHandleOp Where While Xdivy Xlog1py Xlogy ZerosLike Zeta
    """.split()
)

# What the functions that write and read a checkpoint have besides: nothing else may call those.
RESTORE_OPS = ALLOWED_OPS | {"AssignVariableOp", "RestoreV2"}
SAVE_OPS = ALLOWED_OPS | {"MergeV2Checkpoints", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"}

OP_EFFECTS = {
    "Python": r".*PyFunc.*|NumpyFunction",
    "network": r"Rpc.*|RemoteCall|_?(Host)?(Send|Recv)|Collective.*|.*DataService.*|RegisterDataset.*|Debug.*"
    r"|.*DistributedTPU.*|.*Nccl.*",
    "native code": r"XlaCustomCall.*|XlaCallModule|Xla(Aot|Host|Launch|Run|Compile).*|_Xla.*|TRTEngineOp"
    r"|RemoteFusedGraphExecute",
    "files": r"(Read|Write)File|.*MatchingFiles.*|.*(File|Record|TextLine|CSV|LMDB|Sql|Snapshot|Load|Save|Cache).*"
    r"(Dataset|Reader).*|Dataset(To|From).*|.*Reader.*|Save.*|.*Restore.*|MergeV2Checkpoints|Sharded.*|.*Summary.*"
    r"|ImmutableConst|InitializeTableFrom.*|Print(V2)?|LoadAndRemapMatrix|GenerateVocabRemapping|FileSystem.*"
    r"|DistributedSave|Load.*|Retrieve.*",
    "state that outlives a call": r"Assign.*|.*Variable.*|.*(Table|Queue|Stack|Barrier|MemoryCache|TensorArray).*"
    r"|.*(Stage|Mutex|Resource).*",
    "unseeded randomness": r"Random.*|.*Rng.*|Multinomial|ParameterizedTruncatedNormal|TruncatedNormal",
}

ALLOWED_OBJECTS = ("_generic_user_object", "signature_map", "trackable_list_wrapper", "trackable_dict_wrapper")
MAX_RISKS = 20  # lines


def escape_text(text: object, limit: int = 120) -> str:
    """Return text from a foreign file without control characters, which a terminal would obey.

    Args:
        text: anything; its `str` is taken.
        limit: the greatest length of the result; a longer one ends in "...".
    """
    escaped = ascii(str(text))[1:-1]
    return escaped if len(escaped) <= limit else escaped[: limit - 3] + "..."


def classify_op(op: str) -> str:
    """Say what an op outside `ALLOWED_OPS` may touch: a key of `OP_EFFECTS`, or that it is not known."""
    for effect, pattern in OP_EFFECTS.items():
        if re.fullmatch(pattern, op):
            return effect
    return "an op tfvae does not know"


def iterate_function_names(attributes: Any) -> Iterator[str]:
    """Yield the names of functions that attributes of a node hold, those with attributes of their own included."""
    for value in attributes.values():
        for function in (value.func, *value.list.func):
            yield function.name
            yield from iterate_function_names(function.attr)


def find_callees(nodes: Iterable[Node], functions: dict[str, Any]) -> set[str]:
    """Return the names among `functions` that nodes call or pass on."""
    return {name for node in nodes for name in (node.op, *iterate_function_names(node.attr))} & functions.keys()


def find_reachable_functions(names: Iterable[str], functions: dict[str, Any]) -> set[str]:
    """Return those functions, and all that they call."""
    reached: set[str] = set()
    pending = set(names)
    while pending:
        name = pending.pop()
        reached.add(name)
        pending |= find_callees(functions[name], functions) - reached
    return reached


def to_node_name(reference: str) -> str:
    """Return the node that a reference such as ``call``, ``call:0`` or ``^call`` means to TensorFlow."""
    return reference.lstrip("^").partition(":")[0]


def find_checkpoint_nodes(graph: MetaGraph) -> tuple[str, str]:
    """Return (save, restore): the names of the nodes that a checkpoint is written and read with."""
    saver = graph.saver_def
    return to_node_name(saver.save_tensor_name), to_node_name(saver.restore_op_name)


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
    file_node = nodes.get(to_node_name(saver.filename_tensor_name))
    if file_node is None or file_node.op != "Placeholder":
        yield f"file name {escape_text(saver.filename_tensor_name)} of the saver, which is no placeholder"


def assign_allowed_ops(graph: MetaGraph) -> dict[str, frozenset[str]]:
    """Return {function: allowed ops}: functions that only write or only read checkpoints may do so, no other may.

    They count as such if nothing calls them but the one node that the saver names.
    """
    nodes = graph.graph_def.node
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    entry_ops = {name: ops for name, ops in zip(find_checkpoint_nodes(graph), (SAVE_OPS, RESTORE_OPS)) if name}
    reachable = {}
    for entry in entry_ops:
        entry_callees = find_callees([node for node in nodes if node.name == entry], functions)
        reachable[entry] = find_reachable_functions(entry_callees, functions)
    others = find_callees([node for node in nodes if node.name not in entry_ops], functions)
    others |= set(graph.object_graph_def.concrete_functions) & functions.keys()
    others |= functions.keys() - set().union(*reachable.values())
    others = find_reachable_functions(others, functions)
    allowed_ops = dict.fromkeys(functions, ALLOWED_OPS)
    for entry, ops in entry_ops.items():
        elsewhere = others.union(*(names for other, names in reachable.items() if other != entry))
        allowed_ops |= dict.fromkeys(reachable[entry] - elsewhere, ops)
    return allowed_ops


def iterate_op_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each op, and the graph or function it is in, that may do more than compute."""
    allowed_ops = assign_allowed_ops(graph)
    groups = [("the graph", graph.graph_def.node, ALLOWED_OPS)]
    groups += [
        (function.signature.name, function.node_def, allowed_ops[function.signature.name])
        for function in graph.graph_def.library.function
    ]
    for group_name, nodes, allowed in groups:
        for op in sorted({node.op for node in nodes} - allowed - allowed_ops.keys()):
            yield f"op {escape_text(op)} ({classify_op(op)}) in {escape_text(group_name)}"


def find_used_nodes(graph: MetaGraph) -> set[str]:
    """Return the names of the nodes that other nodes, signatures or collections refer to."""
    used = {to_node_name(source) for node in graph.graph_def.node for source in node.input}
    for signature in graph.signature_def.values():
        used |= {to_node_name(info.name) for info in (*signature.outputs.values(), *signature.inputs.values())}
    for collection in graph.collection_def.values():
        used |= {to_node_name(name) for name in collection.node_list.value}
    return used


def iterate_object_risks(model: Proto) -> Iterator[str]:
    """Yield one line for whatever else a loader would act upon: graphs, savers, files, objects with their own code."""
    graph = model.meta_graphs[0]
    if len(model.meta_graphs) > 1:
        yield f"{len(model.meta_graphs)} graphs, of which only the first is examined"
    yield from iterate_saver_risks(graph)
    for name in sorted(set(filter(None, find_checkpoint_nodes(graph))) & find_used_nodes(graph)):
        yield f"checkpoint node {escape_text(name)} is used by more than the saver"
    names = [function.signature.name for function in graph.graph_def.library.function]
    if len(names) != len(set(names)):
        yield "two functions of one name"
    for asset in graph.asset_file_def:
        yield f"file {escape_text(asset.filename)} as an asset"
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if node.registered_name or kind == "asset" or kind == "resource":
            yield f"object {escape_text(node.registered_name or kind)}, which is rebuilt by code of its own"
        elif kind == "user_object" and node.user_object.identifier not in ALLOWED_OBJECTS:
            yield f"object {escape_text(node.user_object.identifier)}, which is rebuilt by code of its own"


def find_risks(model: Proto) -> list[str]:
    """Return what a SavedModel could do besides computing, a line each, at most `MAX_RISKS`; [] for tfvae's own.

        risks = find_risks(savedmodel.parse_savedmodel(folder))      # ["op ReadFile (files) in decode"], say

    Args:
        model: the protobuf, as `savedmodel.parse_savedmodel` gives it.
    """
    risks = list(dict.fromkeys([*iterate_op_risks(model.meta_graphs[0]), *iterate_object_risks(model)]))
    return risks[:MAX_RISKS] + ["and more"] * (len(risks) > MAX_RISKS)
