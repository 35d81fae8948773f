"""`tfvae.build`: specs in, a model out."""

from __future__ import annotations

from typing import Any

from tfvae.errors import UsageError
from tfvae.models.vae import VAE
from tfvae.objectives.geco.conditional import KappaConditionedGECO
from tfvae.objectives.registry import OBJECTIVES
from tfvae.runtime.parts import build_part

# Objectives that a condition replaces by one that learns a whole range.
CONDITIONED_OBJECTIVES = {"kappa": {"geco": KappaConditionedGECO}}


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
        **options: l2, binarize, dequantize, precision, condition, classes, see `tfvae.VAE`; with a class as the
            objective, its own options too.

    Raises:
        UsageError: an unknown part or option, or a value out of range.

    Example:
        >>> model = tfvae.build("geco:kappa=4", arch="mlp:latent=32", image_shape=(28, 28, 1))
        >>> model.compile("adam")
        >>> model.fit(images, batch_size=128)  # images: uint8 or float in [0, 1], [N, 28, 28, 1]
    """
    if len(image_shape) != 3 or any(side < 1 for side in image_shape):
        raise UsageError(f"Expected image_shape (H, W, C), each >= 1. Received: {image_shape}.")
    context = dict(likelihood=likelihood, arch=arch, prior=prior, image_shape=tuple(image_shape), seed=seed, **options)
    if isinstance(objective, type):
        return objective(**context)
    kind = (options.get("condition") or "").partition(":")[0]
    table = OBJECTIVES | CONDITIONED_OBJECTIVES.get(kind, {})
    return build_part("objective", table, objective, base=VAE, **context)
