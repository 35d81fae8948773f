"""A user's own pictures: folder:PATH."""

from __future__ import annotations

import collections
import functools
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from tfvae.config import BAD_FILES
from tfvae.datasets.image_decoding import convert_to_array, crop_centre_square, describe_damage, open_picture
from tfvae.datasets.source import Arrays, Source, log_once, parse_options, split_path
from tfvae.errors import DataError, UsageError, describe_unknown
from tfvae.runtime.memory import check_count_fits

WAY_OUT = "leave damaged pictures out with  --bad-files skip, which in a data set's name is folder:PATH,bad-files=skip"
SUFFIXES = ".png .jpg .jpeg .jpe .jfif .webp .bmp .dib .gif .tif .tiff .pbm .pgm .ppm .pnm".split()
FOLDER_OPTIONS = {"size": 64, "channels": 3}
BAD_FILES_OPTION = "bad-files"
MAX_SKIPPED, MAX_SKIPPED_SHARE = 3, 0.01  # without the option: whichever is more
MAX_NAMED_FILES = 10
ORDER_SEED = 131
COPIES = 3  # of all pictures while they are joined and brought into order

# Files that the latest load of a folder left out: (path, reason).
skipped_files: list[tuple[str, str]] = []


def make_folder_source(rest: str, bad_files: str | None = None) -> Source:
    """Make the source of 'folder:REST', where REST is 'PATH,size=64,channels=3'.

    Args:
        rest: path and options; size=0 keeps the pictures' own size, which must be one for all; bad-files as below.
        bad_files: what happens to damaged pictures, where `rest` does not say it: 'refuse' raises an error for the
            first, 'skip' leaves all out (see `skipped_files`), None leaves out a few, 3 or 1 %, and refuses more.

    Raises:
        UsageError: no path, or a wrong option.
    """
    path, items = split_path("folder", rest, (*FOLDER_OPTIONS, BAD_FILES_OPTION))
    choices = [item.partition("=")[2] for item in items if item.partition("=")[0] == BAD_FILES_OPTION]
    if len(choices) > 1:
        raise UsageError(f"Data set 'folder': expected {BAD_FILES_OPTION} once. Received: it twice.")
    if choices and choices[0] not in BAD_FILES:
        raise UsageError(f"Data set 'folder': {describe_unknown(BAD_FILES_OPTION, choices[0], BAD_FILES)}")
    bad_files = choices[0] if choices else bad_files
    items = [item for item in items if item.partition("=")[0] != BAD_FILES_OPTION]
    options = parse_options("folder", items, FOLDER_OPTIONS)
    root, size, channels = pathlib.Path(path), int(options["size"]), int(options["channels"])
    if channels not in (1, 3):
        raise UsageError(f"Data set 'folder': expected channels=1 or channels=3. Received: {channels}.")

    def read(part: str) -> Arrays:
        return _read_folder(root, size, channels, bad_files)

    def get_class_names() -> tuple[str, ...]:
        return tuple(list_pictures(root)[2])

    return Source(("all",), read, f"pictures below {root}", get_class_names=get_class_names)


def list_pictures(root: pathlib.Path) -> tuple[list[pathlib.Path], list[int], list[str]]:
    """List all pictures below a folder and return their paths, labels and class names, sorted by path.

    Hidden files are left out. So are files of other kinds and links that lead out of the folder or to a folder;
    these are counted in a warning. A label is the index of the first-level sub-folder among those with pictures;
    pictures in `root` itself, if there are such sub-folders too, are a class of their own, the first, named ''.

    Args:
        root: the folder.

    Raises:
        DataError: no such folder, or no picture in it.
    """
    if not root.is_dir():
        raise DataError(f"Expected a folder of pictures. Received: {str(root)!r}, which is not a folder.")
    paths, others = _walk_folder(root)
    description = ", ".join(f"{count} {kind}" for kind, count in others.most_common(MAX_NAMED_FILES))
    description += ", and more" if len(others) > MAX_NAMED_FILES else ""
    if not paths:
        raise DataError(f"Expected pictures ({', '.join(SUFFIXES)}) below {root}. Received: {description or 'none'}.")
    if others:
        log_once(f"folder:{root}: left out what is not read as a picture: {description}.")
    path_parts = [path.relative_to(root).parts for path in paths]
    kinds = [parts[0] if len(parts) > 1 else "" for parts in path_parts]
    classes = sorted(set(kinds))
    return paths, [classes.index(kind) for kind in kinds], classes


