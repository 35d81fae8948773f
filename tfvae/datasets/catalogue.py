"""The data sets that ``tfvae data list`` shows. Any other TFDS image builder works by its own name too."""

from typing import NamedTuple


class Entry(NamedTuple):
    """One line of the catalogue. shape: (H, W, C), None where the user decides; counts are of images."""

    source: str
    shape: tuple | None
    train: int
    test: int
    classes: int
    what: str


DIGITS = "grey handwritten digits"
CATALOGUE = {
    "fashion_mnist": Entry("tfds", (28, 28, 1), 60000, 10000, 10, "grey pictures of clothes"),
    "mnist": Entry("tfds", (28, 28, 1), 60000, 10000, 10, DIGITS),
    "kmnist": Entry("tfds", (28, 28, 1), 60000, 10000, 10, "grey cursive Japanese characters"),
    "emnist": Entry("tfds", (28, 28, 1), 697932, 116323, 62, "grey handwritten letters and digits"),
    "binarized_mnist": Entry("tfds", (28, 28, 1), 50000, 10000, 1, "MNIST drawn once as 0/1 (Larochelle)"),
    "omniglot": Entry("tfds", (105, 105, 3), 19280, 13180, 1623, "strokes of 50 alphabets"),
    "cifar10": Entry("tfds", (32, 32, 3), 50000, 10000, 10, "colour photographs of ten kinds of things"),
    "svhn_cropped": Entry("tfds", (32, 32, 3), 73257, 26032, 10, "colour house numbers"),
    "celeb_a": Entry("tfds", (218, 178, 3), 162770, 19962, 1, "faces; use celeb_a:size=64"),
    "dsprites": Entry("tfds", (64, 64, 1), 737280, 0, 737280, "white shapes, five known factors"),
    "shapes3d": Entry("tfds", (64, 64, 3), 480000, 0, 480000, "rendered 3-D shapes, six known factors"),
    "color_mnist": Entry(
        "mnist", (28, 28, 3), 60000, 10000, 100, "MNIST's digits in random colours, two known factors"
    ),
    "digits": Entry("built in", (8, 8, 1), 1797, 0, 10, "real 8x8 digits of scikit-learn"),
    "sprites": Entry("built in", (32, 32, 1), 9216, 0, 9216, "drawn shapes, five known factors; sprites:size=32"),
    "square": Entry("built in", (1, 2, 1), 10000, 0, 4, "points uniform in the unit square, float32"),
    "gaussians": Entry("built in", (1, 2, 1), 10000, 0, 8, "points of a ring of Gaussians, float32; gaussians:modes=8"),
    "folder": Entry("yours", None, 0, 0, 0, "folder:PATH,size=64,channels=3: nested PNG, JPEG, WebP, BMP"),
    "npz": Entry("yours", None, 0, 0, 0, "npz:PATH: images or x_train, y_train, x_test, y_test"),
}

# Ground-truth factors, slowest first, and how many values each takes; a label is the flattened index.
FACTORS = {
    "dsprites": {"shape": 3, "scale": 6, "orientation": 40, "x_position": 32, "y_position": 32},
    "shapes3d": {
        "floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15,
    },
    "color_mnist": {"digit": 10, "colour": 10},
    "sprites": {"shape": 3, "scale": 4, "orientation": 12, "x_position": 8, "y_position": 8},
}  # fmt: skip


def names():
    """One dict {name, source, shape, images, what} per data set; images counts train and test together."""
    return [
        {
            "name": name,
            "source": e.source,
            "shape": "x".join(map(str, e.shape)) if e.shape else "any",
            "images": e.train + e.test,
            "what": e.what,
        }
        for name, e in CATALOGUE.items()
    ]
