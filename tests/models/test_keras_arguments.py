"""What Keras' compile and fit take is heeded or refused: loss, metrics, weights of images, images that are NaN."""

import numpy as np
import pytest

from tfvae.errors import UsageError


def weights_of(model):
    return [v.numpy().copy() for v in model.trainable_variables]


@pytest.mark.parametrize("name", ["sample_weight", "class_weight"])
def test_images_of_weight_zero_move_nothing(tiny, images, name):
    model = tiny("elbo", jit=False)
    model.compile("sgd")
    x, labels = images(8), np.arange(8) % 2
    before = weights_of(model)
    extra = {"sample_weight": np.zeros(8)} if name == "sample_weight" else {"class_weight": {0: 0.0, 1: 0.0}}
    model.fit(x, labels, batch_size=4, verbose=0, **extra)
    assert all(np.array_equal(a, b) for a, b in zip(before, weights_of(model)))


def test_a_weight_of_two_is_the_image_alone(tiny, images):
    """mean(w loss) over two images with w = (2, 0) is the first one's loss: gradients equal to rounding."""
    model, x = tiny("elbo", learning_rate=1e-3, jit=False), images(2)
    weighted = model.compute_gradients(x, None, np.array([2.0, 0.0]))[2]
    alone = model.compute_gradients(x[:1])[2]
    for a, b in zip(weighted, alone):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_weighted_means_are_reported(tiny, images):
    """evaluate with all weight on the first image says what that image says."""
    model = tiny("elbo", learning_rate=1e-3, jit=False)
    x, weights = images(4), np.array([1.0, 0.0, 0.0, 0.0])
    weighted = model.evaluate(x, np.zeros(4), batch_size=4, sample_weight=weights, verbose=0, return_dict=True)
    rate = model.evaluate_batch(x, 0)["rate"][0]
    np.testing.assert_allclose(weighted["rate"], rate, rtol=1e-5)


def test_constraints_know_no_weights(tiny, images):
    model = tiny("geco:kappa=2", learning_rate=1e-3, jit=False)
    with pytest.raises(UsageError, match="sample_weight"):
        model.fit(images(8), np.zeros(8), sample_weight=np.ones(8), verbose=0)


@pytest.mark.parametrize("extra", [{"loss": "mse"}, {"metrics": ["mse"]}, {"weighted_metrics": ["mse"]}])
def test_compile_refuses_what_it_would_ignore(tiny, extra):
    with pytest.raises(UsageError, match=next(iter(extra))):
        tiny("elbo").compile("adam", **extra)


def test_fit_on_nan_is_no_success(tiny):
    """A mean over no finite step is NaN, which TerminateOnNaN sees, and the weights stay."""
    model = tiny("elbo", learning_rate=1e-3, jit=False)
    before = weights_of(model)
    history = model.fit(np.full((8, 8, 8, 1), np.nan, np.float32), batch_size=4, verbose=0).history
    assert np.isnan(history["loss"][0]) and np.isnan(history["sq_err"][0])
    assert all(np.array_equal(a, b) for a, b in zip(before, weights_of(model)))
