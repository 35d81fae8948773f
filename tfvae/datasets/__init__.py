"""Data sets by name: ``load("fashion_mnist", "train")`` -> uint8 images [N,H,W,C] and labels [N].

A name is looked for as a prepared copy, as original files on this machine, and in TFDS, in this order.
Nothing here imports TensorFlow before a TFDS set is really read.
"""

import difflib
import functools
import hashlib
from typing import NamedTuple

import numpy as np

from tfvae.config import BINARIZE
from tfvae.datasets import builtin, coloured, image_decoding, originals, prepared, splits, tfds_source, user_files
from tfvae.datasets.catalogue import CATALOGUE, FACTORS, names
from tfvae.datasets.source import log, parse_options
from tfvae.datasets.user_files import skipped
from tfvae.errors import DataError, UsageError, describe_unknown

__all__ = ["Factors", "check_name", "factors", "fingerprint", "info", "load", "names", "prepare", "skipped"]


class Factors(NamedTuple):
    """Ground truth: values int64 [L,F]; row l belongs to label l, so an image's factors are values[label]."""

    names: tuple
    sizes: tuple
    values: np.ndarray


def load(name, split="train", *, raw_dir="", limit=0, validation=0.0, seed=0, binarize="none", bad_files="refuse"):
    """The images and labels of one split; the same call always gives the same arrays.

    Args:
        name: one of `names`, a TFDS image builder, or with options: 'celeb_a:size=64', 'folder:PATH,size=32'.
        split: 'train', 'validation' or 'test'. A set without a test split gives up a fixed tenth for it.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR.
        limit: only the first `limit` images of the split; 0: all.
        validation: share of the training images cut off for 'validation', by a permutation of `seed`.
        binarize: 'static' draws each pixel once, 255 with probability x/255, see `splits.draw_binary`;
            'dynamic' leaves the bytes as they are, for the model to draw anew each step.
        bad_files: of a folder, 'refuse' or 'skip' (then listed in `skipped`).

    Returns:
        images uint8 [N,H,W,C] (float32 [N,1,2,1] in [0,1] for square and gaussians), labels int64 [N].

    Raises:
        UsageError: unknown name, split or option.
        DataError: the data is missing or damaged; the message lists the ways out.
    """
    if binarize not in BINARIZE:
        raise UsageError(describe_unknown("binarize", binarize, BINARIZE))
    if limit < 0:
        raise UsageError(f"Expected limit >= 0. Received: {limit!r}.")
    splits.part_of(split, ("all",))  # a wrong word is refused before anything is read
    source = _find(name, raw_dir, bad_files)
    for note in source.notes:
        _say(f"{name}: {note}.")
    part = splits.part_of(split, source.parts)
    images, labels = source.read(part)
    chosen = splits.indices(len(images), split, part, validation, seed)
    chosen = chosen[:limit] if limit else chosen
    images, labels = np.asarray(images[chosen]), np.asarray(labels[chosen])
    if binarize == "static":
        if images.dtype != np.uint8:
            raise UsageError(f"Expected binarize=none for {name!r}, whose points are real numbers. Received: static.")
        images = splits.draw_binary(images, chosen, part, seed)
    return images, labels


@functools.cache
def _say(note):
    """A note on stderr, once per process: a run loads several splits."""
    log.warning("%s", note)


def check_name(name):
    """Refuse an unknown name or option, or an npz file that is none, before anything is read or fetched."""
    base, _, rest = str(name).partition(":")
    if base in ("folder", "npz") or base in CATALOGUE and CATALOGUE[base].source == "built in":
        _find(name)
    else:
        _check_known(base)
        parse_options(base, [item for item in rest.split(",") if item], tfds_source.OPTIONS)


def _find(name, raw_dir="", bad_files="refuse", allow_download=True):
    """The Source that `name` resolves to."""
    base, _, rest = str(name).partition(":")
    items = [item for item in rest.split(",") if item]
    if base in ("folder", "npz"):
        return user_files.find(base, rest, bad_files)
    if base in CATALOGUE and CATALOGUE[base].source == "built in":
        return builtin.find(base, items)
    if base == "color_mnist":
        return coloured.of(_find_catalogued("mnist", items, raw_dir, allow_download))
    return _find_catalogued(base, items, raw_dir, allow_download)


def _find_catalogued(base, items, raw_dir, allow_download):
    size = parse_options(base, items, tfds_source.OPTIONS)["size"]
    key = _key(base, size)
    source, damage = prepared.find(key)
    if source:
        return source
    _check_known(base)
    if damage:
        log.warning("The prepared copy is not used: %s.", damage)
    source = (
        # What TFDS prepared itself is exact; local copies of CIFAR-10 are not.
        tfds_source.find(base, items, allow_download=False)
        or _resized(originals.find(base, raw_dir) or image_decoding.find_cifar(base, raw_dir), size)
        or (tfds_source.find(base, items, allow_download=True) if allow_download else None)
    )
    if source is None:
        raise DataError(_ways_out(base, key, raw_dir, damage))
    return prepared.keep(key, source) if source.keep or damage else source


