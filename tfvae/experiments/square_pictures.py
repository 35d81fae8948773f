"""Boards of codes, reconstructions and samples for the recipe square."""

import numpy as np

from tfvae.plots.style import CLASSES, INK, WIDTH, create_figure, save_figure, style_axes

COLOURS = [CLASSES[n] for n in (0, 6, 2, 5)]


def draw_dots(ax, points, labels):
    """Draw points in the colours of their quadrants."""
    ax.scatter(points[:, 0], points[:, 1], s=5, linewidths=0, alpha=0.8, c=[COLOURS[n] for n in labels])


def draw_board(path, rows, columns):
    """Draw a board of panels and return the path.

    Args:
        path: the PNG to write.
        rows: {name: what the columns' functions take}.
        columns: {title: function that returns (kind, points, labels, line)}; kind "codes" or "square" sets the axes.
    """
    names, heads = list(rows), list(columns)
    figure, axes = create_figure(len(names), len(heads), (WIDTH / len(heads) + 0.05) * len(names) + 0.3)
    for r, name in enumerate(names):
        for c, head in enumerate(heads):
            ax = axes[r, c]
            style_axes(ax, head if not r else "", "", name if not c else "")
            kind, points, labels, line = columns[head](rows[name])
            draw_dots(ax, points, labels)
            if line is not None:
                ax.plot(line[:, 0], line[:, 1], color=INK, linewidth=0.8)
            limits, ticks = ((-4, 4), (-3, 0, 3)) if kind == "codes" else ((-0.1, 1.1), (0, 0.5, 1))
            ax.set(xlim=limits, ylim=limits, xticks=ticks, yticks=ticks, aspect="equal")
            ax.tick_params(labelsize=6)
    return save_figure(figure, path)


def build_codes_column(key):
    """Return a column of `draw_board`: the codes of a cell; one latent variable gets jitter as its height."""

    def read_panel(cells):
        """Return kind, points, labels and line of one panel."""
        cell = cells[key]
        codes = cell["codes"]
        if codes.shape[1] == 1:
            codes = np.hstack([codes, np.random.default_rng(2).uniform(-1, 1, codes.shape)])
        return "codes", codes, cell["labels"], None

    return read_panel


def build_square_column(key, what):
    """Return a column of `draw_board`: "reconstructions" or "samples" of a cell."""

    def read_panel(cells):
        """Return kind, points, labels and line of one panel."""
        cell = cells[key]
        labels = cell["labels"] if what == "reconstructions" else np.zeros_like(cell["labels"])
        return "square", cell[what], labels, cell["line"] if what == "reconstructions" else None

    return read_panel
