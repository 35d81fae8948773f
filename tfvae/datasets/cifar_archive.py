"""The local archive of CIFAR-10 as JPEG copies, cifar10_jpg.tar.gz."""

from __future__ import annotations

import io
import pathlib
import tarfile

import numpy as np

from tfvae.datasets.catalogue import CLASS_NAMES
from tfvae.datasets.image_decoding import convert_to_array, open_picture
from tfvae.datasets.source import Arrays, Source, list_raw_folders
from tfvae.errors import DataError

CIFAR_ARCHIVE = "cifar10_jpg.tar.gz"
CIFAR_COUNTS = {"train": 50000, "test": 10000}
MAX_MEMBER_BYTES = 2**20
LOSSY_NOTE = (
    "these CIFAR-10 images are JPEG copies: lossy, so bits/dim and likelihoods are not comparable with published ones"
)


def read_cifar_archive(path: pathlib.Path) -> dict[str, Arrays]:
    """Decode all train|test/<class>/NNNN.jpg of a tar and return {'train': (images, labels), 'test': ...}.

    Images are ordered by number, then class, so that the first ones are a fair sample of the classes.

    Args:
        path: the tar file, compressed or not.

    Returns:
        For each part images uint8 [N,32,32,3] and labels int64 [N].

    Raises:
        DataError: names the archive and the member that is damaged, misplaced or not 32x32.
    """
    pictures: dict[str, dict[tuple[str, int], np.ndarray]] = {"train": {}, "test": {}}
    member = None
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                if not member.isfile():
                    continue
                part, kind, file = member.name.removeprefix("./").split("/")
                pictures[part][file, CLASS_NAMES["cifar10"].index(kind)] = _decode_member(tar, member)
    except Exception as error:  # Pillow, tarfile and zlib raise almost anything on damaged bytes
        location = f"{path}, {member.name}" if member else path
        raise DataError(
            f"Expected {location} to be a 32x32 JPEG as train|test/<class>/NNNN.jpg. Received: {error!r}."
        ) from error
    return {part: _stack_pictures(pictures[part], path, part) for part in pictures}


def _decode_member(tar: tarfile.TarFile, member: tarfile.TarInfo) -> np.ndarray:
    """Decode one JPEG of the archive to uint8 [32,32,3]."""
    if member.size > MAX_MEMBER_BYTES:
        raise ValueError("larger than one MiB")
    file = tar.extractfile(member)
    assert file is not None  # it is a regular file
    pixels = convert_to_array(open_picture(io.BytesIO(file.read()), 3))
    if pixels.shape != (32, 32, 3):
        raise ValueError(f"shape {pixels.shape}")
    return pixels


def _stack_pictures(pictures: dict[tuple[str, int], np.ndarray], path: pathlib.Path, part: str) -> Arrays:
    """Stack {(file, label): pixels} in the order of the keys."""
    if not pictures:
        raise DataError(f"Expected {path} to hold {part}/<class>/NNNN.jpg. Received: no such file in it.")
    keys = sorted(pictures)
    return np.stack([pictures[key] for key in keys]), np.array([label for _, label in keys], np.int64)


def find_cifar_source(name: str, raw_dir: str = "") -> Source | None:
    """Return the source of the local JPEG copies of CIFAR-10, or None where they are not on this machine.

    Args:
        name: the data set that is looked for; only cifar10 is in such an archive.
        raw_dir: folder with original files, looked into before TFVAE_RAW_DIR.
    """
    paths = [folder / CIFAR_ARCHIVE for folder in list_raw_folders(name, raw_dir)] if name == "cifar10" else []
    path = next((path for path in paths if path.is_file()), None)
    if path is None:
        return None
    decoded_parts: dict[str, Arrays] = {}

    def read(part: str) -> Arrays:
        if not decoded_parts:
            decoded_parts.update(read_cifar_archive(path))
        images, labels = decoded_parts[part]
        if len(images) != CIFAR_COUNTS[part]:
            raise DataError(f"Expected {CIFAR_COUNTS[part]} {part} images in {path}. Received: {len(images)}.")
        return images, labels

    return Source(("train", "test"), read, f"JPEG copies in {path}", (LOSSY_NOTE,), is_slow_to_read=True)
