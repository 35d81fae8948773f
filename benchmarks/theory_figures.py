"""The theory of free encoders and decoders in pictures: transitions, kernel PCA, partitions, energy levels.

    python benchmarks/theory_figures.py [--part transitions kernel_pca partition levels]

No training and no data set: fixed points of `tfvae.theory` on toy data, beside what is known of them. Writes
results/theory_*.{png,md,csv}.
"""

import argparse
from typing import NamedTuple

import numpy as np
from common import RESULTS, write
from matplotlib.colors import ListedColormap

from tfvae.plots import ACCENT, BLUE, CLASSES, COLOURS, INK, MUTED, SMALL, dress, headline, new_figure, save_figure
from tfvae.theory import fixed_point as fp
from tfvae.theory import kernel_pca as kp
from tfvae.theory import levels, partition, transitions

SEED = 10165  # of the nine data of two pictures: one that puts them well apart
SIDE, REACH = 160, 3.2  # of the latent grid they share


def normal_clusters(centres, spread, count, seed):
    """`count` draws around each centre [k, D]: -> [k count, D]."""
    draw, centres = np.random.default_rng(seed), np.asarray(centres, np.float64)
    return np.concatenate([c + spread * draw.normal(size=(count, centres.shape[1])) for c in centres])


# --- phase transitions


class Case(NamedTuple):
    """A sweep over beta, what is known of it, and how to draw it."""

    found: transitions.Annealed
    known: np.ndarray  # the beta_c, falling
    truth: np.ndarray | None  # u(beta), where there is a closed form
    decoder: np.ndarray  # curves over beta, [T, any]
    label: str
    scale: str  # of the axis of beta
    legend: str
    sides: tuple  # of each beta_c, rising, on which its label stands (-1 left, 1 right), and in which row


def linear_case():
    """A linear decoder of four latent dimensions."""
    values, betas = np.array([4.0, 2.0, 1.0, 0.3]), np.geomspace(7.0, 0.15, 600)
    found, truth = transitions.linear_anneal(np.diag(values), 4, betas), transitions.linear_error(values, betas)
    decoder, sides = np.linalg.svd(found.g, compute_uv=False), ((1, 0), (1, 1), (1, 0), (1, 0))
    return Case(found, values, truth, decoder, "singular values of W", "linear", "lower right", sides)


def mixture_case():
    """A free decoder on four narrow clusters, two and two."""
    x = normal_clusters([[-4, -1.0], [-4, 1], [4, -0.7], [4, 0.7]], 0.1, 30, seed=0)
    known = np.array([transitions.first_critical(part) for part in (x, x[:60], x[60:])])
    found = transitions.anneal(x, np.zeros(16), np.geomspace(1.5 * known[0], 0.2, 600))
    decoder, sides = found.g @ [0.22, 1.0], ((-1, 0), (1, 0), (-1, 0))
    return Case(found, known, None, decoder, "g(z), projected on (0.22, 1)", "log", "center", sides)


