"""What slow NumPy doubles of convolutional models share; images [H, W, C], float64."""

import numpy as np

import tfvae


def sigmoid(v):
    return 1.0 / (1.0 + np.exp(-v))


def convolve(layer, x, stride=1):
    """Return the cross-correlation with zeros around, by loops; x [H, W, C]."""
    kernel, *bias = (w.astype(np.float64) for w in layer.get_weights())
    side, out = len(kernel), [-(-n // stride) for n in x.shape[:2]]
    total = [max((n - 1) * stride + side - m, 0) for n, m in zip(out, x.shape)]
    x = np.pad(x, [(total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2), (0, 0)])
    output = np.zeros((*out, kernel.shape[-1]))
    for i, j in np.ndindex(*out):
        window = x[i * stride : i * stride + side, j * stride : j * stride + side]
        output[i, j] = np.einsum("abc,abcd->d", window, kernel) + (bias[0] if bias else 0.0)
    return output


def split_normal(raw):
    """Return mean and log stddev, softly clipped to [-5, 5]."""
    mean, raw = np.split(raw, 2, axis=-1)
    return mean, 5 * np.tanh(raw / 5)


def make_shaken_model(spec, shape, scale=0.3):
    """Return a model whose weights, biases too, are all far from their start, so that no term is zero by chance."""
    model = tfvae.build("elbo", "gaussian:sigma=0.5", spec, image_shape=shape, seed=3)
    draw = np.random.default_rng(7)
    for variable in model.arch.trainable_variables:
        variable.assign(scale * draw.standard_normal(variable.shape))
    return model
