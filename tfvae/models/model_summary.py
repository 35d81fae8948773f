"""`model.summary()`: the parts of a model with what they take, what they return, and how many numbers they hold."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import keras

from tfvae.runtime.tables import format_table


def format_shapes(*shapes: tuple[int, ...]) -> str:
    """Return the way through shapes, each without the axis of images: '[28, 28, 1] -> [32]'."""
    return " -> ".join(f"[{', '.join(map(str, shape))}]" for shape in shapes)


def format_summary(model: Any) -> str:
    """Return the table of a model's parts, and the numbers of its parameters.

    Args:
        model: a `tfvae.VAE`.
    """
    image, code = model.image_shape, (model.arch.latent,)
    outputs = (*image[:2], model.arch.output_channels)
    shapes = {
        "arch": format_shapes(image, code, outputs),
        "likelihood": format_shapes(outputs, image),
        "prior": format_shapes(code),
    }
    rows = [("part", "class", "shapes (of one image)", "parameters")]
    for name, layer in list_layers(model).items():
        rows.append((name, type(layer).__name__, shapes.get(name, "-"), f"{count_numbers(layer.variables):,}"))
        if name == "arch":
            networks = {key: one for key, one in list_layers(layer).items() if isinstance(one, keras.Sequential)}
            rows += [
                (
                    f"  {key}",
                    "",
                    format_shapes(one.input_shape[1:], one.output_shape[1:]),
                    f"{count_numbers(one.variables):,}",
                )
                for key, one in networks.items()
            ]
    total, trained = count_numbers(model.variables), count_numbers(model.trainable_variables)
    return f"{type(model).__name__}\n{format_table(rows)}\nparameters: {total:,} in all, {trained:,} trained"


def list_layers(owner: Any) -> dict[str, keras.layers.Layer]:
    """Return {attribute: layer} of a model or a layer."""
    return {name: value for name, value in vars(owner).items() if isinstance(value, keras.layers.Layer)}


def count_numbers(variables: Iterable[Any]) -> int:
    """Return how many numbers variables hold."""
    return sum(math.prod(variable.shape) for variable in variables)
