"""A data set's name leads to its source: a prepared copy, original files, TFDS, a user's own files or functions."""

from __future__ import annotations

from tfvae.datasets import (
    builtin,
    cifar_archive,
    coloured_digits,
    given_arrays,
    idx_files,
    image_decoding,
    npz_files,
    picture_folders,
    prepared_copies,
    tfds_source,
    user_functions,
)
from tfvae.datasets.catalogue import CATALOGUE
from tfvae.datasets.source import Arrays, Source, log, parse_options, split_items, split_name
from tfvae.errors import DataError, UsageError, suggest_name
from tfvae.runtime.import_paths import find_entry_points
from tfvae.specs import ENTRY_POINT_GROUPS, is_import_path, parse_spec


def check_name(name: str) -> None:
    """Refuse an unknown name or option before anything is read, fetched or imported.

    Of an npz file it is checked that it is one. Of an import path (``my_package.my_module.make_points:n=100``) and of
    a name that an installed package registers only the form is checked: the user's code is not imported.

    Args:
        name: as for `load`.

    Raises:
        UsageError: unknown name or option.
        DataError: an npz file that is missing or is none.

    Example:
        >>> check_name("gaussians:modes=5")
    """
    base, rest = split_name(name)
    if base in ("folder", "npz", given_arrays.PREFIX) or _is_builtin(base):
        find_source(name)
    elif is_user_function(base):
        parse_spec(name)
    else:
        _check_known(base)
        parse_options(base, split_items(rest), tfds_source.TFDS_OPTIONS)


def find_source(name: str, raw_dir: str = "", bad_files: str | None = None, allow_download: bool = True) -> Source:
    """Return the source that a data set's name leads to.

    Args:
        name: as for `load`.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR.
        bad_files: 'refuse' or 'skip' damaged pictures of a folder; None: skip a few, refuse more.
        allow_download: whether TFDS may fetch the data set.

    Raises:
        UsageError: unknown name or option.
        DataError: the data is missing or damaged; the message lists the ways out.
    """
    base, rest = split_name(name)
    items = split_items(rest)
    if base == "folder":
        return picture_folders.make_folder_source(rest, bad_files)
    if base == "npz":
        return npz_files.make_npz_source(rest)
    if base == given_arrays.PREFIX:
        return given_arrays.find_given_source(name)
    if _is_builtin(base):
        return builtin.make_builtin_source(base, items)
    if is_user_function(base):
        return user_functions.make_user_source(name)
    if base == "color_mnist":
        return coloured_digits.make_color_mnist_source(_find_published_set("mnist", items, raw_dir, allow_download))
    return _find_published_set(base, items, raw_dir, allow_download)


def is_user_function(base: str) -> bool:
    """Tell whether a name without options is an import path or one that only an entry point has; import nothing."""
    return not is_known(base) and (is_import_path(base) or base in find_entry_points(ENTRY_POINT_GROUPS["dataset"]))


def is_known(base: str) -> bool:
    """Tell whether a name without options is in the catalogue, is a TFDS builder, or has data on this disk."""
    builder = base.partition("/")[0]
    folders = tfds_source.get_tfds_folder() / builder, prepared_copies.get_copy_folder(builder)
    is_on_disk = builder.isidentifier() and any(folder.is_dir() for folder in folders)
    return builder in CATALOGUE or builder in tfds_source.list_builders() or is_on_disk


def make_copy_key(base: str, size: float) -> str:
    """Return the key of a prepared copy: 'mnist', or 'celeb_a:size=64' where the images are resized."""
    return f"{base}:size={size}" if size else base


def _is_builtin(base: str) -> bool:
    """Tell whether tfvae makes the data set itself."""
    return base in CATALOGUE and CATALOGUE[base].source == "built in"


def _find_published_set(base: str, items: list[str], raw_dir: str, allow_download: bool) -> Source:
    """Return the source of a data set that is a prepared copy, original files, or a TFDS builder."""
    size = int(parse_options(base, items, tfds_source.TFDS_OPTIONS)["size"])
    key = make_copy_key(base, size)
    source, damage = prepared_copies.find_prepared_copy(key)
    if source:
        return source
    _check_known(base)
    if damage:
        log.warning("The prepared copy is not used: %s.", damage)
    source = (
        # What TFDS prepared itself is exact; local copies of CIFAR-10 are not.
        tfds_source.find_tfds_source(base, items, allow_download=False)
        or _resize_source(
            idx_files.find_idx_source(base, raw_dir) or cifar_archive.find_cifar_source(base, raw_dir), size
        )
        or (tfds_source.find_tfds_source(base, items, allow_download=True) if allow_download else None)
    )
    if source is None:
        raise DataError(_describe_ways_out(base, key, raw_dir, damage))
    return prepared_copies.read_and_write_copy(key, source) if source.is_slow_to_read or damage else source


def _resize_source(source: Source | None, size: int) -> Source | None:
    """Return a source whose images are cropped and resized to size x size; a prepared copy spares doing it again."""
    if source is None or not size:
        return source
    read_original = source.read

    def read(part: str) -> Arrays:
        images, labels = read_original(part)
        return image_decoding.resize_images(images, size), labels

    return source._replace(read=read, is_slow_to_read=True)


def _check_known(base: str) -> None:
    """Refuse a name that is not known, with the nearest one that is."""
    if is_known(base):
        return
    registered = sorted(set(find_entry_points(ENTRY_POINT_GROUPS["dataset"])) - set(CATALOGUE))
    builder = base.partition("/")[0]
    choices = [*CATALOGUE, *registered, *sorted(tfds_source.list_builders())]
    hint = suggest_name(builder, choices)
    raise UsageError(
        f"Expected a data set: {', '.join([*CATALOGUE, *registered])}, a TFDS image builder, or the import path of "
        f"your own function, my_package.my_module.make_images. Received: {base!r}.{hint}"
    )


def _describe_ways_out(base: str, key: str, raw_dir: str, damage: str) -> str:
    """Return the sentence for a data set that is neither on this machine nor within reach."""
    if base in idx_files.IDX_NAMES:
        original_files = "the IDX files (train-images-idx3-ubyte.gz, ...)"
    else:
        original_files = cifar_archive.CIFAR_ARCHIVE if base == "cifar10" else ""
    folder = prepared_copies.get_copy_folder(key)
    ways = [f"run  tfvae data prepare {key}  where there is a network, and copy {folder} here"]
    if original_files:
        ways.append(f"give  --raw-dir DIR  or set TFVAE_RAW_DIR to a folder with {original_files}")
    if base == "fashion_mnist":
        ways.append("apt-get install dataset-fashion-mnist")
    ways.append("use your own images with folder:PATH or npz:PATH, or the built-in digits, sprites, square, gaussians")
    raw_folders = [raw_dir, "TFVAE_RAW_DIR" if original_files else ""]
    folders = [str(prepared_copies.get_copies_folder()), *filter(None, raw_folders)]
    return (
        f"Expected data set {base!r} on this machine (looked in {', '.join(folders)}, {tfds_source.get_tfds_folder()}) "
        f"or within reach of the network. Received: neither{f'; {damage}' if damage else ''}. "
        f"Ways out: {'; '.join(ways)}."
    )
