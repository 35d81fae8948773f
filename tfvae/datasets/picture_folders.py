"""A user's own pictures: folder:PATH."""

from __future__ import annotations

import functools
import os
import pathlib

import numpy as np

from tfvae.datasets.image_decoding import convert_to_array, crop_centre_square, open_picture
from tfvae.datasets.source import Arrays, Source, log, parse_options, split_path
from tfvae.errors import DataError, UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FOLDER_OPTIONS = {"size": 64, "channels": 3}
BAD_FILES = ("refuse", "skip")
ORDER_SEED = 131

# Files that the latest load of a folder with bad_files="skip" left out: (path, reason).
skipped_files: list[tuple[str, str]] = []


def make_folder_source(rest: str, bad_files: str = "refuse") -> Source:
    """Make the source of 'folder:REST', where REST is 'PATH,size=64,channels=3'.

    Args:
        rest: path and options; size=0 keeps the pictures' own size, which must be one for all.
        bad_files: 'refuse' raises an error for a damaged picture, 'skip' leaves it out (see `skipped_files`).

    Raises:
        UsageError: no path, or a wrong option.
    """
    path, items = split_path(rest, FOLDER_OPTIONS)
    options = parse_options("folder", items, FOLDER_OPTIONS)
    if not path:
        raise UsageError("Expected folder:PATH. Received: no path.")
    root, size, channels = pathlib.Path(path), int(options["size"]), int(options["channels"])
    if channels not in (1, 3):
        raise UsageError(f"Data set 'folder': expected channels=1 or channels=3. Received: {channels}.")

    def read(part: str) -> Arrays:
        return _read_folder(root, size, channels, bad_files)

    return Source(("all",), read, f"pictures below {root}")


def list_pictures(root: pathlib.Path) -> tuple[list[pathlib.Path], list[int], list[str]]:
    """List all pictures below a folder and return their paths, labels and class names, sorted by path.

    Hidden files are left out. A label is the index of the first-level sub-folder among those with pictures;
    pictures in `root` itself, if there are such sub-folders too, are a class of their own, the first, named ''.

    Args:
        root: the folder.

    Raises:
        DataError: no such folder, or no picture in it.
    """
    if not root.is_dir():
        raise DataError(f"Expected a folder of pictures. Received: {str(root)!r}, which is not a folder.")
    paths: list[pathlib.Path] = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names = [name for name in sorted(files) if name.lower().endswith(SUFFIXES) and not name.startswith(".")]
        paths += [pathlib.Path(folder, name) for name in names]
    if not paths:
        raise DataError(f"Expected pictures ({', '.join(SUFFIXES)}) below {root}. Received: none.")
    path_parts = [path.relative_to(root).parts for path in paths]
    kinds = [parts[0] if len(parts) > 1 else "" for parts in path_parts]
    classes = sorted(set(kinds))
    return paths, [classes.index(kind) for kind in kinds], classes


def _read_folder(root: pathlib.Path, size: int, channels: int, bad_files: str) -> Arrays:
    """Decode all pictures below `root`, in a fixed random order."""
    paths, labels, _ = list_pictures(root)
    # Decoded once for train, validation and test, unless a file changed in between.
    files = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
    images, positions, damage = _decode_pictures(files, size, channels, bad_files)
    skipped_files[:] = damage
    for path, reason in damage:
        log.warning("skipped %s: %s", path, reason)
    # Files come sorted by class; a fixed shuffle makes the first N a fair sample.
    order = np.random.default_rng((ORDER_SEED, len(images))).permutation(len(images))
    return images[order], np.asarray(labels, np.int64)[positions][order]


@functools.lru_cache(maxsize=1)
def _decode_pictures(
    files: tuple[tuple[str, int, int], ...], size: int, channels: int, bad_files: str
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
    """Decode pictures and return images uint8 [N,H,W,C], the good files' positions, [(path, reason)] of the others.

    Args:
        files: (path, time of modification, bytes) of each picture; the latter two only tell copies in the cache apart.
    """
    images: list[np.ndarray] = []
    positions: list[int] = []
    damage: list[tuple[str, str]] = []
    for position, (path, *_) in enumerate(files):
        try:
            with open(path, "rb") as file:
                picture = open_picture(file, channels)
            image = convert_to_array(crop_centre_square(picture, size) if size else picture)
        except Exception as error:  # Pillow raises almost anything on damaged bytes
            if bad_files == "refuse":
                raise DataError(
                    f"Expected {path} to be a picture. Received: {error}; remove it, or skip bad files."
                ) from error
            damage.append((path, str(error)))
            continue
        if images and image.shape != images[0].shape:
            raise DataError(
                f"Expected {path} to have the shape {images[0].shape} of the others, because size=0. "
                f"Received: {image.shape}; give size=64, say."
            )
        images.append(image)
        positions.append(position)
    if not images:
        path, reason = damage[0]
        raise DataError(f"Expected at least one readable picture beside {path}. Received: none ({reason}).")
    return np.stack(images), np.array(positions), damage
