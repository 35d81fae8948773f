"""Seed 002: the uniform square, coloured by quadrant, through two latent variables and through one.

Encoder and decoder of two layers of 30 ReLU; |x - g(z)|^2 + beta KL + lambda sum of squared weights, means over a
batch of 128 of 9,000 points (a Gaussian of sigma^2 = 1/2), 150 epochs of Adam 1e-3. The notebook behind the seed is
gone, and with it the unit of its weights: lambda is given here as it would stand before a loss summed over such a
batch, 128 times what stands before the mean, so that the seed's 0.25 is among them; beta is the smallest power of ten
that keeps the square whole, ten times, and a hundred times that.
"""

import numpy as np
from scipy.linalg import orthogonal_procrustes
from scipy.spatial import procrustes
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from tfvae.experiments.tuning import SQUARED_ERROR
from tfvae.plots.style import CLASSES, WIDTH, dress, new_figure, save_figure
from tfvae.training import trainer
from tfvae.zoo import load

BATCH = 128
LAMBDAS = (0.0, 0.025, 0.1, 0.25)
BETAS = (0.001, 0.01, 0.1)
NARROW = (0.0001, 0.001, 0.01, 0.1)  # with one latent variable
TURNED = LAMBDAS[:3:2]  # with three seeds, to see which way the codes' square lies
FIXED = {"dataset": "square", "likelihood": f"{SQUARED_ERROR},link=linear", "epochs": 150, "batch_size": BATCH}
SEEDS = (0, 1, 2)
NEIGHBOURS = 10
LOST = 0.05  # of the side: an edge that no reconstruction comes near
VARIANCE = 1 / 6  # of a uniform point around its mean, both coordinates: the error of a decoder that knows nothing
SPAN, STEPS = 3.0, 2001
LEGEND = (
    f"'neighbours' is the share of the {NEIGHBOURS} nearest codes of a point that are of its quadrant; 'likeness' the "
    "share of the codes' variance that a turned or mirrored, scaled square explains, and 'turn' its angle: 0 for a "
    "square that lies on its side, 45 for a diamond; 'lowest' and 'highest' are the least and the largest coordinate "
    f"of the test points' reconstructions; 'length' is that of the line g(z), |z| <= {SPAN:g}."
)
COLOURS = [CLASSES[n] for n in (0, 6, 2, 5)]


def settings(latent, beta, penalty, seed=0, more=""):
    objective = f"beta:beta={beta:g}{more}"
    arch = f"mlp:widths=30-30,latent={latent}"
    return FIXED | {"objective": objective, "arch": arch, "l2": penalty / BATCH, "seed": seed}


