"""The information plane and the rate-distortion plane: what a model pays in KL for what it gets."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.spatial import ConvexHull

from tfvae.errors import UsageError
from tfvae.plots.style import (
    ACCENT,
    COLOURS,
    INK,
    MUTED,
    SMALL,
    add_legend_below,
    add_title,
    create_figure,
    save_figure,
    style_axes,
)

MARKERS = "osDvPX<"
RATE = "rate: KL(q(z|x) || p(z)), nats per image"
DISTORTION = "distortion: -log p(x|z), nats per image"
# Offsets of a label from its marker, in typographic points, best first.
LABEL_OFFSETS = ((7, 5), (7, -11), (-7, 5), (-7, -11), (0, 10), (0, -16), (12, 14), (-12, 14))

Point = Mapping[str, Any]
Styles = dict[Any, tuple[str, str, bool]]


def _check_points(points: Sequence[Point]) -> tuple[list[Point], int]:
    """Return the points with finite coordinates, and how many others there are; refuse incomplete ones."""
    for point in points:
        missing = [key for key in ("label", "group", "x", "y") if key not in point]
        if missing:
            names = ", ".join(missing)
            raise UsageError(f"Expected points with label, group, x, y. Received one without {names}: {point!r}.")
    finite = [point for point in points if math.isfinite(point["x"]) and math.isfinite(point["y"])]
    return finite, len(points) - len(finite)


def choose_group_styles(names: Iterable[Any]) -> Styles:
    """Return {group: (colour, marker, emphasised)}: triangles for GECO, a style each for the others."""
    styles: Styles = {}
    others = 0
    for name in dict.fromkeys(names):
        if str(name).lower().startswith("geco"):
            geco = sum(emphasised for _, _, emphasised in styles.values())
            styles[name] = (ACCENT, "^*"[geco % 2], True)
        else:
            styles[name] = (COLOURS[others % len(COLOURS)], MARKERS[others % len(MARKERS)], False)
            others += 1
    return styles


def _sample_lines(points: Sequence[Point], marks: list[np.ndarray]) -> list[np.ndarray]:
    """Return pixels along the joining lines of all groups, which labels should avoid too."""
    pixels: list[np.ndarray] = []
    for group in {point["group"] for point in points}:
        group_marks = [mark for point, mark in zip(points, marks) if point["group"] == group]
        for a, b in zip(group_marks, group_marks[1:]):
            pixels += list(a + (b - a) * np.linspace(0, 1, 40)[:, None])
    return pixels


def _label_points(ax: Axes, points: Sequence[Point], styles: Styles) -> None:
    """Write each label beside its point, at the offset where it covers least."""
    figure: Any = ax.figure
    renderer = figure.canvas.get_renderer()
    figure.draw_without_rendering()
    marks = [ax.transData.transform((point["x"], point["y"])) for point in points]
    line_pixels = _sample_lines(points, marks)
    boxes: list[Any] = []
    for point, mark in zip(points, marks):
        best: tuple[int, Any, Any] | None = None
        for offset in LABEL_OFFSETS:
            text = _write_label(ax, point, offset, styles[point["group"]][0])
            box = text.get_window_extent(renderer)
            hits = sum(box.overlaps(other) for other in boxes)
            hits += sum(box.contains(*other) for other in marks if other is not mark)
            hits += any(box.contains(*pixel) for pixel in line_pixels)
            hits += not (ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1)
            if best is None or hits < best[0]:
                if best:
                    best[1].remove()
                best = hits, text, box
            else:
                text.remove()
            if not hits:
                break
        if best:
            boxes.append(best[2])


def _write_label(ax: Axes, point: Point, offset: tuple[int, int], colour: str) -> Any:
    """Write the label of a point at an offset and return Matplotlib's annotation."""
    align = "left" if offset[0] > 0 else "right" if offset[0] < 0 else "center"
    text = ax.annotate(
        str(point["label"]),
        (point["x"], point["y"]),
        offset,
        ha=align,
        textcoords="offset points",
        fontsize=SMALL,
        color=colour,
        parse_math=False,
    )
    text.set_in_layout(False)
    return text


def _draw_groups(ax: Axes, points: Sequence[Point], styles: Styles) -> None:
    """Draw lines through each group in the order given, then markers; GECO on top of all."""
    for name, (colour, marker, emphasised) in styles.items():
        members = [point for point in points if point["group"] == name]
        if not members:
            continue  # no legend entry for what is not drawn
        x, y = [point["x"] for point in members], [point["y"] for point in members]
        front = 4 if emphasised else 3
        ax.plot(x, y, color=colour, linewidth=1.2, alpha=0.7, zorder=front - 1)
        sizes = [point.get("size", 130 if emphasised else 42) for point in members]
        edges: dict[str, Any] = {"edgecolors": INK if emphasised else "white", "linewidths": 0.9}
        ax.scatter(x, y, s=sizes, color=colour, marker=marker, zorder=front, label=str(name), **edges)


def _add_legend(figure: Figure, axes: np.ndarray, dropped: int) -> None:
    """Add one legend below all panels, with a note on points that could not be drawn."""
    handles: dict[str, Any] = {}
    for ax in axes.flat:
        handles |= {text: handle for handle, text in zip(*ax.get_legend_handles_labels())}
    title = f"not drawn: {dropped} point(s) without finite coordinates" if dropped else ""
    add_legend_below(figure, handles, title)


