"""Phase transitions of u(beta) = E|x - g(z)|^2 beside the eigenvalues at which they are known to lie."""

from typing import NamedTuple

import numpy as np

from tfvae.errors import TfvaeError
from tfvae.experiments.theory import transitions
from tfvae.experiments.theory.toy_data import draw_normal_clusters
from tfvae.plots.style import (
    ACCENT,
    BLUE,
    INK,
    MUTED,
    SMALL,
    add_legend_above,
    add_title,
    create_figure,
    save_figure,
    style_axes,
)


class Case(NamedTuple):
    """A sweep over beta, what theory says of it, and how to draw it."""

    sweep: transitions.Annealed
    exact: np.ndarray  # the beta_c, falling
    truth: np.ndarray | None  # u(beta), where there is a closed form
    decoder: np.ndarray  # curves over beta, [T, any]
    label: str
    scale: str  # of the axis of beta
    sides: tuple  # of each beta_c, rising, on which its label stands (-1 left, 1 right), and in which row


def build_linear_case():
    """Return the case of a linear decoder of four latent dimensions."""
    values, betas = np.array([4.0, 2.0, 1.0, 0.3]), np.geomspace(7.0, 0.15, 600)
    annealed, truth = (
        transitions.anneal_linear_decoder(np.diag(values), 4, betas),
        transitions.compute_linear_error(values, betas),
    )
    decoder, sides = np.linalg.svd(annealed.g, compute_uv=False), ((1, 0), (1, 1), (1, 0), (1, 0))
    return Case(annealed, values, truth, decoder, "singular values of W", "linear", sides)


def build_mixture_case():
    """Return the case of a free decoder on four narrow clusters, two and two."""
    x = draw_normal_clusters([[-4, -1.0], [-4, 1], [4, -0.7], [4, 0.7]], 0.1, 30, seed=0)
    exact = np.array([transitions.find_first_critical_beta(part) for part in (x, x[:60], x[60:])])
    annealed = transitions.anneal_free_decoder(x, np.zeros(16), np.geomspace(1.5 * exact[0], 0.2, 600))
    decoder, sides = annealed.g @ [0.22, 1.0], ((-1, 0), (1, 0), (-1, 0))
    return Case(annealed, exact, None, decoder, "g(z), projected on (0.22, 1)", "log", sides)


def draw_case(axes, name, case, detected):
    """Draw u, its curvature and the decoder, one above the other, with the exact beta_c as dashed lines."""
    (top, middle, bottom), betas = axes, case.sweep.beta
    style_axes(top, name, "", "u = E|x - g(z)|^2")
    top.plot(betas, case.sweep.u, color=BLUE, linewidth=2.2, label="fixed-point iteration")
    if case.truth is not None:
        top.plot(
            betas, case.truth, color=ACCENT, linewidth=1.3, linestyle=(0, (1.5, 2)), label="sum of min(lambda, beta)"
        )
    add_legend_above(top)
    style_axes(middle, "", "", "beta |d2u / dbeta2|")
    sharpness = betas[1:-1] * np.abs(transitions.compute_curvature(betas, case.sweep.u))
    middle.plot(betas[1:-1], sharpness, color=BLUE, linewidth=1.4)
    height = 1.22 * sharpness.max()
    middle.set_ylim(0, height)
    style_axes(bottom, "", "beta", case.label)
    bottom.plot(betas, case.decoder, color=BLUE, linewidth=1.4)
    for ax in axes:
        ax.set_xscale(case.scale)
        for beta in case.exact:
            ax.axvline(beta, color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    for estimate, exact, (side, row) in zip(detected[::-1], case.exact[::-1], case.sides):
        middle.annotate(
            f"{exact:.4g}\nfound {estimate:.4g}",
            (exact, height),
            (4 * side, -2 - 24 * row),
            va="top",
            ha="right" if side < 0 else "left",
            textcoords="offset points",
            fontsize=SMALL,
            color=INK,
        )


def add_section(lab):
    """Add the section on phase transitions to the page."""
    cases = {"linear decoder": build_linear_case(), "free decoder, mixture": build_mixture_case()}
    figure, axes = create_figure(3, 2, 8.4, sharex="col")
    rows = []
    for column, (name, case) in enumerate(cases.items()):
        detected = transitions.find_critical_betas(case.sweep.beta, case.sweep.u)
        if len(detected) != len(case.exact):
            raise TfvaeError(f"{name}: expected {len(case.exact)} transitions. Received: {detected}.")
        draw_case(axes[:, column], name, case, detected)
        rows += [
            {"case": name, "beta_c known": float(a), "beta_c found": float(b), "error %": float(100 * (b / a - 1))}
            for a, b in zip(case.exact, detected)
        ]
    add_title(figure, "Phase transitions lie at eigenvalues of the covariance (dashed)")
    lab.add_table("transitions", rows, "Phase transitions: peaks of |d^2u / dbeta^2| beside the eigenvalues")
    path = save_figure(figure, lab.build_path("transitions.png"))
    lab.add_picture(path, "The order parameter, its curvature and the decoder over beta")
    worst = max(abs(row["error %"]) for row in rows)
    linear = cases["linear decoder"]
    deviation = float(np.abs(linear.sweep.u / linear.truth - 1).max())
    lab.add_verdict(
        "Parnas: phase transitions",
        "large |d^2u / dbeta^2| marks the transitions beta_c",
        worst < 1,
        f"{len(rows)} transitions found within {worst:.2f}% of their eigenvalues; u(beta) of the linear decoder "
        f"within {100 * deviation:.2f}% of sum of min(lambda, beta)",
    )
