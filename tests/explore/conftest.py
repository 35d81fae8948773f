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


class Apps:
    """A server of each model, made when it is first asked for.

    Its weights are far enough from zero that what it draws is seen to change.
    """

    def __init__(self, root):
        self.root, self.made = root, {}

    def __getitem__(self, name):
        from tfvae.serving.http_server import ModelServer

        if name not in self.made:
            options = {"objective": "elbo", "image_shape": SHAPE, "likelihood": "gaussian:sigma=0.5", **MODELS[name]}
            model, draw = tfvae.build(**options), np.random.default_rng(1)
            for variable in model.arch.trainable_variables:
                variable.assign(variable + draw.normal(0, 0.4, variable.shape))
            self.made[name] = ModelServer(write_savedmodel(model, self.root, name), name, 1)
        return self.made[name]


@pytest.fixture(scope="session")
def apps(tmp_path_factory):
    """apps[name]: the server of a model."""
    return Apps(tmp_path_factory.mktemp("models"))