def draw_case(axes, name, case, detected):
    """u, its curvature and the decoder, one above the other, with the known beta_c as dashed lines."""
    (top, middle, bottom), betas = axes, case.found.beta
    dress(top, name, "", "u = E|x - g(z)|^2")
    top.plot(betas, case.found.u, color=BLUE, linewidth=2.2, label="fixed-point iteration")
    if case.truth is not None:
        top.plot(betas, case.truth, color=ACCENT, linewidth=1.3, linestyle=(0, (1.5, 2)),
                 label="sum of min(lambda, beta)")  # fmt: skip
    top.legend(frameon=False, fontsize=SMALL, loc=case.legend, labelcolor=INK)
    dress(middle, "", "", "beta |d2u / dbeta2|")
    sharpness = betas[1:-1] * np.abs(transitions.curvature(betas, case.found.u))
    middle.plot(betas[1:-1], sharpness, color=BLUE, linewidth=1.4)
    height = 1.22 * sharpness.max()
    middle.set_ylim(0, height)
    dress(bottom, "", "beta", case.label)
    bottom.plot(betas, case.decoder, color=BLUE, linewidth=1.4)
    for ax in axes:
        ax.set_xscale(case.scale)
        for beta in case.known:
            ax.axvline(beta, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for found, known, (side, row) in zip(detected[::-1], case.known[::-1], case.sides):
        middle.annotate(f"{known:.4g}\nfound {found:.4g}", (known, height), (4 * side, -2 - 24 * row), va="top",
                        ha="right" if side < 0 else "left", textcoords="offset points", fontsize=SMALL,
                        color=INK)  # fmt: skip


def draw_transitions():
    cases = {"linear decoder": linear_case(), "free decoder, mixture": mixture_case()}
    figure, axes = new_figure(3, 2, 8.4, sharex="col")
    rows = []
    for column, (name, case) in enumerate(cases.items()):
        detected = transitions.critical_betas(case.found.beta, case.found.u)
        if len(detected) != len(case.known):
            raise SystemExit(f"{name}: expected {len(case.known)} transitions. Received: {detected}.")
        draw_case(axes[:, column], name, case, detected)
        rows += [
            {"case": name, "beta_c known": float(a), "beta_c found": float(b), "error %": float(100 * (b / a - 1))}
            for a, b in zip(case.known, detected)
        ]
    headline(figure, "Phase transitions lie at eigenvalues of the covariance (dashed)")
    save_figure(figure, RESULTS / "theory_transitions.png")
    write("theory_transitions", rows)


# --- kernel PCA


def agreements(x, cells, betas):
    """At each beta: the smallest cosine between kernel PCA's leading cells - 1 components and the cells'.

    NaN where the cells have merged, so that what tells them apart is rounding.
    """
    found = []
    for beta in betas:
        m, _ = kp.soft_clusters(x, x[cells], np.zeros(len(cells)), beta, iterations=20_000)
        if np.linalg.matrix_rank(m - m.mean(0), tol=0.01) < len(cells) - 1:
            found.append(np.nan)
            continue
        pca = kp.kernel_pca(kp.normalised_kernel(x, beta)[0], len(cells) - 1)
        found.append(kp.agreement(kp.cluster_components(m, len(cells) - 1), pca).min())
    return np.array(found)


def reconstructions(x, cells, beta):
    """Each datum's pre-image under kernel PCA [n, 2], the cells' psi [k, 2], and their distances [n].

    The psi of a datum is that of its most probable cell.
    """
    kernel, d = kp.normalised_kernel(x, beta)
    images = kp.pre_images(x, kp.kernel_pca(kernel, len(cells) - 1), d, beta)
    m, psi = kp.soft_clusters(x, x[cells], np.zeros(len(cells)), beta)
    return images, psi, np.linalg.norm(images - psi[m.argmax(1)], axis=1)


def draw_reconstructions(ax, x, cells, beta):
    images, psi, _ = reconstructions(x, cells, beta)
    dress(ax, f"reconstructions at beta = {beta:g}", "x_1", "x_2")
    ax.plot(*np.stack([x, images], axis=1).transpose(2, 1, 0), color="#c9d6e2", linewidth=0.7, zorder=1)
    ax.scatter(*x.T, s=14, color=COLOURS[4], linewidths=0, label="data", zorder=2)
    ax.scatter(*psi.T, s=170, facecolors="none", edgecolors=ACCENT, linewidths=2, label="psi of the cells", zorder=3)
    ax.scatter(*images.T, s=26, color=INK, marker="x", linewidths=1.1, label="kernel PCA's pre-images", zorder=4)
    ax.set_aspect("equal", adjustable="datalim")
    ax.legend(frameon=False, fontsize=SMALL, loc="upper right", labelcolor=INK)


def draw_kernel_pca():
    centres, cells = [[0, 0], [6, 0], [1, 7]], [0, 30, 60]
    sets = {spread: normal_clusters(centres, spread, 25, seed=5) for spread in (0.1, 0.5, 1.0, 2.0)}
    betas = np.geomspace(0.05, 30, 90)
    figure, axes = new_figure(1, 2, 4.8, width_ratios=[1, 1.15])
    draw_reconstructions(axes[0, 0], sets[0.5], cells, 1.5)
    ax, rows = axes[0, 1], []
    dress(ax, "agreement with scikit-learn's KernelPCA", "", "smallest cosine of principal angles")
    for (spread, x), colour in zip(sets.items(), COLOURS):
        values = agreements(x, cells, betas)
        ax.plot(betas, values, color=colour, linewidth=1.8, label=f"spread {spread:g}")
        last = int(np.flatnonzero(np.isfinite(values))[-1])
        ax.plot(betas[last], values[last], "o", color=colour, markersize=5)
        apart = reconstructions(x, cells, 1.5)[2]
        near = [int(np.abs(np.log(betas / beta)).argmin()) for beta in (0.1, 1.5)]
        rows.append({
            "spread of the clusters": spread,
            "1 - smallest cosine at beta 0.1": float(1 - values[near[0]]),
            "at beta 1.5": float(1 - values[near[1]]),
            "before cells merge": float(1 - values[last]),
            "at beta": float(betas[last]),
            "pre-image to psi at beta 1.5, median": float(np.median(apart)),
            "largest": float(apart.max()),
        })  # fmt: skip
    ax.set(xscale="log", ylim=(0, 1.03))
    ax.legend(frameon=False, fontsize=SMALL, loc="center left", labelcolor=INK)
    ax.set_xlabel("beta; a curve ends where cells merge", fontsize=9, color=MUTED)
    headline(figure, "Cells of a latent space and kernel PCA with the normalised Gaussian kernel")
    save_figure(figure, RESULTS / "theory_kernel_pca.png")
    write("theory_kernel_pca", rows)


# --- partitions


def follow(x, z, log_prior, betas):
    """The fixed point followed down `betas`, each time from g pushed along z, so that cells split along lines.

    A free decoder knows no neighbours: after a random push the parts of a cell are mixed like sand.
    """
    g = np.tile(x.mean(0), (len(z), 1))
    for beta in betas:
        at = fp.fixed_point(x, log_prior, g + 0.01 * beta**0.5 * z, sigma2=beta, iterations=1000, tolerance=1e-5)
        g = at.g
    return at


def tiles(ax, values, colours, **options):
    """Values [SIDE, SIDE] on the latent grid, z_1 to the right."""
    edges = (-REACH, REACH, -REACH, REACH)
    ax.imshow(values.T, origin="lower", extent=edges, cmap=colours, interpolation="nearest", **options)
    ax.grid(False)


def draw_cells(ax, labels, log_prior, name):
    """The cells as tiles, with the prior's one and two standard deviations as circles: -> the rate."""
    count = labels.max() + 1
    rate = partition.partition_rate(partition.masses(labels, log_prior, count))
    dress(ax, name, "z_1", "z_2")
    tiles(ax, labels.reshape(SIDE, SIDE), ListedColormap(CLASSES[:count]), vmin=-0.5, vmax=count - 0.5, alpha=0.85)
    around = np.linspace(0, 2 * np.pi, 200)
    for radius in (1, 2):
        ax.plot(radius * np.cos(around), radius * np.sin(around), color="white", linewidth=1.1)
    ax.set_xlabel(f"rate {rate:.4f} nats = log {count} + {rate - np.log(count):.4f}", fontsize=9, color=INK)
    return rate


def points_in_plane():
    """Nine data in the plane, in no order."""
    return 1.3 * np.random.default_rng(SEED).normal(size=(9, 2))


def draw_partition():
    x = points_in_plane()
    z, log_prior = fp.normal_grid(SIDE, reach=REACH)
    nearest = np.square(z[:, None] - x).sum(-1).argmin(1)
    beta = transitions.first_critical(x)
    annealed = follow(x, z, log_prior, np.geomspace(1.05 * beta, 1e-3, 120))
    kinds = {
        "the nearest datum's cell": nearest,
        "fixed point, beta lowered to 0.001": partition.cells(annealed.q),
        "equiprobable by optimal transport": partition.equiprobable(z, log_prior, x),
    }
    figure, axes = new_figure(1, 3, 4.1)
    rows = []
    for ax, (name, labels) in zip(axes[0], kinds.items()):
        rate = draw_cells(ax, labels, log_prior, name)
        mass = partition.masses(labels, log_prior, len(x))
        rows.append({
            "partition": name,
            "rate": rate,
            "rate - log n": rate - np.log(len(x)),
            "marginal KL": partition.marginal_kl(partition.posteriors(labels, log_prior, len(x)), log_prior),
            "least n pi_i": float(len(x) * mass.min()),
            "largest n pi_i": float(len(x) * mass.max()),
        })  # fmt: skip
    headline(figure, "Cells of nine data in a 2-D latent space; circles: one and two standard deviations of the prior")
    save_figure(figure, RESULTS / "theory_partition.png")
    write("theory_partition", rows)


# --- energy levels


def draw_levels():
    z, log_prior = fp.normal_grid(SIDE, reach=REACH)
    x, epsilon, at, rows, bars = points_in_plane(), 0.15, (108, 62), [], []
    bent = np.stack([1.5 * z[:, 0], z[:, 1] + 0.4 * z[:, 0] ** 2], axis=1)
    tiled = x[partition.equiprobable(z, log_prior, x)]
    figure, axes = new_figure(1, 3, 4.1)
    line = np.linspace(-REACH, REACH, SIDE)
    decoders = {"smooth decoder": (bent, COLOURS[4]), "equiprobable partition": (tiled, BLUE)}
    for ax, (name, (g, _)) in zip(axes[0], decoders.items()):
        h = levels.energy(x[0], g).reshape(SIDE, SIDE)
        labels = levels.level_labels(h, epsilon)
        dress(ax, f"H(x, z), {name}", "z_1", "z_2")
        tiles(ax, np.minimum(labels, 40), "Blues", vmin=-4, vmax=44)
        ax.contour(line, line, (levels.level_set(h, at, 0.4) > 0).T, levels=[0.5], colors=ACCENT, linewidths=1.6)
        ax.plot(line[at[0]], line[at[1]], "o", color=ACCENT, markersize=6, markeredgecolor="white")
        mass = levels.level_masses(labels, log_prior.reshape(SIDE, SIDE))
        bars.append(mass)
        known = mass[mass > 1e-3]
        rows.append({"decoder": name, "levels of 0.1% or more": len(known), "least mass": float(known.min()),
                     "largest mass": float(known.max()), "1/n": 1 / len(x)})  # fmt: skip
    ax = axes[0, 2]
    dress(ax, "prior mass of each level", f"level of H, {2 * epsilon:g} wide", "")
    for mass, (name, (_, colour)), shift in zip(bars, decoders.items(), (-0.2, 0.2)):
        ax.bar(np.arange(len(mass))[:30] + shift, mass[:30], 0.4, color=colour, label=name)
    ax.axhline(1 / len(x), color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="1/n")
    ax.legend(frameon=False, fontsize=SMALL, loc="upper right", labelcolor=INK)
    ax.set(box_aspect=1, ylim=(0, 0.155))
    headline(figure, "Levels of the energy |x - g(z)|^2 of one datum; outlined: where it is within 0.4 of the marked z")
    save_figure(figure, RESULTS / "theory_levels.png")
    write("theory_levels", rows)


PARTS = {
    "transitions": draw_transitions,
    "kernel_pca": draw_kernel_pca,
    "partition": draw_partition,
    "levels": draw_levels,
}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    for part in parser.parse_args().part:
        PARTS[part]()
