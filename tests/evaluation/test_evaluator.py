"""`evaluate` as a whole: what it accepts, and how the run's settings decide the way it computes."""

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.errors import DataError, UsageError
from tfvae.evaluation import EVALUATION_VERSION, evaluate, rate_distortion_curve
from tfvae.evaluation.bounds import BatchScorer
from tfvae.training import run_data


@pytest.fixture(scope="module")
def train_run(tmp_path_factory):
    """train_run(**settings) -> one epoch on 120 of scikit-learn's digits."""

    def train(objective="elbo", **settings):
        folder = tmp_path_factory.mktemp("run")
        common = {"dataset": "digits", "arch": "mlp:widths=8,latent=2", "epochs": 1, "limit": 120, "batch_size": 20}
        return tfvae.train(
            figures=False, objective=objective, run_dir=str(folder / "run"), root=str(folder), **common, **settings
        )

    return train


@pytest.fixture
def compiled_with_xla(monkeypatch):
    """A list of the `jit_compile` of each tf.function that is made."""
    flags, make_function = [], tf.function

    def record(*args, **kwargs):
        flags.append(kwargs.get("jit_compile"))
        return make_function(*args, **kwargs)

    monkeypatch.setattr(tf, "function", record)
    return flags


def test_a_run_and_its_path_give_the_same(train_run):
    run = train_run(xla="off", validation=0.0)  # without XLA, which compiles longer
    by_run, by_path = (evaluate(each, samples=3, limit=20) for each in (run, str(run.path)))
    assert {**by_run, "seconds": 0} == {**by_path, "seconds": 0}
    with pytest.raises(UsageError, match="split train, validation or test"):
        evaluate(run, split="tset")
    with pytest.raises(UsageError, match="Received: none"):
        evaluate(run, split="validation")


def test_other_images_than_the_runs(train_run, tmp_path):
    """An .npz of the run's own images gets the numbers of those images, noise those of noise."""
    run = train_run(xla="off")
    images, labels = tfvae.datasets.load("digits", "test", limit=30)
    noise = np.random.default_rng(0).integers(0, 256, images.shape, np.uint8)
    for name, pixels in (("own", images), ("noise", noise)):
        np.savez(tmp_path / f"{name}.npz", images=pixels, labels=labels)
    own = evaluate(run, samples=3, limit=30)
    same = evaluate(run, samples=3, limit=30, dataset=str(tmp_path / "own.npz"))
    other = evaluate(run, samples=3, dataset=str(tmp_path / "noise.npz"))
    assert same.pop("dataset").endswith("own.npz") and other["images"] == 30
    assert {**own, "seconds": 0} == {**same, "seconds": 0}
    assert abs(other["sq_err"] - 64 / 12) < 1 < own["sq_err"] - 64 / 12  # a decoder of greys, an epoch old; var U(0, 1)
    with pytest.raises(UsageError, match=r"shape \(8, 8, 1\)"):
        evaluate(run, dataset="square")
    with pytest.raises(UsageError, match="Received: none"):
        evaluate(run, split="validation", dataset="digits")


def test_other_images_are_binarised_and_labelled_as_the_models(train_run, tmp_path):
    images, labels = tfvae.datasets.load("digits", "test", limit=30)
    np.savez(tmp_path / "plain.npz", images=images)
    run = train_run(xla="off", binarize="static")
    found, own = (
        run_data.load_other_split(run, name, "test", 30)[0] for name in (str(tmp_path / "plain.npz"), "digits")
    )
    assert set(np.unique(found)) == set(np.unique(own)) == {0, 255}
    assert abs(found.mean() - images.mean()) < 5 * 0.5 * 255 / np.sqrt(images.size)  # a false alarm in 1e6 runs
    told = train_run(xla="off", condition="labels")
    with pytest.raises(DataError, match="without labels"):
        evaluate(told, dataset=str(tmp_path / "plain.npz"))


def test_evaluation_honours_the_runs_xla(train_run, compiled_with_xla, tiny):
    """An MLP is compiled with XLA by default; a run with xla=off must not be, not even once."""
    assert BatchScorer(tiny()).jit_compile and compiled_with_xla == [True]
    run = train_run(xla="off")
    compiled_with_xla.clear()
    evaluate(run, samples=3, limit=20)
    assert compiled_with_xla and not any(compiled_with_xla)


@pytest.mark.slow
def test_the_rate_distortion_curve_honours_the_runs_xla(train_run, compiled_with_xla):
    run = train_run("beta", condition="beta:0.1-10", xla="off")
    compiled_with_xla.clear()
    rows = rate_distortion_curve.measure_rate_distortion_curve(run, points=2, limit=20)
    assert not any(compiled_with_xla) and [row["beta"] for row in rows] == pytest.approx([0.1, 10.0])


def test_xla_does_not_change_the_numbers(tiny, images):
    """The same draws either way; float32 sums in another order, 1e-4 of nats in the tens."""
    x = tf.constant(images(5).astype("float32") / 255.0)
    with_xla, without = (BatchScorer(tiny(), xla).score_batch(x, None, (3, 9), 4) for xla in ("on", "off"))
    for name, values in with_xla.items():
        np.testing.assert_allclose(values, without[name], rtol=1e-4, err_msg=name)


def test_the_version_is_that_of_cached_results():
    """Comparisons cache results under this version; a change of what is measured must raise it."""
    assert EVALUATION_VERSION == 3
