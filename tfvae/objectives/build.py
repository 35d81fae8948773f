"""One door to every model: specs in, a `VAE` out."""

from tfvae import specs
from tfvae.errors import UsageError
from tfvae.objectives.geco.conditional import KappaConditionedGECO
from tfvae.objectives.registry import OBJECTIVES

# Objectives that a condition replaces by one that learns a whole range.
RANGES = {"kappa": {"geco": KappaConditionedGECO}}


def build(
    objective="elbo",
    likelihood="auto",
    arch="mlp",
    prior="normal",
    image_shape=(28, 28, 1),
    seed=0,
    **options,
):
    """A model that is built and ready to `compile`, `fit`, `sample`, ...

    Args:
        objective, likelihood, arch, prior: specs, ``geco:kappa=4``, ``gaussian:sigma=optimal``,
            ``mlp:widths=512-256,latent=200``, ``normal``; objective may also be a subclass of `VAE`.
        image_shape: (H, W, C).
        seed: of weights and noise.
        **options: l2, binarize, dequantize, precision, condition, classes; see `tfvae.VAE`.

    Raises:
        UsageError: an unknown part or option, or a value out of range.
    """
    if len(image_shape) != 3 or any(side < 1 for side in image_shape):
        raise UsageError(f"Expected image_shape (H, W, C), each >= 1. Received: {image_shape}.")
    context = dict(likelihood=likelihood, arch=arch, prior=prior, image_shape=tuple(image_shape), seed=seed, **options)
    if isinstance(objective, type):
        return objective(**context)
    told = options.get("condition", "").partition(":")[0]
    return specs.build_part("objective", OBJECTIVES | RANGES.get(told, {}), objective, **context)
