"""Without a GPU: every op of a training step has a kernel that XLA can compile for one."""

import keras
import pytest
import tensorflow as tf
from tensorflow.python.framework import kernels  # private; the only way to ask the registry

import tfvae


@pytest.mark.parametrize("objective", ["geco:kappa=2", "iwae:k=2", "tc", "info"])
@pytest.mark.parametrize("arch", ["mlp:widths=8,latent=2", "conv:widths=4,latent=2"])
def test_every_op_of_a_step_compiles_for_cuda(objective, arch):
    model = tfvae.build(objective, "gaussian", arch, image_shape=(8, 8, 1), binarize="none", dequantize=True)
    model.compile(keras.optimizers.Adam())
    model.optimizer.build(model.trainable_variables)
    step = tf.function(model.learn, autograph=False)
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
