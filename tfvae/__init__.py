"""tfvae: tame variational autoencoders. ``import tfvae`` is light; TensorFlow loads with the first part used."""

__version__ = "0.1.0"

_HOME = {
    "build": "tfvae.factory",
    "load": "tfvae.loading",
    "train": "tfvae.runs",
    "Config": "tfvae.config",
    "VAE": "tfvae.vae",
    "Constraint": "tfvae.constraints",
    "Terms": "tfvae.terms",
    "OBJECTIVES": "tfvae.objectives",
    "LIKELIHOODS": "tfvae.likelihoods",
    "ARCHITECTURES": "tfvae.arch",
    "PRIORS": "tfvae.priors",
}
__all__ = ["__version__", "datasets", *_HOME]


def __getattr__(name):
    import importlib

    if name == "datasets":
        return importlib.import_module("tfvae.datasets")
    if name not in _HOME:
        raise AttributeError(f"module 'tfvae' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)
