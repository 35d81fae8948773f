"""Ways through the latent space and steps of drawing, one after the other: GIF files."""

from __future__ import annotations

import io
import math
import pathlib

import numpy as np
from PIL import Image

from tfvae.plots.grids import choose_scale, to_uint8
from tfvae.runtime import files

MILLISECONDS = 120  # of each frame
LAST_MILLISECONDS = 1000  # of the last one, so that one sees where it ends


def build_frames(images: np.ndarray) -> list[Image.Image]:
    """Return a picture of each step, in which the rows stand as tiles of a square grid, left to right.

    Args:
        images: [N, S, H, W, C] of N rows and S steps, pixels in [0, 1], C in {1, 3}.

    Raises:
        UsageError: other shapes or types; points.
    """
    count, steps, height, width = images.shape[:4]
    pixels = to_uint8(images.reshape(-1, *images.shape[2:]))
    pixels = pixels.reshape(count, steps, height, width, pixels.shape[-1])
    columns = math.ceil(math.sqrt(count))
    rows = -(-count // columns)
    board = np.full((rows * columns, *pixels.shape[1:]), 255, np.uint8)  # tiles without an image are white
    board[:count] = pixels
    board = board.reshape(rows, columns, *pixels.shape[1:]).transpose(2, 0, 3, 1, 4, 5)  # [S, rows, H, columns, W, C]
    board = board.reshape(steps, rows * height, columns * width, -1)
    scale = choose_scale(max(height, width), columns)
    frames = board.repeat(scale, axis=1).repeat(scale, axis=2)
    return [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]


def write_animation(images: np.ndarray, path: str | pathlib.Path) -> pathlib.Path:
    """Write the steps of `build_frames` as a GIF that repeats, whole or not at all, and return its path.

    Raises:
        UsageError: as `build_frames`.
        StorageError: it cannot be written; what was there stays.
    """
    first, *others = build_frames(images)
    durations = [MILLISECONDS] * len(others) + [LAST_MILLISECONDS]
    buffer = io.BytesIO()
    first.save(buffer, format="GIF", save_all=True, append_images=others, duration=durations, loop=0)
    files.write_bytes(path, buffer.getvalue())
    return pathlib.Path(path)
