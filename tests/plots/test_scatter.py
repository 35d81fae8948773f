"""Scatter plots: both shapes of points, one colour a class."""

import numpy as np
import pytest
from picture_data import read_pixels

from tfvae.errors import UsageError
from tfvae.plots import scatter


def test_points_scatter_accepts_both_shapes_and_refuses_misfits(tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 2))
    points[3] = np.nan
    labels = np.arange(50) % 4
    flat = scatter.draw_scatter(tmp_path / "a.png", {"original": (points, labels), "latent": (points, None)})
    deep = {"original": (points.reshape(50, 1, 2, 1), labels), "latent": (points, None)}
    assert flat.read_bytes() == scatter.draw_scatter(tmp_path / "b.png", deep).read_bytes()
    assert read_pixels(flat).shape[1] == 1400
    scatter.draw_scatter(tmp_path / "many.png", {"codes": (points, np.arange(50))})
    for panels in ({}, {"a": (points[:, :1], None)}, {"a": (points, labels[:3])}):
        with pytest.raises(UsageError, match="Expected"):
            scatter.draw_scatter(tmp_path / "c.png", panels)


def test_points_of_one_class_share_one_colour_in_all_panels():
    clouds = {"a": (None, np.array([2, 0])), "b": (None, np.array([1, 2])), "c": (None, None)}
    colours = scatter._choose_class_colours(clouds)
    assert list(colours) == [0, 1, 2] and len(set(colours.values())) == 3
    assert scatter._choose_class_colours({"a": (None, np.arange(11))}) == {}
