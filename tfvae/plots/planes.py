"""The information plane and the rate-distortion plane: what a model pays in KL for what it gets."""

import math

import numpy as np

from tfvae.errors import UsageError
from tfvae.plots.style import ACCENT, COLOURS, INK, MUTED, SMALL, dress, headline, new_figure, save_figure

MARKERS = "osDvPX<"
RATE = "rate: KL(q(z|x) || p(z)), nats per image"
DISTORTION = "distortion: -log p(x|z), nats per image"
# Offsets of a label from its marker, in typographic points, best first.
PLACES = ((7, 5), (7, -11), (-7, 5), (-7, -11), (0, 10), (0, -16), (12, 14), (-12, 14))


def _check(points):
    for point in points:
        missing = [key for key in ("label", "group", "x", "y") if key not in point]
        if missing:
            raise UsageError(f"Expected points with label, group, x, y. Received one without "
                             f"{', '.join(missing)}: {point!r}.")  # fmt: skip
    finite = [p for p in points if math.isfinite(p["x"]) and math.isfinite(p["y"])]
    return finite, len(points) - len(finite)


def group_styles(names):
    """{group: (colour, marker, emphasised)}: triangles for GECO, a style each for others."""
    styles, others = {}, 0
    for name in dict.fromkeys(names):
        if str(name).lower().startswith("geco"):
            geco = sum(emphasised for _, _, emphasised in styles.values())
            styles[name] = (ACCENT, "^*"[geco % 2], True)
        else:
            styles[name] = (COLOURS[others % len(COLOURS)], MARKERS[others % len(MARKERS)], False)
            others += 1
    return styles


def _line_dots(points, marks):
    """Pixels along the joining lines of all groups, which labels should avoid too."""
    dots = []
    for group in {point["group"] for point in points}:
        mine = [mark for point, mark in zip(points, marks) if point["group"] == group]
        for a, b in zip(mine, mine[1:]):
            dots += list(a + (b - a) * np.linspace(0, 1, 40)[:, None])
    return dots


def _name_points(ax, points, colours):
    """Write each label beside its point, at the first of a few places where it covers nothing."""
    renderer = ax.figure.canvas.get_renderer()
    ax.figure.draw_without_rendering()
    marks = [ax.transData.transform((point["x"], point["y"])) for point in points]
    dots = _line_dots(points, marks)
    taken = []
    for point, mark in zip(points, marks):
        best = None
        for dx, dy in PLACES:
            align = "left" if dx > 0 else "right" if dx < 0 else "center"
            text = ax.annotate(str(point["label"]), (point["x"], point["y"]), (dx, dy), ha=align,
                               textcoords="offset points", fontsize=SMALL, color=colours[point["group"]],
                               parse_math=False)  # fmt: skip
            text.set_in_layout(False)
            box = text.get_window_extent(renderer)
            hits = sum(box.overlaps(other) for other in taken)
            hits += sum(box.contains(*other) for other in marks if other is not mark)
            hits += any(box.contains(*dot) for dot in dots)
            hits += not (ax.bbox.x0 <= box.x0 and box.x1 <= ax.bbox.x1)
            if best is None or hits < best[0]:
                if best:
                    best[1].remove()
                best = hits, text, box
            else:
                text.remove()
            if not hits:
                break
        taken.append(best[2])


def _draw_groups(ax, points, styles):
    """Lines through each group in the order given, then markers; GECO on top of all."""
    for name, (colour, marker, emphasised) in styles.items():
        mine = [point for point in points if point["group"] == name]
        if not mine:
            continue  # no legend entry for what is not there
        x, y = [p["x"] for p in mine], [p["y"] for p in mine]
        front = 4 if emphasised else 3
        ax.plot(x, y, color=colour, linewidth=1.2, alpha=0.7, zorder=front - 1)
        sizes = [point.get("size", 130 if emphasised else 42) for point in mine]
        ax.scatter(x, y, s=sizes, color=colour, marker=marker, zorder=front, label=str(name),
                   edgecolors=INK if emphasised else "white", linewidths=0.9)  # fmt: skip


def _legend(figure, axes, dropped):
    """One legend below all panels, with a note on points that could not be drawn."""
    handles = {}
    for ax in axes.flat:
        handles |= {text: handle for handle, text in zip(*ax.get_legend_handles_labels())}
    title = f"not drawn: {dropped} point(s) without finite coordinates" if dropped else None
    legend = figure.legend(list(handles.values()), list(handles), loc="outside lower left", fontsize=SMALL,
                           ncols=min(max(len(handles), 1), 6), frameon=False, labelcolor=INK, title=title,
                           alignment="left")  # fmt: skip
    legend.get_title().set(fontsize=SMALL, color=MUTED)
    for text in legend.get_texts():
        text.set_parse_math(False)