def run(lab):
    keys = [(2, b, lam, 0) for lam in LAMBDAS for b in BETAS]
    keys += [(2, BETAS[0], lam, seed) for lam in TURNED for seed in SEEDS[1:]]
    keys += [(1, b, 0.0, 0) for b in NARROW]
    asked = {key: settings(*key) for key in keys}
    ramp = FIXED["epochs"] * (9000 // BATCH) // 2
    asked["annealed"] = settings(2, 1, 0.0, more=f",warmup={ramp}")
    found = lab.runs({name_of(key): value for key, value in asked.items()})
    cells = {key: cell_of(found[name_of(key)]) for key in asked}
    table(lab, "two", cells, [(2, b, lam, 0) for lam in LAMBDAS for b in BETAS], "Two latent variables (figure 2)")
    table(
        lab, "seeds", cells, [(2, BETAS[0], lam, s) for lam in TURNED for s in SEEDS], "The smallest beta, three seeds"
    )
    table(lab, "one", cells, [key for key in cells if key[0] == 1], "One latent variable (figure 3)")
    lab.text(LEGEND)
    draw(lab, cells)
    judge(lab, cells)
    lab.publish("The uniform square", __doc__)


def name_of(key):
    return key if isinstance(key, str) else "latent {} beta {:g} lambda {:g} seed {}".format(*key)


# --- measures ---


def neighbours_alike(codes, labels, count=NEIGHBOURS):
    """Share of the `count` nearest codes [N, L] of each point, itself left out, that have its label [N]."""
    near = NearestNeighbors(n_neighbors=count).fit(codes).kneighbors(return_distance=False)
    return float((labels[near] == labels[:, None]).mean())


def likeness(points, codes):
    """1 - disparity of the best similarity between points and codes [N, 2] (Procrustes): 1 for a turned square."""
    return float(1.0 - procrustes(points, codes)[2]) if np.ptp(codes, axis=0).min() > 0 else 0.0


def turn(points, codes):
    """By how much the best rotation or reflection tilts the sides of the square, degrees in [0, 45]; 45: a diamond."""
    rotation = orthogonal_procrustes(points - points.mean(0), codes - codes.mean(0))[0]
    angle = np.degrees(np.arctan2(rotation[0, 1], rotation[0, 0])) % 90
    return float(min(angle, 90 - angle))


def length(line):
    """Length of a line through points [N, D]."""
    return float(np.linalg.norm(np.diff(line, axis=0), axis=1).sum())


def located(model, z):
    """g(z) [N, 2] as it is; `pictures.decode` would clip it to the square."""
    return model.likelihood.loc(model.arch.generate(np.asarray(z, np.float32))).numpy().reshape(-1, 2)


def cell_of(one):
    """What there is to show and to measure of a run, of the test points."""
    model = load.load(one.path)
    points, labels = trainer.load_split(one.config, "test")
    mean, stddev = (part.numpy() for part in model.encode(points))
    codes = mean + stddev * np.random.default_rng(0).standard_normal(mean.shape)
    again, of_prior = located(model, mean), located(model, np.random.default_rng(1).standard_normal(mean.shape))
    points = points.reshape(-1, 2)
    flat = mean.shape[1] == 2
    line = None if flat else located(model, np.linspace(-SPAN, SPAN, STEPS)[:, None])
    last = one.rows[-1]
    numbers = {
        "error": last["sq_err"],
        "KL": last["rate"],
        "neighbours": neighbours_alike(mean, labels),
        "trustworthiness": float(trustworthiness(points, mean, n_neighbors=NEIGHBOURS)),
        "lowest": float(again.min()),
        "highest": float(again.max()),
    }
    if flat:
        numbers |= {
            "likeness": likeness(points, mean),
            "turn": turn(points, mean),
            "active": int((mean.var(0) > 0.01).sum()),
        }
    else:
        numbers |= {"length": length(line)}
    return {
        "points": points,
        "labels": labels,
        "codes": codes,
        "again": again,
        "samples": of_prior,
        "line": line,
        "numbers": numbers,
    }


def table(lab, name, cells, keys, title):
    rows = [
        {"lambda": lam, "beta": beta, "seed": seed, **cells[_, beta, lam, seed]["numbers"]}
        for _, beta, lam, seed in keys
    ]
    lab.table(name, rows, title)


# --- pictures ---


def dots(ax, points, labels):
    ax.scatter(points[:, 0], points[:, 1], s=5, linewidths=0, alpha=0.8, c=[COLOURS[n] for n in labels])


def board(path, rows, columns):
    """A figure of panels {(row, column): (kind, points, labels, line)}; kind "codes" or "square" decides the axes."""
    names, heads = list(rows), list(columns)
    figure, axes = new_figure(len(names), len(heads), (WIDTH / len(heads) + 0.05) * len(names) + 0.3)
    for r, name in enumerate(names):
        for c, head in enumerate(heads):
            ax = axes[r, c]
            dress(ax, head if not r else "", "", name if not c else "")
            kind, points, labels, line = columns[head](rows[name])
            dots(ax, points, labels)
            if line is not None:
                ax.plot(line[:, 0], line[:, 1], color="#1f2328", linewidth=0.8)
            limits, ticks = ((-4, 4), (-3, 0, 3)) if kind == "codes" else ((-0.1, 1.1), (0, 0.5, 1))
            ax.set(xlim=limits, ylim=limits, xticks=ticks, yticks=ticks, aspect="equal")
            ax.tick_params(labelsize=6)
    return save_figure(figure, path)


def of_codes(key):
    """A column of `board`: the codes of a cell; one latent variable with jitter as its height."""

    def column(cells):
        cell = cells[key]
        codes = cell["codes"]
        if codes.shape[1] == 1:
            codes = np.hstack([codes, np.random.default_rng(2).uniform(-1, 1, codes.shape)])
        return "codes", codes, cell["labels"], None

    return column


def of_square(key, what):
    """A column of `board`: reconstructions ("again") or samples of a cell."""

    def column(cells):
        cell = cells[key]
        labels = cell["labels"] if what == "again" else np.zeros_like(cell["labels"])
        return "square", cell[what], labels, cell["line"] if what == "again" else None

    return column


def draw(lab, cells):
    by_lambda = {f"lambda {lam:g}": {b: cells[2, b, lam, 0] for b in BETAS} for lam in LAMBDAS}
    columns = {}
    for beta in BETAS:
        columns |= {f"codes, beta {beta:g}": of_codes(beta), f"g(z), beta {beta:g}": of_square(beta, "again")}
    path = board(lab.place("two.png"), by_lambda, columns)
    lab.picture(path, "Two latent variables: codes z ~ q(z|x) and reconstructions of the test points, by quadrant")
    columns = {f"samples, beta {b:g}": of_square(b, "samples") for b in BETAS}
    path = board(lab.place("samples.png"), by_lambda, columns)
    lab.picture(path, "Two latent variables: decoded draws of the prior")
    narrow = {b: cells[1, b, 0.0, 0] for b in NARROW}
    rows = {
        "codes": {b: of_codes(b)(narrow) for b in NARROW},
        "g(z)": {b: of_square(b, "again")(narrow) for b in NARROW},
    }
    path = board(lab.place("one.png"), rows, {f"beta {b:g}": lambda row, b=b: row[b] for b in NARROW})
    lab.picture(
        path,
        "One latent variable, lambda 0: codes z ~ q(z|x), their heights drawn at random, and the line "
        "g(z), |z| <= 3, with the reconstructions",
    )


# --- verdicts ---


def listed(values, form="{:.3f}"):
    return ", ".join(form.format(value) for value in values)


def judge(lab, cells):
    def of(latent, beta, lam=0.0, seed=0):
        return cells[latent, beta, lam, seed]["numbers"]

    judge_places(lab, cells, of)
    judge_weights(lab, of)
    lengths = {b: of(1, b)["length"] for b in NARROW}
    lab.verdict(
        "2.5",
        "one latent variable snakes through the square at a low beta, and collapses at a high one",
        lengths[NARROW[0]] > 2 * 2**0.5 and lengths[NARROW[-1]] < 0.1,
        f"length of g(z) {listed(lengths.values())} sides of the square at beta {listed(NARROW, '{:g}')}",
    )
    annealed = cells["annealed"]["numbers"]
    lab.verdict(
        "2.3",
        "annealing the KL weight from 0 to 1 does not help",
        annealed["error"] > 0.9 * VARIANCE,
        f"error {annealed['error']:.4f}, of a decoder that knows nothing {VARIANCE:.4f}; KL {annealed['KL']:.3f}",
    )


def judge_places(lab, cells, of):
    """Neighbours and edges."""
    low, high = BETAS[:2]
    fine, strong, cell = of(2, low), of(2, high), cells[2, low, 0.0, 0]
    best = neighbours_alike(cell["points"], cell["labels"])
    lab.verdict(
        "2.1 2.2 2.6",
        "neighbourhoods and quadrants survive, up to a rotation or a reflection",
        min(fine["neighbours"], fine["trustworthiness"], fine["likeness"]) > 0.9,
        f"beta {low:g}, lambda 0: of the nearest codes {fine['neighbours']:.1%} are of the same quadrant, of the "
        f"nearest points {best:.1%}; trustworthiness {fine['trustworthiness']:.4f}, likeness "
        f"{fine['likeness']:.3f}",
    )
    boxes = "; ".join(f"{of(2, b)['lowest']:.3f} to {of(2, b)['highest']:.3f} at {b:g}" for b in BETAS)
    lab.verdict(
        "2.4",
        "ten times beta loses the edges",
        strong["lowest"] > LOST
        and strong["highest"] < 1 - LOST
        and fine["lowest"] < LOST
        and fine["highest"] > 1 - LOST,
        f"coordinates of g(z) by beta: {boxes}",
    )


def judge_weights(lab, of):
    """What lambda does."""
    low = BETAS[0]
    turns = {lam: [of(2, low, lam, seed)["turn"] for seed in SEEDS] for lam in TURNED}
    told = "; ".join(f"{listed(values, '{:.0f}')} at lambda {lam:g}" for lam, values in turns.items())
    lab.verdict(
        "2.4",
        "lambda turns the codes' square into a diamond",
        min(turns[TURNED[-1]]) > 30,
        f"turn in degrees, three seeds: {told}",
    )
    edge = [lam for lam in LAMBDAS[1:] if of(2, low, lam)["lowest"] > LOST]
    told = [f"{of(2, low, lam)['lowest']:.3f} to {of(2, low, lam)['highest']:.3f} at {lam:g}" for lam in LAMBDAS]
    lab.verdict(
        "2.4",
        f"from lambda {LAMBDAS[-1]:g} on no reconstruction comes near zero",
        edge == [LAMBDAS[-1]],
        f"coordinates of g(z) by lambda at beta {low:g}: {'; '.join(told)}",
    )
    broken = [f"({b:g}, {lam:g})" for lam in LAMBDAS for b in BETAS if of(2, b, lam)["active"] < 2]
    lab.verdict(
        "2.4",
        "a large beta with a large lambda breaks down: fewer than two latents are left",
        bool(broken) and of(2, low)["active"] == 2,
        f"so at (beta, lambda) {', '.join(broken) or 'none'}",
    )
