"""The metrics of `tfvae evaluate` on data whose answer is known: bias and spread of each estimator.

    python benchmarks/estimators.py [--rounds 20]

Each row is `rounds` independent data sets: the mean of the estimates, their bias from the truth (a closed form, a
quadrature, or the definition) with its 95% interval, and the standard deviation of one estimate. No training, no data
set. Writes results/estimators.{md,csv}.
"""

import argparse

import numpy as np
from common import write_results
from scipy import integrate, stats

import tfvae
from tfvae.evaluation import (
    disentanglement,
    feature_distances,
    fixed_factor_scores,
    marginal_kl,
    mmd,
    posterior_holes,
    score_images,
)

NARROW = 0.3  # stddev of each posterior


def build_row(metric, setting, n, truth, estimates):
    """Return one row of the table from the estimates of independent data sets."""
    estimates = np.asarray(estimates, np.float64)
    bias, spread = estimates.mean() - truth, estimates.std(ddof=1)
    half = stats.t.ppf(0.975, len(estimates) - 1) * spread / np.sqrt(len(estimates))
    return {
        "metric": metric,
        "setting": setting,
        "n": n,
        "truth": float(truth),
        "mean": float(estimates.mean()),
        "bias": float(bias),
        "95% interval of the bias": f"{bias - half:.3g} to {bias + half:.3g}",
        "stddev of one": float(spread),
        "rounds": len(estimates),
    }


# --- the aggregated posterior: means drawn from two clusters in 4 dimensions, so that q(z) is a known mixture


def draw_clusters(n, draw, latent=4):
    """Return means and log stddevs [n, latent] of posteriors whose aggregate is a product of mixtures as n grows."""
    mean = np.where(draw.random((n, latent)) < 0.5, -1.0, 1.0) + 0.5 * draw.normal(size=(n, latent))
    return mean, np.full_like(mean, np.log(NARROW))


def compute_density(z):
    """Return q(z) of one dimension in the limit."""
    spread = np.hypot(0.5, NARROW)
    return 0.5 * (stats.norm.pdf(z, -1, spread) + stats.norm.pdf(z, 1, spread))


def build_marginal_rows(rounds):
    """Return the rows of the marginal KL."""
    truth = (
        4
        * integrate.quad(
            lambda z: compute_density(z) * np.log(compute_density(z) / stats.norm.pdf(z)), -8, 8, limit=200
        )[0]
    )
    m, s2 = 0.0, 1.0 + 0.25 + NARROW**2
    of_moments = 4 * 0.5 * (s2 + m**2 - 1 - np.log(s2))
    rows = []
    for n in (1000, 10_000):
        estimates = {"marginal KL": [], "its sum over dimensions": [], "its moments alone": []}
        for i in range(rounds):
            mean, log_stddev = draw_clusters(n, np.random.default_rng(i))
            rate = 0.5 * (mean**2 + NARROW**2 - 1 - 2 * np.log(NARROW)).sum(1).mean()
            estimates["marginal KL"].append(
                marginal_kl.estimate_marginal_kl(mean, log_stddev, None, seed=i, rate=rate).kl
            )
            dims = mmd.estimate_dimension_kl(mean, log_stddev, seed=i)
            estimates["its sum over dimensions"].append(dims.kl.sum())
            estimates["its moments alone"].append(mmd.compute_moment_kl(mean, log_stddev))
        for name, values in estimates.items():
            exact = of_moments if "moments" in name else truth
            rows.append(build_row(name, "two clusters in 4 dimensions", n, exact, values))
    return rows


# --- holes and blur on a line, n posteriors that are fixed


