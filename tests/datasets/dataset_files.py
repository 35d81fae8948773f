"""Helpers that write the files of data sets by the formats' own words, and read whole sets."""

import io
import os
import pathlib
import struct

import numpy as np
from PIL import Image

from tfvae import datasets

# Set before the fixture `separate_folders` hides it.
RAW = pathlib.Path(os.environ.get("TFVAE_RAW_DIR") or "/nonexistent")


def encode_idx(array):
    """IDX bytes by the format's own words: two zeros, type 8, rank, big-endian sizes, values."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def encode_picture(array, kind="JPEG", **options):
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def flip_bit(content):
    """The bytes with one bit changed near their end."""
    return content[:-3] + bytes([content[-3] ^ 1]) + content[-2:]


def load_all_images(spec, **options):
    """All images of a set without a test split, in any order."""
    parts = [datasets.load(spec, split, **options) for split in ("train", "test")]
    return tuple(np.concatenate(arrays) for arrays in zip(*parts))
