"""The metrics of `tfvae evaluate` on data whose answer is known: bias and spread of each estimator.

    python benchmarks/estimators.py [--rounds 20]

Each row is `rounds` independent data sets: the mean of the estimates, their bias from the truth (a closed form, a
quadrature, or the definition) with its 95% interval, and the standard deviation of one estimate. No training, no data
set. Writes results/estimators.{md,csv}.
"""

import argparse

import numpy as np
from common import write
from scipy import integrate, stats

import tfvae
from tfvae.evaluation import (
    disentanglement,
    feature_distances,
    fixed_factor_scores,
    marginal_kl,
    mmd,
    posterior_holes,
    score,
)

NARROW = 0.3  # stddev of each posterior


def row(metric, setting, n, truth, estimates):
    """One line of the table from the estimates of independent data sets."""
    estimates = np.asarray(estimates, np.float64)
    bias, spread = estimates.mean() - truth, estimates.std(ddof=1)
    half = stats.t.ppf(0.975, len(estimates) - 1) * spread / np.sqrt(len(estimates))
    return {"metric": metric, "setting": setting, "n": n, "truth": float(truth), "mean": float(estimates.mean()),
            "bias": float(bias), "95% interval of the bias": f"{bias - half:.3g} to {bias + half:.3g}",
            "stddev of one": float(spread), "rounds": len(estimates)}  # fmt: skip


# --- the aggregated posterior: means drawn from two clusters in 4 dimensions, so that q(z) is a known mixture


def clusters(n, draw, latent=4):
    """Means [n, latent] and log stddevs of posteriors whose aggregate, for n without end, is a product of mixtures."""
    mean = np.where(draw.random((n, latent)) < 0.5, -1.0, 1.0) + 0.5 * draw.normal(size=(n, latent))
    return mean, np.full_like(mean, np.log(NARROW))


def density(z):
    """q(z) of one dimension in the limit."""
    spread = np.hypot(0.5, NARROW)
    return 0.5 * (stats.norm.pdf(z, -1, spread) + stats.norm.pdf(z, 1, spread))


def marginal_rows(rounds):
    truth = 4 * integrate.quad(lambda z: density(z) * np.log(density(z) / stats.norm.pdf(z)), -8, 8, limit=200)[0]
    m, s2 = 0.0, 1.0 + 0.25 + NARROW**2
    of_moments = 4 * 0.5 * (s2 + m**2 - 1 - np.log(s2))
    rows = []
    for n in (1000, 10_000):
        found = {"marginal KL": [], "its sum over dimensions": [], "its moments alone": []}
        for i in range(rounds):
            mean, log_stddev = clusters(n, np.random.default_rng(i))
            rate = 0.5 * (mean**2 + NARROW**2 - 1 - 2 * np.log(NARROW)).sum(1).mean()
            found["marginal KL"].append(marginal_kl.marginal_kl(mean, log_stddev, None, seed=i, rate=rate).kl)
            dims = mmd.marginal_kl_dims(mean, log_stddev, seed=i)
            found["its sum over dimensions"].append(dims.kl.sum())
            found["its moments alone"].append(mmd.moment_kl(mean, log_stddev))
        for name, values in found.items():
            exact = of_moments if "moments" in name else truth
            rows.append(row(name, "two clusters in 4 dimensions", n, exact, values))
    return rows


# --- holes and blur on a line, n posteriors that are fixed


def hole_rows(rounds):
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
    mass = ((ratio(grid) < np.exp(posterior_holes.THRESHOLD)) * stats.norm.pdf(grid)).sum() * step
    truths = {"hole mass": mass, "overlap at z ~ p(z)": (overlap(grid) * stats.norm.pdf(grid)).sum() * step,
              "overlap at z ~ q(z)": (overlap(grid) * aggregate).sum() * step}  # fmt: skip
    found = {name: [] for name in truths}
    for i in range(rounds):
        draw = np.random.default_rng(i)
        z, which = draw.normal(size=(posterior_holes.DRAWS, 1)), draw.integers(0, 3, posterior_holes.DRAWS)
        at_q = mean[which] + stddev[which] * draw.normal(size=posterior_holes.DRAWS)
        weights = [posterior_holes.weights_at(at, mean[:, None], np.log(stddev)[:, None]) for at in (z, at_q[:, None])]
        found["hole mass"].append(posterior_holes.hole_mass(weights[0].log_q - stats.norm.logpdf(z[:, 0]))[0])
        found["overlap at z ~ p(z)"].append(weights[0].overlap.mean())
        found["overlap at z ~ q(z)"].append(weights[1].overlap.mean())
    return [
        row(name, "three posteriors on a line", posterior_holes.DRAWS, truths[name], found[name]) for name in truths
    ]


