"""Levels of the energy H(x, z) = |x - g(z)|^2 of one datum, and their prior mass."""

import numpy as np

from tfvae.experiments.theory import fixed_point as fp
from tfvae.experiments.theory import levels, partition
from tfvae.experiments.theory.toy_data import REACH, SIDE, draw_plane_points, draw_tiles
from tfvae.plots.style import (
    ACCENT,
    BLUE,
    COLOURS,
    MUTED,
    add_legend_above,
    add_title,
    create_figure,
    save_figure,
    style_axes,
)


def add_section(lab):
    """Add the section on energy levels to the page."""
    z, log_prior = fp.build_normal_grid(SIDE, reach=REACH)
    x, epsilon, at, rows, bars = draw_plane_points(), 0.15, (108, 62), [], []
    bent = np.stack([1.5 * z[:, 0], z[:, 1] + 0.4 * z[:, 0] ** 2], axis=1)
    tiled = x[partition.build_equal_cells(z, log_prior, x)]
    figure, axes = create_figure(1, 3, 4.8)
    line = np.linspace(-REACH, REACH, SIDE)
    decoders = {"smooth decoder": (bent, COLOURS[4]), "equiprobable partition": (tiled, BLUE)}
    for ax, (name, (g, _)) in zip(axes[0], decoders.items()):
        h = levels.compute_energy(x[0], g).reshape(SIDE, SIDE)
        labels = levels.label_levels(h, epsilon)
        style_axes(ax, f"H(x, z), {name}", "z_1", "z_2")
        draw_tiles(ax, np.minimum(labels, 40), "Blues", vmin=-4, vmax=44)
        ax.contour(line, line, (levels.find_level_set(h, at, 0.4) > 0).T, levels=[0.5], colors=ACCENT, linewidths=1.6)
        ax.plot(line[at[0]], line[at[1]], "o", color=ACCENT, markersize=6, markeredgecolor="white")
        mass = levels.compute_level_masses(labels, log_prior.reshape(SIDE, SIDE))
        bars.append(mass)
        known = mass[mass > 1e-3]
        rows.append(
            {
                "decoder": name,
                "levels of 0.1% or more": len(known),
                "least mass": float(known.min()),
                "largest mass": float(known.max()),
                "1/n": 1 / len(x),
            }
        )
    ax = axes[0, 2]
    style_axes(ax, "prior mass of each level", f"level of H, {2 * epsilon:g} wide", "")
    for mass, (name, (_, colour)), shift in zip(bars, decoders.items(), (-0.2, 0.2)):
        ax.bar(np.arange(len(mass))[:30] + shift, mass[:30], 0.4, color=colour, label=name)
    ax.axhline(1 / len(x), color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="1/n")
    add_legend_above(ax)
    ax.set(box_aspect=1, ylim=(0, 0.155))
    add_title(
        figure, "Levels of the energy |x - g(z)|^2 of one datum; outlined: where it is within 0.4 of the marked z"
    )
    lab.add_table("levels", rows, "Levels of the energy of one datum")
    path = save_figure(figure, lab.build_path("levels.png"))
    lab.add_picture(path, "H(x, z) in levels, and the prior's mass on each")
    smooth, tiled_row = rows
    for row, claim in (
        (tiled_row, "levels of energy are equiprobable on an equiprobable partition"),
        (smooth, "levels of energy are equiprobable for any decoder"),
    ):
        even = row["largest mass"] < 1.05 * row["least mass"]
        lab.add_verdict(
            "Parnas: energy levels",
            claim,
            even,
            f"{row['levels of 0.1% or more']} levels, masses {row['least mass']:.3g} to "
            f"{row['largest mass']:.3g}, 1/n = {row['1/n']:.3g}",
        )
