"""Holes and blur: which codes decode badly, and why, in three trained models.

After problems 1 and 2 of Parnas and Shazman (Project ML2: Taming VAE), who follow Rezende and Viola (2018).
With w_i(z) = q(z|x_i) / sum_j q(z|x_j) the decoder that errs least is g*(z) = sum_i w_i(z) x_i, a mean of training
images. Where no posterior reaches, nothing taught the decoder: a hole. Where several overlap, g* is a mixture: blur,
for which the likelihood is not to blame. The models are those of `second-stage`: Fashion-MNIST, 784-512-256-16, 20
epochs. Numbers are of 2,000 draws of the prior, and of q(z), against the posteriors of all 60,000 training images; a
hole is where q(z) < p(z) / 100.
"""

import numpy as np
from scipy.stats import norm, spearmanr

from tfvae.evaluation.posterior_holes import compute_decoder_gap, compute_posterior_weights
from tfvae.experiments.second_stage_samples import FEATURES, FIXED, MODELS, PICTURES
from tfvae.models import latent_statistics
from tfvae.models import latent_views as decoding
from tfvae.plots import grids
from tfvae.training.run_data import load_run_split
from tfvae.zoo import load

DRAWS = 500  # of the prior, for the pictures
DRAWS_PER_ROW = 12
LEAST_HOLE_MASS = 0.01  # of the prior: what counts as holes at all
LEGEND = (
    "'overlap' is exp(H(w(z))), the effective number of posteriors at z; 'gap' is |g(z) - g*(z)|^2 summed over pixels; "
    "'error' is that of the test images. sigma^2 is the noise that the loss assumes: 1, or the training images' "
    "squared error per pixel where it is fitted, or 1 / (2 lambda) under GECO."
)
CHOICES = {"holes": "lowest q(z) / p(z)", "blur": "largest overlap", "alone": "overlap nearest to 1, no hole"}


def run(lab):
    """Train the models, measure holes and overlap, and write the page."""
    runs = lab.train_runs({label: FIXED | settings for label, settings in MODELS.items()})
    rows = [build_row(lab, label, one) for label, one in runs.items()]
    lab.add_table("holes", rows, "Where the prior goes")
    lab.add_text(LEGEND)
    draws = {label: decode_prior_draws(lab, one) for label, one in runs.items()}
    for label, one in draws.items():
        add_picture(lab, label, one)
    add_verdicts(lab, rows, draws)
    lab.write_page("Holes and blur of the latent space", __doc__)


def build_row(lab, label, one):
    """Return the row of a run."""
    scores = lab.evaluate_run(one, pictures=PICTURES)
    return {
        "model": label,
        "hole mass": scores["hole_mass"],
        "low": scores["hole_mass_low"],
        "high": scores["hole_mass_high"],
        "overlap, prior": scores["overlap_prior"],
        "overlap, codes": scores["overlap_posterior"],
        "gap, prior": scores["decoder_gap_prior"],
        "gap, codes": scores["decoder_gap_posterior"],
        "error": scores["sq_err"],
        "sigma^2": read_noise_variance(one),
        "marginal KL": scores["marginal_kl"],
        "Frechet": scores[f"frechet{FEATURES}"],
    }


def read_noise_variance(one):
    """Return sigma^2 of |x - g(z)|^2 / (2 sigma^2) + KL, which the run's loss is proportional to."""
    last = one.rows[-1]
    if "lambda" in last:
        return 1 / (2 * last["lambda"])
    return last["sq_err"] / 784 if one.config.objective_name == "sigma" else 1.0


def decode_prior_draws(lab, one):
    """Decode draws of the prior; return {g, optimum, overlap, log_ratio, gap} at each."""
    model = load.load(one.path)
    images = load_run_split(one, "train")[0]
    mean, log_stddev = latent_statistics.encode_images(model, images)
    z = np.random.default_rng(5).standard_normal((DRAWS, mean.shape[1]))
    x = images.reshape(len(images), -1).astype(np.float32) / 255
    weights = compute_posterior_weights(z, mean, log_stddev, x)
    g = decoding.decode_codes(model, z)
    return {
        "g": g,
        "optimum": weights.optimum.reshape(g.shape),
        "overlap": weights.overlap,
        "log_ratio": weights.log_q - norm.logpdf(z).sum(1),
        "gap": compute_decoder_gap(g.reshape(DRAWS, -1), weights.optimum),
    }