def _walk_folder(root: pathlib.Path) -> tuple[list[pathlib.Path], collections.Counter[str]]:
    """Return the pictures below a folder, and how many of each kind are left out, {'.txt files': 3, ...}."""
    paths: list[pathlib.Path] = []
    others: collections.Counter[str] = collections.Counter()
    real_root = os.path.realpath(root)
    unreadable: list[OSError] = []
    for folder, folders, files in os.walk(root, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        others["links to folders"] += sum(os.path.islink(os.path.join(folder, name)) for name in folders)
        for name in sorted(name for name in files if not name.startswith(".")):
            path = pathlib.Path(folder, name)
            if path.suffix.lower() not in SUFFIXES:
                # A suffix may hold any character; the terminal shall not obey it.
                suffix = path.suffix.lower() if path.suffix.isprintable() else ascii(path.suffix)
                others[f"{suffix} files" if suffix else "files without a suffix"] += 1
            elif not path.is_file():
                others["broken links or devices"] += 1
            elif path.is_symlink() and not pathlib.Path(os.path.realpath(path)).is_relative_to(real_root):
                others["links that lead out of the folder"] += 1
            else:
                paths.append(path)
    others["folders that may not be read"] += len(unreadable)
    return paths, +others


def _read_folder(root: pathlib.Path, size: int, channels: int, bad_files: str | None) -> Arrays:
    """Decode all pictures below `root`, in a fixed random order.

    Raises:
        DataError: more of them are damaged than `bad_files` allows.
    """
    paths, labels, _ = list_pictures(root)
    # Decoded once for train, validation and test, unless a file changed in between.
    files = tuple((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
    images, positions, damage = _decode_pictures(files, size, channels, bad_files == "refuse")
    skipped_files[:] = damage
    most = max(MAX_SKIPPED, int(MAX_SKIPPED_SHARE * len(paths)))
    if bad_files is None and len(damage) > most:
        first = "; ".join(f"{path}: {reason}" for path, reason in damage[:MAX_SKIPPED])
        raise DataError(
            f"Expected at most {most} of the {len(paths)} pictures below {root} to be damaged. "
            f"Received: {len(damage)}, such as {first}. Remove them, or {WAY_OUT}."
        )
    _report_skipped_files(root, damage, len(paths))
    # Files come sorted by class; a fixed shuffle makes the first N a fair sample.
    order = np.random.default_rng((ORDER_SEED, len(images))).permutation(len(images))
    return images[order], np.asarray(labels, np.int64)[positions][order]


def _report_skipped_files(root: pathlib.Path, damage: Sequence[tuple[str, str]], count: int) -> None:
    """Log how many of `count` pictures were skipped, and the first ones by name."""
    for path, reason in damage[:MAX_NAMED_FILES]:
        log_once(f"skipped {path}: {reason}")
    if damage:
        log_once(f"folder:{root}: skipped {len(damage)} of {count} pictures, which are damaged.")


@functools.lru_cache(maxsize=1)
def _decode_pictures(
    files: tuple[tuple[str, int, int], ...], size: int, channels: int, refuses_damage: bool
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str]]]:
    """Decode pictures and return images uint8 [N,H,W,C], the good files' positions, [(path, reason)] of the others.

    Args:
        files: (path, time of modification, bytes) of each picture; the latter two only tell copies in the cache apart.
        refuses_damage: whether the first damaged picture is an error.
    """
    images: list[np.ndarray] = []
    positions: list[int] = []
    damage: list[tuple[str, str]] = []
    if size:
        check_count_fits(len(files), (size, size, channels), "pictures", COPIES)
    for position, (path, *_) in enumerate(files):
        try:
            with open(path, "rb") as file:
                picture = open_picture(file, channels)
            image = convert_to_array(crop_centre_square(picture, size) if size else picture)
        except Exception as error:  # Pillow raises almost anything on damaged bytes
            if refuses_damage:
                raise DataError(
                    f"Expected {path} to be a picture. Received: {describe_damage(error)}; remove it, or {WAY_OUT}."
                ) from error
            damage.append((path, describe_damage(error)))
            continue
        if not images:
            check_count_fits(len(files), image.shape, "pictures", COPIES)
        elif image.shape != images[0].shape:
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