def build_hole_rows(rounds):
    """Return the rows of the hole mass and of overlap."""
    mean, stddev = np.array([-1.0, 0.0, 1.5]), np.array([0.1, 0.3, 0.4])

    def ratio(z):
        return stats.norm.pdf(np.asarray(z)[:, None], mean, stddev).mean(1) / stats.norm.pdf(z)

    def overlap(z):
        densities = stats.norm.pdf(np.asarray(z)[:, None], mean, stddev) + 1e-300
        w = densities / densities.sum(1, keepdims=True)
        return np.exp(-(w * np.log(w)).sum(1))

    grid = np.linspace(-9, 9, 1_000_001)
    step = grid[1] - grid[0]
    aggregate = stats.norm.pdf(grid[:, None], mean, stddev).mean(1)
    mass = ((ratio(grid) < np.exp(posterior_holes.HOLE_THRESHOLD)) * stats.norm.pdf(grid)).sum() * step
    truths = {
        "hole mass": mass,
        "overlap at z ~ p(z)": (overlap(grid) * stats.norm.pdf(grid)).sum() * step,
        "overlap at z ~ q(z)": (overlap(grid) * aggregate).sum() * step,
    }
    estimates = {name: [] for name in truths}
    for i in range(rounds):
        draw = np.random.default_rng(i)
        z, which = draw.normal(size=(posterior_holes.DRAWS, 1)), draw.integers(0, 3, posterior_holes.DRAWS)
        at_q = mean[which] + stddev[which] * draw.normal(size=posterior_holes.DRAWS)
        weights = [
            posterior_holes.compute_posterior_weights(at, mean[:, None], np.log(stddev)[:, None])
            for at in (z, at_q[:, None])
        ]
        estimates["hole mass"].append(
            posterior_holes.estimate_hole_mass(weights[0].log_q - stats.norm.logpdf(z[:, 0]))[0]
        )
        estimates["overlap at z ~ p(z)"].append(weights[0].overlap.mean())
        estimates["overlap at z ~ q(z)"].append(weights[1].overlap.mean())
    return [
        build_row(name, "three posteriors on a line", posterior_holes.DRAWS, truths[name], estimates[name])
        for name in truths
    ]


# --- samples beside samples


def build_sample_rows(rounds):
    """Return the rows of what compares samples with samples."""
    rows, shift, width = [], 0.5, np.sqrt(2.0)
    falls = np.exp(-2 * shift**2 / (2 * (width**2 + 2)))  # two dimensions, u - v ~ N(shift, 2)
    truth = 2 * width**2 / (width**2 + 2) * (1 - falls)
    for n in (200, 2000):
        values = [mmd.estimate_mmd2(*draw_pair(n, 2, i, shift)) for i in range(rounds)]
        rows.append(build_row("MMD^2, RBF", "normals, means 0.5 apart, 2 dimensions", n, truth, values))
    for n in (1000, 10_000):
        values = [feature_distances.compute_frechet_distance(*draw_pair(n, 16, i, 0.25, 1.5)) for i in range(rounds)]
        rows.append(build_row("Frechet", "normals in 16 dimensions", n, 16 * (0.25**2 + 0.5**2), values))
    for n in (200, 2000):
        first, second = np.array([0.0, 1.0, 0.0]), np.array([0.5, 1.25, 0.5**3 + 1.5])
        values = [feature_distances.estimate_kid(*draw_pair(n, 1, i, 0.5)) for i in range(rounds)]
        rows.append(
            build_row("KID", "normals on a line, means 0.5 apart", n, ([3, 3, 1] * (first - second) ** 2).sum(), values)
        )
    for n in (200, 2000):
        each = [
            feature_distances.compute_prdc(*(draw.random((n, 1)) + [shift] for shift in (0.0, 0.5)))
            for draw in map(np.random.default_rng, range(rounds))
        ]
        # a ball of 5 real neighbours misses all n fakes of the same density 1 time in 2^5 (Naeem et al., 2020)
        shares = {"coverage": 0.5 * (1 - 2.0**-5)}
        for name in feature_distances.PRDC:
            values = [estimates[name] for estimates in each]
            rows.append(build_row(name, "intervals of length 1 that share a half", n, shares.get(name, 0.5), values))
    return rows