def choose_draws(log_ratio, overlap, count):
    """Return {holes, blur, alone}: the indices of `count` draws each, the most extreme first."""
    filled = np.flatnonzero(log_ratio >= np.median(log_ratio))
    return {
        "holes": np.argsort(log_ratio)[:count],
        "blur": np.argsort(-overlap)[:count],
        "alone": filled[np.argsort(overlap[filled])][:count],
    }


def add_picture(lab, label, one):
    """Add what a model decodes at holes, at blur and where one posterior is alone."""
    board, labels = [], []
    for name, rows in choose_draws(one["log_ratio"], one["overlap"], DRAWS_PER_ROW).items():
        middle = np.median(one["overlap"][rows])
        board += [one["g"][rows], one["optimum"][rows]]
        labels += [f"{name}: g(z)", f"g*(z), overlap {middle:.3g}"]
    stem = label.lower().replace(" ", "-").replace(",", "")
    path = grids.draw_image_grid(
        np.concatenate(board), lab.build_path(f"{stem}.png"), DRAWS_PER_ROW, row_labels=labels, group=2
    )
    legend = "; ".join(f"{name}: {text}" for name, text in CHOICES.items())
    lab.add_picture(
        path,
        f"{label}, {DRAWS} draws of the prior ({legend}): what the model decodes, above the mean of "
        "training images by their weights",
    )


def add_verdicts(lab, rows, draws):
    """Add the verdicts on the rows and on `draws`, {label: what `decode_prior_draws` returns}."""
    masses = ", ".join(f"{row['model']} {row['hole mass']:.1%}" for row in rows)
    gaps = "; ".join(f"{row['model']}: {row['gap, prior']:.1f} against {row['gap, codes']:.1f}" for row in rows)
    lab.add_verdict(
        "Parnas: holes",
        "over 1% of the prior are holes, and its draws are decoded further from g* than codes are",
        all(row["low"] > LEAST_HOLE_MASS and row["gap, prior"] > row["gap, codes"] for row in rows),
        f"hole mass {masses}; |g - g*|^2 of prior draws against codes: {gaps}",
    )
    dark = {}
    for label, one in draws.items():
        light = one["g"].mean((1, 2, 3))
        worst = choose_draws(one["log_ratio"], one["overlap"], len(light) // 10)["holes"]
        dark[label] = light[worst].mean() / light.mean()
    lab.add_verdict(
        "Parnas: holes",
        "what is decoded from holes is almost black",
        max(dark.values()) < 0.5,
        "mean grey of the tenth with the lowest q(z) / p(z), relative to all: "
        + ", ".join(f"{label} {share:.2f}" for label, share in dark.items()),
    )
    ranks = {label: spearmanr(one["overlap"], measure_detail(one["g"])).statistic for label, one in draws.items()}
    lab.add_verdict(
        "Parnas: blur",
        "blur comes with the overlap of posteriors: more of it, less detail",
        max(ranks.values()) < 0,
        "rank correlation of overlap and detail of g(z): "
        + ", ".join(f"{label} {rank:+.2f}" for label, rank in ranks.items()),
    )
    by_sigma = sorted(rows, key=lambda row: row["sigma^2"])
    falls = all(a["overlap, codes"] <= b["overlap, codes"] for a, b in zip(by_sigma, by_sigma[1:]))
    lab.add_verdict(
        "Parnas: blur; Parnas: optimal sigma^2",
        "a smaller sigma^2 leaves less overlap on codes",
        falls,
        ", ".join(
            f"{row['model']}: sigma^2 {row['sigma^2']:.4f}, overlap {row['overlap, codes']:.3g}" for row in by_sigma
        ),
    )


def measure_detail(images):
    """Return the mean absolute difference of neighbouring pixels of each image [N, H, W, C], [N]."""
    across, down = np.abs(np.diff(images, axis=2)), np.abs(np.diff(images, axis=1))
    return across.mean((1, 2, 3)) + down.mean((1, 2, 3))
