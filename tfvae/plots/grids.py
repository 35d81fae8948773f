"""Grids of images, pixel for pixel, and scatter plots for two-dimensional toy data."""

import math
import pathlib

import matplotlib
import numpy as np
from matplotlib.lines import Line2D
from PIL import Image, ImageDraw, ImageFont

from tfvae.errors import UsageError
from tfvae.plots.style import (
    CLASSES,
    COLOURS,
    MUTED,
    SMALL,
    WIDTH,
    dress,
    new_figure,
    png_bytes,
    replace_file,
    save_figure,
)

TILE, BOARD = 84, 1600  # pixels: widest tile and widest grid that the default scale makes
SEPARATOR, WHITE, TEXT = 176, 255, 70  # grey levels
GROUP_GAP = 10
FONT_SIZE = 13
BROKEN = (255, 0, 255)  # a pixel that is not a number: magenta, which no grey image contains


def is_points(image_shape):
    """True for the (1, 2, 1) of two-dimensional toy data: draw those with `points_scatter`."""
    return tuple(image_shape) == (1, 2, 1)


def to_uint8(images):
    """One map for all images: float v in [0,1] -> round(255 v), clipped; uint8 stays. Nothing is stretched.

    Non-finite pixels become magenta (and the result RGB), so that a broken model is seen at a glance.

    Args:
        images: [N,H,W,C], float with pixels in [0,1] or uint8, C in {1, 3}.

    Raises:
        UsageError: another shape or type.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise UsageError(f"Expected images [N,H,W,C] with C 1 or 3, N > 0. Received shape: {images.shape}.")
    if is_points(images.shape[1:]):
        raise UsageError("Expected images. Received: points (1, 2, 1); draw them with points_scatter.")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UsageError(f"Expected pixels as float in [0,1] or uint8. Received dtype: {images.dtype}.")
    finite = np.isfinite(images)
    scaled = np.clip(np.where(finite, images, 0).astype(np.float64), 0, 1) * 255
    levels = np.floor(scaled + 0.5).astype(np.uint8)
    if finite.all():
        return levels
    return np.where(finite.all(axis=-1, keepdims=True), levels, np.uint8(BROKEN))


def default_scale(side, columns):
    """The largest whole enlargement with tiles <= 84 and a grid <= 1600 pixels; at least 1."""
    return max(1, min(TILE // side, BOARD // (columns * side)))


def _font():
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf"), FONT_SIZE)


def _check_labels(what, labels, count):
    labels = [str(label) for label in ([] if labels is None else labels)]
    if labels and len(labels) != count:
        raise UsageError(f"Expected {count} {what}, one for each. Received: {len(labels)}.")
    return labels


def _write_labels(canvas, tops, lefts, tile, row_labels, column_labels, gap):
    """Draw row labels left of, and column labels above, the tiles; of crowded column labels every k-th."""
    picture, font = Image.fromarray(canvas.squeeze(-1) if canvas.shape[-1] == 1 else canvas), _font()
    ink = (TEXT,) * 3 if picture.mode == "RGB" else TEXT
    draw = ImageDraw.Draw(picture)
    for top, label in zip(tops, row_labels):
        draw.text((lefts[0] - gap - 8, top + tile[0] // 2), label, fill=ink, font=font, anchor="rm")
    widest = max((font.getlength(label) for label in column_labels), default=0)
    step = max(1, math.ceil((widest + 4) / (tile[1] + gap)))
    for left, label in list(zip(lefts, column_labels))[::step]:
        draw.text((left + tile[1] // 2, tops[0] - gap - 5), label, fill=ink, font=font, anchor="mb")
    return picture


def image_grid(images, path, columns=None, scale=None, row_labels=None, column_labels=None, *,
               gap=2, group=0, hidden=()):  # fmt: skip
    """Write images as a grid, left to right and top to bottom; each pixel becomes scale x scale pixels.

    Without labels, tile (row, column) begins at pixel gap + row * (H * scale + gap), gap + column * (...).

    Args:
        images: [N,H,W,C], float with pixels in [0,1] or uint8, C in {1, 3}.
        columns: tiles in a row; default: a square grid.
        scale: whole enlargement, nearest neighbour; default: tiles of up to 84 pixels.
        row_labels, column_labels: one text for each row / column.
        gap: width of the grey separators in pixels; 0: tiles touch.
        group: white space after each such number of rows; 0: none.
        hidden: numbers of images to leave out, white.

    Returns:
        The path written.

    Raises:
        UsageError: shapes, types or label counts that do not fit; point data.
    """
    images = to_uint8(images)
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    scale = default_scale(max(height, width), columns) if scale is None and columns > 0 else scale
    if not (columns and columns == int(columns) > 0 and scale == int(scale) > 0):
        raise UsageError(f"Expected columns and scale to be whole and > 0. Received: {columns!r}, {scale!r}.")
    rows = -(-count // columns)
    row_labels = _check_labels("row labels", row_labels, rows)
    column_labels = _check_labels("column labels", column_labels, columns)
    margin = math.ceil(max((_font().getlength(label) for label in row_labels), default=-14)) + 14
    tile = height * scale, width * scale
    tops = [gap + r * (tile[0] + gap) + (r // group * GROUP_GAP if group else 0) for r in range(rows)]
    tops = [top + (FONT_SIZE + 9) * bool(column_labels) for top in tops]
    lefts = [margin + gap + c * (tile[1] + gap) for c in range(columns)]
    canvas = np.full((tops[-1] + tile[0] + gap, lefts[-1] + tile[1] + gap, channels), WHITE, np.uint8)
    shown = [n for n in range(count) if n not in hidden]
    for n in shown:
        top, left = tops[n // columns], lefts[n % columns]
        canvas[top - gap : top + tile[0] + gap, left - gap : left + tile[1] + gap] = SEPARATOR
    for n in shown:
        top, left = tops[n // columns], lefts[n % columns]
        canvas[top : top + tile[0], left : left + tile[1]] = images[n].repeat(scale, 0).repeat(scale, 1)
    picture = _write_labels(canvas, tops, lefts, tile, row_labels, column_labels, gap)
    return replace_file(path, png_bytes(picture))


def pair_grid(originals, reconstructions, path, columns=10):
    """Rows alternate: originals, and below each its reconstruction.

    Args:
        originals, reconstructions: [N,H,W,C] each, float with pixels in [0,1] or uint8.
        columns: pairs side by side.
    """
    originals, reconstructions = to_uint8(originals), to_uint8(reconstructions)
    channels = max(originals.shape[-1], reconstructions.shape[-1])  # differ when one holds broken pixels
    if originals.shape[:3] != reconstructions.shape[:3]:
        raise UsageError(f"Expected reconstructions like the originals {originals.shape}. "
                         f"Received shape: {reconstructions.shape}.")  # fmt: skip
    columns = min(columns, len(originals))
    blocks = -(-len(originals) // columns)
    board = np.full((2, blocks * columns, *originals.shape[1:3], channels), WHITE, np.uint8)
    board[0, : len(originals)], board[1, : len(originals)] = originals, reconstructions
    board = board.reshape(2, blocks, columns, *board.shape[2:]).swapaxes(0, 1)
    labels = ["original", "reconstruction"] * blocks
    filled = len(originals) - (blocks - 1) * columns  # of the last block
    hidden = [n for n in range(2 * (blocks - 1) * columns, 2 * blocks * columns) if n % columns >= filled]
    images = board.reshape(-1, *board.shape[3:])
    return image_grid(images, path, columns, row_labels=labels, group=2, hidden=hidden)


def _class_colours(clouds):
    """{label: colour} over all panels; empty without labels or with more than ten."""
    found = [labels for _, labels in clouds.values() if labels is not None]
    classes = np.unique(np.concatenate(found)) if found else []
    order = (0, 6, 2, 5, 8) if len(classes) <= 5 else range(len(CLASSES))
    if not 0 < len(classes) <= len(CLASSES):
        return {}
    return {name: CLASSES[n] for name, n in zip(classes.tolist(), order)}


def _scatter(ax, points, labels, colours):
    size = float(np.clip(6000 / len(points), 2, 20))
    if labels is None:
        chosen = {"color": COLOURS[0]}
    elif colours:
        chosen = {"c": [colours[label] for label in labels.tolist()]}
    else:  # too many classes to tell apart by hue: a colour map over their order
        chosen = {"c": np.unique(labels, return_inverse=True)[1], "cmap": "viridis"}
    ax.scatter(points[:, 0], points[:, 1], s=size, alpha=0.75, linewidths=0, **chosen)
    ax.set_aspect("equal", adjustable="box")


def _check_clouds(panels):
    clouds = {}
    for title, (points, labels) in panels.items():
        points = np.asarray(points, np.float64)
        if not points.size or points.size != 2 * len(points):
            raise UsageError(f"Expected points [N,2] in panel {title!r}. Received shape: {points.shape}.")
        labels = None if labels is None else np.asarray(labels).reshape(-1)
        if labels is not None and len(labels) != len(points):
            raise UsageError(f"Expected a label for each of {len(points)} points. Received: {len(labels)}.")
        clouds[title] = points.reshape(-1, 2), labels
    if not clouds:
        raise UsageError("Expected at least one panel. Received: none.")
    return clouds


def points_scatter(path, panels, shared=("original", "reconstruction", "samples")):
    """Scatter plots side by side, with equal axes, coloured by label.

    Args:
        path: the PNG to write.
        panels: {title: (points [N,2], labels [N] or None)}; points [N,1,2,1] are accepted too.
        shared: titles of the panels that live in data space and so share one pair of limits.

    Returns:
        The path written.

    Raises:
        UsageError: shapes that do not fit, or no panel.
    """
    clouds = _check_clouds(panels)
    colours = _class_colours(clouds)
    width = min(WIDTH, 5.5 * len(clouds))
    height = 0.86 * width / len(clouds) + 0.62 + 0.3 * bool(colours)
    figure, axes = new_figure(1, len(clouds), height, width=width)
    common = _limits([points for title, (points, _) in clouds.items() if title in shared])
    for ax, (title, (points, labels)) in zip(axes[0], clouds.items()):
        dress(ax, title)
        _scatter(ax, points, labels, colours)
        low, high = common if title in shared else _limits([points])
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    if colours:
        keys = [Line2D([], [], linestyle="none", marker="o", markersize=5, color=c) for c in colours.values()]
        figure.legend(keys, [str(name) for name in colours], loc="outside lower left", ncols=len(keys),
                      fontsize=SMALL, frameon=False, labelcolor=MUTED, handletextpad=0.1)  # fmt: skip
    return save_figure(figure, path)


def _limits(clouds):
    """The square around all finite points, with a margin: (low [2], high [2])."""
    points = np.concatenate(clouds) if clouds else np.zeros((0, 2))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return np.zeros(2), np.ones(2)
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.54 * max((high - low).max(), 1e-6)
    return (low + high) / 2 - half, (low + high) / 2 + half
