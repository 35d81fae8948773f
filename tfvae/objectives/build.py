"""`tfvae.build`: specs in, a model out."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from tfvae import specs
from tfvae.config import check_effects, check_part_effects, check_setting, list_settings
from tfvae.errors import UsageError, describe_unknown, describe_value
from tfvae.models.vae import VAE
from tfvae.objectives.geco.conditional import KappaConditionedGECO
from tfvae.objectives.registry import OBJECTIVES
from tfvae.option_values import LARGEST_INTEGER, check_counts, to_plain_value
from tfvae.runtime.parts import check_signature, find_part_class

# Objectives that a condition replaces by one that learns a whole range.
CONDITIONED_OBJECTIVES = {"kappa": {"geco": KappaConditionedGECO}}
VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def build(
    objective: str | type[VAE] = "elbo",
    likelihood: Any = "auto",
    arch: Any = "mlp",
    prior: Any = "normal",
    image_shape: tuple[int, ...] = (28, 28, 1),
    seed: int = 0,
    **options: Any,
) -> VAE:
    """Return a model that is built and ready to `compile`, `fit`, `sample`, ...

    Args:
        objective: spec, ``geco:kappa=4``, a dotted path of your own class, or a subclass of `VAE`.
        likelihood: spec, ``gaussian:sigma=optimal``; ``auto``: the objective's own default.
        arch: spec, ``mlp:widths=512-256,latent=200``.
        prior: spec, ``normal``.
        image_shape: (H, W, C), each >= 1.
        seed: of weights and noise, >= 0.
        **options: l2, binarize, dequantize, precision, samples, condition, classes, see `tfvae.VAE`; and options of the
            objective, kappa=4.

    Raises:
        UsageError: an unknown part or option, a value out of range, or an option without effect beside the others.

    Example:
        >>> model = tfvae.build("geco:kappa=4", arch="mlp:latent=32", image_shape=(28, 28, 1))
        >>> model.compile("adam")
        >>> model.fit(images, batch_size=128)  # images: uint8 or float in [0, 1], [N, 28, 28, 1]
    """
    shape = check_image_shape(image_shape)
    options = {name: to_plain_value(value) for name, value in {"seed": seed, "condition": None, **options}.items()}
    given: dict[str, Any] = {}
    name = getattr(objective, "__name__", "")
    if isinstance(objective, str):
        name, given = specs.parse_spec(objective)
    cls = find_objective(objective, name, options["condition"])
    part = specs.describe_class(name, cls)
    keywords = {key: options.pop(key) for key in [*options] if key in part.options or key in part.aliases}
    for key in given.keys() & keywords.keys():
        value = describe_value(keywords[key])
        raise UsageError(f"Expected {key} once. Received: it twice, in {objective!r} and as {key}={value}.")
    own = specs.translate_options(part, given | keywords)
    specs.check_options("objective", part, own)
    check_model_options(cls, part, options)
    parts = {"likelihood": likelihood, "arch": arch, "prior": prior}
    check_effects(parts | options)
    check_part_effects("objective", part, own, parts | options)
    context = parts | options | {"image_shape": shape}
    if name not in OBJECTIVES and isinstance(objective, str):
        check_signature("objective", name, cls, context | own)
    return cls(**context, **own)


def check_image_shape(image_shape: Any) -> tuple[int, ...]:
    """Return (H, W, C) as Python's numbers.

    Raises:
        UsageError: other than three whole numbers >= 1.
    """
    sides = tuple(map(to_plain_value, image_shape)) if isinstance(image_shape, Iterable) else ()
    if len(sides) != 3 or not all(type(side) is int and 1 <= side <= LARGEST_INTEGER for side in sides):
        raise UsageError(f"Expected image_shape (H, W, C), each >= 1. Received: {image_shape}.")
    return sides


def find_objective(objective: Any, name: str, condition: Any) -> type[VAE]:
    """Return the class of an objective, given as a spec or as a class; `name` is the spec's.

    Raises:
        UsageError: there is none, or it is no subclass of `VAE`.
    """
    if not isinstance(objective, str):
        if not isinstance(objective, type) or not issubclass(objective, VAE):
            raise UsageError(
                f"Expected objective to be a name with options, or a subclass of tfvae.VAE. "
                f"Received: {describe_value(objective)}."
            )
        return objective
    table = OBJECTIVES | CONDITIONED_OBJECTIVES.get(specs.read_name(condition), {})
    return find_part_class("objective", name, table, VAE)


def check_model_options(cls: type[VAE], part: specs.PartSignature, options: Mapping[str, Any]) -> None:
    """Refuse arguments that a model does not have, and values out of range of those that are settings of a run.

    Args:
        cls: the model's class.
        part: its options, to suggest one.
        options: {argument: value} beside the options.

    Raises:
        UsageError: there is one.
    """
    inits = [vars(base)["__init__"] for base in cls.__mro__ if "__init__" in vars(base) and issubclass(base, VAE)]
    arguments = {
        p.name for init in inits for p in inspect.signature(init).parameters.values() if p.kind not in VARIADIC
    }
    for name, value in options.items():
        if name not in arguments | {"name"}:
            raise UsageError(describe_unknown(f"an option of {part.name}", name, arguments - {"self"}))
        if name in list_settings() and isinstance(value, (int, float, str, type(None))):
            check_setting(list_settings()[name], value)
    check_counts(least=0, classes=options.get("classes", 0))