# --- samples beside samples


def sample_rows(rounds):
    rows, shift, width = [], 0.5, np.sqrt(2.0)
    falls = np.exp(-2 * shift**2 / (2 * (width**2 + 2)))  # two dimensions, u - v ~ N(shift, 2)
    truth = 2 * width**2 / (width**2 + 2) * (1 - falls)
    for n in (200, 2000):
        values = [mmd.mmd2(*pair(n, 2, i, shift)) for i in range(rounds)]
        rows.append(row("MMD^2, RBF", "normals, means 0.5 apart, 2 dimensions", n, truth, values))
    for n in (1000, 10_000):
        values = [feature_distances.frechet(*pair(n, 16, i, 0.25, 1.5)) for i in range(rounds)]
        rows.append(row("Frechet", "normals in 16 dimensions", n, 16 * (0.25**2 + 0.5**2), values))
    for n in (200, 2000):
        first, second = np.array([0.0, 1.0, 0.0]), np.array([0.5, 1.25, 0.5**3 + 1.5])
        values = [feature_distances.kid(*pair(n, 1, i, 0.5)) for i in range(rounds)]
        rows.append(
            row("KID", "normals on a line, means 0.5 apart", n, ([3, 3, 1] * (first - second) ** 2).sum(), values)
        )
    for n in (200, 2000):
        each = [feature_distances.prdc(*(draw.random((n, 1)) + [shift] for shift in (0.0, 0.5)))
                for draw in map(np.random.default_rng, range(rounds))]  # fmt: skip
        # a ball of 5 real neighbours misses all n fakes of the same density 1 time in 2^5 (Naeem et al., 2020)
        shares = {"coverage": 0.5 * (1 - 2.0**-5)}
        for name in feature_distances.PRDC:
            values = [found[name] for found in each]
            rows.append(row(name, "intervals of length 1 that share a half", n, shares.get(name, 0.5), values))
    return rows


def pair(n, dims, seed, shift, scale=1.0):
    """N(0, I) and N(shift, scale^2 I), n draws of each."""
    draw = np.random.default_rng(seed)
    return draw.normal(size=(n, dims)), shift + scale * draw.normal(size=(n, dims))


# --- codes of known factors


def code_rows(rounds):
    found = {}
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
            scores = {"MIG": (mig, disentanglement.mig(codes, v)), "SAP": (sap, disentanglement.sap(codes, v))}
            scores["DCI disentanglement"] = (dci, disentanglement.dci(codes, v).disentanglement)
            vote = {"each factor its code": 1.0, "turned by 45 degrees": 0.5, "noise": 0.5}.get(name)
            scores["FactorVAE"] = (vote, fixed_factor_scores.factor_vae_score(codes, v))
            scores["beta-VAE"] = (vote, fixed_factor_scores.beta_vae_score(codes, v, points=1000))
            for metric, (truth, value) in scores.items():
                if truth is not None:
                    found.setdefault((metric, name, truth), []).append(value)
    return [row(metric, name, 2000, truth, values) for (metric, name, truth), values in sorted(found.items())]


# --- bounds of the linear-Gaussian model, whose log p(x) is a normal density


def linear_model(sigma=0.3, off=0.1, stretch=1.3):
    """p(x|z) = N(W z + b, sigma^2 I), the encoder's means off by `off` and its stddevs by `stretch`: -> model, p(x)."""
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


def bound_rows(rounds, images=200):
    """The means of (bound - log p(x)) over images: known for the ELBO, towards 0 for K samples."""
    model, p_x, gap = linear_model()
    x = p_x.rvs(rounds * images, random_state=0)
    rows, setting = [], "linear-Gaussian, posterior off"
    for samples in (1, 10, 100, 1000, 5000):
        found = score(model, x.reshape(-1, 1, 5, 1).astype(np.float32), samples=samples)
        off = {name: (found[name] - p_x.logpdf(x)).reshape(rounds, images).mean(1) for name in ("elbo", "bound")}
        if samples == 100:
            rows.append(row("ELBO - log p(x)", setting, images, -gap, off["elbo"]))
        rows.append(row(f"{samples}-sample bound - log p(x)", setting, images, 0.0, off["bound"]))
    return rows


def main(rounds):
    parts = (bound_rows, marginal_rows, hole_rows, sample_rows, code_rows)
    write("estimators", [one for part in parts for one in part(rounds)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    main(parser.parse_args().rounds)
