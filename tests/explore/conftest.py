"""A server of each kind of model, which the tests of the page share."""

import numpy as np
import pytest
from savedmodels import write_savedmodel

import tfvae

SHAPE = (8, 8, 1)
MODELS = {
    "labels": {"arch": "convdraw:steps=3,hidden=4,latent=1", "condition": "labels", "classes": 3},
    "kappa": {"arch": "mlp:widths=12,latent=3", "condition": "kappa:3.1-5.3", "objective": "geco"},
    "picture": {"arch": "mlp:widths=12,latent=3", "condition": "inpaint:right"},
    "plain": {"arch": "mlp:widths=12,latent=2", "image_shape": (8, 8, 3)},
    "points": {"arch": "mlp:widths=12,latent=2", "image_shape": (1, 2, 1)},
}


@pytest.fixture(scope="session")
def apps(tmp_path_factory):
    """A server of each model, whose weights are far enough from zero that what it draws is seen to change."""
    from tfvae.serving.http_server import ModelServer

    root, result = tmp_path_factory.mktemp("models"), {}
    for name, options in MODELS.items():
        model = tfvae.build(
            **{"objective": "elbo", "image_shape": SHAPE, "likelihood": "gaussian:sigma=0.5", **options}
        )
        draw = np.random.default_rng(1)
        for variable in model.arch.trainable_variables:
            variable.assign(variable + draw.normal(0, 0.4, variable.shape))
        result[name] = ModelServer(write_savedmodel(model, root, name), name, 1)
    return result
