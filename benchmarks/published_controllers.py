"""Controllers of other papers, for comparison: what `tfvae.objectives.geco.controllers` takes, in terms of lambda.

Each is published for a weight of the KL, or for a multiplier of any constraint; here it moves lambda, the weight of the
error, by the violation e in units of its target. Their first rates are those of the papers or their code.
"""

import tensorflow as tf

from tfvae.objectives.geco import controllers

SMALLEST = 1e-6


def control_vae(state, e, latest, average, learning_rate, gain):
    """PI of ControlVAE (Shao et al., 2020, arXiv 2004.05988): lambda = 1e-6 + Kp sigmoid(e) + Ki sum e, Kp = 10 Ki."""
    total = tf.maximum(state._slow + latest, 0.0)  # their integral stops at its limits
    state._slow.assign(total)
    return tf.math.log(SMALLEST + learning_rate * (10.0 * tf.sigmoid(latest) + total))


def genesis(state, e, latest, average, learning_rate, gain):
    """GECO of GENESIS (Engelcke et al., 2020, arXiv 1907.13052): log lambda += s C_ma, ten times as fast once C < 0."""
    return state._log_values + learning_rate * average * tf.where(average < 0.0, 10.0, 1.0)


def nu_pi(state, e, latest, average, learning_rate, gain):
    """nuPI (Sohrabi et al., 2024, arXiv 2406.04558): lambda += Ki e + Kp (xi_t - xi_{t-1}), xi an average, nu = 0.9."""
    first = state._updates == 0
    smooth = tf.where(first, latest, 0.9 * state._slow + 0.1 * latest)
    step = learning_rate * (latest + 10.0 * tf.where(first, tf.zeros_like(smooth), smooth - state._slow))
    state._slow.assign(smooth)
    return tf.math.log(tf.maximum(tf.exp(state._log_values) + step, SMALLEST))


def augmented_lagrangian(state, e, latest, average, learning_rate, gain):
    """Augmented Lagrangian (Hestenes, 1969): lambda = mu + rho e, mu += rate rho e, rho = exp(t / 5000)."""
    rho = tf.exp(tf.cast(state._updates, tf.float32) / 5000.0)
    mu = tf.maximum(state._slow + learning_rate * rho * e, 0.0)
    state._slow.assign(mu)
    return tf.math.log(tf.maximum(mu + rho * e, SMALLEST))


# name -> (controller, its published rate)
PUBLISHED = {
    "control-vae": (control_vae, 1e-3),
    "genesis": (genesis, 1e-5),
    "nu-pi": (nu_pi, 1e-2),
    "augmented": (augmented_lagrangian, 1e-2),
}


def register():
    """Make the controllers known by their names, so that ``geco:controller=nu-pi`` finds them in this process."""
    for name, (controller, rate) in PUBLISHED.items():
        controllers.CONTROLLERS[name] = (controller, rate, None)
