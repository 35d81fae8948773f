"""Grids: pixels are what was given, rows are in order."""

import numpy as np
import pytest
from picture_data import GREYS, find_corner, make_tiles, read_pixels

from tfvae.errors import UsageError
from tfvae.plots import grids


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_shows_the_exact_grey_levels_given(tmp_path, channels):
    """No tile is stretched to its own minimum and maximum: constant tiles keep their value everywhere."""
    path = grids.draw_image_grid(make_tiles(GREYS, channels), tmp_path / "g.png", columns=3, scale=5)
    found = read_pixels(path)
    assert found.shape[:2] == (2 + 2 * (20 + 2), 2 + 3 * (30 + 2))
    assert found.ndim == (2 if channels == 1 else 3)
    for n, grey in enumerate(GREYS):
        top, left = find_corner(n // 3, n % 3, (20, 30))
        np.testing.assert_array_equal(found[top : top + 20, left : left + 30], grey)


def test_grid_is_the_same_map_for_a_dim_and_a_bright_image(tmp_path):
    ramp = np.linspace(0.1, 0.8, 24).reshape(1, 4, 6, 1)  # neither black nor white anywhere
    found = read_pixels(grids.draw_image_grid(np.concatenate([ramp, ramp / 4]), tmp_path / "g.png", columns=2, scale=1))
    expected = np.round(np.concatenate([ramp, ramp / 4]) * 255).astype(np.uint8)[..., 0]
    for n in (0, 1):
        top, left = find_corner(0, n, (4, 6))
        np.testing.assert_array_equal(found[top : top + 4, left : left + 6], expected[n])


def test_float_and_uint8_agree_for_every_level(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    for dtype in (np.float16, np.float32, np.float64):  # float16 holds k/255 to within 0.07 of a level
        np.testing.assert_array_equal(grids.to_uint8((levels / 255).astype(dtype)), levels)
    one = grids.draw_image_grid(levels, tmp_path / "a.png")
    two = grids.draw_image_grid(levels.astype(np.float32) / np.float32(255), tmp_path / "b.png")
    assert one.read_bytes() == two.read_bytes()


def test_values_outside_the_unit_interval_saturate():
    images = np.array([-0.5, 0.0, 1.0, 7.0]).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(grids.to_uint8(images).reshape(-1), [0, 0, 255, 255])


def test_pixels_that_are_not_numbers_become_magenta():
    images = np.full((1, 2, 2, 1), 0.2)
    images[0, 1, 0] = np.nan
    found = grids.to_uint8(images)
    np.testing.assert_array_equal(found[0, 1, 0], [255, 0, 255])
    np.testing.assert_array_equal(found[0, 0, 0], [51, 51, 51])


def test_enlargement_repeats_pixels(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 3), dtype=np.uint8)
    found = read_pixels(grids.draw_image_grid(image, tmp_path / "g.png"))
    assert found.shape == (28 * 3 + 4, 28 * 3 + 4, 3)
    np.testing.assert_array_equal(found[2:-2, 2:-2], np.kron(image[0], np.ones((3, 3, 1), np.uint8)))


@pytest.mark.parametrize("side, scale", [(8, 10), (28, 3), (32, 2), (64, 1), (200, 1)])
def test_default_scale_keeps_tiles_readable(side, scale):
    assert grids.choose_scale(side, 8) == scale


def test_blank_end_of_the_last_row_is_white_and_labels_stay_outside_the_tiles(tmp_path):
    images = make_tiles(GREYS[:5], size=(28, 28))
    plain = read_pixels(grids.draw_image_grid(images, tmp_path / "a.png", columns=3, scale=1))
    assert (plain[32:, 62:] == 255).all()
    named = read_pixels(grids.draw_image_grid(images, tmp_path / "b.png", 3, 1, ["first", "second"], ["a", "b", "c"]))
    height, width = plain.shape
    np.testing.assert_array_equal(named[-height:, -width:], plain)
    assert (named[:, :-width] < 200).any() and (named[:-height] < 200).any()


def test_long_row_labels_are_wrapped_beside_the_tile(tmp_path):
    images = np.zeros((2, 28, 28, 1), np.uint8)
    label = "geco kappa=3 arch=mlp:widths=512-256,latent=32,conditioning=film prior=mixture:components=100"
    short, long = (
        read_pixels(grids.draw_image_grid(images, tmp_path / f"{name}.png", 1, row_labels=[text, "b"]))
        for name, text in (("short", "a"), ("long", label))
    )
    assert long.shape[0] == short.shape[0] and long.shape[1] - short.shape[1] < 300  # on one line: 680 pixels


def test_pair_grid_alternates_originals_and_reconstructions(tmp_path):
    originals, reconstructions = make_tiles(GREYS[:5], size=(28, 28)), make_tiles(GREYS[:5] // 2, size=(28, 28))
    found = read_pixels(grids.draw_pair_grid(originals, reconstructions, tmp_path / "p.png", columns=3))
    found = found[:, -(3 * 86 + 2) :]
    for n in range(5):
        block, column = divmod(n, 3)
        top, left = find_corner(2 * block, column, (84, 84))
        top += 10 * block
        assert found[top + 42, left + 42] == GREYS[n]
        assert found[top + 86 + 42, left + 42] == GREYS[n] // 2
    top, left = find_corner(2, 2, (84, 84))
    assert (found[top + 14 :, left + 2 :] == 255).all()  # no sixth pair


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((3, 1, 2, 1)),
        np.zeros((3, 4, 4)),
        np.zeros((3, 4, 4, 2)),
        np.zeros((0, 4, 4, 1)),
        np.zeros((3, 4, 4, 1), np.int64),
    ],
)
def test_what_is_not_an_image_is_refused(tmp_path, images):
    with pytest.raises(UsageError, match="Expected .* Received"):
        grids.draw_image_grid(images, tmp_path / "g.png")
    assert not any(tmp_path.iterdir())


def test_wrong_counts_are_refused(tmp_path):
    images = make_tiles(GREYS)
    for options in ({"columns": 0}, {"scale": 0}, {"columns": 3, "row_labels": ["one"]}, {"columns": 2.5}):
        with pytest.raises(UsageError, match="Expected"):
            grids.draw_image_grid(images, tmp_path / "g.png", **options)
    with pytest.raises(UsageError, match="like the originals"):
        grids.draw_pair_grid(images, images[:2], tmp_path / "g.png")


def test_is_points():
    assert grids.is_points((1, 2, 1)) and not grids.is_points((28, 28, 1)) and not grids.is_points((2, 1, 1))
