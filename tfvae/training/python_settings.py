"""Settings as Python gives them, classes, objects and arrays among them, become a `Config`, which is all words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from tfvae import datasets
from tfvae.architectures import ARCHITECTURES
from tfvae.architectures.base import GaussianArchitecture
from tfvae.config import Config
from tfvae.distributions.likelihood_base import Likelihood
from tfvae.distributions.likelihoods import LIKELIHOODS
from tfvae.distributions.priors import PRIORS, Prior
from tfvae.errors import UsageError, describe_unknown, describe_value
from tfvae.models.vae import VAE
from tfvae.objectives.registry import OBJECTIVES
from tfvae.runtime.parts import format_part

AXES: dict[str, tuple[Mapping[str, type], type]] = {
    "objective": (OBJECTIVES, VAE),
    "likelihood": (LIKELIHOODS, Likelihood),
    "arch": (ARCHITECTURES, GaussianArchitecture),
    "prior": (PRIORS, Prior),
}


def make_config(config: Config | None, settings: Mapping[str, Any], arguments: tuple[str, ...] = ()) -> Config:
    """Return the config that a config, or settings by name, describe.

    Args:
        config: the settings; None: those given by name.
        settings: of `Config`, by name; parts may be classes or objects, the data set arrays.
        arguments: what else the caller takes by name, for the hint at a misspelt one.

    Raises:
        UsageError: an unknown name, a value that is not allowed, or both a config and settings.
        DataError: arrays of another type or shape.
    """
    if config is not None:
        if not isinstance(config, Config):
            raise UsageError(
                f"Expected a tfvae.Config, or settings by name: tfvae.train(objective=..., epochs=...). "
                f"Received: {describe_value(config)}."
            )
        if settings:
            raise UsageError(
                f"Expected a config or settings by name. Received: both, {', '.join(settings)} beside a config. Change "
                "the config with dataclasses.replace."
            )
        return config
    known = [field.name for field in dataclasses.fields(Config)]
    for name in settings:
        if name not in known:
            raise UsageError(describe_unknown("an argument", name, [*known, *arguments]))
    words = dict(settings)
    for kind, (table, base) in AXES.items():
        if kind in words:
            check_is_no_model(kind, words[kind])
            words[kind] = format_part(kind, table, words[kind], base)
    if "dataset" in words:
        words["dataset"] = datasets.name_data(words["dataset"])
    return Config(**words)


def check_is_no_model(kind: str, part: Any) -> None:
    """Refuse a finished model in place of its objective.

    Raises:
        UsageError: it is one.
    """
    if isinstance(part, VAE):
        raise UsageError(
            f"Expected {kind} to be a name with options, or a subclass of tfvae.VAE: the training makes the model "
            f"itself. Received: a model, {part!r}. Train it with its own compile and fit."
        )
