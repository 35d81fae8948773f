"""Pictures of the recipe information-plane: reconstructions, samples, and traces of KL and lambda."""

import numpy as np
import tensorflow as tf

from tfvae.experiments.information_plane_models import (
    BETAS,
    ELBO,
    HALF,
    IMAGES_PER_ROW,
    KAPPAS,
    LATENT,
    LIKELIHOODS,
    name_beta_vae,
    name_geco,
)
from tfvae.models import latent_views
from tfvae.plots import curves, grids
from tfvae.runtime import random_streams
from tfvae.training.run_data import load_run_split
from tfvae.zoo import load


def add_images(lab, results):
    """Add figures 4 and 5: reconstructions, and the same codes decoded by each model."""
    labels = [*map(name_geco, KAPPAS), HALF, ELBO]
    models = {label: load.load(results.runs[label].path) for label in labels}
    x = tf.constant(load_run_split(results.runs[ELBO], "test")[0][:IMAGES_PER_ROW], tf.float32) / 255
    board = [x.numpy(), *(model.reconstruct(x, (1, 1)).numpy() for model in models.values())]
    path = grids.draw_image_grid(
        np.concatenate(board),
        lab.build_path("reconstructions.png"),
        IMAGES_PER_ROW,
        row_labels=["test images", *labels],
    )
    lab.add_picture(path, "Figure 4: reconstructions of the same test images")
    z = random_streams.normal([3, LATENT], random_streams.as_seed((0, 5)))
    decoded = [latent_views.decode_codes(model, z) for model in models.values()]
    path = grids.draw_image_grid(
        np.stack(decoded, axis=1).reshape(-1, *x.shape[1:]),
        lab.build_path("samples.png"),
        len(labels),
        4,
        row_labels=["z1", "z2", "z3"],
        column_labels=labels,
    )
    lab.add_picture(path, "Figure 5: the same z1, z2, z3 in R^200 decoded by each model")
    for label in (name_geco(3), HALF, ELBO):
        stem = label.lower().replace(" ", "-").replace("+-", "")
        lab.add_samples(results.runs[label], f"samples-{stem}.png", f"{label}: samples of the prior", count=20)
    sharp = {label: results.rows[label]["sharpness of samples"] for label in labels}
    lab.add_verdict(
        "Parnas: pictures; Parnas: GECO's advantages",
        "GECO's samples are sharper than those of beta 0.5 and of the ELBO, for every kappa",
        min(sharp[name_geco(k)] for k in KAPPAS) > max(sharp[HALF], sharp[ELBO]),
        "total variation over that of test images: " + ", ".join(f"{n} {s:.2f}" for n, s in sharp.items()),
    )
    lab.add_verdict(
        "Parnas: pictures",
        "beta-VAE and ELBO decode z2 as a bag, GECO as a shoe",
        None,
        "their z1, z2, z3 are not published, and what a z means is any model's own; ours are in the picture",
    )


def add_traces(lab, results):
    """Add figure 6: KL and lambda during training."""
    labels = [*map(name_geco, KAPPAS), *(name_beta_vae(error, beta) for error in LIKELIHOODS for beta in BETAS[:2])]
    rows = {label: results.runs[label].rows for label in labels}
    lab.add_picture(
        curves.draw_compared_curves(
            rows, "rate", lab.build_path("kl.png"), log=True, title="Figure 6: KL during training"
        ),
        "KL over the epochs, training images",
    )
    lab.add_picture(
        curves.draw_compared_curves(
            {name_geco(k): rows[name_geco(k)] for k in KAPPAS}, "lambda", lab.build_path("lambda.png"), log=True
        ),
        "GECO's lambda over the epochs",
    )
    kls = {label: [row["rate"] for row in own] for label, own in rows.items()}
    elbo = {error: kls[name_beta_vae(error, 1.0)][-1] for error in LIKELIHOODS}
    lab.add_verdict(
        "Parnas: KL during training",
        "GECO's KL stays above the ELBO's to the end",
        min(kls[name_geco(kappa)][-1] for kappa in KAPPAS) > max(elbo.values()),
        "peak and end "
        + ", ".join(f"{max(kls[name_geco(k)]):.1f} and {kls[name_geco(k)][-1]:.1f} (kappa {k})" for k in KAPPAS)
        + "; the ELBO's end "
        + ", ".join(f"{kl:.1f} ({error} + KL)" for error, kl in elbo.items()),
    )
    falls = [kls[name_geco(kappa)][-1] < max(kls[name_geco(kappa)]) for kappa in KAPPAS]
    lab.add_verdict(
        "Parnas: KL during training; Parnas: GECO's advantages",
        "GECO's KL rises first and falls once the error is met",
        all(falls),
        ", ".join(
            f"kappa {k}: {100 * (1 - kls[name_geco(k)][-1] / max(kls[name_geco(k)])):.0f}% below its peak"
            for k in KAPPAS
        ),
    )
