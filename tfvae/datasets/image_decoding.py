"""One picture file -> one uint8 array, whatever its mode; and the CIFAR-10 archive of JPEG copies."""

import io
import tarfile
import warnings

import numpy as np

from tfvae.datasets.source import Source, raw_dirs
from tfvae.errors import DataError

MAX_PIXELS = 64_000_000
CIFAR = "cifar10_jpg.tar.gz"
CIFAR_CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
CIFAR_COUNTS = {"train": 50000, "test": 10000}
LOSSY = (
    "these CIFAR-10 images are JPEG copies: lossy, so bits/dim and likelihoods are not comparable with published ones"
)


def open_picture(file, channels):
    """A decoded Pillow image of mode L (channels=1) or RGB (channels=3), turned as its EXIF data says.

    The size is checked from the header, before any pixel is decoded. 16-bit grey is divided by 257;
    transparent pictures are laid on black, the background of MNIST-like data.

    Raises:
        ValueError: more than MAX_PIXELS; Pillow raises almost any Exception for a damaged file.
    """
    from PIL import Image, ImageOps

    with warnings.catch_warnings():
        # Pillow's own cap is replaced by ours, which refuses instead of warning.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        image = Image.open(file)
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"{image.width} x {image.height} pixels, more than the {MAX_PIXELS} allowed")
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        grey = np.rint(np.asarray(image, np.float64) / 257)
        image = Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return image.convert("L" if channels == 1 else "RGB")


def centre_square(image, size):
    """The largest centred square of a Pillow image, resized to size x size with Lanczos (anti-aliased)."""
    from PIL import Image

    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    if image.size == (size, size):
        return image
    return image.resize((size, size), Image.Resampling.LANCZOS, box=(left, top, left + side, top + side))


def as_array(image):
    """Pillow image -> uint8 [H,W,C]."""
    array = np.asarray(image, np.uint8)
    return array if array.ndim == 3 else array[..., None]


def resize_batch(images, size):
    """uint8 [N,H,W,C] -> [N,size,size,C]: `centre_square` of each."""
    from PIL import Image

    def resize(image):
        return as_array(centre_square(Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image), size))

    return np.stack([resize(image) for image in images])


def read_cifar_tar(path):
    """{'train': (images uint8 [N,32,32,3], labels [N]), 'test': ...} of train|test/<class>/NNNN.jpg in a tar.

    Images are ordered by number, then class, so that the first ones are a fair sample of the classes.

    Raises:
        DataError: names the archive and the member that is damaged, misplaced or not 32x32.
    """
    found = {"train": {}, "test": {}}
    member = None
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                part, kind, file = member.name.removeprefix("./").split("/")
                label = CIFAR_CLASSES.index(kind)
                if member.size > 2**20:
                    raise ValueError("larger than one MiB")
                pixels = as_array(open_picture(io.BytesIO(tar.extractfile(member).read()), 3))
                if pixels.shape != (32, 32, 3):
                    raise ValueError(f"shape {pixels.shape}")
                found[part][file, label] = pixels
    except Exception as error:  # Pillow, tarfile and zlib raise almost anything on damaged bytes
        where = f"{path}, {member.name}" if member else path
        raise DataError(
            f"Expected {where} to be a 32x32 JPEG as train|test/<class>/NNNN.jpg. Received: {error!r}."
        ) from error
    return {part: _stack(pictures, path, part) for part, pictures in found.items()}


def _stack(pictures, path, part):
    if not pictures:
        raise DataError(f"Expected {path} to hold {part}/<class>/NNNN.jpg. Received: no such file in it.")
    keys = sorted(pictures)
    return np.stack([pictures[key] for key in keys]), np.array([label for _, label in keys], np.int64)


def find_cifar(name, raw_dir=""):
    """The Source of the local JPEG copies of CIFAR-10, or None."""
    paths = [folder / CIFAR for folder in raw_dirs(name, raw_dir)] if name == "cifar10" else []
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    decoded = {}

    def read(part):
        if not decoded:
            decoded.update(read_cifar_tar(path))
        images, labels = decoded[part]
        if len(images) != CIFAR_COUNTS[part]:
            raise DataError(f"Expected {CIFAR_COUNTS[part]} {part} images in {path}. Received: {len(images)}.")
        return images, labels

    return Source(("train", "test"), read, f"JPEG copies in {path}", (LOSSY,), keep=True)
