"""Images of a model in files: a folder of PNG files, one an image, or one .npz."""

from __future__ import annotations

import itertools
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


def name_pictures(sources: Sequence[str]) -> list[str]:
    """Return a name for the picture made of each source, without suffix: no two alike, in whatever case.

    Args:
        sources: of each the path of its file, or its number in a data set; see `ImageInput`.
    """
    taken: set[str] = set()
    names = []
    for source in sources:
        stem = f"{int(source):06d}" if source.isdecimal() else pathlib.Path(source).stem
        candidates = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        names.append(next(name for name in candidates if name.lower() not in taken))
        taken.add(names[-1].lower())
    return names


def write_images(batches: Iterable[np.ndarray], path: pathlib.Path, names: Sequence[str] | None = None) -> None:
    """Write images [n, H, W, C] in [0, 1]: PATH/000000.png, ... in their order, or float32 as `images` in an .npz.

    Args:
        batches: the images.
        path: of an .npz file, or of the folder to create.
        names: of the pictures in a folder, without suffix, instead of their numbers; see `name_pictures`.

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
                name = names[number] if names else f"{number:06d}"
                (folder / f"{name}.png").write_bytes(encode_png(picture))
                number += 1

    files.write_folder(path, write)
