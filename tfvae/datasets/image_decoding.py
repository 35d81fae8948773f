"""One picture file becomes one uint8 array, whatever its mode."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from tfvae.errors import make_printable

if TYPE_CHECKING:  # Pillow is imported only when a picture is really read
    from PIL import Image

MAX_PIXELS = 64_000_000


def open_picture(file: BinaryIO, channels: int) -> Image.Image:
    """Decode a picture file and return a Pillow image of mode L or RGB, turned as its EXIF data says.

    The size is checked from the header, before any pixel is decoded. 16-bit grey is divided by 257; of several
    frames or pages the first is taken; transparent pictures are laid on black, the background of MNIST-like data.

    Args:
        file: an open binary file.
        channels: 1 for mode L, 3 for RGB.

    Raises:
        ValueError: more than MAX_PIXELS, or pixels that are real numbers.
        Exception: Pillow raises almost any for a damaged file.
    """
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        # Pillow's own cap is replaced by ours, which refuses instead of warning.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image: Image.Image = Image.open(file)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS} allowed")
    if image.mode == "F":
        raise ValueError("real-valued pixels, whose range a picture file does not say; store bytes")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        grey = np.rint(np.asarray(image, np.float64) / 257)
        image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("L" if channels == 1 else "RGB")


def describe_damage(error: Exception) -> str:
    """Return why a picture file could not be decoded, as one line; Pillow's own words may name an object in memory."""
    from PIL import UnidentifiedImageError

    if isinstance(error, UnidentifiedImageError):
        return "its content is no picture of a known format"
    return make_printable(str(error)) or type(error).__name__


def crop_centre_square(image: Image.Image, size: int) -> Image.Image:
    """Crop the largest centred square of a Pillow image and return it resized to size x size.

    The filter is Lanczos, which does not alias.
    """
    from PIL import Image

    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def convert_to_array(image: Image.Image) -> np.ndarray:
    """Convert a Pillow image of mode L or RGB to an array uint8 [H,W,C]."""
    array = np.asarray(image, np.uint8)
    return array if array.ndim == 3 else array[..., None]


def resize_images(images: np.ndarray, size: int) -> np.ndarray:
    """Crop the centre square of each image, uint8 [N,H,W,C], and return them resized: uint8 [N,size,size,C]."""
    from PIL import Image

    def resize(image: np.ndarray) -> np.ndarray:
        picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        return convert_to_array(crop_centre_square(picture, size))

    return np.stack([resize(image) for image in images])
