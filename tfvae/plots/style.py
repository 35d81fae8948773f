"""What all pictures share: colours, the look of axes, labels at line ends, and how a figure becomes a PNG file.

Pictures are made from NumPy arrays and rows of metrics, without TensorFlow; every drawing function returns the path
that it wrote. Figures use Matplotlib's objects alone, so that pyplot's state and the user's rcParams stay untouched.
"""

from __future__ import annotations

import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image
from scipy.optimize import isotonic_regression

from tfvae.runtime import files
from tfvae.runtime.tables import wrap_text

INK, MUTED, RULE, PAPER = "#1f2328", "#656d76", "#e4e7eb", "#ffffff"
BLUE, LIGHT_BLUE = "#0b5c96", "#6db3e2"  # training and validation: one colour family
ACCENT = "#d55e00"  # GECO, and whatever the reader should see first
# Okabe and Ito's colours without yellow (unreadable as a line on white); distinguishable with any colour vision.
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c510a")
# Paul Tol's "muted" scheme and a grey: ten classes.
CLASSES = (
    *("#332288", "#88ccee", "#44aa99", "#117733", "#999933"),
    *("#ddcc77", "#cc6677", "#882255", "#aa4499", "#777777"),
)
DPI = 140
MAX_BYTES = 300_000  # of a figure: reports embed many
WIDTH = 10.0  # inches: 1400 pixels
SMALL, NORMAL, LARGE = 8, 9, 10.5  # points
LETTER, LEGEND_KEY, LEGEND_ROW = 4.9, 40.0, 14.0  # points: a letter's width, a key's with its gaps, a row's height
LEGEND_STYLE: dict[str, Any] = {"fontsize": SMALL, "frameon": False, "labelcolor": INK}


