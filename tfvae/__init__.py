"""tfvae: tame variational autoencoders. ``import tfvae`` is light; TensorFlow loads with the first part used.

What is listed in ``__all__`` is the public interface; everything else may move.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tfvae import datasets as datasets
    from tfvae.architectures import ARCHITECTURES as ARCHITECTURES
    from tfvae.architectures.base import GaussianArchitecture as GaussianArchitecture
    from tfvae.config import Config as Config
    from tfvae.distributions.likelihood_base import Likelihood as Likelihood
    from tfvae.distributions.likelihoods import LIKELIHOODS as LIKELIHOODS
    from tfvae.distributions.priors import PRIORS as PRIORS
    from tfvae.distributions.priors import Prior as Prior
    from tfvae.distributions.terms import Terms as Terms
    from tfvae.evaluation import evaluate as evaluate
    from tfvae.exporting.exporter import export_run as export  # noqa: F401
    from tfvae.inference.codes import decode as decode
    from tfvae.inference.codes import encode as encode
    from tfvae.inference.nearest_pictures import find_neighbours as neighbours  # noqa: F401
    from tfvae.inference.scores import score as score
    from tfvae.models.vae import VAE as VAE
    from tfvae.objectives.build import build as build
    from tfvae.objectives.geco.constraints import Constraint as Constraint
    from tfvae.objectives.registry import OBJECTIVES as OBJECTIVES
    from tfvae.reports.comparison import compare_runs as compare  # noqa: F401
    from tfvae.reports.complete_runs import resume as resume
    from tfvae.reports.complete_runs import train as train
    from tfvae.training.automatic_kappa import choose_kappa as choose_kappa
    from tfvae.training.run_folder import Run as Run
    from tfvae.zoo.load import load as load

from tfvae.keras_classes import register_with_keras

__version__ = "0.2.0"
register_with_keras()

# public name -> (module, name there)
_HOMES = {
    "build": ("tfvae.objectives.build", "build"),
    "train": ("tfvae.reports.complete_runs", "train"),
    "resume": ("tfvae.reports.complete_runs", "resume"),
    "evaluate": ("tfvae.evaluation", "evaluate"),
    "export": ("tfvae.exporting.exporter", "export_run"),
    "encode": ("tfvae.inference.codes", "encode"),
    "decode": ("tfvae.inference.codes", "decode"),
    "score": ("tfvae.inference.scores", "score"),
    "neighbours": ("tfvae.inference.nearest_pictures", "find_neighbours"),
    "load": ("tfvae.zoo.load", "load"),
    "choose_kappa": ("tfvae.training.automatic_kappa", "choose_kappa"),
    "compare": ("tfvae.reports.comparison", "compare_runs"),
    "Config": ("tfvae.config", "Config"),
    "Run": ("tfvae.training.run_folder", "Run"),
    "VAE": ("tfvae.models.vae", "VAE"),
    "Terms": ("tfvae.distributions.terms", "Terms"),
    "Constraint": ("tfvae.objectives.geco.constraints", "Constraint"),
    "Likelihood": ("tfvae.distributions.likelihood_base", "Likelihood"),
    "GaussianArchitecture": ("tfvae.architectures.base", "GaussianArchitecture"),
    "Prior": ("tfvae.distributions.priors", "Prior"),
    "OBJECTIVES": ("tfvae.objectives.registry", "OBJECTIVES"),
    "LIKELIHOODS": ("tfvae.distributions.likelihoods", "LIKELIHOODS"),
    "ARCHITECTURES": ("tfvae.architectures", "ARCHITECTURES"),
    "PRIORS": ("tfvae.distributions.priors", "PRIORS"),
}
_LIGHT = ("Config", "Run")  # names whose modules do not load TensorFlow
__all__ = ["__version__", "datasets", *_HOMES]  # noqa: F822 (found by __getattr__)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name == "datasets":
        return importlib.import_module("tfvae.datasets")
    if name not in _HOMES:
        raise AttributeError(f"module 'tfvae' has no attribute {name!r}", name=name, obj=sys.modules[__name__])
    importlib.import_module("tfvae.zoo.resolve")  # so that whatever takes a run takes zoo:NAME and SavedModels, too
    module, attribute = _HOMES[name]
    if name not in _LIGHT and "tensorflow" not in sys.modules:
        importlib.import_module("tfvae.runtime.environment").start_tensorflow()
    return getattr(importlib.import_module(module), attribute)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
