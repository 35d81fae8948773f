"""Small models written as SavedModels: what the tests of export, serving and explore share."""

import numpy as np

import tfvae
from tfvae.exporting import exporter
from tfvae.runtime import files


def build_perturbed_model(shape=(8, 8, 3), seed=1, **options):
    """A model whose every weight differs from its initial value."""
    model = tfvae.build("elbo", image_shape=shape, seed=seed, **options)
    draw = np.random.default_rng(seed)
    for variable in model.variables:
        if "float" in variable.dtype:
            variable.assign(variable * draw.uniform(0.9, 1.1, variable.shape) + draw.uniform(0, 0.02, variable.shape))
    return model


def write_savedmodel(model, root, name):
    """Write root/name/1, as `export_run` lays it out, without a run; return that folder."""
    files.write_folder(root / name / "1", lambda folder: exporter.write_model(model, folder, name))
    return root / name / "1"