def _resized(source, size):
    """`source` with every image cropped and resized to size x size; a prepared copy spares doing it again."""
    if source is None or not size:
        return source

    def read(part):
        images, labels = source.read(part)
        return image_decoding.resize_batch(images, size), labels

    return source._replace(read=read, keep=True)


def _key(base, size):
    return f"{base}:size={size}" if size else base


def _check_known(base):
    builder = base.partition("/")[0]
    folders = tfds_source.data_dir() / builder, prepared.folder(builder)
    on_disk = builder.isidentifier() and any(folder.is_dir() for folder in folders)
    if builder in CATALOGUE or builder in tfds_source.builders() or on_disk:
        return
    near = difflib.get_close_matches(builder, [*CATALOGUE, *sorted(tfds_source.builders())], n=1, cutoff=0.6)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"Expected a data set: {', '.join(CATALOGUE)}, or a TFDS image builder. Received: {base!r}.{hint}")


def _ways_out(base, key, raw_dir, damage):
    if base in originals.NAMES:
        have = "the IDX files (train-images-idx3-ubyte.gz, ...)"
    else:
        have = image_decoding.CIFAR if base == "cifar10" else ""
    ways = [f"run  tfvae data prepare {key}  where there is a network, and copy {prepared.folder(key)} here"]
    if have:
        ways.append(f"give  --raw-dir DIR  or set TFVAE_RAW_DIR to a folder with {have}")
    if base == "fashion_mnist":
        ways.append("apt-get install dataset-fashion-mnist")
    ways.append("use your own images with folder:PATH or npz:PATH, or the built-in digits, sprites, square, gaussians")
    looked = ", ".join(filter(None, [str(prepared.root()), raw_dir, "TFVAE_RAW_DIR" * bool(have)]))
    return (
        f"Expected data set {base!r} on this machine (looked in {looked}, {tfds_source.data_dir()}) "
        f"or within reach of the network. Received: neither{f'; {damage}' if damage else ''}. "
        f"Ways out: {'; '.join(ways)}."
    )


def info(name, raw_dir=""):
    """What is known of a data set without downloading: a dict for ``tfvae data info``.

    Keys: name, what, source, available, origin (or the ways out), notes; shape, counts and classes as the
    catalogue says or, where the images are here, as they are; sha256 {file: digest of decompressed bytes}.
    """
    base = str(name).partition(":")[0]
    entry = CATALOGUE.get(base)
    report = {"name": str(name), "what": "", "source": "tfds", "available": False, "notes": [], "sha256": {}}
    if entry:
        counts = {"train": entry.train, "test": entry.test} if entry.train else {}
        report |= {"what": entry.what, "source": entry.source, "classes": entry.classes, "counts": counts}
        report["shape"] = list(entry.shape) if entry.shape else None
    try:
        source = _find(name, raw_dir, bad_files="skip", allow_download=False)
    except UsageError:
        raise
    except DataError as error:
        return report | {"origin": str(error)}
    arrays = {part: source.read(part) for part in source.parts}
    return report | {
        "available": True,
        "origin": source.origin,
        "notes": list(source.notes),
        "sha256": source.sha256(),
        "shape": list(next(iter(arrays.values()))[0].shape[1:]),
        "counts": {part: len(labels) for part, (_, labels) in arrays.items()},
        "classes": len(np.unique(np.concatenate([labels for _, labels in arrays.values()]))),
    }


def prepare(name, raw_dir="", allow_download=True):
    """Leave a checked copy of a data set on this disk, so that later loads need no network.

    Returns:
        str, the folder of the copy, or a sentence for sets that need none.

    Raises:
        DataError: it cannot be found or downloaded. StorageError: the copy cannot be written.
    """
    base, _, rest = str(name).partition(":")
    entry = CATALOGUE.get(base)
    if entry and entry.source != "tfds":
        source = _find(name, raw_dir)
        source.read(source.parts[0])
        return f"{name}: {source.origin}; nothing to prepare."
    source = _find(name, raw_dir, allow_download=allow_download)
    size = parse_options(base, [item for item in rest.split(",") if item], tfds_source.OPTIONS)["size"]
    place = prepared.folder(_key(base, size))
    if not prepared.find(_key(base, size))[0]:
        prepared.store(_key(base, size), source)
    for note in source.notes:
        _say(f"{name}: {note}.")
    return str(place)


def factors(name):
    """The ground-truth `Factors` of color_mnist, sprites, dsprites or shapes3d."""
    base = str(name).partition(":")[0]
    if base not in FACTORS:
        raise UsageError(describe_unknown("a data set with known factors", base, FACTORS))
    sizes = tuple(FACTORS[base].values())
    values = np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), -1)
    return Factors(tuple(FACTORS[base]), sizes, values)


def fingerprint(images):
    """Hex sha256 of an array's dtype, shape and bytes: names the data of a run in env.json."""
    digest = hashlib.sha256(f"{images.dtype.str}{images.shape}".encode())
    digest.update(np.ascontiguousarray(images).data)
    return digest.hexdigest()
