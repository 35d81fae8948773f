"""Grids of images, pixel for pixel."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from tfvae.errors import UsageError
from tfvae.plots.style import encode_png, write_picture
from tfvae.runtime.tables import wrap_text

WIDEST_TILE, WIDEST_GRID = 84, 1600  # pixels, for the default scale
SEPARATOR, WHITE, TEXT = 176, 255, 70  # grey levels
GROUP_GAP = 10
FONT_SIZE, SHORT_LABEL = 13, 28  # pixels; letters that stand on one line
BROKEN = (255, 0, 255)  # a pixel that is not a number: magenta, which no grey image contains


def is_points(image_shape: Sequence[int]) -> bool:
    """Return whether the shape is the (1, 2, 1) of two-dimensional toy data, which `draw_scatter` draws."""
    return tuple(image_shape) == (1, 2, 1)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Convert images to bytes: float v in [0,1] -> round(255 v), clipped; uint8 stays. Nothing is stretched.

    Non-finite pixels become magenta (and the result RGB), so that a broken model is seen at a glance.

    Args:
        images: [N,H,W,C], float with pixels in [0,1] or uint8, C in {1, 3}.

    Returns:
        uint8 [N,H,W,C], or [N,H,W,3] where a pixel is not finite.

    Raises:
        UsageError: another shape or type.
    """
    images = np.asarray(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise UsageError(f"Expected images [N,H,W,C] with C 1 or 3, N > 0. Received shape: {images.shape}.")
    if is_points(images.shape[1:]):
        raise UsageError("Expected images. Received: points (1, 2, 1); draw them with draw_scatter.")
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise UsageError(f"Expected pixels as float in [0,1] or uint8. Received dtype: {images.dtype}.")
    finite = np.isfinite(images)
    scaled = np.clip(np.where(finite, images, 0).astype(np.float64), 0, 1) * 255
    levels = np.floor(scaled + 0.5).astype(np.uint8)
    if finite.all():
        return levels
    return np.where(finite.all(axis=-1, keepdims=True), levels, np.array(BROKEN, np.uint8))


def choose_scale(side: int, columns: int) -> int:
    """Return the largest whole enlargement with tiles <= 84 and a grid <= 1600 pixels, at least 1."""
    return max(1, min(WIDEST_TILE // side, WIDEST_GRID // (columns * side)))


def _load_font() -> ImageFont.FreeTypeFont:
    """Return the font of labels, which comes with Matplotlib."""
    return ImageFont.truetype(str(pathlib.Path(matplotlib.get_data_path(), "fonts/ttf/DejaVuSans.ttf")), FONT_SIZE)


def _check_labels(noun: str, labels: Iterable[Any] | None, count: int) -> list[str]:
    """Return the labels as texts, none for None; refuse another number than `count`."""
    texts = [str(label) for label in ([] if labels is None else labels)]
    if texts and len(texts) != count:
        raise UsageError(f"Expected {count} {noun}, one for each. Received: {len(texts)}.")
    return texts


def _wrap_label(text: str, height: int) -> str:
    """Return a row's label on as many lines as stand beside a tile of this height in pixels, none of them short."""
    lines = max(1, height // (FONT_SIZE + 5))
    return "\n".join(wrap_text(text, max(SHORT_LABEL, -(-len(text) // lines) + 4)))


def _write_labels(
    canvas: np.ndarray,
    tops: list[int],
    lefts: list[int],
    tile: tuple[int, int],
    row_labels: list[str],
    column_labels: list[str],
    gap: int,
) -> Image.Image:
    """Draw row labels left of, and column labels above, the tiles; of crowded column labels every k-th."""
    picture, font = Image.fromarray(canvas.squeeze(-1) if canvas.shape[-1] == 1 else canvas), _load_font()
    ink = (TEXT, TEXT, TEXT) if picture.mode == "RGB" else TEXT
    draw = ImageDraw.Draw(picture)
    for top, label in zip(tops, row_labels):
        middle = lefts[0] - gap - 8, top + tile[0] // 2
        draw.multiline_text(middle, label, fill=ink, font=font, anchor="rm", align="right", spacing=2)
    widest = max((font.getlength(label) for label in column_labels), default=0)
    step = max(1, math.ceil((widest + 4) / (tile[1] + gap)))
    for left, label in list(zip(lefts, column_labels))[::step]:
        draw.text((left + tile[1] // 2, tops[0] - gap - 5), label, fill=ink, font=font, anchor="mb")
    return picture


def _paint_tiles(
    canvas: np.ndarray,
    images: np.ndarray,
    tops: list[int],
    lefts: list[int],
    scale: int,
    gap: int,
    hidden: Collection[int],
) -> None:
    """Paint the separators and, over them, the enlarged images into the canvas."""
    height, width = images.shape[1] * scale, images.shape[2] * scale
    corners = {n: (tops[n // len(lefts)], lefts[n % len(lefts)]) for n in range(len(images)) if n not in hidden}
    for top, left in corners.values():
        canvas[top - gap : top + height + gap, left - gap : left + width + gap] = SEPARATOR
    for n, (top, left) in corners.items():
        canvas[top : top + height, left : left + width] = images[n].repeat(scale, 0).repeat(scale, 1)


def draw_image_grid(
    images: np.ndarray,
    path: str | pathlib.Path,
    columns: int | None = None,
    scale: int | None = None,
    row_labels: Iterable[Any] | None = None,
    column_labels: Iterable[Any] | None = None,
    *,
    gap: int = 2,
    group: int = 0,
    hidden: Collection[int] = (),
) -> pathlib.Path:
    """Draw images as a grid, left to right and top to bottom; each pixel becomes scale x scale pixels.

    Without labels, tile (row, column) begins at pixel gap + row * (H * scale + gap), gap + column * (...).

    Args:
        images: [N,H,W,C], float with pixels in [0,1] or uint8, C in {1, 3}.
        path: the PNG to write.
        columns: tiles in a row; default: a square grid.
        scale: whole enlargement, nearest neighbour; default: tiles of up to 84 pixels.
        row_labels: one text for each row.
        column_labels: one text for each column.
        gap: width of the grey separators in pixels; 0: tiles touch.
        group: white space after each such number of rows; 0: none.
        hidden: numbers of images to leave out, white.

    Returns:
        The path written.

    Raises:
        UsageError: shapes, types or label counts that do not fit; point data.

    Example:
        draw_image_grid(model.sample(64).numpy(), "samples.png", columns=8)
    """
    images = to_uint8(images)
    count, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(count)) if columns is None else columns
    scale = choose_scale(max(height, width), max(columns, 1)) if scale is None else scale
    if not (columns == int(columns) > 0 and scale == int(scale) > 0):
        raise UsageError(f"Expected columns and scale to be whole and > 0. Received: {columns!r}, {scale!r}.")
    rows = -(-count // columns)
    row_texts = _check_labels("row labels", row_labels, rows)
    column_texts = _check_labels("column labels", column_labels, columns)
    tile = height * scale, width * scale
    row_texts = [_wrap_label(text, tile[0]) for text in row_texts]
    lines = [line for text in row_texts for line in text.split("\n")]
    margin = math.ceil(max((_load_font().getlength(line) for line in lines), default=-14)) + 14
    tops = [gap + r * (tile[0] + gap) + (r // group * GROUP_GAP if group else 0) for r in range(rows)]
    tops = [top + (FONT_SIZE + 9) * bool(column_texts) for top in tops]
    lefts = [margin + gap + c * (tile[1] + gap) for c in range(columns)]
    canvas = np.full((tops[-1] + tile[0] + gap, lefts[-1] + tile[1] + gap, channels), WHITE, np.uint8)
    _paint_tiles(canvas, images, tops, lefts, scale, gap, hidden)
    return write_picture(path, encode_png(_write_labels(canvas, tops, lefts, tile, row_texts, column_texts, gap)))


def draw_pair_grid(
    originals: np.ndarray, reconstructions: np.ndarray, path: str | pathlib.Path, columns: int = 10
) -> pathlib.Path:
    """Draw originals and, below each, its reconstruction, in alternating rows.

    Args:
        originals: [N,H,W,C], float with pixels in [0,1] or uint8.
        reconstructions: of the same shape.
        path: the PNG to write.
        columns: pairs side by side.

    Returns:
        The path written.

    Raises:
        UsageError: shapes or types that do not fit.

    Example:
        draw_pair_grid(x, model.reconstruct(x).numpy(), "reconstructions.png")
    """
    originals, reconstructions = to_uint8(originals), to_uint8(reconstructions)
    channels = max(originals.shape[-1], reconstructions.shape[-1])  # differ when one holds broken pixels
    if originals.shape[:3] != reconstructions.shape[:3]:
        raise UsageError(
            f"Expected reconstructions like the originals {originals.shape}. Received shape: {reconstructions.shape}."
        )
    columns = min(columns, len(originals))
    blocks = -(-len(originals) // columns)
    board = np.full((2, blocks * columns, *originals.shape[1:3], channels), WHITE, np.uint8)
    board[0, : len(originals)], board[1, : len(originals)] = originals, reconstructions
    board = board.reshape(2, blocks, columns, *board.shape[2:]).swapaxes(0, 1)
    labels = ["original", "reconstruction"] * blocks
    filled = len(originals) - (blocks - 1) * columns  # of the last block
    hidden = [n for n in range(2 * (blocks - 1) * columns, 2 * blocks * columns) if n % columns >= filled]
    images = board.reshape(-1, *board.shape[3:])
    return draw_image_grid(images, path, columns, row_labels=labels, group=2, hidden=hidden)
