"""Images of a model in files: a folder of PNG files, one an image, or one .npz."""

from __future__ import annotations

import pathlib
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from tfvae.errors import UsageError
from tfvae.plots.grids import is_points, to_uint8
from tfvae.plots.style import encode_png
from tfvae.runtime import files


def check_pictures(path: pathlib.Path, shape: Sequence[int]) -> None:
    """Refuse a folder of pictures for images that are none, before any work.

    Args:
        path: of an .npz file, or of a folder.
        shape: of an image, (H, W, C).

    Raises:
        UsageError: points, or other than one or three channels, for a folder.
    """
    if path.suffix.lower() != ".npz" and (is_points(shape) or shape[2] not in (1, 3)):
        raise UsageError(f"Expected a model of grey or RGB pictures for a folder. Received: {list(shape)}; write .npz.")


def write_images(batches: Iterable[np.ndarray], path: pathlib.Path) -> None:
    """Write images [n, H, W, C] in [0, 1]: PATH/000000.png, ... in their order, or float32 as `images` in an .npz.

    Raises:
        StorageError: they cannot be written; nothing is left then.
    """
    if path.suffix.lower() == ".npz":
        with files.open_replacement(path) as file:
            np.savez(file, images=np.concatenate(list(batches)))
        return

    def write(folder: pathlib.Path) -> None:
        number = 0
        for batch in batches:
            for pixels in to_uint8(batch):
                picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
                (folder / f"{number:06d}.png").write_bytes(encode_png(picture))
                number += 1

    files.write_folder(path, write)
