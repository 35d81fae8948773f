"""The data sets that ``tfvae data list`` shows. Any other TFDS image builder works by its own name too."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tfvae.datasets.source import split_name
from tfvae.errors import UsageError, describe_unknown
from tfvae.runtime.import_paths import find_entry_points
from tfvae.specs import ENTRY_POINT_GROUPS


class CatalogueEntry(NamedTuple):
    """One line of the catalogue. shape: (H, W, C), None where the user decides; train and test count images."""

    source: str
    shape: tuple[int, int, int] | None
    train: int
    test: int
    classes: int
    what: str


DIGITS = "grey handwritten digits"
CATALOGUE: dict[str, CatalogueEntry] = {
    "fashion_mnist": CatalogueEntry("tfds", (28, 28, 1), 60000, 10000, 10, "grey pictures of clothes"),
    "mnist": CatalogueEntry("tfds", (28, 28, 1), 60000, 10000, 10, DIGITS),
    "kmnist": CatalogueEntry("tfds", (28, 28, 1), 60000, 10000, 10, "grey cursive Japanese characters"),
    "emnist": CatalogueEntry("tfds", (28, 28, 1), 697932, 116323, 62, "grey handwritten letters and digits"),
    "binarized_mnist": CatalogueEntry("tfds", (28, 28, 1), 50000, 10000, 1, "MNIST drawn once as 0/1 (Larochelle)"),
    "omniglot": CatalogueEntry("tfds", (105, 105, 3), 19280, 13180, 1623, "strokes of 50 alphabets"),
    "cifar10": CatalogueEntry("tfds", (32, 32, 3), 50000, 10000, 10, "colour photographs of ten kinds of things"),
    "svhn_cropped": CatalogueEntry("tfds", (32, 32, 3), 73257, 26032, 10, "colour house numbers"),
    "celeb_a": CatalogueEntry("tfds", (218, 178, 3), 162770, 19962, 1, "faces; use celeb_a:size=64"),
    "dsprites": CatalogueEntry("tfds", (64, 64, 1), 737280, 0, 737280, "white shapes, five known factors"),
    "shapes3d": CatalogueEntry("tfds", (64, 64, 3), 480000, 0, 480000, "rendered 3-D shapes, six known factors"),
    "color_mnist": CatalogueEntry(
        "mnist", (28, 28, 3), 60000, 10000, 100, "MNIST's digits in random colours, two known factors"
    ),
    "digits": CatalogueEntry("built in", (8, 8, 1), 1797, 0, 10, "real 8x8 digits of scikit-learn"),
    "sprites": CatalogueEntry(
        "built in", (32, 32, 1), 9216, 0, 9216, "drawn shapes, five known factors; sprites:size=32"
    ),
    "square": CatalogueEntry("built in", (1, 2, 1), 10000, 0, 4, "points uniform in the unit square, float32"),
    "gaussians": CatalogueEntry(
        "built in", (1, 2, 1), 10000, 0, 8, "points of a ring of Gaussians, float32; gaussians:modes=8"
    ),
    "folder": CatalogueEntry(
        "yours", None, 0, 0, 0, "folder:PATH,size=64,channels=3: nested PNG, JPEG, WebP, GIF, ..."
    ),
    "npz": CatalogueEntry("yours", None, 0, 0, 0, "npz:PATH: images or x_train, y_train, x_test, y_test"),
}

# What the labels of published sets stand for; digits are their own names.
CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "fashion_mnist": (
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    "kmnist": ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    "cifar10": ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
}

# Ground-truth factors, slowest first, and how many values each takes; a label is the flattened index.
FACTORS = {
    "dsprites": {"shape": 3, "scale": 6, "orientation": 40, "x_position": 32, "y_position": 32},
    "shapes3d": {"floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15},
    "color_mnist": {"digit": 10, "colour": 10},
    "sprites": {"shape": 3, "scale": 4, "orientation": 12, "x_position": 8, "y_position": 8},
}


class Factors(NamedTuple):
    """Ground-truth factors of a data set; row l of `values` belongs to label l.

    Attributes:
        names: the factors' names, F of them.
        sizes: how many values each factor takes.
        values: int64 [L, F]; the factors of an image are values[its label].

    Example:
        >>> factors("sprites").names
        ('shape', 'scale', 'orientation', 'x_position', 'y_position')
    """

    names: tuple[str, ...]
    sizes: tuple[int, ...]
    values: np.ndarray


def factors(name: str) -> Factors:
    """Return the ground-truth factors of color_mnist, sprites, dsprites or shapes3d.

    Args:
        name: the data set; options such as ':size=32' are allowed and change nothing.

    Raises:
        UsageError: the factors of this data set are not known.

    Example:
        >>> factors("color_mnist").values[37]  # label 37: digit 3, colour 7
        array([3, 7])
    """
    base, _ = split_name(name)
    if base not in FACTORS:
        raise UsageError(describe_unknown("a data set with known factors", base, FACTORS))
    sizes = tuple(FACTORS[base].values())
    values = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), -1)
    return Factors(tuple(FACTORS[base]), sizes, values)


def names() -> list[dict[str, Any]]:
    """List the data sets of the catalogue and those that installed packages register, for ``tfvae data list``.

    Returns:
        One dict {name, source, shape, images, what} per data set. images counts train and test together, 0 where
        the number is not known. Entry points of the group ``tfvae.datasets`` come last, unless a data set of the
        catalogue has the same name.

    Example:
        >>> names()[0]["name"]
        'fashion_mnist'
    """
    rows = [
        {
            "name": name,
            "source": entry.source,
            "shape": "x".join(map(str, entry.shape)) if entry.shape else "any",
            "images": entry.train + entry.test,
            "what": entry.what,
        }
        for name, entry in CATALOGUE.items()
    ]
    registered = sorted(find_entry_points(ENTRY_POINT_GROUPS["dataset"]).items())
    return rows + [
        {"name": name, "source": "package", "shape": "any", "images": 0, "what": f"registered as {point.value}"}
        for name, point in registered
        if name not in CATALOGUE
    ]
