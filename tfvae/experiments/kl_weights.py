"""KL weights 1, 5, 10 and 40 in two latent dimensions, and whether a larger weight disentangles.

Problem 3 of Haseeb ur Rehman (Homework 04 Deep Learning). MNIST as in `latent-sizes`, 784-512-256-2, 20 epochs: what
the plane of z shows. MNIST has no known factors, so that the claims on disentanglement are tested on `sprites` (three
shapes with scale, rotation and position, 9,216 pictures), the same weights, 1024-512-256-10, 150 epochs, two seeds: the
mutual information gap (Chen et al., 2018) and DCI disentanglement (Eastwood & Williams, 2018) of the training images'
codes, beside the error.
"""

import numpy as np
from scipy.stats import spearmanr

from tfvae.experiments import latent_sizes
from tfvae.models import latent_views
from tfvae.plots import grids, latent_figures
from tfvae.training.run_data import load_run_split
from tfvae.zoo import load

WEIGHTS = (1.0, 5.0, 10.0, 40.0)
SEEDS = (0, 1)
MNIST = latent_sizes.FIXED | {"arch": "mlp:widths=512-256,latent=2"}
SPRITES = latent_sizes.FIXED | {"dataset": "sprites", "arch": "mlp:widths=512-256,latent=10", "epochs": 150}
STEPS = 13


def run(lab):
    """Train on MNIST and on sprites, and write the page."""
    digits = lab.train_runs({f"{w:g}": MNIST | {"objective": f"beta:beta={w:g}"} for w in WEIGHTS})
    shapes = lab.train_runs(
        {
            f"{w:g}, seed {seed}": SPRITES | {"objective": f"beta:beta={w:g}", "seed": seed}
            for w in WEIGHTS
            for seed in SEEDS
        }
    )
    rows = [build_row(lab, label, one) for label, one in digits.items()]
    lab.add_table("mnist", rows, "MNIST, two latent dimensions")
    scores = [build_score_row(lab, label, one) for label, one in shapes.items()]
    lab.add_table("sprites", scores, "Sprites, ten latent dimensions: are single codes single factors?")
    add_latent_planes(lab, digits)
    add_traversals(lab, shapes, scores)
    add_digit_verdict(lab, rows)
    add_sprite_verdicts(lab, scores)
    lab.write_page("The weight of the KL, and disentanglement", __doc__)


def build_row(lab, weight, one):
    """Return the row of an MNIST run."""
    scores = lab.evaluate_run(one)
    return {
        "KL weight": weight,
        "test error": scores["sq_err"],
        "KL": scores["rate"],
        "active units": scores["active_units"],
        "marginal KL": scores["marginal_kl"],
        "labels predicted by a linear probe": scores["probe[labels]"],
    }


def build_score_row(lab, label, one):
    """Return the row of a sprites run."""
    scores = lab.evaluate_run(one, "train")
    return {
        "KL weight, seed": label,
        "error": scores["sq_err"],
        "KL": scores["rate"],
        "active units": scores["active_units"],
        "MIG": scores["mig"],
        "DCI disentanglement": scores["dci_disentanglement"],
        "DCI informativeness": scores["dci_informativeness"],
        "FactorVAE score": scores["factor_vae"],
    }


def add_latent_planes(lab, digits):
    """Add the decoded plane of z of each MNIST run, and its two axes."""
    values = latent_views.span_values(3.0, STEPS)
    rows, labels = [], []
    for weight, one in digits.items():
        model = load.load(one.path)
        path = latent_figures.draw_manifold(
            latent_views.decode_manifold(model, 20), lab.build_path(f"manifold-{weight}.png")
        )
        lab.add_picture(path, f"KL weight {weight}: the plane of z, at the quantiles of the prior")
        for axis in range(2):
            z = np.zeros((STEPS, 2), np.float32)
            z[:, axis] = values
            rows.append(latent_views.decode_codes(model, z))
            labels.append(f"weight {weight}, z{axis + 1}")
    path = grids.draw_image_grid(
        np.concatenate(rows),
        lab.build_path("axes.png"),
        STEPS,
        row_labels=labels,
        column_labels=[f"{value:+.1f}" for value in values],
        group=2,
    )
    lab.add_picture(path, "A row for each axis, the other at 0")


def add_traversals(lab, shapes, scores):
    """Add traversals of the model with the largest MIG and, for comparison, of the one with weight 1."""
    best = max(scores, key=lambda row: row["MIG"])["KL weight, seed"]
    for label in dict.fromkeys((f"1, seed {SEEDS[0]}", best)):
        model = load.load(shapes[label].path)
        images = load_run_split(shapes[label], "test")[0][:500] / np.float32(255)
        dims = latent_views.find_active_dimensions(model, images, 6)
        kl = model.kl_per_dimension(images).numpy()
        board = latent_views.traverse(model, images[0], dims, steps=STEPS)
        name = f"traversal-{label.replace(', seed ', '-')}.png"
        path = latent_figures.draw_traversals(
            board, lab.build_path(name), dims, latent_views.span_values(steps=STEPS), kl[dims]
        )
        lab.add_picture(path, f"Sprites, KL weight {label}: the most active dimensions, one at a time")


def add_digit_verdict(lab, rows):
    """Add the verdict on MNIST."""
    errors, kls, units = ([row[name] for row in rows] for name in ("test error", "KL", "active units"))
    error_text = ", ".join(f"{row['test error']:.2f} ({row['active units']}) at {row['KL weight']}" for row in rows)
    lab.add_verdict(
        "Haseeb: KL weights; Haseeb: disentanglement",
        "a larger weight blurs, and uses no more latents",
        errors == sorted(errors) and units == sorted(units, reverse=True) and units[-1] < units[0],
        f"test error (active units): {error_text}; KL " + ", ".join(f"{kl:.2f}" for kl in kls),
    )


def add_sprite_verdicts(lab, scores):
    """Judge by MIG: DCI may be high for codes without information, whose little importance is in one place."""
    by_weight = np.array([[row["MIG"], row["DCI disentanglement"], row["error"]] for row in scores])
    each = by_weight.reshape(len(WEIGHTS), len(SEEDS), 3)
    mig, dci, error = each.mean(1).T
    least, most = each[..., 0].min(1), each[..., 0].max(1)  # over the seeds
    best = int(np.argmax(mig))
    mig_text = ", ".join(f"{a:.3f} to {b:.3f} / {d:.3f} at {w:g}" for a, b, d, w in zip(least, most, dci, WEIGHTS))
    mig_text = f"MIG of the seeds / mean DCI: {mig_text}"
    lab.add_verdict(
        "Haseeb: disentanglement", "a weight above 1 disentangles", best > 0 and bool(least[best] > most[0]), mig_text
    )
    lab.add_verdict(
        "Haseeb: disentanglement", "too large a weight entangles again", bool(most[-1] < least[best]), mig_text
    )
    rank = spearmanr(by_weight[:, 2], by_weight[:, 0]).statistic
    lab.add_verdict(
        "Haseeb: disentanglement",
        "reconstruction is a poor indicator of disentanglement: the least error is not the best separated",
        bool(np.argmin(error) != np.argmax(mig)),
        f"rank correlation of error and MIG over {len(scores)} runs {rank:+.2f}; error "
        + ", ".join(f"{e:.2f}" for e in error),
    )
    lab.add_verdict(
        "Haseeb: disentanglement",
        "the right weight is found by a search with weak labels",
        None,
        "advice: the table is such a search; labels are known here",
    )
