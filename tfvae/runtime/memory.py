"""Counts that allocate memory, bounded by what the machine has left."""

from __future__ import annotations

import math
from collections.abc import Sequence

import psutil

from tfvae.errors import UsageError

SHARE_OF_FREE_MEMORY = 0.5
COPIES = 6  # of the images while they are made: codes, decoder outputs, activations, the picture
FLOAT_BYTES = 4


def check_count_fits(count: int, shape: Sequence[int], what: str = "images") -> None:
    """Refuse to make so many images that the machine's memory would not hold them.

    Args:
        count: how many.
        shape: of one, (H, W, C).
        what: they are, for the message.

    Raises:
        UsageError: more than fit; the message says how many do.
    """
    each = COPIES * FLOAT_BYTES * math.prod(shape)
    most = int(SHARE_OF_FREE_MEMORY * psutil.virtual_memory().available / each)
    if count > most:
        raise UsageError(
            f"Expected at most {most:,} {what} of shape {tuple(shape)}, which fit into memory. Received: {count:,}. "
            "Ask for fewer at a time, with different seeds."
        )
