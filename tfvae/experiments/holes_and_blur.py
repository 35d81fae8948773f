"""Holes and blur (seed 000, problems 1 and 2): what decodes badly, and why, in three trained models.

With w_i(z) = q(z|x_i) / sum_j q(z|x_j) the decoder that errs least is g*(z) = sum_i w_i(z) x_i, a mean of training
images. Where no posterior reaches, nothing taught the decoder: a hole. Where several overlap, g* is a mixture: blur,
for which the likelihood is not to blame. The models are those of `second-stage`: Fashion-MNIST, 784-512-256-16, 20
epochs. Numbers are of 2,000 draws of the prior, and of q(z), against the posteriors of all 60,000 training images; a
hole is where q(z) < p(z) / 100.
"""

import numpy as np
from scipy.stats import norm, spearmanr

from tfvae.evaluation.posterior_holes import decoder_gap, weights_at
from tfvae.experiments.second_stage_samples import FEATURES, FIXED, MODELS, PICTURES
from tfvae.models import latent_statistics
from tfvae.models import latent_views as decoding
from tfvae.plots import grids
from tfvae.training import trainer
from tfvae.zoo import load

DRAWS = 500  # of the prior, for the pictures
SHOWN = 12
SOME = 0.01  # of the prior: what counts as holes at all
LEGEND = (
    "'overlap' is exp(H(w(z))), the effective number of posteriors at z; 'gap' is |g(z) - g*(z)|^2 summed over pixels; "
    "'error' is that of the test images. sigma^2 is the noise that the codes are told of: 1, or the training images' "
    "squared error per pixel where it is fitted, or 1 / (2 lambda) under GECO."
)
CHOICES = {"holes": "lowest q(z) / p(z)", "blur": "largest overlap", "alone": "overlap nearest to 1, no hole"}


def run(lab):
    found = lab.runs({label: FIXED | settings for label, settings in MODELS.items()})
    rows = [row_of(lab, label, one) for label, one in found.items()]
    lab.table("holes", rows, "Where the prior goes")
    lab.text(LEGEND)
    seen = {label: draws_of(lab, one) for label, one in found.items()}
    for label, one in seen.items():
        picture(lab, label, one)
    judge(lab, rows, seen)
    lab.publish("Holes and blur of the latent space", __doc__)


def row_of(lab, label, one):
    scores = lab.measured(one, pictures=PICTURES)
    return {
        "model": label, "hole mass": scores["hole_mass"], "low": scores["hole_mass_low"],
        "high": scores["hole_mass_high"], "overlap, prior": scores["overlap_prior"],
        "overlap, codes": scores["overlap_posterior"], "gap, prior": scores["decoder_gap_prior"],
        "gap, codes": scores["decoder_gap_posterior"], "error": scores["sq_err"],
        "sigma^2": noise_of(one), "marginal KL": scores["marginal_kl"],
        "Frechet": scores[f"frechet{FEATURES}"],
    }  # fmt: skip


def noise_of(one):
    """sigma^2 of |x - g(z)|^2 / (2 sigma^2) + KL, which the run's loss is, or is in proportion to."""
    last = one.rows[-1]
    if "lambda" in last:
        return 1 / (2 * last["lambda"])
    return last["sq_err"] / 784 if one.config.objective_name == "sigma" else 1.0


def draws_of(lab, one):
    """Draws of the prior with what `weights_at` finds there: {z, g, optimum, overlap, log_ratio, gap}."""
    model = load.load(one.path)
    images = trainer.load_split(one.config, "train")[0]
    mean, log_stddev = latent_statistics.encode_images(model, images)
    z = np.random.default_rng(5).standard_normal((DRAWS, mean.shape[1]))
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    found = weights_at(z, mean, log_stddev, x)
    g = decoding.decode_codes(model, z)
    return {
        "g": g, "optimum": found.optimum.reshape(g.shape), "overlap": found.overlap,
        "log_ratio": found.log_q - norm.logpdf(z).sum(1), "gap": decoder_gap(g.reshape(DRAWS, -1), found.optimum),
    }  # fmt: skip


def chosen(log_ratio, overlap, count):
    """{holes, blur, alone}: which draws to show, `count` of each, the most extreme first."""
    filled = np.flatnonzero(log_ratio >= np.median(log_ratio))
    return {
        "holes": np.argsort(log_ratio)[:count],
        "blur": np.argsort(-overlap)[:count],
        "alone": filled[np.argsort(overlap[filled])][:count],
    }


def picture(lab, label, one):
    board, labels = [], []
    for name, rows in chosen(one["log_ratio"], one["overlap"], SHOWN).items():
        middle = np.median(one["overlap"][rows])
        board += [one["g"][rows], one["optimum"][rows]]
        labels += [f"{name}: g(z)", f"g*(z), overlap {middle:.3g}"]
    stem = label.lower().replace(" ", "-").replace(",", "")
    path = grids.image_grid(np.concatenate(board), lab.place(f"{stem}.png"), SHOWN, row_labels=labels, group=2)
    told = "; ".join(f"{name}: {text}" for name, text in CHOICES.items())
    lab.picture(path, f"{label}, {DRAWS} draws of the prior ({told}): what the model decodes, above the mean of "
                "training images by their weights")  # fmt: skip


def judge(lab, rows, seen):
    masses = ", ".join(f"{row['model']} {row['hole mass']:.1%}" for row in rows)
    gaps = "; ".join(f"{row['model']}: {row['gap, prior']:.1f} against {row['gap, codes']:.1f}" for row in rows)
    lab.verdict("0.1", "over 1% of the prior are holes, and its draws are decoded further from g* than codes are",
                all(row["low"] > SOME and row["gap, prior"] > row["gap, codes"] for row in rows),
                f"hole mass {masses}; |g - g*|^2 of prior draws against codes: {gaps}")  # fmt: skip
    dark = {}
    for label, one in seen.items():
        light = one["g"].mean((1, 2, 3))
        worst = chosen(one["log_ratio"], one["overlap"], len(light) // 10)["holes"]
        dark[label] = light[worst].mean() / light.mean()
    lab.verdict("0.1", "what is decoded from holes is almost black", max(dark.values()) < 0.5,
                "mean grey of the tenth with the lowest q(z) / p(z), relative to all: "
                + ", ".join(f"{label} {share:.2f}" for label, share in dark.items()))  # fmt: skip
    ranks = {label: spearmanr(one["overlap"], detail(one["g"])).statistic for label, one in seen.items()}
    lab.verdict("0.2", "blur comes with the overlap of posteriors: more of it, less detail", max(ranks.values()) < 0,
                "rank correlation of overlap and detail of g(z): "
                + ", ".join(f"{label} {rank:+.2f}" for label, rank in ranks.items()))  # fmt: skip
    by_sigma = sorted(rows, key=lambda row: row["sigma^2"])
    falls = all(a["overlap, codes"] <= b["overlap, codes"] for a, b in zip(by_sigma, by_sigma[1:]))
    lab.verdict("0.2 0.7", "a smaller sigma^2 leaves less overlap on codes", falls,
                ", ".join(f"{row['model']}: sigma^2 {row['sigma^2']:.4f}, overlap {row['overlap, codes']:.3g}"
                          for row in by_sigma))  # fmt: skip


def detail(images):
    """Mean absolute difference of neighbouring pixels of each image [N, H, W, C]: [N]."""
    across, down = np.abs(np.diff(images, axis=2)), np.abs(np.diff(images, axis=1))
    return across.mean((1, 2, 3)) + down.mean((1, 2, 3))
