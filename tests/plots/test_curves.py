"""Curves: gaps, missing columns, and since when constraints are met."""

import numpy as np
import pytest
from picture_data import make_metric_rows, read_pixels

from tfvae.errors import UsageError
from tfvae.plots import curves, style


@pytest.mark.parametrize("validation", [True, False])
def test_curves_with_and_without_validation(tmp_path, validation):
    rows = make_metric_rows(validation=validation)
    constraint = {"text": "re<=4", "target": 16.0, "metric": "sq_err"}
    for path in (
        curves.draw_training_curves(rows, tmp_path / "a.png", "a $run$ name"),
        curves.draw_geco_trace(rows, tmp_path / "b.png", [constraint]),
        curves.draw_geco_trace(rows, tmp_path / "c.png"),
        curves.draw_compared_curves(
            {"$one$": rows, "two": rows[:5]}, "rate", tmp_path / "d.png", True, {"published": 12.0}
        ),
    ):
        assert read_pixels(path).shape[1] == 1400
        assert path.stat().st_size <= style.MAX_BYTES


def test_validation_changes_the_picture(tmp_path):
    with_val = curves.draw_training_curves(make_metric_rows(), tmp_path / "a.png").read_bytes()
    assert with_val != curves.draw_training_curves(make_metric_rows(validation=False), tmp_path / "b.png").read_bytes()


def test_several_constraints_read_their_own_columns(tmp_path):
    both = [{"text": "re<=4", "target": 16.0}, {"text": "kl<=20", "target": 20.0}]
    curves.draw_geco_trace(make_metric_rows(constraints=2), tmp_path / "g.png", both)
    with pytest.raises(UsageError, match="'(lambda|constraint|constraint_ma)_2'.*Received columns: constraint, "):
        curves.draw_geco_trace(make_metric_rows(constraints=1), tmp_path / "h.png", both)


@pytest.mark.parametrize("name", ["epoch", "elbo", "rate", "distortion", "sq_err"])
def test_a_missing_column_is_named(tmp_path, name):
    rows = [{key: value for key, value in row.items() if key != name} for row in make_metric_rows()]
    with pytest.raises(UsageError, match=f"Expected a column '{name}'.*Received columns: "):
        curves.draw_training_curves(rows, tmp_path / "a.png")
    assert not any(tmp_path.iterdir())


def test_no_rows_and_no_runs_are_refused(tmp_path):
    for call in (
        lambda: curves.draw_training_curves([], tmp_path / "a.png"),
        lambda: curves.draw_compared_curves({}, "rate", tmp_path / "a.png"),
        lambda: curves.draw_compared_curves({"a": make_metric_rows()}, "fid", tmp_path / "a.png"),
    ):
        with pytest.raises(UsageError, match="Expected"):
            call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, ""])
def test_what_is_not_finite_does_not_stop_the_curves(tmp_path, bad):
    """Also all of it: a run that diverged in its first epoch still gets its report."""
    names = ("elbo", "rate", "val_rate", "lambda", "constraint", "constraint_ma")
    for where in ([3, 5], range(12)):
        rows = make_metric_rows()
        for n in where:
            rows[n] |= dict.fromkeys(names, bad)
        curves.draw_training_curves(rows, tmp_path / "a.png")
        curves.draw_geco_trace(rows, tmp_path / "b.png", [{"text": "re<=4", "target": 16.0}])
        curves.draw_compared_curves({"a": rows}, "rate", tmp_path / "c.png", log=True)


def test_gaps_and_lone_points(tmp_path):
    figure, axes = style.create_figure(1, 1, 3)
    values = np.array([1.0, 2, np.inf, 4, np.nan, 6, 7])
    drawn = curves._draw_line(axes[0, 0], np.arange(7.0), values, color="#000000")
    np.testing.assert_array_equal(np.isnan(drawn), [0, 0, 1, 0, 1, 0, 0])
    line, dots = axes[0, 0].lines
    np.testing.assert_array_equal(dots.get_xdata(), [3])
    np.testing.assert_array_equal(line.get_ydata(), drawn)


@pytest.mark.parametrize(
    "averages, since",
    [
        ([5, 1, 0.16, -1, 0.1], 3),
        ([5, -1, 0.17, -1, 0.1], 4),
        ([-1, -1, 0, 0, 0], 1),
        ([-1, -1, -1, -1, 0.2], None),
        ([-1, np.nan, -1, -1, -1], 3),
    ],
)
def test_met_since_is_the_start_of_the_last_unbroken_stretch(averages, since):
    """1 % of 16 is 0.16: an average up to there counts as met, 0.17 does not."""
    rows = [{"epoch": e + 1, "constraint": value} for e, value in enumerate(averages)]
    assert curves.find_met_epoch(rows, [16.0]) == since


def test_all_constraints_must_be_met_at_once():
    rows = [{"epoch": e, "constraint": 3 - e, "constraint_2": 5 - e} for e in range(8)]
    assert curves.find_met_epoch(rows, [1e-9, 1e-9]) == 5
