"""Images and labels of one split of a data set."""

from __future__ import annotations

import numbers

import numpy as np

from tfvae.config import BAD_FILES, BINARIZE, check_setting, list_settings
from tfvae.datasets import splits
from tfvae.datasets.catalogue import CLASS_NAMES
from tfvae.datasets.image_arrays import check_classes, has_only_darkest_bytes
from tfvae.datasets.name_resolution import find_source
from tfvae.datasets.source import Arrays, Source, log_once, split_name
from tfvae.errors import DataError, UsageError, describe_unknown, describe_value
from tfvae.option_values import to_plain_value


def load(
    name: str,
    split: str = "train",
    *,
    raw_dir: str = "",
    limit: int = 0,
    validation: float = 0.0,
    seed: int = 0,
    binarize: str = "none",
    bad_files: str | None = None,
    needs_labels: bool = False,
) -> Arrays:
    """Load the images and labels of one split; the same call always returns the same arrays.

    Args:
        name: one of `names`, a TFDS image builder, or the import path of a function of your own (see
            `tfvae.datasets.user_functions`), possibly with options: 'celeb_a:size=64', 'folder:PATH,size=32',
            'my_package.my_module.make_points:n=100'.
        split: 'train', 'validation' or 'test'. A data set without a test split gives up a fixed tenth for it.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR; '': only the latter.
        limit: only the first `limit` images of the split; 0: all.
        validation: share of the training images, in [0, 1), cut off for 'validation' by a permutation of `seed`.
        seed: decides the validation images and the static binarisation.
        binarize: 'static' draws each pixel once, 255 with probability x/255 (see `splits.draw_binary_images`);
            'dynamic' leaves the bytes as they are, for the model to draw anew in each step; 'none'.
        bad_files: what happens to damaged pictures of a folder: 'refuse' raises an error for the first, 'skip' leaves
            all out, None leaves out a few, 3 or 1 %, and refuses more. Those that are left out are listed in
            `skipped_files`. The option bad-files of the data set's name goes before it.
        needs_labels: refuse data without labels, whose labels are zeros otherwise.

    Returns:
        images uint8 [N,H,W,C] and labels int64 [N]. The images of square and gaussians are float32 [N,1,2,1] in
        [0,1], and so are floats of your own functions, [N,H,W,C].

    Raises:
        UsageError: unknown name, split or option.
        DataError: the data is missing or damaged; the message lists the ways out.

    Example:
        >>> images, labels = load("digits", "test")
        >>> images.shape, images.dtype, labels.shape
        ((180, 8, 8, 1), dtype('uint8'), (180,))
    """
    _check_arguments(split, limit, binarize, bad_files, validation, seed)
    images, labels, part = _read_part(name, split, find_source(name, raw_dir, bad_files), needs_labels)
    positions = splits.select_positions(len(images), split, part, validation, seed)
    positions = positions[:limit] if limit else positions
    images, labels = np.asarray(images[positions]), np.asarray(labels[positions])
    if binarize == "static":
        if images.dtype != np.uint8:
            raise UsageError(f"Expected binarize=none for {name!r}, whose points are real numbers. Received: static.")
        grey, images = images, splits.draw_binary_images(images, positions, part, seed)
        if np.array_equal(grey, images):
            log_once(f"{name}: binarize=static changes no pixel: all are 0 or 255 already.")
    return images, labels


def has_labels(name: str, split: str, raw_dir: str = "") -> bool:
    """Tell whether the images of a split have labels; where they have none, `load` returns zeros.

    Args:
        name: as for `load`.
        split: 'train', 'validation' or 'test'.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR.
    """
    source = find_source(name, raw_dir)
    return splits.select_part(split, source.parts) not in source.unlabelled_parts


def class_names(name: str, raw_dir: str = "") -> tuple[str, ...]:
    """Return the name of each label from 0: of a folder's sub-folders, or of a known data set; () where there are none.

    Args:
        name: as for `load`.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR.

    Example:
        >>> class_names("fashion_mnist")[:2]
        ('T-shirt/top', 'Trouser')
    """
    base, _ = split_name(name)
    return find_source(name, raw_dir).get_class_names() if base == "folder" else CLASS_NAMES.get(base, ())


def _check_arguments(
    split: str, limit: int, binarize: str, bad_files: str | None, validation: float, seed: int
) -> None:
    """Refuse wrong arguments of `load` before anything is read."""
    if binarize not in BINARIZE:
        raise UsageError(describe_unknown("binarize", binarize, BINARIZE))
    if bad_files is not None and bad_files not in BAD_FILES:
        raise UsageError(describe_unknown("bad_files", bad_files, BAD_FILES))
    if not isinstance(limit, numbers.Integral) or limit < 0:
        raise UsageError(f"Expected limit >= 0. Received: {describe_value(limit)}.")
    for name, value in {"validation": validation, "seed": seed}.items():
        check_setting(list_settings()[name], to_plain_value(value))
    splits.select_part(split, ("all",))


def _read_part(name: str, split: str, source: Source, needs_labels: bool) -> tuple[np.ndarray, np.ndarray, str]:
    """Read the part of a source that holds a split, with the notes on it, and return images, labels and the part.

    Raises:
        DataError: labels are needed, and there are none, or all training images have the same.
    """
    for note in source.notes:
        log_once(f"{name}: {note}.")
    part = splits.select_part(split, source.parts)
    if needs_labels and part in source.unlabelled_parts:
        raise DataError(
            f"Expected {name!r} to have labels for split {split!r}, because the model is conditioned on them. "
            "Received: images without labels; give labels too, or leave out condition=labels."
        )
    images, labels = source.read(part)
    if needs_labels:
        check_classes(labels, name, least=1 if part == "test" else 2)
    if has_only_darkest_bytes(images):
        log_once(
            f"{name}: all pixels are bytes of 0 and 1, on a scale that ends at 255: almost black. "
            "If 1 means white, store bool or floats, or multiply by 255."
        )
    return images, labels, part
