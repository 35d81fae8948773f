"""Partitions of the latent space: any is a fixed point, the equiprobable one costs least."""

import numpy as np
from matplotlib.colors import ListedColormap
from scipy.spatial.distance import cdist

from tfvae.experiments.theory import fixed_point as fp
from tfvae.experiments.theory import partition, transitions
from tfvae.experiments.theory.toy_data import REACH, SIDE, draw_plane_points, draw_tiles
from tfvae.plots.style import CLASSES, INK, add_title, create_figure, save_figure, style_axes


def follow_fixed_point(x, z, log_prior, betas):
    """Follow the fixed point down `betas`, each time from g shifted along z so that cells split along lines; return it.

    A free decoder has no notion of neighbours: after a random shift the parts of a cell would be mixed up.
    """
    g = np.tile(x.mean(0), (len(z), 1))
    for beta in betas:
        at = fp.find_fixed_point(x, log_prior, g + 0.01 * beta**0.5 * z, sigma2=beta, iterations=1000, tolerance=1e-5)
        g = at.g
    return at


def draw_cells(ax, labels, log_prior, name):
    """Draw the cells as tiles, with the prior's one and two standard deviations as circles; return the rate."""
    count = labels.max() + 1
    rate = partition.compute_partition_rate(partition.compute_masses(labels, log_prior, count))
    style_axes(ax, name, "z_1", "z_2")
    draw_tiles(ax, labels.reshape(SIDE, SIDE), ListedColormap(CLASSES[:count]), vmin=-0.5, vmax=count - 0.5, alpha=0.85)
    around = np.linspace(0, 2 * np.pi, 200)
    for radius in (1, 2):
        ax.plot(radius * np.cos(around), radius * np.sin(around), color="white", linewidth=1.1)
    ax.set_xlabel(f"rate {rate:.4f} nats = log {count} + {rate - np.log(count):.4f}", fontsize=9, color=INK)
    return rate


def add_section(lab):
    """Add the section on partitions to the page."""
    x = draw_plane_points()
    z, log_prior = fp.build_normal_grid(SIDE, reach=REACH)
    nearest = np.square(z[:, None] - x).sum(-1).argmin(1)
    beta = transitions.find_first_critical_beta(x)
    annealed = follow_fixed_point(x, z, log_prior, np.geomspace(1.05 * beta, 1e-3, 120))
    kinds = {
        "the nearest datum's cell": nearest,
        "fixed point, beta lowered to 0.001": partition.assign_cells(annealed.q),
        "equiprobable by optimal transport": partition.build_equal_cells(z, log_prior, x),
    }
    figure, axes = create_figure(1, 3, 4.1)
    rows = []
    for ax, (name, labels) in zip(axes[0], kinds.items()):
        rate = draw_cells(ax, labels, log_prior, name)
        mass = partition.compute_masses(labels, log_prior, len(x))
        rows.append(
            {
                "partition": name,
                "rate": rate,
                "rate - log n": rate - np.log(len(x)),
                "marginal KL": partition.compute_marginal_kl(
                    partition.build_posteriors(labels, log_prior, len(x)), log_prior
                ),
                "least n pi_i": float(len(x) * mass.min()),
                "largest n pi_i": float(len(x) * mass.max()),
            }
        )
    add_title(figure, "Cells of nine data in a 2-D latent space; circles: one and two standard deviations of the prior")
    lab.add_table("partition", rows, "Partitions of a 2-D latent space among nine data")
    path = save_figure(figure, lab.build_path("partition.png"))
    lab.add_picture(path, "The cells; circles: one and two standard deviations of the prior")
    add_verdicts(lab, {row["partition"]: row for row in rows}, kinds, x, log_prior)


def measure_movement(labels, x, log_prior):
    """Return the largest |dq| of one iteration at a small sigma^2 from a partition's posteriors, over the largest q."""
    q = partition.build_posteriors(labels, log_prior, len(x))
    with np.errstate(divide="ignore"):
        g = fp.update_decoder(np.log(q), x)
    after = np.exp(fp.update_encoder(cdist(x, g, "sqeuclidean"), log_prior, 1e-4))
    return float(np.abs(after - q).max() / q.max())


def add_verdicts(lab, rows, kinds, x, log_prior):
    """Add the verdicts; `kinds`: {partition: labels}."""
    moves = {name: measure_movement(labels, x, log_prior) for name, labels in kinds.items()}
    lab.add_verdict(
        "Parnas: partitions",
        "every partition is a fixed point as sigma goes to 0",
        max(moves.values()) < 1e-6,
        "at sigma^2 = 1e-4 an iteration moves q by " + ", ".join(f"{move:.1g}" for move in moves.values()),
    )
    least = min(rows, key=lambda name: rows[name]["rate"])
    best = rows["equiprobable by optimal transport"]
    lab.add_verdict(
        "Parnas: equal cells",
        "the rate is least, log n, for pi_i = 1/n, and then q(z) is the prior",
        least == best["partition"] and best["rate - log n"] < 1e-3 and best["marginal KL"] < 1e-3,
        "rate - log n, which is the marginal KL: "
        + ", ".join(f"{row['rate - log n']:.2g} ({name})" for name, row in rows.items()),
    )
    annealed = rows["fixed point, beta lowered to 0.001"]
    lab.add_verdict(
        "Parnas: equal cells",
        "the fixed points of the ELBO reach the equiprobable partition",
        annealed["rate - log n"] < 1e-3,
        f"followed down to beta 0.001 it keeps a marginal KL of {annealed['marginal KL']:.3f} nats, n pi_i from "
        f"{annealed['least n pi_i']:.2f} to {annealed['largest n pi_i']:.2f}: a local optimum",
    )
