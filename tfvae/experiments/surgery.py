"""The ELBO in four terms over beta, and which of them tells how well the prior samples (seed 003, direction 2).

ELBO + log n = log p(x|z)/p(x) - I(x; z) - KL(q(x) || p(x)) - KL(q(z) || p(z)), see `tfvae.models.latent_statistics`. The
beta-VAEs are those of `rate-distortion`: Fashion-MNIST, 784-512-256-32, sigma 1, 20 epochs. Terms are those of the
10,000 test images with log p(x) from 100 draws; samples are judged by the Frechet distance of the features of a LeNet
trained on Fashion-MNIST's labels, 10,000 of them beside the test images. A unit is active where its mean varies (>
0.01) over x: few are a sparse representation, many a dense one.
"""

import numpy as np
from scipy.stats import spearmanr

from tfvae.experiments.rate_distortion import ARCH, BETAS, FIXED
from tfvae.experiments.second_stage_samples import FEATURES, PICTURES
from tfvae.plots import grids, planes
from tfvae.plots.style import COLOURS, SMALL, dress, new_figure, save_figure
from tfvae.zoo import load

SAMPLES = 100
TERMS = {
    "log_px_ratio": "1: log p(x|z) / p(x)", "mutual_information": "2: I(x; z)", "kl_data": "3: KL(q(x) || p(x))",
    "marginal_kl": "4: KL(q(z) || p(z))",
}  # fmt: skip
SHOWN = 16


def run(lab):
    asked = {f"beta {b:.3g}": FIXED | {"objective": f"beta:beta={b:.6g}", "arch": ARCH, "epochs": 20} for b in BETAS}
    found = lab.runs(asked)
    rows = [row_of(lab, float(beta), one) for beta, one in zip(BETAS, found.values())]
    lab.table("terms", rows, "The terms, and the samples")
    pictures(lab, found, rows)
    judge(lab, rows)
    lab.publish("ELBO surgery, and samples", __doc__)


def row_of(lab, beta, one):
    scores = lab.measured(one, samples=SAMPLES, pictures=PICTURES)
    terms = scores["elbo_surgery"]
    return {
        "beta": beta, "distortion": scores["distortion"], "rate": scores["rate"], "ELBO": scores["elbo"],
        **{TERMS[name]: terms[name] for name in TERMS}, "log n": terms["log_n"], "MMD": scores["mmd"],
        "active units": scores["active_units"], "Frechet": scores[f"frechet{FEATURES}"],
        "low": scores[f"frechet{FEATURES}_low"], "high": scores[f"frechet{FEATURES}_high"],
        "precision": scores[f"precision{FEATURES}"], "recall": scores[f"recall{FEATURES}"],
        "error": scores["sq_err"],
    }  # fmt: skip


def left_over(row):
    """ELBO + log n minus what the four terms say of it: 0."""
    one, *others = (row[name] for name in TERMS.values())
    return row["ELBO"] + row["log n"] - (one - sum(others))


def pictures(lab, found, rows):
    points = [{"label": f"{row['beta']:.2g}", "group": "beta-VAE, by beta", "x": row["rate"], "y": row["distortion"]}
              for row in rows]  # fmt: skip
    lab.picture(planes.rate_distortion(points, lab.place("rate_distortion.png")), "Two axes: rate and distortion")
    lab.picture(third_axis(rows, lab.place("third_axis.png")), "What the two axes do not show, over beta")
    board = np.concatenate([load.load(one.path).sample(2 * SHOWN, (1, 0)).numpy() for one in found.values()])
    labels = [text for name in found for text in (name, "")]
    path = grids.image_grid(board, lab.place("samples.png"), SHOWN, row_labels=labels, group=2)
    lab.picture(path, "Samples, mean images")


def third_axis(rows, path):
    """Left: mutual information and marginal KL, which are the rate; middle: active units; right: Frechet distance."""
    figure, axes = new_figure(1, 3, 3.6)
    beta = [row["beta"] for row in rows]
    panels = (
        ("Rate = I(x; z) + marginal KL", "nats per image", (TERMS["mutual_information"], TERMS["marginal_kl"])),
        ("Active units of 32", "", ("active units",)),
        ("Frechet distance of samples", "", ("Frechet",)),
    )
    for ax, (title, unit, names) in zip(axes[0], panels):
        dress(ax, title, "beta, log scale", unit)
        ax.set_xscale("log")
        for name, colour in zip(names, COLOURS):
            heights = [row[name] for row in rows]
            ax.plot(beta, heights, color=colour, marker="o", markersize=4, linewidth=1.8)
            if len(names) > 1:
                # at the second beta, for the two meet at the first
                ax.annotate(name.partition(": ")[2], (beta[1], heights[1]), (8, 4), textcoords="offset points",
                            fontsize=SMALL, color=colour)  # fmt: skip
        if names == ("Frechet",):
            ax.fill_between(beta, [row["low"] for row in rows], [row["high"] for row in rows], alpha=0.2, linewidth=0)
        ax.set_ylim(bottom=0)
    return save_figure(figure, path)


def judge(lab, rows):
    def told(name):
        return ", ".join(f"{row[name]:.3g} at {row['beta']:.2g}" for row in rows)

    worst = max(abs(left_over(row)) for row in rows)
    lab.verdict("3.12", "the four terms are the ELBO", worst < 1e-2,
                f"largest remainder {worst:.1g} nats of {abs(rows[0]['ELBO']):.0f}")  # fmt: skip
    frechet = [row["Frechet"] for row in rows]
    ranks = {name: spearmanr([row[name] for row in rows], frechet).statistic
             for name in ("distortion", "rate", "ELBO", TERMS["marginal_kl"], "MMD")}  # fmt: skip
    best = int(np.argmin(frechet))
    lab.verdict("3.12", "the curve of rate and distortion does not tell how well the prior samples",
                0 < best < len(rows) - 1 or max(abs(ranks["rate"]), abs(ranks["distortion"])) < 0.9,
                f"Frechet {told('Frechet')}; rank correlation with it: "
                + ", ".join(f"{name} {rank:+.2f}" for name, rank in ranks.items()))  # fmt: skip
    axis = TERMS["marginal_kl"]
    lab.verdict("3.12", "a larger marginal KL, the new axis, goes with worse samples", ranks[axis] > 0.6,
                f"marginal KL {told(axis)}; Frechet {told('Frechet')}")  # fmt: skip
    units = [row["active units"] for row in rows]
    sparse, dense = frechet[int(np.argmin(units))], frechet[int(np.argmax(units))]
    lab.verdict("3.16", "a sparse representation samples better than a dense one",
                sparse < dense and max(units) > min(units),
                f"active units {told('active units')}; Frechet {told('Frechet')}: best with {units[best]}")  # fmt: skip
