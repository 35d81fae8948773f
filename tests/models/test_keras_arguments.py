"""What Keras' compile and fit take is heeded or refused: loss, metrics, weights of images, images that are NaN."""

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.errors import DataError, UsageError


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
    batches = ((np.full((4, 8, 8, 1), np.nan, np.float32),) for _ in range(9))  # nobody looks into a generator
    history = model.fit(batches, steps_per_epoch=2, shuffle=False, verbose=0).history
    assert np.isnan(history["loss"][0]) and np.isnan(history["sq_err"][0])
    assert all(np.array_equal(a, b) for a, b in zip(before, weights_of(model)))


@pytest.mark.parametrize("as_dataset", [False, True])
@pytest.mark.parametrize("with_labels", [False, True])
def test_grey_levels_as_floats_are_refused(tiny, images, as_dataset, with_labels):
    """Keras' own image folders give floats from 0 to 255."""
    model, x = tiny("elbo", learning_rate=1e-3, jit=False), images(8).astype(np.float32)
    assert x.max() > 100
    data = (x, np.zeros(8)) if with_labels else (x,)
    data = (tf.data.Dataset.from_tensor_slices(data if with_labels else x).batch(4),) if as_dataset else data
    with pytest.raises(DataError, match=r"\[0, 1\]"):
        model.fit(*data, verbose=0)


@pytest.mark.parametrize("labels", [[10], [0, -2], [0.5], 17])
def test_labels_that_the_model_does_not_know_are_refused(labels, images):
    """In terms, sample, decode and fit; -1 is 'not known'."""
    model = tfvae.build("elbo", "gaussian:sigma=0.5", "mlp:widths=8,latent=2", image_shape=(8, 8, 1),
                        condition="labels", classes=10)  # fmt: skip
    model.compile("sgd", jit_compile=False)
    count = np.size(labels)
    x = images(count)
    calls = [
        lambda: model.terms(x, condition=labels),
        lambda: model.encode(x, labels),
        lambda: model.reconstruct(x, condition=labels),
        lambda: model.sample(count, condition=labels),
        lambda: model.fit(x, np.reshape(labels, [-1]), verbose=0),
    ]
    for call in calls:
        with pytest.raises(UsageError, match="labels from 0 to 9"):
            call()
    assert np.isfinite(model.sample(2, condition=-1)).all()


@pytest.mark.parametrize("likelihood", ["bernoulli", "logistic", "logistic-mixture", "categorical", "bitwise"])
def test_dequantize_is_for_densities(likelihood):
    """Noise would make other bytes or bits of the data's."""
    parts = {"arch": "mlp:widths=8,latent=2", "image_shape": (8, 8, 1)}
    with pytest.raises(UsageError, match="density"):
        tfvae.build("elbo", likelihood, dequantize=True, **parts)
    with pytest.raises(UsageError, match="binarize"):
        tfvae.build("elbo", binarize="static", dequantize=True, **parts)
    assert tfvae.Config.from_dict({"likelihood": likelihood, "dequantize": True}).dequantize is False


def test_a_run_knows_where_its_data_are(tmp_path, monkeypatch):
    """A relative path is that of the folder in which the run began; what is exported names no folders."""
    monkeypatch.chdir(tmp_path)
    config = tfvae.Config(dataset="folder:pictures/mine,size=8")
    assert config.dataset == f"folder:{tmp_path}/pictures/mine,size=8"
    monkeypatch.chdir("/")
    assert tfvae.Config.from_dict(config.to_dict()) == config
    assert config.to_public_dict()["dataset"] == "folder:mine,size=8"