def create_figure(
    rows: int, columns: int, height: float, *, width: float = WIDTH, **subplots: Any
) -> tuple[Figure, np.ndarray]:
    """Create a white figure and return it with its axes as an array [rows, columns].

    Args:
        rows: number of rows of axes.
        columns: number of columns of axes.
        height: of the figure, inches.
        width: of the figure, inches.
        subplots: further options of Matplotlib's `Figure.subplots`.

    Example:
        figure, axes = create_figure(1, 2, 4.2)
        style_axes(axes[0, 0], "Rate", "epoch", "nats")
        save_figure(figure, "rate.png")
    """
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.06)
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, layout=layout)
    FigureCanvasAgg(figure)
    return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def style_axes(ax: Axes, title: str = "", x: str = "", y: str = "") -> None:
    """Give axes the common look: left-aligned title, light grid, no frame on top and right.

    Titles and labels are shown as they are: a dollar sign in a run's name does not start mathematics.

    Args:
        ax: the axes to change.
        title: text above the axes.
        x: label of the horizontal axis.
        y: label of the vertical axis.
    """
    _write_title(ax, title)
    ax.set_xlabel(x, fontsize=NORMAL, color=MUTED, parse_math=False)
    ax.set_ylabel(y, fontsize=NORMAL, color=MUTED, parse_math=False)
    ax.tick_params(which="both", labelsize=SMALL, colors=MUTED, length=0)
    ax.grid(True, color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#b8bec6")


def _write_title(ax: Axes, title: str, rows_below: int = 0) -> None:
    """Write the title above axes, with room for so many rows of a legend between both."""
    pad = 8 + LEGEND_ROW * rows_below
    ax.set_title(title, loc="left", fontsize=LARGE, color=INK, pad=pad, parse_math=False)


def _choose_legend_columns(texts: Sequence[str], points: float) -> int:
    """Return how many columns of entries, filled one after the other, fit side by side into a width."""
    for count in range(len(texts), 1, -1):
        columns = np.array_split(np.array([len(text) for text in texts]), count)
        if sum(column.max() * LETTER + LEGEND_KEY for column in columns) <= points:
            return count
    return 1


def add_legend_above(ax: Axes, handles: Sequence[Any] | None = None) -> None:
    """Add a legend between the title and the axes, where it covers no curve.

    Args:
        ax: the axes, after all is drawn.
        handles: what the legend explains, with labels; default: all that was drawn with a label.
    """
    handles = ax.get_legend_handles_labels()[0] if handles is None else handles
    texts = [str(handle.get_label()) for handle in handles]
    figure: Any = ax.figure
    grid = ax.get_subplotspec()
    share = 0.8 / (grid.get_gridspec().ncols if grid else 1)  # of the figure's width: the rest are tick labels
    columns = _choose_legend_columns(texts, 72 * figure.get_figwidth() * share)
    _write_title(ax, ax.get_title(loc="left"), rows_below=-(-len(texts) // columns))
    legend = ax.legend(
        handles=list(handles),
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=columns,
        borderaxespad=0,
        **LEGEND_STYLE,
    )
    _show_dollars(legend)


def add_legend_below(figure: Figure, handles: Mapping[str, Any], title: str = "") -> None:
    """Add one legend below all panels, and make the figure higher by what it needs.

    Args:
        figure: the figure, after all is drawn.
        handles: {text: Matplotlib's artist}; long texts are continued on further lines.
        title: text above the legend.
    """
    points = 72 * figure.get_figwidth()
    letters = int((points - 2 * LEGEND_KEY) / LETTER)
    texts = ["\n".join(wrap_text(text, letters)) for text in handles]
    columns = _choose_legend_columns([max(text.split("\n"), key=len) for text in texts], points)
    lines = [text.count("\n") + 1 for text in texts]
    rows = max(int(column.sum()) for column in np.array_split(np.array(lines), columns))
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW / 72 * (rows - 1))
    legend = figure.legend(
        list(handles.values()), texts, loc="outside lower left", ncols=columns, title=title or None, **LEGEND_STYLE
    )
    legend.set_alignment("left")
    legend.get_title().set(fontsize=SMALL, color=MUTED)
    _show_dollars(legend)


def _show_dollars(legend: Any) -> None:
    """Show the texts of a legend as they are: a dollar sign does not start mathematics."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def add_title(figure: Figure, title: str) -> None:
    """Write a left-aligned title over all panels; an empty title writes nothing."""
    if title:
        figure.suptitle(title, x=0.012, ha="left", fontsize=12, color=INK, parse_math=False)


def spread_heights(heights: np.ndarray, gap: float) -> np.ndarray:
    """Move heights as little as possible (least squares) so that all are at least `gap` apart, and return them.

    With t = sorted heights - gap * rank the condition is "t does not fall", which is isotonic regression.

    Args:
        heights: [N], in any order.
        gap: the least distance, in the unit of the heights.

    Returns:
        The moved heights [N], in the order of `heights`.
    """
    heights = np.asarray(heights, np.float64)
    order = np.argsort(heights, kind="stable")
    ranks = gap * np.arange(len(heights))
    moved = np.empty(len(heights))
    moved[order] = isotonic_regression(heights[order] - ranks).x + ranks
    return moved


def label_line_ends(ax: Axes, labels: list[tuple[float, str, str]], gap: float = 0.075) -> None:
    """Write the names of lines at the right edge, at the heights where the lines end, without overlaps.

    Args:
        ax: the axes; call this after all their limits are set.
        labels: for each line its last y in data units, its text and its colour.
        gap: the least distance of two labels, as a share of the axes' height.
    """
    if not labels:
        return
    ends = np.array([(ax.get_xlim()[1], y) for y, _, _ in labels])
    shares = ax.transAxes.inverted().transform(ax.transData.transform(ends))[:, 1]
    heights = spread_heights(np.clip(shares, 0, 1), gap)
    heights -= max(0.0, heights.max() - 1.0)
    options: dict[str, Any] = {"fontsize": SMALL, "va": "center", "transform": ax.transAxes, "parse_math": False}
    for height, (_, text, colour) in zip(heights, labels):
        ax.text(1.015, height, text, color=colour, **options)


def save_figure(figure: Figure, path: str | pathlib.Path) -> pathlib.Path:
    """Draw the figure, write it to `path` as a PNG, and return the path; a large one is reduced to 256 colours.

    Raises:
        StorageError: the folder or the file cannot be written.
    """
    canvas: Any = figure.canvas
    canvas.draw()
    picture = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    data = encode_png(picture)
    if len(data) > MAX_BYTES:
        data = encode_png(picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
    return write_picture(path, data)


def encode_png(picture: Image.Image) -> bytes:
    """Return a Pillow image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def write_picture(path: str | pathlib.Path, data: bytes) -> pathlib.Path:
    """Write the bytes of a picture to `path`, whole or not at all, create its folder, and return the path.

    Raises:
        StorageError: the folder or the file cannot be written.
    """
    path = pathlib.Path(path)
    files.make_folder(path.parent)
    files.write_bytes(path, data)
    return path
