"""Pictures of runs and models: NumPy arrays and metric rows in, one PNG file out, no TensorFlow.

Every function returns the path it wrote. Here is what they share: colours, axes and the atomic write.
Figures are made with Matplotlib's objects alone, so pyplot's state and the user's rcParams stay untouched.
"""

import io
import os
import pathlib
import secrets

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from tfvae.errors import StorageError

INK, MUTED, RULE, PAPER = "#1f2328", "#656d76", "#e4e7eb", "#ffffff"
BLUE, LIGHT_BLUE = "#0b5c96", "#6db3e2"  # training and validation: one colour family
ACCENT = "#d55e00"  # GECO, and whatever the reader should see first
# Okabe and Ito's colours without yellow (unreadable as a line on white); told apart with any colour vision.
COLOURS = ("#0072b2", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c510a")
# Paul Tol's "muted" scheme and a grey: ten classes.
CLASSES = ("#332288", "#88ccee", "#44aa99", "#117733", "#999933",
           "#ddcc77", "#cc6677", "#882255", "#aa4499", "#777777")  # fmt: skip
DPI = 140
MAX_BYTES = 300_000  # of a figure: reports embed many
WIDTH = 10.0  # inches: 1400 pixels
SMALL, NORMAL, LARGE = 8, 9, 10.5  # points


def replace_file(path, data):
    """Write `data` (bytes) to `path`; whatever happens, the file is the old one or the new one, never half.

    Returns:
        pathlib.Path of the file.

    Raises:
        StorageError: the folder or the file cannot be written.
    """
    path = pathlib.Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            beside.write_bytes(data)
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        reason = error.strerror or error
        message = f"Expected {path} to be writable. Received: {reason}. Choose another path."
        raise StorageError(message) from error
    return path


def new_figure(rows, columns, height, *, width=WIDTH, **subplots):
    """A white figure of `width` x `height` inches and its axes as an array [rows, columns]."""
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER, layout="constrained")
    FigureCanvasAgg(figure)
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08, wspace=0.04, hspace=0.06)
    return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def dress(ax, title="", x="", y=""):
    """The common look of axes: left-aligned title, light grid, no frame on top and right.

    Titles and labels are shown as they are: a dollar sign in a run's name does not start mathematics.
    """
    ax.set_title(title, loc="left", fontsize=LARGE, color=INK, pad=8, parse_math=False)
    ax.set_xlabel(x, fontsize=NORMAL, color=MUTED, parse_math=False)
    ax.set_ylabel(y, fontsize=NORMAL, color=MUTED, parse_math=False)
    ax.tick_params(which="both", labelsize=SMALL, colors=MUTED, length=0)
    ax.grid(True, color=RULE, linewidth=0.8)
    ax.set_axisbelow(True)
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color("#b8bec6")


def headline(figure, title):
    """A left-aligned title over all panels; nothing for an empty one."""
    if title:
        figure.suptitle(title, x=0.012, ha="left", fontsize=12, color=INK, parse_math=False)


def spread(heights, gap):
    """Move `heights` [N] as little as possible (least squares) so that all are at least `gap` apart.

    With t = sorted heights - gap * rank the condition is "t does not fall": isotonic regression, solved by
    pooling adjacent violators.
    """
    heights = np.asarray(heights, np.float64)
    order = np.argsort(heights, kind="stable")
    ranks = gap * np.arange(len(heights))
    pools = []  # [mean, size]
    for mean in heights[order] - ranks:
        pools.append([mean, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, n), (b, m) = pools[-2:]
            pools[-2:] = [[(a * n + b * m) / (n + m), n + m]]
    moved = np.empty(len(heights))
    moved[order] = np.repeat([mean for mean, _ in pools], [size for _, size in pools]) + ranks
    return moved


def end_labels(ax, labels, gap=0.075):
    """Name curves at the right edge, at the height where they end, pushed apart where they would overlap.

    Args:
        labels: list of (last y in data units, text, colour); call it after all limits are set.
        gap: least distance, as a share of the axes' height.
    """
    if not labels:
        return
    ends = np.array([(ax.get_xlim()[1], y) for y, _, _ in labels])
    shares = ax.transAxes.inverted().transform(ax.transData.transform(ends))[:, 1]
    heights = spread(np.clip(shares, 0, 1), gap)
    heights -= max(0.0, heights.max() - 1.0)
    for height, (_, text, colour) in zip(heights, labels):
        ax.text(1.015, height, text, color=colour, fontsize=SMALL, va="center", transform=ax.transAxes,
                parse_math=False)  # fmt: skip


def save_figure(figure, path):
    """Draw the figure and put it at `path` as a PNG, atomically; a large one with 256 colours."""
    figure.canvas.draw()
    picture = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    data = png_bytes(picture)
    if len(data) > MAX_BYTES:
        data = png_bytes(picture.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE))
    return replace_file(path, data)


def png_bytes(picture):
    """A Pillow image as the bytes of a PNG file."""
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
