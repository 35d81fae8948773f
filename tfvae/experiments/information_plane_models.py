"""The models of the recipe information-plane: their settings, names, rows of the table, and what is trained."""

from typing import NamedTuple

import numpy as np

from tfvae.distributions.densities import compute_gaussian_distortion
from tfvae.experiments.tuning import SQUARED_ERROR
from tfvae.training.run_data import load_run_split
from tfvae.zoo import load

FIXED = {"dataset": "fashion_mnist", "arch": "mlp:widths=512-256,latent=200", "epochs": 40}
KAPPAS, BETAS = (3, 4, 5), (0.5, 1.0, 2.0)
LIKELIHOODS = {"RE": SQUARED_ERROR, "NLL": "gaussian:sigma=shared"}
PIXELS = 784
LATENT = 200
SHARPNESS_SAMPLES = 1000  # samples whose sharpness is measured
IMAGES_PER_ROW = 10  # images of figure 4
RELATIVE_TOLERANCE = 0.02


class PlaneResults(NamedTuple):
    """The trained models: runs and rows of the table by label, and the beta-VAEs tuned to each kappa."""

    runs: dict
    rows: dict
    tuned: dict  # {kappa: ([(beta, run)], a beta-VAE's KL at GECO's training error, whether it took a KL warm-up)}


def name_geco(kappa):
    """Return the label of a GECO model."""
    return f"GECO kappa {kappa}"


def name_beta_vae(error, beta):
    """Return the label of a beta-VAE; 'NLL + 1 KL' is the ELBO."""
    return f"{error} + {beta:g} KL"


ELBO = name_beta_vae("NLL", 1.0)
HALF = name_beta_vae("RE", 0.5)


def find_nearest(tuned, error):
    """Return the (beta, run) of `tuned` whose training error is nearest to `error`."""
    return min(tuned, key=lambda each: abs(each[1].rows[-1]["sq_err"] / error - 1))


def name_tuned(kappa, beta):
    """Return the label of a beta-VAE tuned to GECO's error."""
    return f"RE + {beta:.3g} KL, near kappa {kappa}"


def build_row(lab, label, one):
    """Return the row of a run in the table of models."""
    scores = lab.evaluate_run(one)
    return {
        "model": label,
        "KL": scores["rate"],
        "RE": scores["sq_err"],
        "NLL": compute_gaussian_distortion(scores["sq_err"], scores["sq_err"] / PIXELS, PIXELS),
        "marginal KL": scores["marginal_kl"],
        "+-": 1.96 * scores["marginal_kl_standard_error"],
        "active units": scores["active_units"],
        "RE, training": one.rows[-1]["sq_err"],
        "KL, training": one.rows[-1]["rate"],
    }


def compute_total_variation(images):
    """Return the sum of |differences| of neighbouring pixels, mean over images [N, H, W, C]: blur lowers it."""
    images = np.asarray(images, np.float64)
    return sum(np.abs(np.diff(images, axis=axis)).sum() for axis in (1, 2)) / len(images)


def measure_sharpness(runs):
    """Return {label: total variation of samples of the prior, over that of test images}."""
    test = load_run_split(runs[ELBO], "test")[0][:SHARPNESS_SAMPLES] / 255
    return {
        label: compute_total_variation(load.load(one.path).sample(SHARPNESS_SAMPLES, (1, 0)).numpy())
        / compute_total_variation(test)
        for label, one in runs.items()
    }
