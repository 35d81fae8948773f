"""Original IDX files on this machine (LeCun's format: MNIST, Fashion-MNIST, KMNIST)."""

from __future__ import annotations

import gzip
import hashlib
import math
import pathlib
import zlib
from collections.abc import Mapping

import numpy as np

from tfvae.datasets.source import Arrays, Source, list_raw_folders
from tfvae.errors import DataError

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
DEBIAN_FOLDERS = {"fashion_mnist": pathlib.Path("/usr/share/datasets/fashion-mnist")}
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
IDX_NAMES = ("mnist", "fashion_mnist", "kmnist")
MAX_BYTES = 2**31


def read_decompressed(path: pathlib.Path) -> bytes:
    """Read a plain or gzip file and return its decompressed content.

    Raises:
        DataError: the file is cut or damaged.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            # A forged file may unpack without end; no IDX data set is near this size.
            return file.read(MAX_BYTES)
    except (EOFError, zlib.error, OSError) as error:
        raise DataError(f"Expected {path} to be readable. Received: {error}; fetch the file again.") from error


def parse_idx(content: bytes, path: pathlib.Path, rank: int) -> np.ndarray:
    """Parse IDX bytes (00 00 08 rank, big-endian int32 sizes, then the values) and return a uint8 array.

    Args:
        content: the decompressed bytes of a file.
        path: the file, for messages.
        rank: number of dimensions that the array must have.

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


def read_idx_pair(images_path: pathlib.Path, labels_path: pathlib.Path, pins: Mapping[str, str]) -> Arrays:
    """Read the IDX files of images and labels and return uint8 [N,H,W,1] and int64 [N].

    Args:
        images_path: file of rank 3, plain or gzip.
        labels_path: file of rank 1, plain or gzip.
        pins: {canonical file name: sha256 of the decompressed bytes}, checked first; may be empty.

    Raises:
        DataError: a file is damaged, has another checksum, or their counts differ.
    """
    arrays = []
    for path, rank in ((images_path, 3), (labels_path, 1)):
        content = read_decompressed(path)
        pin, digest = pins.get(_get_canonical_name(path)), hashlib.sha256(content).hexdigest()
        if pin not in (None, digest):
            # A file that is not IDX at all gets the plainer message.
            parse_idx(content, path, rank)
            raise DataError(
                f"Expected {path} to have the decompressed sha256 {pin}. Received: {digest}; fetch the file again."
            )
        arrays.append(parse_idx(content, path, rank))
    images, labels = arrays
    if len(images) != len(labels):
        raise DataError(f"Expected {labels_path} to hold {len(images)} labels. Received: {len(labels)}.")
    return images[..., None], labels.astype(np.int64)


def _get_canonical_name(path: pathlib.Path) -> str:
    """Return the file's name as in `FILES`: without .gz, and with -idx where some copies have .idx."""
    return path.name.removesuffix(".gz").replace(".idx", "-idx")


def _locate_file(folder: pathlib.Path, name: str) -> pathlib.Path | None:
    """Return the path of a file of `FILES` in `folder`, gzip or plain, or None."""
    for variant in (name, name.replace("-idx", ".idx")):
        for path in (folder / (variant + ".gz"), folder / variant):
            if path.is_file():
                return path
    return None


def _holds_another_set(name: str, folder: pathlib.Path) -> bool:
    """Tell whether the folder holds a known data set other than `name`: they all use the same file names."""
    path = _locate_file(folder, "t10k-labels-idx1-ubyte")
    if path is None:
        return False
    try:
        digest = hashlib.sha256(read_decompressed(path)).hexdigest()
    except DataError:
        return False
    return any(digest == pins[_get_canonical_name(path)] for other, pins in SHA256.items() if other != name)


def find_idx_source(name: str, raw_dir: str = "") -> Source | None:
    """Return the source of IDX data set `name`, or None where no folder on this machine holds its files.

    Args:
        name: one of `IDX_NAMES`; any other gives None.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR.

    Raises:
        DataError: some of the four files are there and others are not.
    """
    if name not in IDX_NAMES:
        return None
    for folder in [*list_raw_folders(name, raw_dir), *filter(None, [DEBIAN_FOLDERS.get(name)])]:
        paths = {file: _locate_file(folder, file) for pair in FILES.values() for file in pair}
        present = {file: path for file, path in paths.items() if path}
        if not present or _holds_another_set(name, folder):
            continue
        for file in paths:
            if file not in present:
                raise DataError(
                    f"Expected {folder / file}.gz beside {next(iter(present.values())).name}; it is missing."
                )
        return _make_idx_source(name, folder, present)
    return None


def _make_idx_source(name: str, folder: pathlib.Path, paths: Mapping[str, pathlib.Path]) -> Source:
    """Make the source of data set `name` from {canonical file name: path}."""
    pins = SHA256.get(name, {})
    notes = () if pins else (f"the content of {name}'s IDX files is not pinned: only their form was checked",)

    def compute_sha256() -> dict[str, str]:
        return {path.name: hashlib.sha256(read_decompressed(path)).hexdigest() for path in paths.values()}

    def read(part: str) -> Arrays:
        images_file, labels_file = FILES[part]
        return read_idx_pair(paths[images_file], paths[labels_file], pins)

    return Source(("train", "test"), read, f"original files in {folder}", notes, compute_sha256)
