"""`evaluate` as a whole: what it accepts, and how the run's settings decide the way it computes."""

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.errors import UsageError
from tfvae.evaluation import EVALUATION_VERSION, evaluate, rate_distortion_curve
from tfvae.evaluation.bounds import BatchScorer


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
