"""What tests of pictures share: pixels of a file, constant tiles and where they stand, rows of metrics."""

import numpy as np
from PIL import Image

GREYS = np.array([0, 3, 100, 101, 200, 255], np.uint8)


def read_pixels(path):
    """Return the pixels of a PNG."""
    with Image.open(path) as image:
        return np.asarray(image)


def make_tiles(values, channels=1, size=(4, 6)):
    """Return constant images [N, 4, 6, C], one for each value."""
    return np.broadcast_to(np.asarray(values)[:, None, None, None], (len(values), *size, channels)).copy()


def find_corner(row, column, tile, gap=2):
    """Return top and left of a tile."""
    return gap + row * (tile[0] + gap), gap + column * (tile[1] + gap)


def make_metric_rows(epochs=12, validation=True, constraints=1):
    """Return rows of metrics.csv."""
    rows = []
    for e in range(1, epochs + 1):
        row = {"epoch": e, "step": 10 * e, "elbo": -300.0 + e, "rate": 10.0 + e, "distortion": 290.0 - 2 * e}
        row |= {"sq_err": 16 + 8 / e, "loss": 300.0 - e, "seconds": 1.0}
        for j in range(constraints):
            end = f"_{j + 1}" if j else ""
            row |= {"lambda" + end: 1.0 + e, "constraint" + end: 8 / e, "constraint_ma" + end: 9 / e - 0.7}
        if validation:
            row |= {"val_" + name: row[name] + 1 for name in ("elbo", "rate", "distortion", "sq_err")}
        rows.append(row)
    return rows
