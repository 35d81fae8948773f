"""Phase transitions of u(beta) = E|x - g(z)|^2 beside the eigenvalues at which they are known to lie."""

from typing import NamedTuple

import numpy as np

from tfvae.errors import TfvaeError
from tfvae.experiments.theory import transitions
from tfvae.experiments.theory.toy_data import normal_clusters
from tfvae.plots.style import ACCENT, BLUE, INK, MUTED, SMALL, dress, headline, new_figure, save_figure


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


def show(lab):
    cases = {"linear decoder": linear_case(), "free decoder, mixture": mixture_case()}
    figure, axes = new_figure(3, 2, 8.4, sharex="col")
    rows = []
    for column, (name, case) in enumerate(cases.items()):
        detected = transitions.critical_betas(case.found.beta, case.found.u)
        if len(detected) != len(case.known):
            raise TfvaeError(f"{name}: expected {len(case.known)} transitions. Received: {detected}.")
        draw_case(axes[:, column], name, case, detected)
        rows += [
            {"case": name, "beta_c known": float(a), "beta_c found": float(b), "error %": float(100 * (b / a - 1))}
            for a, b in zip(case.known, detected)
        ]
    headline(figure, "Phase transitions lie at eigenvalues of the covariance (dashed)")
    lab.table("transitions", rows, "Phase transitions: peaks of |d^2u / dbeta^2| beside the eigenvalues")
    path = save_figure(figure, lab.place("transitions.png"))
    lab.picture(path, "The order parameter, its curvature and the decoder over beta")
    worst = max(abs(row["error %"]) for row in rows)
    linear = cases["linear decoder"]
    off = float(np.abs(linear.found.u / linear.truth - 1).max())
    lab.verdict(
        "0.10",
        "large |d^2u / dbeta^2| marks the transitions beta_c",
        worst < 1,
        f"{len(rows)} transitions found within {worst:.2f}% of their eigenvalues; u(beta) of the linear decoder "
        f"within {100 * off:.2f}% of sum of min(lambda, beta)",
    )
