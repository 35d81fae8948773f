"""The data sets that tfvae makes itself, and ground-truth factors."""

import time

import numpy as np
import pytest
from dataset_files import load_all_images
from scipy import stats

from tfvae import datasets
from tfvae.errors import UsageError


def test_digits_are_scikit_learns():
    from sklearn.datasets import load_digits

    images, labels = load_all_images("digits")
    levels = np.rint(images[..., 0] * (16 / 255))
    wanted = load_digits()

    def rows(x, y):
        return sorted(zip(x.reshape(len(x), -1).astype(int).tolist(), y.tolist()))

    assert rows(levels, labels) == rows(wanted.images, wanted.target)
    # 16 steps: every byte is the nearest to v * 255 / 16.
    assert np.abs(images[..., 0] - levels * 255 / 16).max() <= 0.5


def test_square_is_uniform_and_labels_are_quadrants():
    x, labels = load_all_images("square")
    assert x.shape == (10000, 1, 2, 1) and x.dtype == np.float32
    points = x.reshape(-1, 2)
    for axis in points.T:
        # The seed is fixed, so this either always fails or never; a new one would fail once in 1e4.
        assert stats.kstest(axis, "uniform").pvalue > 1e-4
    quadrant = [int(a >= 0.5) + 2 * int(b >= 0.5) for a, b in points]
    assert labels.tolist() == quadrant
    assert abs(stats.pearsonr(*points.T).statistic) < 5 / np.sqrt(len(points))


@pytest.mark.parametrize("modes", [1, 5, 8])
def test_gaussians_have_the_stated_means_and_spread(modes):
    x, labels = load_all_images(f"gaussians:modes={modes},sigma=0.04,images=4000")
    assert x.dtype == np.float32 and x.min() >= 0 and x.max() <= 1 and set(labels) == set(range(modes))
    for j in range(modes):
        own = x[labels == j].reshape(-1, 2)
        centre = 0.5 + 0.3 * np.array([np.cos(2 * np.pi * j / modes), np.sin(2 * np.pi * j / modes)])
        # 5 standard errors of 16 means and as many spreads at most: one false alarm in 5e4 seeds.
        assert np.all(np.abs(own.mean(0) - centre) < 5 * 0.04 / np.sqrt(len(own)))
        assert np.all(np.abs(own.std(0) / 0.04 - 1) < 5 / np.sqrt(2 * len(own)))


def test_sprites_show_their_factors():
    start = time.perf_counter()
    images, labels = load_all_images("sprites")
    assert time.perf_counter() - start < 5
    truth = datasets.factors("sprites")
    assert images.shape == (9216, 32, 32, 1) and sorted(labels) == list(range(9216))
    assert truth.values.shape == (9216, 5) and tuple(truth.values.max(0) + 1) == truth.sizes
    # No two labels share a picture.
    assert len({image.tobytes() for image in images}) == 9216
    full = np.empty_like(images)
    full[labels] = images
    full = full.reshape(*truth.sizes, 32, 32).astype(np.float64)
    # Nothing is cut off: the mass does not change with the place, and grows with the scale.
    mass = full.sum((-2, -1))
    assert np.all(mass == mass[..., :1, :1])
    assert np.all(np.diff(mass[:, :, :, 0, 0], axis=1) > 0)
    # x moves the centre of mass to the right by one step each, y down, and neither moves the other.
    column = (full.sum(-2) * np.arange(32)).sum(-1) / mass
    row = (full.sum(-1) * np.arange(32)).sum(-1) / mass
    steps = np.diff(np.rint(np.linspace(8, 24, 8)))
    np.testing.assert_allclose(np.diff(column, axis=3), np.broadcast_to(steps[:, None], (3, 4, 12, 7, 8)), atol=1e-9)
    np.testing.assert_allclose(np.diff(row, axis=4), np.broadcast_to(steps, (3, 4, 12, 8, 7)), atol=1e-9)
    # A quarter turn is three orientations on; the picture grid is symmetric under it. Sub-pixels on an edge
    # may fall to either side, so a few of the 64 in a pixel may differ: 4 grey levels each.
    quarter = np.rot90(full[:, :, 0, 0, 0, :16, :16], 1, (-2, -1))
    assert np.abs(quarter - full[:, :, 3, 0, 0, :16, :16]).max() <= 48


def test_factors_of_other_sets():
    assert np.prod(datasets.factors("dsprites").sizes) == 737280
    assert np.prod(datasets.factors("shapes3d:size=32").sizes) == 480000
    with pytest.raises(UsageError, match="factors"):
        datasets.factors("mnist")
