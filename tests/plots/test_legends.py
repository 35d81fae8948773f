"""Legends and labels: they cover no curve, nothing of them is cut off, and one number is the same in text and plot."""

import types

import numpy as np
import pytest
from picture_data import make_metric_rows

from tfvae.objectives.geco import constraint_status
from tfvae.plots import curves, planes, scatter

LONG = "arch=mlp:widths=512-256,latent=32,conditioning=film prior=mixture:components=100"
CLASSES = np.array(["T-shirt/top", "ankle boot", "a very long name of a class", "bag", "coat"])


@pytest.fixture
def drawn(monkeypatch):
    """The figures that are drawn from here on, laid out."""
    figures = []

    def keep(figure, path):
        figure.draw_without_rendering()
        figures.append(figure)
        return path

    for module in (curves, planes, scatter):
        monkeypatch.setattr(module, "save_figure", keep)
    return figures


def draw_many_groups():
    points = [
        {"label": str(n), "group": f"{name} {LONG} seed={n}", "x": 10.0 + n, "y": 200.0 - n}
        for n, name in enumerate(["geco", *["beta"] * 5, "iwae"])
    ]
    return planes.draw_rate_distortion(points, "p.png")


def draw_rising_constraint():
    """The curve ends in the upper right corner, where the legend used to be."""
    rows = [row | {"constraint": 0.5 * n - 8, "constraint_ma": 0.5 * n - 9} for n, row in enumerate(make_metric_rows())]
    return curves.draw_geco_trace(rows, "g.png", [{"text": "re<=4", "target": 16.0}])


def draw_named_classes():
    points = np.random.default_rng(0).normal(size=(50, 2))
    return scatter.draw_scatter("s.png", {"a": (points, CLASSES[np.arange(50) % 5]), "b": (points, None)})


@pytest.mark.parametrize(
    ("draw", "entries"), [(draw_many_groups, 9), (draw_rising_constraint, 3), (draw_named_classes, 5)]
)
def test_legends_cover_no_axes_and_are_not_cut_off(drawn, draw, entries):
    draw()
    (figure,) = drawn
    legends = [*figure.legends, *(ax.get_legend() for ax in figure.axes if ax.get_legend())]
    assert len(legends) == 1 and len(legends[0].get_texts()) == entries
    box = legends[0].get_window_extent()
    assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    for ax in figure.axes:
        assert ax.bbox.height > 100  # pixels: what the legend takes is not the panels'
        assert min(box.y1, ax.bbox.y1) - max(box.y0, ax.bbox.y0) <= 0.5
        title = ax.title, ax._left_title
        assert not any(text.get_text() and text.get_window_extent().overlaps(box) for text in title)


def test_many_panels_with_long_titles_stay_readable(drawn):
    points = np.random.default_rng(0).normal(size=(20, 2))
    scatter.draw_scatter("s.png", {f"geco {LONG} seed={n}": (points, None) for n in range(7)})
    axes = [ax for ax in drawn[0].axes if ax.get_visible()]
    assert len(axes) == 7 and min(ax.bbox.width for ax in axes) > 100
    titles = [ax._left_title.get_window_extent() for ax in axes]
    assert not any(a.overlaps(b) for n, a in enumerate(titles) for b in titles[:n])
    assert all(title.x1 <= drawn[0].bbox.x1 for title in titles)


def test_lines_of_one_colour_are_told_from_each_other(drawn):
    curves.draw_compared_curves({f"run {n}": make_metric_rows() for n in range(9)}, "rate", "c.png")
    ax = drawn[0].axes[0]
    names = [(text.get_color(), text.get_text().rpartition("(")[1:]) for text in ax.texts]
    assert len(set(names)) == 9


def test_one_violation_has_one_figure_in_text_and_plot(drawn):
    """The moving average and the last epoch's mean differ: both state the latter, in percent of the target."""
    rows = [row | {"constraint": 3.21, "constraint_ma": 5.0, "step": 1} for row in make_metric_rows()]
    constraint = types.SimpleNamespace(text="re<=4", scale=16.0)
    (sentence,) = constraint_status.describe_constraints(types.SimpleNamespace(constraints=[constraint]), rows)
    curves.draw_geco_trace(rows, "g.png", [{"text": "re<=4", "target": 16.0}])
    assert "(+20.06% of 16)" in sentence
    assert [text.get_text() for text in drawn[0].axes[1].texts] == ["re<=4: +20.06%"]
