"""The registry of all metrics of tfvae: name, unit, definition and which direction is better.

The tables of `tfvae evaluate`, the cards of the zoo and the table in the documentation are made from it. The keys of
``tfvae evaluate --json`` are the names here, with ``_low`` and ``_high`` for the ends of 95% confidence intervals.
"""

from __future__ import annotations

from tfvae.errors import UsageError, describe_unknown
from tfvae.evaluation.metric_types import (
    CODES,
    HOLES,
    LATENT,
    LIKELIHOOD,
    NATS,
    RATE_DISTORTION,
    SAMPLES,
    SHARE,
    SURGERY,
    Metric,
)

# The version of what `evaluate` measures: another estimator, or more metrics, is another version, measured anew.
EVALUATION_VERSION = 3

METRICS: tuple[Metric, ...] = (
    Metric("elbo", NATS, "-(rate + distortion): what was trained, without beta and multipliers", True, LIKELIHOOD),
    Metric(
        "nll",
        NATS,
        "-log 1/K sum_k p(x, z_k) / q(z_k|x), z_k ~ q: above -log p(x), less so with K (Burda et al., 2016)",
        False,
        LIKELIHOOD,
    ),
    Metric(
        "bits_per_dim",
        "bits per dimension",
        "nll per pixel, of dequantised images where p(x|z) is a density: compares likelihoods of 8-bit data",
        False,
        LIKELIHOOD,
    ),
    Metric("rate", NATS, "KL(q(z|x) || p(z)): what codes cost", None, RATE_DISTORTION),
    Metric("distortion", NATS, "-E log p(x|z): what decoding costs", False, RATE_DISTORTION),
    Metric(
        "distortion_optimal_sigma",
        NATS,
        "-E log N(x; g(z), sigma^2 I), sigma^2 the training images' mean squared error",
        False,
        RATE_DISTORTION,
    ),
    Metric("distortion_unit_sigma", NATS, "-E log N(x; g(z), I): compares any two decoders", False, RATE_DISTORTION),
    Metric("sq_err", "sum over pixels in [0, 1]", "|x - g(z)|^2, z ~ q(z|x)", False, RATE_DISTORTION),
    Metric(
        "mean_picture_error",
        "sum over pixels in [0, 1]",
        "|x - mean of the images|^2: sq_err of a decoder that knows nothing of x",
        None,
        RATE_DISTORTION,
    ),
    Metric(
        "ssim",
        "",
        "structural similarity of x and g(E z), window 11 (Wang et al., 2004)",
        True,
        RATE_DISTORTION,
        remark="of mean reconstructions, at most 1",
    ),
    Metric("psnr", "dB", "10 log10(1 / mean squared error) of x and g(E z)", True, RATE_DISTORTION),
    Metric(
        "active_units",
        "dimensions",
        "Var_x E_q z > 0.01 (Burda et al., 2016)",
        None,
        LATENT,
        remark="of {latent}, by variance",
    ),
    Metric(
        "active_units_kl",
        "dimensions",
        "mean KL(q(z_d|x) || N(0, 1)) > 0.01",
        None,
        LATENT,
        remark="of {latent}, by KL",
    ),
    Metric(
        "collapse",
        "",
        "posterior collapse in words: dimensions not active by variance, rate, sq_err beside mean_picture_error",
        None,
        LATENT,
    ),
    Metric("kl_per_dimension", "nats, sorted", "mean KL(q(z_d|x) || N(0, 1)) of each dimension", None, LATENT),
    Metric(
        "marginal_kl",
        "nats",
        "KL(q(z) || p(z)) = rate - I(x; z), q(z) of the split's n posteriors; an upper bound where I is near log n",
        False,
        LATENT,
        remark="nats, {marginal_posteriors} posteriors",
    ),
    Metric(
        "marginal_kl_moments",
        "nats",
        "KL(N(m, S) || p(z)), m and S the mean and covariance of q(z): a lower bound of marginal_kl",
        False,
        LATENT,
        remark="nats, of the moments alone",
    ),
    Metric(
        "marginal_kl_dims",
        "nats",
        "sum_d KL(q(z_d) || p(z_d)): a lower bound of marginal_kl",
        False,
        LATENT,
        remark="nats, sum over single dimensions",
    ),
    Metric(
        "mutual_information",
        "nats",
        "I(x; z) = E log q(z|x) / q(z): what the code knows of the image",
        None,
        LATENT,
        remark="nats, at most log n",
    ),
    Metric(
        "mmd",
        "MMD^2",
        "unbiased MMD^2 of codes and draws of the prior, RBF kernel of width sqrt(L): for any architecture",
        False,
        LATENT,
        remark="MMD^2, {mmd_codes} codes and draws of the prior",
    ),
    Metric(
        "log_px_ratio",
        "nats",
        "E log p(x|z) / p(x): what z says of x, as the decoder reads it (Esmaeili et al., 2019)",
        None,
        SURGERY,
        section="elbo_surgery",
        remark="1: E log p(x|z)/p(x), nats",
    ),
    Metric(
        "mutual_information",
        "nats",
        "I(x; z) of the encoder, at most log n; with term 4 the rate (Hoffman & Johnson, 2016)",
        None,
        SURGERY,
        section="elbo_surgery",
        remark="2: I(x; z), nats",
    ),
    Metric(
        "kl_data",
        "nats",
        "KL(q(x) || p(x)), q(x) = 1/n on each of n images",
        False,
        SURGERY,
        section="elbo_surgery",
        remark="3: KL(q(x) || p(x)), nats",
    ),
    Metric(
        "marginal_kl",
        "nats",
        "KL(q(z) || p(z))",
        False,
        SURGERY,
        section="elbo_surgery",
        remark="4: KL(q(z) || p(z)), nats",
    ),
    Metric("log_n", "nats", "log n, n the number of images", None, SURGERY, section="elbo_surgery"),
    Metric(
        "hole_mass",
        SHARE,
        "share of z ~ p(z) with q(z) < p(z) / 100, q(z) of up to 60,000 training images",
        False,
        HOLES,
        remark="share of the prior where q(z) < p(z) / 100; {hole_posteriors} posteriors",
    ),
    Metric("reverse_kl", "nats", "KL(p(z) || q(z))", False, HOLES, remark="KL(p(z) || q(z)), nats"),
    Metric(
        "overlap_prior",
        "posteriors",
        "E exp H(w(z)), w_i = q(z|x_i) / sum_j q(z|x_j), z ~ p(z): how many posteriors share a z",
        None,
        HOLES,
        remark="posteriors at z ~ p(z)",
    ),
    Metric("overlap_posterior", "posteriors", "the same for z ~ q(z)", None, HOLES, remark="posteriors at z ~ q(z)"),
    Metric(
        "decoder_gap_prior",
        "sum over pixels in [0, 1]",
        "E |g(z) - g*(z)|^2, z ~ p(z): how far the decoder is from the best one, g* = sum_i w_i(z) x_i",
        False,
        HOLES,
        remark="|g - g*|^2 at z ~ p(z)",
    ),
    Metric(
        "decoder_gap_posterior",
        "sum over pixels in [0, 1]",
        "the same for z ~ q(z)",
        False,
        HOLES,
        remark="|g - g*|^2 at z ~ q(z)",
    ),
    Metric("mig", "", "mutual information gap, at most 1 (Chen et al., 2018)", True, CODES),
    Metric("sap", "", "separated attribute predictability, at most 1 (Kumar et al., 2018)", True, CODES),
    Metric(
        "dci_disentanglement",
        "",
        "whether a code stands for one factor, at most 1 (Eastwood & Williams, 2018)",
        True,
        CODES,
    ),
    Metric(
        "dci_completeness", "", "whether a factor is in one code, at most 1 (Eastwood & Williams, 2018)", True, CODES
    ),
    Metric(
        "dci_informativeness", "", "held-out accuracy of forests that read factors from codes, at most 1", True, CODES
    ),
    Metric("factor_vae", SHARE, "accuracy of the vote of the code that varies least (Kim & Mnih, 2018)", True, CODES),
    Metric(
        "beta_vae", SHARE, "accuracy of a linear classifier of code differences (Higgins et al., 2017)", True, CODES
    ),
    Metric(
        "probe",
        SHARE,
        "held-out accuracy of logistic regression on E_q z, for labels or a known factor",
        True,
        CODES,
        member="FACTOR",
        remark="accuracy of a linear classifier",
    ),
    Metric(
        "frechet",
        "distance",
        "Frechet distance of normals fitted to features (Heusel et al., 2017)",
        False,
        SAMPLES,
        member="EXTRACTOR",
        remark="distance, {pictures} samples",
    ),
    Metric(
        "kid",
        "MMD^2",
        "unbiased MMD^2 of features, cubic kernel (Binkowski et al., 2018)",
        False,
        SAMPLES,
        member="EXTRACTOR",
    ),
    Metric(
        "precision",
        SHARE,
        "samples within 5-nearest-neighbour balls of images (Kynkaanniemi et al., 2019)",
        True,
        SAMPLES,
        member="EXTRACTOR",
    ),
    Metric(
        "recall",
        SHARE,
        "images within 5-nearest-neighbour balls of samples (Kynkaanniemi et al., 2019)",
        True,
        SAMPLES,
        member="EXTRACTOR",
    ),
    Metric(
        "density",
        "",
        "mean number of images' balls around a sample, over 5 (Naeem et al., 2020)",
        True,
        SAMPLES,
        member="EXTRACTOR",
    ),
    Metric(
        "coverage", SHARE, "images whose ball holds a sample (Naeem et al., 2020)", True, SAMPLES, member="EXTRACTOR"
    ),
    Metric(
        "label_agreement",
        SHARE,
        "how often the extractor sees the label asked for; with condition=labels",
        True,
        SAMPLES,
        member="EXTRACTOR",
    ),
    Metric(
        "error",
        "|x - g(mean of q)|^2, summed over pixels in [0, 1]",
        "squared error of the reconstruction from the mean of q(z|x)",
        False,
    ),
    Metric("nll_standard_error", NATS, "standard error of nll over the images"),
    Metric("latent", "dimensions", "dimensions of the latent space"),
    Metric("collapsed_units", "dimensions", "dimensions that are active by neither definition"),
    Metric("marginal_kl_standard_error", "nats", "standard error of marginal_kl over the draws"),
    Metric("marginal_kl_per_dimension", "nats", "KL(q(z_d) || p(z_d)) of each dimension", False),
    Metric("marginal_posteriors", "images", "n of the aggregate q(z) in marginal_kl"),
    Metric("mmd_codes", "images", "codes in mmd"),
    Metric("hole_threshold", "nats", "log q(z) / p(z) below which z is in a hole"),
    Metric("hole_draws", "draws", "draws of the prior, and of q(z), in the group holes and blur"),
    Metric("hole_posteriors", "images", "n of the aggregate q(z) in the group holes and blur"),
    Metric("probe_codes", "images", "codes in the scores of factors and labels"),
    Metric("pictures", "images", "samples that were compared with images"),
)


def find_metric(name: str, section: str = "") -> Metric:
    """Return the metric that a key of the results names.

    Args:
        name: the key, with or without the member of a family in brackets.
        section: the key of the nested dict that holds it; "": the top.

    Raises:
        UsageError: there is no such metric.
    """
    family = name.partition("[")[0]
    for metric in METRICS:
        if metric.name == family and metric.section == section:
            return metric
    raise UsageError(describe_unknown("metric", name, sorted({metric.name for metric in METRICS})))
