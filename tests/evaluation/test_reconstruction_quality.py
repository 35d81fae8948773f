"""SSIM beside a slow loop of Wang et al. (2004), PSNR beside its closed form."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae.evaluation import reconstruction_quality


def slow_ssim(x, g):
    """Equation 13 in float64 at every place where an 11 x 11 window fits; images [H, W, C]."""
    u = np.arange(11) - 5.0
    window = np.exp(-(u**2) / (2 * 1.5**2))
    window = np.outer(window, window) / window.sum() ** 2
    results = []
    for c in range(x.shape[2]):
        for i in range(x.shape[0] - 10):
            for j in range(x.shape[1] - 10):
                a, b = (picture[i : i + 11, j : j + 11, c] for picture in (x, g))
                m, n = (window * a).sum(), (window * b).sum()
                va, vb = (window * (a - m) ** 2).sum(), (window * (b - n) ** 2).sum()
                cross = (window * (a - m) * (b - n)).sum()
                c1, c2 = 0.01**2, 0.03**2
                results.append((2 * m * n + c1) * (2 * cross + c2) / ((m**2 + n**2 + c1) * (va + vb + c2)))
    return np.mean(results)


@pytest.mark.parametrize("shape", [(16, 13, 1), (12, 12, 3)])
def test_ssim_is_that_of_a_slow_loop(shape):
    """float32 inside TensorFlow: variances of differences lose 1e-4 beside C2 = 9e-4."""
    draw = np.random.default_rng(0)
    x = draw.uniform(size=(4, *shape))
    g = np.clip(x + draw.normal(0, [[[[0.02]]], [[[0.1]]], [[[0.3]]], [[[1.0]]]], size=x.shape), 0, 1)
    truth = [slow_ssim(a, b) for a, b in zip(x, g)]
    np.testing.assert_allclose(reconstruction_quality.compute_ssim(x, g), truth, atol=2e-4)
    np.testing.assert_allclose(reconstruction_quality.compute_ssim(x, x), 1.0, atol=1e-5)


def test_ssim_needs_its_window():
    assert reconstruction_quality.compute_ssim(np.zeros((2, 10, 28, 1)), np.zeros((2, 10, 28, 1))) is None


def test_psnr_in_closed_form():
    """An error of 0.1 everywhere is 20 dB; none at all is infinite; one pixel of four off by 1 is 10 log10 4."""
    x = np.zeros((3, 2, 2, 1))
    g = np.zeros_like(x)
    g[0], g[2, 0, 0] = 0.1, 1.0
    np.testing.assert_allclose(reconstruction_quality.compute_psnr(x, g), [20.0, np.inf, 10 * np.log10(4)])


@pytest.mark.parametrize("condition", [None, "labels", "inpaint:left"])
def test_of_a_model_they_are_those_of_its_mean_reconstructions(condition, tiny, images):
    """12 x 12 pixels have an SSIM, 8 x 8 only a PSNR; labels and visible parts are conditions."""
    shape = (12, 12, 1)
    model, x, labels = tiny(image_shape=shape, condition=condition, classes=3), images(7, shape), np.arange(7) % 3
    results = reconstruction_quality.measure_reconstruction_errors(model, x, labels)
    values = {None: None, "labels": labels, "inpaint:left": tf.constant(x / 255.0, tf.float32)}[condition]
    g = model.decode(model.encode(tf.constant(x), values)[0], values).numpy()
    np.testing.assert_allclose(results["psnr"], -10 * np.log10(((x / 255.0 - g) ** 2).mean((1, 2, 3))), rtol=1e-4)
    assert results["ssim"].shape == (7,)
    assert set(reconstruction_quality.measure_reconstruction_errors(tiny(), images(3))) == {"psnr"}
