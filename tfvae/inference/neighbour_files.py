"""What ``tfvae neighbours`` writes: a CSV file of the nearest training pictures, and a sheet that shows them."""

from __future__ import annotations

import csv
import io
import pathlib

import numpy as np

from tfvae.inference.nearest_pictures import SPACES, Neighbours, scale_pixels
from tfvae.plots import grids
from tfvae.runtime import files

HEAD = ("file", "space", "rank", "training_index", "distance")


def write_neighbours(found: Neighbours, path: pathlib.Path) -> None:
    """Write a line for each neighbour: file, space (latent or pixels), rank from 1, training_index, distance.

    Raises:
        StorageError: it cannot be written; what was there stays.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEAD)
    for row, name in enumerate(found.names):
        for space in SPACES:
            indices, distances = getattr(found, f"{space}_indices")[row], getattr(found, f"{space}_distances")[row]
            for rank, (index, distance) in enumerate(zip(indices, distances), start=1):
                writer.writerow([name, space, rank, index, f"{distance:.9g}"])
    files.write_bytes(path, text.getvalue().encode("utf-8", "surrogateescape"))


def draw_neighbours(found: Neighbours, training: np.ndarray, path: str | pathlib.Path, most: int = 16) -> pathlib.Path:
    """Draw a row for each image: the image, its neighbours by codes, its neighbours by pixels; return the path.

    Args:
        found: what `find_neighbours` returned.
        training: the training pictures, [M, H, W, C].
        path: the PNG to write.
        most: how many images are shown.
    """
    columns = [found.images[:most, None]]
    columns += [scale_pixels(training[getattr(found, f"{space}_indices")[:most]]) for space in SPACES]
    board = np.concatenate(columns, axis=1)
    blank = [""] * (found.latent_indices.shape[1] - 1)
    names = ["image", "by code", *blank, "by pixels", *blank]
    return grids.draw_image_grid(board.reshape(-1, *board.shape[2:]), path, board.shape[1], column_labels=names)
