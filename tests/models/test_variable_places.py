"""Where TensorFlow puts a model's variables: a step that is compiled for a GPU must reach them all."""

import pytest

import tfvae
from tests.small_parts import ARCHITECTURES, OBJECTIVES, PRIORS
from tfvae.runtime.optimizers import GuardedAdam

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
