"""Counts that allocate memory, bounded by what the machine has left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import psutil

from tfvae.errors import UsageError

SHARE_OF_FREE_MEMORY = 0.5
COPIES = 6  # of the images while they are made: codes, decoder outputs, activations, the picture
FLOAT_BYTES = 4
PROCESS_BYTES = 500e6  # of one that trains a small model


def check_count_fits(
    count: int, shape: Sequence[int], what: str = "images", bytes_per_number: int = COPIES * FLOAT_BYTES
) -> None:
    """Refuse to make so many images that the machine's memory would not hold them.

    Args:
        count: how many.
        shape: of one, (H, W, C).
        what: they are, for the message.
        bytes_per_number: what each number of them takes, copies included.

    Raises:
        UsageError: more than fit; the message says how many do.
    """
    most = int(SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available / (bytes_per_number * math.prod(shape)))
    if count > most:
        raise UsageError(
            f"Expected at most {most:,} {what} of shape {tuple(shape)}, which fit into memory. Received: {count:,}. "
            "Ask for fewer at a time, or for smaller ones."
        )


def fits_into_memory(size: int) -> bool:
    """Return whether so many bytes leave as much memory free again."""
    return size <= SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available


def check_process_count_fits(count: int) -> None:
    """Refuse to train in so many processes side by side that memory would not hold them.

    Raises:
        UsageError: more than fit; the message says how many do.
    """
    most = max(1, int(psutil.virtual_memory().available / PROCESS_BYTES))
    if count > most:
        raise UsageError(f"Expected at most {most} runs side by side, which fit into memory. Received: {count:,}.")
