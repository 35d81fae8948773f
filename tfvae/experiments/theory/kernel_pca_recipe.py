"""The cells of a latent space beside kernel PCA with the normalised Gaussian kernel."""

import numpy as np

from tfvae.experiments.theory import kernel_pca as kp
from tfvae.experiments.theory.toy_data import draw_normal_clusters
from tfvae.plots.style import (
    ACCENT,
    COLOURS,
    INK,
    MUTED,
    add_legend_above,
    add_title,
    create_figure,
    save_figure,
    style_axes,
)


def measure_agreements(x, cells, betas):
    """Return at each beta the smallest cosine between kernel PCA's leading cells - 1 components and the cells'.

    NaN where the cells have merged, so that only rounding distinguishes them.
    """
    cosines = []
    for beta in betas:
        m, _ = kp.find_soft_clusters(x, x[cells], np.zeros(len(cells)), beta, iterations=20_000)
        if np.linalg.matrix_rank(m - m.mean(0), tol=0.01) < len(cells) - 1:
            cosines.append(np.nan)
            continue
        pca = kp.compute_kernel_pca(kp.normalise_kernel(x, beta)[0], len(cells) - 1)
        cosines.append(kp.measure_agreement(kp.compute_cluster_components(m, len(cells) - 1), pca).min())
    return np.array(cosines)


def reconstruct_data(x, cells, beta):
    """Return each datum's pre-image under kernel PCA [n, 2], the cells' psi [k, 2], and their distances [n].

    The psi of a datum is that of its most probable cell.
    """
    kernel, d = kp.normalise_kernel(x, beta)
    images = kp.find_pre_images(x, kp.compute_kernel_pca(kernel, len(cells) - 1), d, beta)
    m, psi = kp.find_soft_clusters(x, x[cells], np.zeros(len(cells)), beta)
    return images, psi, np.linalg.norm(images - psi[m.argmax(1)], axis=1)


def draw_reconstructions(ax, x, cells, beta):
    """Draw data, kernel PCA's pre-images and the psi of the cells."""
    images, psi, _ = reconstruct_data(x, cells, beta)
    style_axes(ax, f"reconstructions at beta = {beta:g}", "x_1", "x_2")
    ax.plot(*np.stack([x, images], axis=1).transpose(2, 1, 0), color="#c9d6e2", linewidth=0.7, zorder=1)
    ax.scatter(*x.T, s=14, color=COLOURS[4], linewidths=0, label="data", zorder=2)
    ax.scatter(*psi.T, s=170, facecolors="none", edgecolors=ACCENT, linewidths=2, label="psi of the cells", zorder=3)
    ax.scatter(*images.T, s=26, color=INK, marker="x", linewidths=1.1, label="kernel PCA's pre-images", zorder=4)
    ax.set_aspect("equal", adjustable="datalim")
    add_legend_above(ax)


def add_section(lab):
    """Add the section on kernel PCA to the page."""
    centres, cells = [[0, 0], [6, 0], [1, 7]], [0, 30, 60]
    sets = {spread: draw_normal_clusters(centres, spread, 25, seed=5) for spread in (0.1, 0.5, 1.0, 2.0)}
    betas = np.geomspace(0.05, 30, 90)
    figure, axes = create_figure(1, 2, 4.8, width_ratios=[1, 1.15])
    draw_reconstructions(axes[0, 0], sets[0.5], cells, 1.5)
    ax, rows = axes[0, 1], []
    style_axes(ax, "agreement with scikit-learn's KernelPCA", "", "smallest cosine of principal angles")
    for (spread, x), colour in zip(sets.items(), COLOURS):
        values = measure_agreements(x, cells, betas)
        ax.plot(betas, values, color=colour, linewidth=1.8, label=f"spread {spread:g}")
        last = int(np.flatnonzero(np.isfinite(values))[-1])
        ax.plot(betas[last], values[last], "o", color=colour, markersize=5)
        distances = reconstruct_data(x, cells, 1.5)[2]
        indices = [int(np.abs(np.log(betas / beta)).argmin()) for beta in (0.1, 1.5)]
        rows.append(
            {
                "spread of the clusters": spread,
                "1 - smallest cosine at beta 0.1": float(1 - values[indices[0]]),
                "at beta 1.5": float(1 - values[indices[1]]),
                "before cells merge": float(1 - values[last]),
                "at beta": float(betas[last]),
                "pre-image to psi at beta 1.5, median": float(np.median(distances)),
                "largest": float(distances.max()),
            }
        )
    ax.set(xscale="log", ylim=(0, 1.03))
    add_legend_above(ax)
    ax.set_xlabel("beta; a curve ends where cells merge", fontsize=9, color=MUTED)
    add_title(figure, "Cells of a latent space and kernel PCA with the normalised Gaussian kernel")
    lab.add_table("kernel_pca", rows, "Kernel PCA beside the cells: three clusters in the plane, three psi")
    path = save_figure(figure, lab.build_path("kernel_pca.png"))
    lab.add_picture(path, "Reconstructions, and the agreement of both subspaces over beta")
    agreements = [
        (row["spread of the clusters"], row["1 - smallest cosine at beta 0.1"], row["at beta 1.5"], row["largest"])
        for row in rows
    ]
    lab.add_verdict(
        "Parnas: kernel PCA",
        "the decoder's fixed point is a kernel-PCA reconstruction",
        all(max(small, large) < 0.01 and farthest < 0.1 for _, small, large, farthest in agreements),
        "; ".join(
            f"spread {spread:g}: 1 - cosine {small:.1g} and {large:.1g} at beta 0.1 and 1.5, pre-images up to "
            f"{farthest:.2g} from psi"
            for spread, small, large, farthest in agreements
        )
        + ": the same for clusters far apart, not in general",
    )
