"""tfvae: tame variational autoencoders. ``import tfvae`` is light; TensorFlow loads with the first part used."""

__version__ = "0.2.0"

_HOME = {
    "build": "tfvae.objectives.build",
    "load": "tfvae.zoo.load",
    "train": "tfvae.training.trainer",
    "Config": "tfvae.config",
    "VAE": "tfvae.models.vae",
    "Constraint": "tfvae.objectives.geco.constraints",
    "Terms": "tfvae.distributions.terms",
    "OBJECTIVES": "tfvae.objectives.registry",
    "LIKELIHOODS": "tfvae.distributions.likelihoods",
    "ARCHITECTURES": "tfvae.architectures",
    "PRIORS": "tfvae.distributions.priors",
}
__all__ = ["__version__", "datasets", *_HOME]


def __getattr__(name):
    import importlib

    if name == "datasets":
        return importlib.import_module("tfvae.datasets")
    if name not in _HOME:
        raise AttributeError(f"module 'tfvae' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
