"""The ELBO in four terms over beta, and which of them predicts how good samples of the prior are.

Direction 2 of Kim (Decoupling beta from sigma_x in the Gaussian VAE), after Hoffman and Johnson (2016):
ELBO + log n = log p(x|z)/p(x) - I(x; z) - KL(q(x) || p(x)) - KL(q(z) || p(z)), see `tfvae.models.latent_statistics`.
The beta-VAEs are those of `rate-distortion`: Fashion-MNIST, 784-512-256-32, sigma 1, 20 epochs. Terms are those of the
10,000 test images with log p(x) from 100 draws; samples are judged by the Frechet distance of the features of a LeNet
trained on Fashion-MNIST's labels, 10,000 of them beside the test images. A unit is active where its mean varies (more
than 0.01) over x: few are a sparse representation, many a dense one.
"""

import numpy as np
from scipy.stats import spearmanr

from tfvae.experiments.rate_distortion import ARCH, BETAS, FIXED
from tfvae.experiments.second_stage_samples import FEATURES, PICTURES
from tfvae.plots import grids, planes
from tfvae.plots.style import COLOURS, SMALL, create_figure, save_figure, style_axes
from tfvae.zoo import load

SAMPLES = 100
TERMS = {
    "log_px_ratio": "1: log p(x|z) / p(x)",
    "mutual_information": "2: I(x; z)",
    "kl_data": "3: KL(q(x) || p(x))",
    "marginal_kl": "4: KL(q(z) || p(z))",
}
SAMPLES_PER_ROW = 16


def run(lab):
    """Train beta-VAEs, split their ELBO, and write the page."""
    settings_by_label = {
        f"beta {b:.3g}": FIXED | {"objective": f"beta:beta={b:.6g}", "arch": ARCH, "epochs": 20} for b in BETAS
    }
    runs = lab.train_runs(settings_by_label)
    rows = [build_row(lab, float(beta), one) for beta, one in zip(BETAS, runs.values())]
    lab.add_table("terms", rows, "The terms, and the samples")
    add_pictures(lab, runs, rows)
    add_verdicts(lab, rows)
    lab.write_page("ELBO surgery, and samples", __doc__)


def build_row(lab, beta, one):
    """Return the row of a run."""
    scores = lab.evaluate_run(one, samples=SAMPLES, pictures=PICTURES)
    terms = scores["elbo_surgery"]
    return {
        "beta": beta,
        "distortion": scores["distortion"],
        "rate": scores["rate"],
        "ELBO": scores["elbo"],
        **{TERMS[name]: terms[name] for name in TERMS},
        "log n": terms["log_n"],
        "MMD": scores["mmd"],
        "active units": scores["active_units"],
        "Frechet": scores[f"frechet{FEATURES}"],
        "low": scores[f"frechet{FEATURES}_low"],
        "high": scores[f"frechet{FEATURES}_high"],
        "precision": scores[f"precision{FEATURES}"],
        "recall": scores[f"recall{FEATURES}"],
        "error": scores["sq_err"],
    }


def compute_remainder(row):
    """Return ELBO + log n minus the sum of the four terms: 0 but for estimation."""
    one, *others = (row[name] for name in TERMS.values())
    return row["ELBO"] + row["log n"] - (one - sum(others))


def add_pictures(lab, runs, rows):
    """Add the planes and samples."""
    points = [
        {"label": f"{row['beta']:.2g}", "group": "beta-VAE, by beta", "x": row["rate"], "y": row["distortion"]}
        for row in rows
    ]
    lab.add_picture(
        planes.draw_rate_distortion(points, lab.build_path("rate_distortion.png")), "Two axes: rate and distortion"
    )
    lab.add_picture(draw_third_axis(rows, lab.build_path("third_axis.png")), "What the two axes do not show, over beta")
    board = np.concatenate([load.load(one.path).sample(2 * SAMPLES_PER_ROW, (1, 0)).numpy() for one in runs.values()])
    labels = [text for name in runs for text in (name, "")]
    path = grids.draw_image_grid(board, lab.build_path("samples.png"), SAMPLES_PER_ROW, row_labels=labels, group=2)
    lab.add_picture(path, "Samples, mean images")


def draw_third_axis(rows, path):
    """Draw mutual information and marginal KL (the rate), active units, and the Frechet distance; return the path."""
    figure, axes = create_figure(1, 3, 3.6)
    beta = [row["beta"] for row in rows]
    panels = (
        ("Rate = I(x; z) + marginal KL", "nats per image", (TERMS["mutual_information"], TERMS["marginal_kl"])),
        ("Active units of 32", "", ("active units",)),
        ("Frechet distance of samples", "", ("Frechet",)),
    )
    for ax, (title, unit, names) in zip(axes[0], panels):
        style_axes(ax, title, "beta, log scale", unit)
        ax.set_xscale("log")
        for name, colour in zip(names, COLOURS):
            heights = [row[name] for row in rows]
            ax.plot(beta, heights, color=colour, marker="o", markersize=4, linewidth=1.8)
            if len(names) > 1:
                # at the second beta, for the two meet at the first
                ax.annotate(
                    name.partition(": ")[2],
                    (beta[1], heights[1]),
                    (8, 4),
                    textcoords="offset points",
                    fontsize=SMALL,
                    color=colour,
                )
        if names == ("Frechet",):
            ax.fill_between(beta, [row["low"] for row in rows], [row["high"] for row in rows], alpha=0.2, linewidth=0)
        ax.set_ylim(bottom=0)
    return save_figure(figure, path)


def add_verdicts(lab, rows):
    """Add the verdicts on the rows of the table."""

    def format_column(name):
        """Return a column as one text."""
        return ", ".join(f"{row[name]:.3g} at {row['beta']:.2g}" for row in rows)

    worst = max(abs(compute_remainder(row)) for row in rows)
    lab.add_verdict(
        "Kim: ELBO in four terms",
        "the four terms are the ELBO",
        worst < 1e-2,
        f"largest remainder {worst:.1g} nats of {abs(rows[0]['ELBO']):.0f}",
    )
    frechet = [row["Frechet"] for row in rows]
    ranks = {
        name: spearmanr([row[name] for row in rows], frechet).statistic
        for name in ("distortion", "rate", "ELBO", TERMS["marginal_kl"], "MMD")
    }
    best = int(np.argmin(frechet))
    lab.add_verdict(
        "Kim: ELBO in four terms",
        "the curve of rate and distortion does not predict how good samples of the prior are",
        0 < best < len(rows) - 1 or max(abs(ranks["rate"]), abs(ranks["distortion"])) < 0.9,
        f"Frechet {format_column('Frechet')}; rank correlation with it: "
        + ", ".join(f"{name} {rank:+.2f}" for name, rank in ranks.items()),
    )
    axis = TERMS["marginal_kl"]
    lab.add_verdict(
        "Kim: ELBO in four terms",
        "a larger marginal KL, the new axis, goes with worse samples",
        ranks[axis] > 0.6,
        f"marginal KL {format_column(axis)}; Frechet {format_column('Frechet')}",
    )
    units = [row["active units"] for row in rows]
    sparse, dense = frechet[int(np.argmin(units))], frechet[int(np.argmax(units))]
    lab.add_verdict(
        "Kim: sparse or dense",
        "a sparse representation samples better than a dense one",
        sparse < dense and max(units) > min(units),
        f"active units {format_column('active units')}; Frechet {format_column('Frechet')}: best with {units[best]}",
    )