def information_plane(points, path, x_label=RATE, y_label="NLL, nats per image", title="", panels=None):
    """Models as points in the plane of KL and NLL (or distortion); each group's points are joined in order.

    Args:
        points: dicts {label, group, x, y} and optionally size (marker area, points^2), in sweep order.
        path: the PNG to write.
        panels: {title: points}, e.g. one panel for each kappa with common axes; then `points` must be None.

    Returns:
        The path written.

    Raises:
        UsageError: points and panels both or neither given, or a point lacks a key.
    """
    if (points is None) == (not panels):
        raise UsageError("Expected either points or panels. Received: both or neither.")
    panels = {"": points} if points is not None else panels
    checked = {name: _check(mine) for name, mine in panels.items()}
    styles = group_styles(point["group"] for mine in panels.values() for point in mine)
    columns = min(len(panels), 3)
    rows = -(-len(panels) // columns)
    figure, axes = new_figure(rows, columns, (5.6 if columns == 1 else 4.2) * rows, sharex=True, sharey=True)
    for ax in axes.flat[len(panels) :]:
        ax.set_visible(False)
    for n, (ax, (name, (mine, _))) in enumerate(zip(axes.flat, checked.items())):
        dress(ax, name, x_label if n + columns >= len(panels) else "", y_label if n % columns == 0 else "")
        _draw_groups(ax, mine, styles)
        ax.margins(0.14)
    headline(figure, title)
    _legend(figure, axes, sum(dropped for _, dropped in checked.values()))
    colours = {name: style[0] for name, style in styles.items()}
    for ax, (mine, _) in zip(axes.flat, checked.values()):
        _name_points(ax, mine, colours)
    return save_figure(figure, path)


def lower_hull(points):
    """Indices of the lower convex hull of points [N,2], from left to right (Andrew's monotone chain).

    Raises:
        UsageError: not [N,2], or not finite.
    """
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all():
        raise UsageError(f"Expected finite points [N,2]. Received shape: {points.shape}.")
    hull = []
    for n in np.lexsort((points[:, 1], points[:, 0])):
        if hull and points[hull[-1], 0] == points[n, 0]:
            continue  # the same x, not lower
        while len(hull) > 1:
            (ax, ay), (bx, by) = points[hull[-2]], points[hull[-1]]
            if (bx - ax) * (points[n, 1] - ay) > (by - ay) * (points[n, 0] - ax):
                break
            hull.pop()
        hull.append(int(n))
    return hull


def frontier(points):
    """The falling part of the lower hull: indices of models that no mixture of others beats on both axes."""
    hull = lower_hull(points)
    heights = [points[n][1] for n in hull]
    return hull[: int(np.argmin(heights)) + 1] if hull else []


def rate_distortion(points, path, title="", y_label=DISTORTION):
    """Models in the rate-distortion plane (Alemi et al., Fixing a Broken ELBO), with the lower convex hull.

    The dashed line of slope -1 joins all models with the best ELBO found: ELBO = -(rate + distortion).

    Args:
        points: dicts {label, group, x (rate, nats), y (distortion, nats)}, in sweep order.
        path: the PNG to write.

    Returns:
        The path written.

    Raises:
        UsageError: a point lacks a key.
    """
    finite, dropped = _check(points)
    styles = group_styles(point["group"] for point in points)
    figure, axes = new_figure(1, 1, 5.8)
    ax = axes[0, 0]
    dress(ax, title or "Rate and distortion", RATE, y_label)
    places = np.array([(point["x"], point["y"]) for point in finite]).reshape(-1, 2)
    edge = frontier(places)
    ax.plot(*places[edge].T, color=INK, linewidth=7, alpha=0.1, label="lower convex hull")
    _draw_groups(ax, finite, styles)
    ax.margins(0.1)
    if len(places):
        best = places.sum(axis=1).min()
        ax.autoscale_view()
        ax.autoscale(False)
        ax.axline((0, best), slope=-1, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1,
                  label=f"best ELBO: {-best:.4g} nats")  # fmt: skip
    _legend(figure, axes, dropped)
    _name_points(ax, finite, {name: style[0] for name, style in styles.items()})
    return save_figure(figure, path)
