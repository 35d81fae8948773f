"""A linear VAE of the linear-Gaussian model (Tipping & Bishop, 1999), whose log p(x) and posterior are exact."""

import numpy as np
import tensorflow as tf
from scipy import stats

import tfvae

SIGMA, DIMS, LATENT = 0.3, 5, 2
# Orthogonal columns: the posterior of z is then diagonal, as q(z|x) is.
W = np.array([[0.6, 0.0, -0.3, 0.5, 0.1], [0.0, 0.4, 0.2, 0.1, 0.1]]).T
B = np.array([0.1, -0.2, 0.3, 0.0, 0.5])
POSTERIOR_VARIANCE = 1 / (1 + np.sum(W**2, axis=0) / SIGMA**2)  # of (I + W'W / sigma^2)^-1
P_X = stats.multivariate_normal(B, W @ W.T + SIGMA**2 * np.eye(DIMS))


def build_linear_model(objective="elbo", shift=0.0, stretch=1.0):
    """The model above, q's mean off the posterior's by `shift` and its stddev by the factor `stretch`."""
    likelihood, arch = f"gaussian:sigma={SIGMA},link=linear", f"mlp:widths=none,latent={LATENT}"
    model = tfvae.build(objective, likelihood=likelihood, arch=arch, image_shape=(1, DIMS, 1))
    kernel = W / SIGMA**2 * POSTERIOR_VARIANCE
    log_stddev = 0.5 * np.log(POSTERIOR_VARIANCE) + np.log(stretch)
    raw = 8 * np.arctanh(log_stddev / 8)  # undoes the bound 8 tanh(raw / 8)
    model.arch.encoder.set_weights([np.hstack([kernel, np.zeros_like(kernel)]), np.hstack([shift - B @ kernel, raw])])
    model.arch.decoder.set_weights([W.T, B])
    return model


def draw_data(count, seed=0):
    """Draws of p(x), [count, 5]."""
    return np.atleast_2d(P_X.rvs(count, random_state=seed))


def as_images(x):
    """x [N, 5] as images [N, 1, 5, 1]."""
    return tf.constant(x.reshape(-1, 1, DIMS, 1), tf.float32)
