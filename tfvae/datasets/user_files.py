"""Your own images: folder:PATH and npz:PATH."""

import contextlib
import functools
import os
import pathlib
import zipfile
import zlib

import numpy as np

from tfvae.datasets.image_decoding import as_array, centre_square, open_picture
from tfvae.datasets.source import Source, log, parse_options, split_path
from tfvae.errors import DataError, UsageError, describe_unknown

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
FOLDER_OPTIONS = {"size": 64, "channels": 3}
BAD_FILES = ("refuse", "skip")
ORDER_SEED = 131

# Files that the latest load of a folder with bad_files="skip" left out: (path, reason).
skipped = []


def find(name, rest, bad_files="refuse"):
    """The Source of 'folder:REST' or 'npz:REST'."""
    if bad_files not in BAD_FILES:
        raise UsageError(describe_unknown("bad_files", bad_files, BAD_FILES))
    defaults = FOLDER_OPTIONS if name == "folder" else {}
    path, items = split_path(rest, defaults)
    options = parse_options(name, items, defaults)
    if not path:
        raise UsageError(f"Expected {name}:PATH. Received: no path.")
    if name == "npz":
        return _npz(pathlib.Path(path))
    if options["channels"] not in (1, 3):
        raise UsageError(f"Data set 'folder': expected channels=1 or channels=3. Received: {options['channels']}.")
    return _folder(pathlib.Path(path), options["size"], options["channels"], bad_files)


def list_pictures(root):
    """(paths, labels, class names) of all pictures below `root`, sorted by path; hidden files are left out.

    A label is the index of the first-level sub-folder among those with pictures; pictures in `root` itself,
    if there are such sub-folders too, are a class of their own, the first, named ''.
    """
    if not root.is_dir():
        raise DataError(f"Expected a folder of pictures. Received: {str(root)!r}, which is not a folder.")
    paths = []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        names = [f for f in sorted(files) if f.lower().endswith(SUFFIXES) and not f.startswith(".")]
        paths += [pathlib.Path(folder, name) for name in names]
    if not paths:
        raise DataError(f"Expected pictures ({', '.join(SUFFIXES)}) below {root}. Received: none.")
    parts = [path.relative_to(root).parts for path in paths]
    kinds = [part[0] if len(part) > 1 else "" for part in parts]
    classes = sorted(set(kinds))
    return paths, [classes.index(kind) for kind in kinds], classes


def _folder(root, size, channels, bad_files):
    def read(part):
        paths, labels, _ = list_pictures(root)
        # Decoded once for train, validation and test, unless a file changed in between.
        stamp = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
        images, kept, bad = _decode(stamp, size, channels, bad_files)
        skipped[:] = bad
        for path, reason in bad:
            log.warning("skipped %s: %s", path, reason)
        # Files come sorted by class; a fixed shuffle makes the first N a fair sample.
        order = np.random.default_rng((ORDER_SEED, len(images))).permutation(len(images))
        return images[order], np.asarray(labels, np.int64)[kept][order]

    return Source(("all",), read, f"pictures below {root}")


@functools.lru_cache(maxsize=1)
def _decode(stamp, size, channels, bad_files):
    """(images uint8 [N,H,W,C], positions of the good files, [(path, reason)] of the others)."""
    images, kept, bad = [], [], []
    for position, (path, *_) in enumerate(stamp):
        try:
            with open(path, "rb") as file:
                image = open_picture(file, channels)
            image = as_array(centre_square(image, size) if size else image)
        except Exception as error:  # Pillow raises almost anything on damaged bytes
            if bad_files == "refuse":
                raise DataError(
                    f"Expected {path} to be a picture. Received: {error}; remove it, or skip bad files."
                ) from error
            bad.append((path, str(error)))
            continue
        if images and image.shape != images[0].shape:
            raise DataError(
                f"Expected {path} to have the shape {images[0].shape} of the others, because size=0. "
                f"Received: {image.shape}; give size=64, say."
            )
        images.append(image)
        kept.append(position)
    if not images:
        raise DataError(f"Expected at least one readable picture beside {bad[0][0]}. Received: none ({bad[0][1]}).")
    return np.stack(images), np.array(kept), bad


@contextlib.contextmanager
def _archive(path):
    # np.load leaves the file open if it turns out to be no archive.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
        yield archive


def _npz(path):
    if not path.is_file():
        raise DataError(f"Expected an .npz file. Received: {str(path)!r}, which does not exist.")
    try:
        with _archive(path) as archive:
            keys = set(archive.files)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, TypeError, AttributeError) as error:
        raise DataError(f"Expected {path} to be an .npz archive of arrays. Received: {error}.") from error
    images = next((key for key in ("images", "x_train", "x") if key in keys), None)
    if images is None:
        raise DataError(
            f"Expected {path} to hold images, x_train or x. Received: {', '.join(sorted(keys)) or 'nothing'}."
        )
    labels = next((key for key in ("labels", "y_train", "y") if key in keys), None)
    names = {"train": (images, labels), "test": ("x_test", "y_test" if "y_test" in keys else None)}
    if "x_test" not in keys:
        names = {"all": names["train"]}

    def read(part):
        x = _bytes(_member(path, names[part][0]), path, names[part][0])
        key = names[part][1]
        return x, np.zeros(len(x), np.int64) if key is None else _labels(_member(path, key), len(x), path, key)

    return Source(tuple(names), read, f"arrays in {path}")


def _member(path, key):
    try:
        with _archive(path) as archive:
            return archive[key]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"Expected {key} in {path} to be a plain array. Received: {error}.") from error


def _bytes(x, path, key):
    """uint8, bool or float in [0,1], [N,H,W] or [N,H,W,C] -> uint8 [N,H,W,C]."""
    good = x.dtype == np.uint8 or x.dtype == bool or x.dtype.kind == "f"
    shape = x.shape if x.ndim == 4 else (*x.shape, 1)
    if not good or len(shape) != 4 or shape[3] > 4 or 0 in shape:
        raise DataError(
            f"Expected {key} in {path} to be uint8, or float in [0,1], [N,H,W] or [N,H,W,C] with C <= 4. "
            f"Received: {x.dtype} {list(x.shape)}."
        )
    if x.dtype == bool:
        x = x * np.uint8(255)
    elif x.dtype.kind == "f":
        low, high = float(x.min()), float(x.max())
        if not (low >= 0 and high <= 1):  # NaN fails this too
            raise DataError(
                f"Expected {key} in {path}, {x.dtype} {list(x.shape)}, to be finite and in [0,1]. "
                f"Received: values from {low:g} to {high:g}."
            )
        x = np.rint(x * 255).astype(np.uint8)
    return x.reshape(shape)


def _labels(y, count, path, key):
    if y.dtype.kind not in "iu" or y.shape not in ((count,), (count, 1)):
        raise DataError(f"Expected {key} in {path} to be {count} whole numbers. Received: {y.dtype} {list(y.shape)}.")
    return y.reshape(-1).astype(np.int64)
