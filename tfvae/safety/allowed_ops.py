"""Which ops a SavedModel may hold: its graph walked op by op, before TensorFlow sees it.

An op is allowed because it only computes: its outputs are functions of its inputs and of the model's own variables.
What is not listed is reported, known or not; `OP_EFFECTS` only says why. Every SavedModel holds ops that write and read
checkpoints; they are allowed in functions that nothing but its saver names, and nowhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from tfvae.safety.foreign_text import escape_text

# Protobuf messages, which carry no types: a MetaGraphDef, a NodeDef, a FunctionDef.
MetaGraph = Any
Node = Any
Function = Any

ALLOWED_OPS = frozenset(
    """
    Abs Acos Acosh Add AddN AddV2 All Any ArgMax ArgMin AsString Asin Asinh Assert Atan Atan2 Atanh AvgPool BatchMatMul
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
    UnsortedSegmentSum UpperBound VarHandleOp VarIsInitializedOp Where While Xdivy Xlog1py Xlogy ZerosLike Zeta
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


def classify_op(op: str) -> str:
    """Say what an op outside `ALLOWED_OPS` may touch: a key of `OP_EFFECTS`, or that it is not known."""
    for effect, pattern in OP_EFFECTS.items():
        if re.fullmatch(pattern, op):
            return effect
    return "an op tfvae does not know"


def to_node_name(reference: str) -> str:
    """Return the node that a reference such as ``call``, ``call:0`` or ``^call`` means to TensorFlow."""
    return reference.lstrip("^").partition(":")[0]


def find_checkpoint_nodes(graph: MetaGraph) -> tuple[str, str]:
    """Return (save, restore): the names of the nodes that a checkpoint is written and read with."""
    saver = graph.saver_def
    return to_node_name(saver.save_tensor_name), to_node_name(saver.restore_op_name)


# --- which function names which ----------------------------------------------------------------------------------


def iterate_named_functions(attributes: Any) -> Iterator[str]:
    """Yield all that attributes of a node or function may name a function with: functions, their own attributes, texts.

    Some parts of TensorFlow name functions by plain text, so every text counts.
    """
    for value in attributes.values():
        for text in (value.s, *value.list.s):
            yield text.decode(errors="replace")
        yield value.placeholder
        for function in (value.func, *value.list.func):
            yield function.name
            yield from iterate_named_functions(function.attr)


def find_callees(nodes: Iterable[Node], functions: dict[str, Function]) -> set[str]:
    """Return the names among `functions` that nodes call or pass on."""
    return {name for node in nodes for name in (node.op, *iterate_named_functions(node.attr))} & functions.keys()


def list_callees(functions: dict[str, Function]) -> dict[str, set[str]]:
    """Return {function: the functions that it names}."""
    callees = {}
    for name, function in functions.items():
        texts = set(iterate_named_functions(function.attr)) & functions.keys()
        callees[name] = find_callees(function.node_def, functions) | texts
    return callees


def find_reachable_functions(names: Iterable[str], callees: dict[str, set[str]]) -> set[str]:
    """Return those functions, and all that they name, directly or not."""
    reached: set[str] = set()
    pending = set(names)
    while pending:
        name = pending.pop()
        reached.add(name)
        pending |= callees[name] - reached
    return reached


def list_object_functions(graph: MetaGraph) -> set[str]:
    """Return the names of functions that objects, gradients and aliases refer to: Python can call those."""
    objects, library = graph.object_graph_def, graph.graph_def.library
    names = {*objects.concrete_functions, *graph.meta_info_def.function_aliases}
    for node in objects.nodes:
        names |= {*node.function.concrete_functions, node.bare_concrete_function.concrete_function_name}
        names.add(node.captured_tensor.concrete_function)
    for gradient in library.registered_gradients:
        names.add(gradient.gradient_func)
    for pair in library.gradient:
        names |= {pair.function_name, pair.gradient_func}
    return names


def assign_allowed_ops(graph: MetaGraph) -> dict[str, frozenset[str]]:
    """Return {function: allowed ops}: functions that only write or only read checkpoints may do so, no other may.

    They count as such if nothing names them but the one node that the saver names.
    """
    nodes = graph.graph_def.node
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    entry_ops = {name: ops for name, ops in zip(find_checkpoint_nodes(graph), (SAVE_OPS, RESTORE_OPS)) if name}
    callees, reachable = list_callees(functions), {}
    for entry in entry_ops:
        entry_callees = find_callees([node for node in nodes if node.name == entry], functions)
        reachable[entry] = find_reachable_functions(entry_callees, callees)
    others = find_callees([node for node in nodes if node.name not in entry_ops], functions)
    others |= list_object_functions(graph) & functions.keys()
    others |= functions.keys() - set().union(*reachable.values())
    others = find_reachable_functions(others, callees)
    allowed_ops = dict.fromkeys(functions, ALLOWED_OPS)
    for entry, ops in entry_ops.items():
        elsewhere = others.union(*(names for other, names in reachable.items() if other != entry))
        allowed_ops |= dict.fromkeys(reachable[entry] - elsewhere, ops)
    return allowed_ops


def find_used_nodes(graph: MetaGraph) -> set[str]:
    """Return the names of the nodes that other nodes, signatures or collections refer to."""
    used = {to_node_name(source) for node in graph.graph_def.node for source in node.input}
    for signature in graph.signature_def.values():
        used |= {to_node_name(info.name) for info in (*signature.outputs.values(), *signature.inputs.values())}
    for collection in graph.collection_def.values():
        used |= {to_node_name(name) for name in collection.node_list.value}
    return used


def iterate_op_risks(graph: MetaGraph) -> Iterator[str]:
    """Yield one line for each op, and the graph or function it is in, that may do more than compute.

    Keras leaves the nodes that gave its variables their first values in the graph: nothing refers to them, so that
    they never run.
    """
    allowed_ops, used = assign_allowed_ops(graph), find_used_nodes(graph)
    nodes = [n for n in graph.graph_def.node if n.op != "AssignVariableOp" or n.name in used]
    groups = [("the graph", nodes, ALLOWED_OPS)]
    groups += [
        (function.signature.name, function.node_def, allowed_ops[function.signature.name])
        for function in graph.graph_def.library.function
    ]
    for group_name, group, allowed in groups:
        for op in sorted({node.op for node in group} - allowed - allowed_ops.keys()):
            yield f"op {escape_text(op)} ({classify_op(op)}) in {escape_text(group_name)}"
