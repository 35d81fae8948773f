"""Pictures of the latent space: rows are dimensions, titles count active units."""

import numpy as np
import pytest
from picture_data import read_pixels

from tfvae.errors import UsageError
from tfvae.plots import latent_figures


def test_traversal_rows_are_dimensions_and_columns_are_values(tmp_path):
    values = (40 * np.arange(3)[:, None] + 10 * np.arange(4)).astype(np.uint8)  # [D, S]
    images = np.broadcast_to(values[:, :, None, None, None], (3, 4, 28, 28, 1))
    for write in (
        lambda p: latent_figures.draw_traversals(images, p, names=[7, 2, 5], values=[-3, -1, 1, 3], kl=[2.0, 1.0, 0.1]),
        lambda p: latent_figures.draw_interpolations(images, p),
    ):
        found = read_pixels(write(tmp_path / "t.png"))[-(3 * 86 + 2) :, -(4 * 86 + 2) :]
        centres = found[2 + 42 :: 86, 2 + 42 :: 86]
        np.testing.assert_array_equal(centres, values)


def test_manifold_tiles_touch(tmp_path):
    values = np.arange(9, dtype=np.uint8).reshape(3, 3) * 20
    found = read_pixels(
        latent_figures.draw_manifold(
            np.kron(values, np.ones((1, 1))).reshape(3, 3, 1, 1, 1).astype(np.uint8).repeat(28, 2).repeat(28, 3),
            tmp_path / "m.png",
        )
    )
    np.testing.assert_array_equal(found, np.kron(values, np.ones((84, 84), np.uint8)))


def test_latent_plots_refuse_wrong_shapes(tmp_path):
    with pytest.raises(UsageError, match=r"\[D,S,H,W,C\]"):
        latent_figures.draw_traversals(np.zeros((3, 4, 4, 1)), tmp_path / "t.png")
    with pytest.raises(UsageError, match="one KL"):
        latent_figures.draw_traversals(np.zeros((3, 2, 4, 4, 1)), tmp_path / "t.png", kl=[1.0])
    for kl in ([], [np.nan, 1.0], [[1.0]]):
        with pytest.raises(UsageError, match="finite KLs"):
            latent_figures.draw_kl_per_dimension(np.array(kl), tmp_path / "k.png")


def test_kl_title_counts_active_units(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(latent_figures, "style_axes", lambda ax, title, x, y: titles.append(title))
    latent_figures.draw_kl_per_dimension([0.5, 0.01, 0.02, 0.0, 3.0], tmp_path / "k.png")
    latent_figures.draw_kl_per_dimension(np.r_[np.zeros(197), 1.0, 2.0, 3.0], tmp_path / "k.png")
    assert titles[0] == "3 of 5 latent dimensions are active (KL > 0.01 nats); 3.5 nats in all"
    assert titles[1].startswith("3 of 200 ")
