"""Splits are functions of their seeds, and so is the static binarisation."""

import numpy as np
import pytest

from tfvae import datasets
from tfvae.datasets import splits
from tfvae.errors import DataError, UsageError


@pytest.mark.parametrize("file, test", [("all.npz", 10), ("two.npz", 20)])
def test_splits_are_disjoint_complete_and_reproducible(numbered, file, test):
    spec = f"npz:{numbered}/{file}"
    held_out = []
    for seed in (0, 1):
        positions = {s: datasets.load(spec, s, validation=0.25, seed=seed)[1].tolist() for s in splits.SPLITS}
        assert positions == {s: datasets.load(spec, s, validation=0.25, seed=seed)[1].tolist() for s in splits.SPLITS}
        assert sorted(n for own in positions.values() for n in own) == list(range(100))
        assert len(positions["test"]) == test and len(positions["validation"]) == round(0.25 * (100 - test))
        held_out.append((positions["test"], positions["validation"]))
    # The test split never depends on the run's seed; the validation split does.
    assert held_out[0][0] == held_out[1][0] and held_out[0][1] != held_out[1][1]
    train, _ = datasets.load(spec, "train", validation=0)
    assert len(train) == 100 - test and len(datasets.load(spec, "validation")[0]) == 0


@pytest.mark.parametrize("split", splits.SPLITS)
def test_a_limit_takes_the_first_of_the_split(numbered, split):
    options = {"validation": 0.3, "seed": 5}
    images, labels = datasets.load(f"npz:{numbered}/all.npz", split, **options)
    few, few_labels = datasets.load(f"npz:{numbered}/all.npz", split, limit=4, **options)
    np.testing.assert_array_equal(few, images[:4])
    np.testing.assert_array_equal(few_labels, labels[:4])


def test_splits_that_cannot_be():
    with pytest.raises(DataError, match="validation"):
        splits.select_positions(1, "train", "train", validation=0.5)
    with pytest.raises(UsageError, match="validation < 1"):
        splits.select_positions(10, "train", "train", validation=1.0)
    with pytest.raises(UsageError, match="validation"):
        datasets.load("digits", "valid")
    with pytest.raises(UsageError, match="limit"):
        datasets.load("digits", limit=-1)


def test_static_binarisation_has_the_grey_level_as_its_mean(tmp_path):
    levels = np.array([0, 1, 64, 128, 200, 254, 255], np.uint8)
    n = 2000
    np.savez(tmp_path / "g.npz", x=np.broadcast_to(levels[None, :, None], (n, 7, 50)), x_test=np.zeros((1, 7, 50)))
    drawn, _ = datasets.load(f"npz:{tmp_path}/g.npz", binarize="static", seed=3)
    assert set(np.unique(drawn)) == {0, 255}
    p = levels / 255
    error = (drawn[..., 0] / 255).mean((0, 2)) - p
    # 5 standard errors for 7 levels: one false alarm in about 2.5e5 runs; 0 and 255 have none, so are exact.
    assert np.all(np.abs(error) <= 5 * np.sqrt(p * (1 - p) / (n * 50)))


def test_static_binarisation_depends_on_seed_and_image_alone(tmp_path):
    x = np.full((700, 5, 5), 128, np.uint8)
    np.savez(tmp_path / "g.npz", x=x, x_test=x, y=np.arange(700))
    spec = f"npz:{tmp_path}/g.npz"
    full, _ = datasets.load(spec, binarize="static", seed=3)
    np.testing.assert_array_equal(datasets.load(spec, binarize="static", seed=3, limit=300)[0], full[:300])
    held, labels = datasets.load(spec, "validation", validation=0.4, binarize="static", seed=3, limit=200)
    np.testing.assert_array_equal(held, full[labels])
    for other in (
        datasets.load(spec, binarize="static", seed=4)[0],
        datasets.load(spec, "test", binarize="static", seed=3)[0],
        np.roll(full, 1, 0),
        np.roll(full, 256, 0),
    ):
        # Independent fair coins agree in half of the pixels; 5 sigma, four times: a false alarm in 4e5 runs.
        assert abs((other == full).mean() - 0.5) < 5 * 0.5 / np.sqrt(full.size)


def test_dynamic_binarisation_leaves_the_bytes(numbered):
    spec = f"npz:{numbered}/all.npz"
    np.testing.assert_array_equal(datasets.load(spec, binarize="dynamic")[0], datasets.load(spec)[0])
    with pytest.raises(UsageError, match="static"):
        datasets.load("square", binarize="static")
    with pytest.raises(UsageError, match="binarize"):
        datasets.load("digits", binarize="sometimes")