def draw_pair(n, dims, seed, shift, scale=1.0):
    """Return n draws of N(0, I) and n of N(shift, scale^2 I)."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, dims)), shift + scale * draw.normal(size=(n, dims))


# --- codes of known factors


def build_code_rows(rounds):
    """Return the rows of the disentanglement scores."""
    estimates = {}
    for i in range(rounds):
        draw = np.random.default_rng(i)
        v = draw.integers(0, 4, (2000, 2))
        turned = v @ np.array([[1.0, 1.0], [1.0, -1.0]])  # and 1.4 times as long; whole numbers, equal to the bit
        useless = draw.normal(size=v.shape)
        for name, codes, mig, sap, dci in (
            ("each factor its code", v * 1.0, 1.0, 0.75, 1.0),
            ("turned by 45 degrees", turned, 0.0, None, 0.0),
            ("codes of half a factor each", v // 2 * 1.0, 0.5, 0.25, 1.0),
            ("noise", useless, 0.0, 0.0, None),
        ):
            scores = {
                "MIG": (mig, disentanglement.estimate_mig(codes, v)),
                "SAP": (sap, disentanglement.estimate_sap(codes, v)),
            }
            scores["DCI disentanglement"] = (dci, disentanglement.estimate_dci(codes, v).disentanglement)
            vote = {"each factor its code": 1.0, "turned by 45 degrees": 0.5, "noise": 0.5}.get(name)
            scores["FactorVAE"] = (vote, fixed_factor_scores.estimate_factor_vae_score(codes, v))
            scores["beta-VAE"] = (vote, fixed_factor_scores.estimate_beta_vae_score(codes, v, points=1000))
            for metric, (truth, value) in scores.items():
                if truth is not None:
                    estimates.setdefault((metric, name, truth), []).append(value)
    return [build_row(metric, name, 2000, truth, values) for (metric, name, truth), values in sorted(estimates.items())]


# --- bounds of the linear-Gaussian model, whose log p(x) is a normal density


def build_linear_model(sigma=0.3, off=0.1, stretch=1.3):
    """Return a model p(x|z) = N(W z + b, sigma^2 I) whose encoder is off, its p(x), and the gap of its ELBO.

    Args:
        sigma: of the decoder.
        off: by which the encoder's means are wrong.
        stretch: factor by which its stddevs are wrong.
    """
    w = np.array([[0.6, 0.0, -0.3, 0.5, 0.1], [0.0, 0.4, 0.2, 0.1, 0.1]]).T  # orthogonal: the posterior is diagonal
    b = np.array([0.1, -0.2, 0.3, 0.0, 0.5])
    variance = 1 / (1 + (w**2).sum(0) / sigma**2)
    model = tfvae.build("elbo", f"gaussian:sigma={sigma},link=linear", "mlp:widths=,latent=2", image_shape=(1, 5, 1))
    kernel = w / sigma**2 * variance
    raw = 8 * np.arctanh((0.5 * np.log(variance) + np.log(stretch)) / 8)  # undoes the bound of log stddevs
    model.arch.encoder.set_weights([np.hstack([kernel, 0 * kernel]), np.hstack([off - b @ kernel, raw])])
    model.arch.decoder.set_weights([w.T, b])
    gap = (0.5 * (stretch**2 + off**2 / variance - 1) - np.log(stretch)).sum()
    return model, stats.multivariate_normal(b, w @ w.T + sigma**2 * np.eye(5)), gap


def build_bound_rows(rounds, images=200):
    """Return the rows of mean (bound - log p(x)) over images: exact for the ELBO, towards 0 for K samples."""
    model, p_x, gap = build_linear_model()
    x = p_x.rvs(rounds * images, random_state=0)
    rows, setting = [], "linear-Gaussian, posterior off"
    for samples in (1, 10, 100, 1000, 5000):
        estimates = score_images(model, x.reshape(-1, 1, 5, 1).astype(np.float32), samples=samples)
        off = {name: (estimates[name] - p_x.logpdf(x)).reshape(rounds, images).mean(1) for name in ("elbo", "bound")}
        if samples == 100:
            rows.append(build_row("ELBO - log p(x)", setting, images, -gap, off["elbo"]))
        rows.append(build_row(f"{samples}-sample bound - log p(x)", setting, images, 0.0, off["bound"]))
    return rows


def main(rounds):
    """Write the table of all estimators."""
    parts = (build_bound_rows, build_marginal_rows, build_hole_rows, build_sample_rows, build_code_rows)
    write_results("estimators", [one for part in parts for one in part(rounds)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    main(parser.parse_args().rounds)
