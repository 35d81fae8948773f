"""What a SavedModel could do besides computing: its graph walked op by op, before TensorFlow sees it.

An op is allowed because it only computes: its outputs are functions of its inputs and of the model's own variables.
What is not listed is reported, known or not; `TOUCHES` only says why. Every SavedModel holds ops that write and read
checkpoints; they are allowed in functions that nothing but its saver calls, and nowhere else.
"""

import re

ALLOWED = frozenset(
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
RESTORING = ALLOWED | {"AssignVariableOp", "RestoreV2"}
SAVING = ALLOWED | {"MergeV2Checkpoints", "SaveV2", "ShardedFilename", "StaticRegexFullMatch", "StringJoin"}

TOUCHES = {
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

OBJECTS = ("_generic_user_object", "signature_map", "trackable_list_wrapper", "trackable_dict_wrapper")
SHOWN = 20  # findings, at most


def printable(text, limit=120):
    """Text from a foreign file without control characters, which a terminal would obey."""
    text = ascii(str(text))[1:-1]
    return text if len(text) <= limit else text[: limit - 3] + "..."


def touches(op):
    """What an op outside `ALLOWED` touches, as far as known."""
    for what, pattern in TOUCHES.items():
        if re.fullmatch(pattern, op):
            return what
    return "an op tfvae does not know"


def named_in(attributes):
    """The names of functions that attributes of a node hold, those with attributes of their own included."""
    for value in attributes.values():
        for function in (value.func, *value.list.func):
            yield function.name
            yield from named_in(function.attr)


def callees(nodes, functions):
    """The names among `functions` that nodes call or pass on."""
    return {name for node in nodes for name in (node.op, *named_in(node.attr))} & functions.keys()


def closure(names, functions):
    """Those functions, and all that they call."""
    found, left = set(), set(names)
    while left:
        name = left.pop()
        found.add(name)
        left |= callees(functions[name], functions) - found
    return found


def checkpoint_nodes(graph):
    """(save, restore): the names of the nodes that a checkpoint is written and read with."""
    saver = graph.saver_def
    return saver.save_tensor_name.partition(":")[0], saver.restore_op_name


def allowances(graph):
    """{function: allowed ops}: those that only write or only read checkpoints may do so, no other may.

    They count as such if nothing calls them but the one node that the saver names.
    """
    nodes = graph.graph_def.node
    functions = {function.signature.name: function.node_def for function in graph.graph_def.library.function}
    entries = {name: fine for name, fine in zip(checkpoint_nodes(graph), (SAVING, RESTORING)) if name}
    reach = {
        entry: closure(callees([node for node in nodes if node.name == entry], functions), functions)
        for entry in entries
    }
    others = callees([node for node in nodes if node.name not in entries], functions)
    others |= set(graph.object_graph_def.concrete_functions) & functions.keys()
    others |= functions.keys() - set().union(*reach.values())
    others = closure(others, functions)
    found = dict.fromkeys(functions, ALLOWED)
    for entry, allowed in entries.items():
        elsewhere = others.union(*(names for other, names in reach.items() if other != entry))
        found |= dict.fromkeys(reach[entry] - elsewhere, allowed)
    return found


def op_findings(graph):
    """One line for each op, and place, that may do more than compute."""
    allowed = allowances(graph)
    names = allowed.keys()
    groups = [("the graph", graph.graph_def.node, ALLOWED)]
    groups += [(f.signature.name, f.node_def, allowed[f.signature.name]) for f in graph.graph_def.library.function]
    for place, nodes, fine in groups:
        for op in sorted({node.op for node in nodes} - fine - names):
            yield f"op {printable(op)} ({touches(op)}) in {printable(place)}"


def other_findings(model):
    """One line for whatever else a loader would act upon."""
    graph = model.meta_graphs[0]
    if len(model.meta_graphs) > 1:
        yield f"{len(model.meta_graphs)} graphs, of which only the first is examined"
    entries = set(filter(None, checkpoint_nodes(graph)))
    used = {source.lstrip("^").partition(":")[0] for node in graph.graph_def.node for source in node.input}
    for signature in graph.signature_def.values():
        used |= {info.name.partition(":")[0] for info in (*signature.outputs.values(), *signature.inputs.values())}
    for collection in graph.collection_def.values():
        used |= {name.lstrip("^").partition(":")[0] for name in collection.node_list.value}
    for name in sorted(entries & used):
        yield f"checkpoint node {printable(name)} is used by more than the saver"
    names = [function.signature.name for function in graph.graph_def.library.function]
    if len(names) != len(set(names)):
        yield "two functions of one name"
    for asset in graph.asset_file_def:
        yield f"file {printable(asset.filename)} as an asset"
    for node in graph.object_graph_def.nodes:
        kind = node.WhichOneof("kind")
        if node.registered_name or kind == "asset" or kind == "resource":
            yield f"object {printable(node.registered_name or kind)}, which is rebuilt by code of its own"
        elif kind == "user_object" and node.user_object.identifier not in OBJECTS:
            yield f"object {printable(node.user_object.identifier)}, which is rebuilt by code of its own"


def findings_of(model):
    """What a SavedModel could do besides computing, one line each; nothing for what tfvae exports."""
    found = list(dict.fromkeys([*op_findings(model.meta_graphs[0]), *other_findings(model)]))
    return found[:SHOWN] + ["and more"] * (len(found) > SHOWN)
