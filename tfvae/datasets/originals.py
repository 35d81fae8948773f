"""Original IDX files found on this machine (LeCun's format: MNIST, Fashion-MNIST, KMNIST)."""

import gzip
import hashlib
import math
import pathlib
import zlib

import numpy as np

from tfvae.datasets.source import Source, raw_dirs
from tfvae.errors import DataError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
DEBIAN = {"fashion_mnist": pathlib.Path("/usr/share/datasets/fashion-mnist")}
# sha256 of the decompressed bytes: gzip may pack the same content in many ways.
SHA256 = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
}
NAMES = ("mnist", "fashion_mnist", "kmnist")
MAX_BYTES = 2**31


def read_bytes(path):
    """The decompressed content of a plain or gzip file; a cut or damaged one is a DataError."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            # A forged file may unpack without end; no IDX data set is near this size.
            content = file.read(MAX_BYTES)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"Expected {path} to be readable. Received: {error}; fetch the file again.") from error
    return content


def parse_idx(content, path, rank):
    """IDX bytes -> uint8 array of `rank` dimensions: 00 00 08 rank, big-endian int32 sizes, then the values.

    Raises:
        DataError: another magic number, or more or fewer bytes than the sizes say; names `path`.
    """
    start = 4 + 4 * rank
    if len(content) < start or content[:4] != bytes((0, 0, 8, rank)):
        raise DataError(
            f"Expected {path} to begin with 000008{rank:02x}, IDX bytes of {rank} dimensions. "
            f"Received: {content[:4].hex() or 'nothing'}; fetch the file again."
        )
    shape = [int(n) for n in np.frombuffer(content, ">u4", rank, 4)]
    if len(content) - start != math.prod(shape):
        raise DataError(
            f"Expected {path} to hold {math.prod(shape)} values of shape {shape}. "
            f"Received: {len(content) - start}; fetch the file again."
        )
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_pair(images_path, labels_path, pins):
    """(images uint8 [N,H,W,1], labels int64 [N]) of two IDX files; `pins` are checked first."""
    arrays = []
    for path, rank in ((images_path, 3), (labels_path, 1)):
        content = read_bytes(path)
        wanted, got = pins.get(_stem(path)), hashlib.sha256(content).hexdigest()
        if wanted not in (None, got):
            # A file that is not IDX at all gets the plainer message.
            parse_idx(content, path, rank)
            raise DataError(
                f"Expected {path} to have the decompressed sha256 {wanted}. Received: {got}; fetch the file again."
            )
        arrays.append(parse_idx(content, path, rank))
    images, labels = arrays
    if len(images) != len(labels):
        raise DataError(f"Expected {labels_path} to hold {len(images)} labels. Received: {len(labels)}.")
    return images[..., None], labels.astype(np.int64)


def _stem(path):
    return path.name.removesuffix(".gz").replace(".idx", "-idx")


def _locate(folder, stem):
    for name in (stem, stem.replace("-idx", ".idx")):
        for path in (folder / (name + ".gz"), folder / name):
            if path.is_file():
                return path
    return None


def _of_another(name, folder):
    """Whether the folder holds another known data set: they all use the same file names."""
    path = _locate(folder, "t10k-labels-idx1-ubyte")
    if path is None:
        return False
    try:
        digest = hashlib.sha256(read_bytes(path)).hexdigest()
    except DataError:
        return False
    return any(digest == pins[_stem(path)] for other, pins in SHA256.items() if other != name)


def find(name, raw_dir=""):
    """The Source of IDX set `name`, or None where no folder holds its files.

    Raises:
        DataError: some of the four files are there and others are not.
    """
    if name not in NAMES:
        return None
    for folder in [*raw_dirs(name, raw_dir), *filter(None, [DEBIAN.get(name)])]:
        paths = {part: [_locate(folder, stem) for stem in stems] for part, stems in FILES.items()}
        present = [path for pair in paths.values() for path in pair]
        if not any(present) or _of_another(name, folder):
            continue
        for stem, path in zip(sum(FILES.values(), ()), present):
            if path is None:
                raise DataError(
                    f"Expected {folder / stem}.gz beside {next(filter(None, present)).name}; it is missing."
                )
        return _source(name, folder, paths)
    return None


def _source(name, folder, paths):
    pins = SHA256.get(name, {})
    notes = () if pins else (f"the content of {name}'s IDX files is not pinned: only their form was checked",)

    def digests():
        return {p.name: hashlib.sha256(read_bytes(p)).hexdigest() for pair in paths.values() for p in pair}

    def read(part):
        return read_pair(*paths[part], pins)

    return Source(("train", "test"), read, f"original files in {folder}", notes, digests)