def draw_information_plane(
    points: Sequence[Point] | None,
    path: str | pathlib.Path,
    x_label: str = RATE,
    y_label: str = "NLL, nats per image",
    title: str = "",
    panels: Mapping[str, Sequence[Point]] | None = None,
) -> pathlib.Path:
    """Draw models as points in the plane of KL and NLL (or distortion); each group's points are joined in order.

    Args:
        points: dicts {label, group, x, y} and optionally size (marker area, points^2), in sweep order.
        path: the PNG to write.
        x_label: label of the horizontal axis.
        y_label: label of the vertical axis.
        title: text over all panels.
        panels: {title: points}, e.g. one panel for each kappa with common axes; then `points` must be None.

    Returns:
        The path written.

    Raises:
        UsageError: points and panels both or neither given, or a point lacks a key.

    Example:
        draw_information_plane([{"label": "3", "group": "GECO", "x": 12.0, "y": 228.0}], "plane.png")
    """
    if (points is None) == (not panels):
        raise UsageError("Expected either points or panels. Received: both or neither.")
    panels = {"": points} if points is not None else dict(panels or {})
    checked = {name: _check_points(members) for name, members in panels.items()}
    styles = choose_group_styles(point["group"] for members in panels.values() for point in members)
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure, axes = create_figure(rows, columns, (5.6 if columns == 1 else 4.2) * rows, sharex=True, sharey=True)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for n, (ax, (name, (members, _))) in enumerate(zip(axes.flat, checked.items())):
        style_axes(ax, name, x_label if n + columns >= len(panels) else "", y_label if n % columns == 0 else "")
        _draw_groups(ax, members, styles)
        ax.margins(0.14)
    add_title(figure, title)
    _add_legend(figure, axes, sum(dropped for _, dropped in checked.values()))
    for ax, (members, _) in zip(axes.flat, checked.values()):
        _label_points(ax, members, styles)
    return save_figure(figure, path)


def find_lower_hull(points: np.ndarray) -> list[int]:
    """Return the indices of the lower convex hull of points, from left to right.

    Args:
        points: [N,2], finite. Of points with the same x the lowest counts, of equal ones the first.

    Raises:
        UsageError: not [N,2], or not finite.

    Example:
        find_lower_hull([[0, 0], [1, 2], [2, 0]])  # [0, 2]
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise UsageError(f"Expected finite points [N,2]. Received shape: {points.shape}.")
    order = np.lexsort((points[:, 1], points[:, 0]))
    lowest = order[np.unique(points[order, 0], return_index=True)[1]]
    if len(lowest) < 3:
        return lowest.tolist()
    x, y = points[lowest].T
    # two points high above the ends make the lower hull all that is left, also of points on a line
    roof = np.full(2, y.max() + (np.ptp(y) or 1.0))
    hull = ConvexHull(np.stack([np.r_[x, x[[0, -1]]], np.r_[y, roof]], axis=1)).vertices
    return lowest[np.sort(hull[hull < len(lowest)])].tolist()


def find_frontier(points: np.ndarray) -> list[int]:
    """Return the falling part of the lower hull: indices of models that no mixture of others beats on both axes.

    Args:
        points: [N,2], finite: what is to be low on either axis.
    """
    hull = find_lower_hull(points)
    heights = [points[n][1] for n in hull]
    return hull[: int(np.argmin(heights)) + 1] if hull else []


def draw_rate_distortion(
    points: Sequence[Point], path: str | pathlib.Path, title: str = "", y_label: str = DISTORTION
) -> pathlib.Path:
    """Draw models in the rate-distortion plane (Alemi et al., 2018), with the lower convex hull.

    The dashed line of slope -1 joins all models with the best ELBO among them: ELBO = -(rate + distortion).

    Args:
        points: dicts {label, group, x (rate, nats), y (distortion, nats)}, in sweep order.
        path: the PNG to write.
        title: text over the axes; default: "Rate and distortion".
        y_label: label of the vertical axis.

    Returns:
        The path written.

    Raises:
        UsageError: a point lacks a key.

    Example:
        draw_rate_distortion([{"label": "1", "group": "beta", "x": 12.0, "y": 228.0}], "plane.png")
    """
    finite, dropped = _check_points(points)
    styles = choose_group_styles(point["group"] for point in points)
    figure, axes = create_figure(1, 1, 5.8)
    ax = axes[0, 0]
    style_axes(ax, title or "Rate and distortion", RATE, y_label)
    positions = np.array([(point["x"], point["y"]) for point in finite]).reshape(-1, 2)
    ax.plot(*positions[find_frontier(positions)].T, color=INK, linewidth=7, alpha=0.1, label="lower convex hull")
    _draw_groups(ax, finite, styles)
    ax.margins(0.1)
    if len(positions):
        best = positions.sum(axis=1).min()
        ax.autoscale_view()
        ax.autoscale(False)
        line: dict[str, Any] = {"color": MUTED, "linewidth": 1, "linestyle": (0, (4, 3)), "zorder": 1}
        ax.axline((0, best), slope=-1, label=f"best ELBO: {-best:.4g} nats", **line)
    _add_legend(figure, axes, dropped)
    _label_points(ax, finite, styles)
    return save_figure(figure, path)
