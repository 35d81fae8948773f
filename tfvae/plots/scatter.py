"""Scatter plots of two-dimensional toy data and of codes in the plane."""

from __future__ import annotations

import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from tfvae.errors import UsageError
from tfvae.plots.style import CLASSES, COLOURS, WIDTH, add_legend_below, create_figure, save_figure, style_axes
from tfvae.runtime.tables import wrap_text

MOST_COLUMNS = 5  # of panels
TITLE_LETTER, TICKS = 6.6, 30  # points: the width of a letter of a panel's title, and of the labels beside a panel

Panels = Mapping[str, tuple[Any, Any]]
Clouds = dict[str, tuple[np.ndarray, np.ndarray | None]]


def _choose_class_colours(clouds: Clouds) -> dict[Any, str]:
    """Return {label: colour} over all panels; empty without labels or with more than ten."""
    labels_by_panel = [labels for _, labels in clouds.values() if labels is not None]
    classes = np.unique(np.concatenate(labels_by_panel)) if labels_by_panel else np.zeros(0)
    order = (0, 6, 2, 5, 8) if len(classes) <= 5 else range(len(CLASSES))
    if not 0 < len(classes) <= len(CLASSES):
        return {}
    return {name: CLASSES[n] for name, n in zip(classes.tolist(), order)}


def _draw_cloud(ax: Axes, points: np.ndarray, labels: np.ndarray | None, colours: dict[Any, str]) -> None:
    """Draw points [N,2] in the colours of their labels."""
    size = float(np.clip(6000 / len(points), 2, 20))
    options: dict[str, Any] = {"s": size, "alpha": 0.75, "linewidths": 0}
    if labels is None:
        options["color"] = COLOURS[0]
    elif colours:
        options["c"] = [colours[label] for label in labels.tolist()]
    else:  # too many classes to distinguish by hue: a colour map over their order
        options |= {"c": np.unique(labels, return_inverse=True)[1], "cmap": "viridis"}
    ax.scatter(points[:, 0], points[:, 1], **options)
    ax.set_aspect("equal", adjustable="box")


def _check_clouds(panels: Panels) -> Clouds:
    """Return the panels as arrays [N,2] and [N]; refuse others."""
    clouds: Clouds = {}
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


def draw_scatter(
    path: str | pathlib.Path,
    panels: Panels,
    shared: Collection[str] = ("original", "reconstruction", "samples"),
) -> pathlib.Path:
    """Draw scatter plots, up to five side by side, with equal axes, coloured by label.

    Args:
        path: the PNG to write.
        panels: {title: (points [N,2], labels [N] or None)}; points [N,1,2,1] are accepted too.
        shared: titles of the panels that live in data space and so share one pair of limits.

    Returns:
        The path written.

    Raises:
        UsageError: shapes that do not fit, or no panel.

    Example:
        draw_scatter("points.png", {"original": (points, labels), "samples": (samples, None)})
    """
    clouds = _check_clouds(panels)
    colours = _choose_class_colours(clouds)
    columns = min(len(clouds), MOST_COLUMNS)
    rows = -(-len(clouds) // columns)
    width = min(WIDTH, 5.5 * columns)
    titles = ["\n".join(wrap_text(title, int((72 * width / columns - TICKS) / TITLE_LETTER))) for title in clouds]
    title_lines = max(title.count("\n") for title in titles)
    height = rows * (0.86 * width / columns + 0.62 + 0.18 * title_lines) + 0.3 * bool(colours)
    figure, axes = create_figure(rows, columns, height, width=width)
    for ax in axes.flat[len(clouds) :]:
        ax.set_visible(False)
    common = _find_limits([points for title, (points, _) in clouds.items() if title in shared])
    for ax, wrapped, (title, (points, labels)) in zip(axes.flat, titles, clouds.items()):
        style_axes(ax, wrapped)
        _draw_cloud(ax, points, labels, colours)
        low, high = common if title in shared else _find_limits([points])
        ax.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    if colours:
        keys = [Line2D([], [], linestyle="none", marker="o", markersize=5, color=c) for c in colours.values()]
        add_legend_below(figure, dict(zip(map(str, colours), keys)))
    return save_figure(figure, path)


def _find_limits(clouds: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the square around all finite points, with a margin: (low [2], high [2])."""
    points = np.concatenate(clouds) if clouds else np.zeros((0, 2))
    points = points[np.isfinite(points).all(axis=1)]
    if not len(points):
        return np.zeros(2), np.ones(2)
    low, high = points.min(axis=0), points.max(axis=0)
    half = 0.54 * max((high - low).max(), 1e-6)
    return (low + high) / 2 - half, (low + high) / 2 + half
