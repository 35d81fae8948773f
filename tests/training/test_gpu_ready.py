"""Without a GPU: every op of a training step has a kernel that XLA can compile for one, and reaches all variables."""

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels  # private; the only way to ask the registry

import tfvae
from tests.small_parts import ARCHITECTURES, OBJECTIVES, PRIORS
from tfvae.runtime.optimizers import GuardedAdam


@pytest.mark.parametrize("objective", ["geco:kappa=2", pytest.param("iwae:k=2", marks=pytest.mark.slow), "tc", "info"])
@pytest.mark.parametrize(
    "arch", [pytest.param("mlp:widths=8,latent=2", marks=pytest.mark.slow), "conv:widths=4,latent=2"]
)
def test_every_op_of_a_step_compiles_for_cuda(objective, arch):
    model = tfvae.build(objective, "gaussian", arch, image_shape=(8, 8, 1), binarize="none", dequantize=True)
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.optimize, autograph=False)
    graph = step.get_concrete_function(tf.TensorSpec([4, 8, 8, 1], tf.uint8)).graph.as_graph_def()
    own = {function.signature.name for function in graph.library.function}
    ops = {node.op for node in graph.node} | {node.op for f in graph.library.function for node in f.node_def}
    assert len(ops) > 20
    missing = [
        op
        for op in ops - own - {"Placeholder"}
        if "XLA_GPU_JIT" not in {k.device_type for k in kernels.get_registered_kernels_for_op(op).kernel}
    ]
    assert missing == []


@pytest.mark.parametrize("objective", ["geco:kappa=2", pytest.param("iwae:k=2", marks=pytest.mark.slow)])
@pytest.mark.parametrize("arch", ["mlp:widths=8,latent=2", "conv:widths=4,latent=2", "convdraw:steps=2,hidden=4"])
def test_forward_and_backward_lower_for_cuda_as_one_cluster(objective, arch):
    """XLA must compile all of it or refuse: its HLO for platform GPU has products and no call back to TensorFlow."""
    model = tfvae.build(objective, "gaussian", arch, image_shape=(8, 8, 1), dequantize=True)
    weights, others = model.trainable_variables, model.non_trainable_variables

    def gradients(x, values, rest):
        with keras.StatelessScope(state_mapping=list(zip([*weights, *others], [*values, *rest]))):
            with tf.GradientTape() as tape:
                tape.watch(values)
                terms = model.terms(x, seed=(1, 2), training=True)
                loss = tf.reduce_mean(model.objective(terms))
            return tape.gradient(loss, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)

    inputs = tf.zeros([4, 8, 8, 1], tf.uint8), [v.value for v in weights], [v.value for v in others]
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    compiled = tf.function(gradients, jit_compile=True, autograph=False)
    text = compiled.experimental_get_compiler_ir(*inputs)(stage="hlo", platform_name="GPU")
    assert "ENTRY" in text and (" dot(" in text or "convolution(" in text)
    assert "custom-call" not in text  # which is how HLO calls back to a host


MODELS = [
    *((objective, ARCHITECTURES["mlp"], "normal") for objective in OBJECTIVES.values()),
    *(("geco:kappa=2", arch, "normal") for arch in ARCHITECTURES.values()),
    *(("elbo", ARCHITECTURES["mlp"], prior) for prior in PRIORS.values()),
]


@pytest.mark.parametrize(("objective", "arch", "prior"), MODELS)
def test_no_variable_is_kept_on_the_cpu(objective, arch, prior):
    model = tfvae.build(objective, "gaussian", arch, prior, image_shape=(8, 8, 1))
    model.compile(GuardedAdam(0.001, use_ema=True))
    model.optimizer.build(model.trainable_variables)
    variables = [*model.variables, *model.optimizer.variables]
    assert model.step in variables
    # On a machine with a GPU TensorFlow keeps int32 variables, and only those, in the host's memory.
    assert [v.path for v in variables if v.dtype == "int32"] == []
