"""Planes: hulls, groups and panels."""

import numpy as np
import pytest
from picture_data import read_pixels

from tfvae.errors import UsageError
from tfvae.plots import planes


def find_hull_by_definition(points):
    """Return the points that lie below every line through one point to the left and one to the right of them."""
    order = np.argsort(points[:, 0])

    def is_vertex(n):
        x, y = points[n]
        left, right = points[points[:, 0] < x], points[points[:, 0] > x]
        if not len(left) or not len(right):
            return True
        share = (x - left[:, None, 0]) / (right[None, :, 0] - left[:, None, 0])
        return ((1 - share) * left[:, None, 1] + share * right[None, :, 1] > y).all()

    return [int(n) for n in order if is_vertex(n)]


def test_lower_hull_is_what_its_definition_says():
    rng = np.random.default_rng(2)
    for n in (1, 2, 3, 4, 10, 100):
        points = rng.normal(size=(n, 2))  # no ties, so the hull is unique
        assert planes.find_lower_hull(points) == find_hull_by_definition(points)


def test_hull_of_ties_and_lines():
    assert planes.find_lower_hull([[0, 0], [1, 1], [2, 2]]) == [0, 2]
    assert planes.find_lower_hull([[0, 3], [0, 1], [2, 5], [2, 0]]) == [1, 3]
    assert planes.find_lower_hull(np.zeros((0, 2))) == [] and planes.find_lower_hull([[1, 1]]) == [0]
    with pytest.raises(UsageError, match="finite points"):
        planes.find_lower_hull([[0, np.nan]])


def test_frontier_is_the_falling_part():
    points = [[0, 5], [1, 2], [2, 1], [3, 4], [1.5, 3]]
    assert planes.find_frontier(points) == [0, 1, 2]


def plane_points():
    sweep = [{"label": f"b={b}", "group": "beta", "x": 20 / b, "y": 230 + b} for b in (0.5, 1, 2)]
    return [*sweep, {"label": "k=$4$", "group": "GECO", "x": 12.0, "y": 228.0, "size": 90}]


def test_planes_are_drawn_in_one_or_several_panels(tmp_path):
    points = plane_points()
    broken = [*points, {"label": "lost", "group": "iwae", "x": 3.0, "y": np.nan}]
    for path in (
        planes.draw_information_plane(points, tmp_path / "a.png"),
        planes.draw_information_plane(None, tmp_path / "b.png", panels={k: points for k in "abcd"}),
        planes.draw_information_plane(broken, tmp_path / "c.png"),
        planes.draw_rate_distortion(broken, tmp_path / "d.png"),
        planes.draw_rate_distortion(broken[-1:], tmp_path / "e.png"),
    ):
        assert read_pixels(path).shape[1] == 1400
    for wrong in ((None, None), (points, {"a": points})):
        with pytest.raises(UsageError, match="either points or panels"):
            planes.draw_information_plane(wrong[0], tmp_path / "f.png", panels=wrong[1])
    with pytest.raises(UsageError, match="without y"):
        planes.draw_rate_distortion([{"label": "a", "group": "b", "x": 1.0}], tmp_path / "f.png")


def test_geco_stands_out_and_groups_differ():
    styles = planes.choose_group_styles(["beta", "geco:kappa=4", "beta", "sigma", "iwae"])
    assert [name for name, style in styles.items() if style[2]] == ["geco:kappa=4"]
    assert len({style[0] for style in styles.values()}) == len({style[1] for style in styles.values()}) == 4
