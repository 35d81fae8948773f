"""Files of pictures are whole or absent; labels are spread; nothing heavy is imported."""

import os
import subprocess
import sys

import numpy as np
import pytest
import scipy.optimize
from picture_data import GREYS, make_metric_rows, make_tiles

from tfvae.errors import StorageError
from tfvae.plots import curves, grids, style
from tfvae.reports import run_report


def test_labels_are_spread_as_little_as_possible():
    """Bounded least squares are the independent answer: sorted heights are a first one plus steps >= gap."""
    rng = np.random.default_rng(1)
    for n in (1, 2, 7):
        heights = rng.uniform(0, 1, n)
        order = np.argsort(heights)
        sums = np.tril(np.ones((n, n)))
        least = np.r_[-np.inf, np.full(n - 1, 0.1)]
        steps = scipy.optimize.lsq_linear(sums, heights[order], (least, np.inf), method="bvls", tol=1e-14).x
        spread = style.spread_heights(heights, 0.1)[order]
        np.testing.assert_allclose(spread, sums @ steps, atol=1e-9)  # an active set's solution of 7 equations
        assert (np.diff(spread) > 0.1 - 1e-12).all()


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = grids.draw_image_grid(make_tiles(GREYS), tmp_path / "g.png")
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        for write in (
            lambda: grids.draw_image_grid(make_tiles(GREYS[:2]), path),
            lambda: curves.draw_training_curves(make_metric_rows(), path),
            lambda: run_report.write_report(tmp_path, {}, {}, [], [], [], []),
        ):
            with pytest.raises(StorageError, match="No space left") as caught:
                write()
            assert caught.value.exit_code == 7
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["g.png"]
    grids.draw_image_grid(make_tiles(GREYS[:2]), path)
    assert path.read_bytes() != before and os.listdir(tmp_path) == ["g.png"]


def test_folders_are_made_and_permissions_are_ordinary(tmp_path):
    path = style.write_picture(tmp_path / "a/b/c.png", b"x")
    (tmp_path / "plain").write_bytes(b"x")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    with pytest.raises(StorageError, match="Could not write"):
        style.write_picture(tmp_path / "plain" / "below.png", b"x")


def test_same_input_same_bytes(tmp_path):
    one, two = (curves.draw_training_curves(make_metric_rows(), tmp_path / name) for name in ("a.png", "b.png"))
    assert one.read_bytes() == two.read_bytes()


def test_no_tensorflow_and_no_pyplot_are_imported():
    code = "import sys, tfvae.reports.run_report, tfvae.plots.planes, tfvae.plots.latent_figures, tfvae.plots.curves;"
    code += "sys.exit(bool({'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
