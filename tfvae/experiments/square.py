"""The uniform square, coloured by quadrant, through two latent variables and through one.

After Idler (2022), AIML 425, assignment 2, problem 2. Encoder and decoder of two layers of 30 ReLU; |x - g(z)|^2 + beta
KL + lambda sum of squared weights, means over a batch of 128 of 9,000 points (a Gaussian of sigma^2 = 1/2), 150 epochs
of Adam 1e-3. The notebook behind the report is not available, so the unit of its weights is unknown: lambda is given
here as it would stand before a loss summed over such a batch, 128 times what stands before the mean, so that the
report's 0.25 is among them; beta is the smallest power of ten that keeps the square whole, ten times, and a hundred
times that.
"""

from tfvae.experiments.square_measures import NEIGHBOURS, SPAN, measure_neighbours, measure_run
from tfvae.experiments.square_pictures import build_codes_column, build_square_column, draw_board
from tfvae.experiments.tuning import SQUARED_ERROR

BATCH = 128
LAMBDAS = (0.0, 0.025, 0.1, 0.25)
BETAS = (0.001, 0.01, 0.1)
ONE_LATENT_BETAS = (0.0001, 0.001, 0.01, 0.1)  # with one latent variable
SEEDED_LAMBDAS = LAMBDAS[:3:2]  # with three seeds, to see which way the codes' square lies
FIXED = {"dataset": "square", "likelihood": f"{SQUARED_ERROR},link=linear", "epochs": 150, "batch_size": BATCH}
SEEDS = (0, 1, 2)
EDGE_MARGIN = 0.05  # of the side: an edge that no reconstruction comes near
# of a uniform point around its mean, both coordinates: the error of a decoder that knows nothing
POINT_VARIANCE = 1 / 6
LEGEND = (
    f"'neighbours' is the share of the {NEIGHBOURS} nearest codes of a point that are of its quadrant; 'likeness' the "
    "share of the codes' variance that a turned or mirrored, scaled square explains, and 'turn' its angle: 0 for a "
    "square that lies on its side, 45 for a diamond; 'lowest' and 'highest' are the least and the largest coordinate "
    f"of the test points' reconstructions; 'length' is that of the line g(z), |z| <= {SPAN:g}."
)


def build_settings(latent, beta, penalty, seed=0, more=""):
    """Return the settings of one model; `penalty` is lambda, `more` further options of the objective."""
    objective = f"beta:beta={beta:g}{more}"
    arch = f"mlp:widths=30-30,latent={latent}"
    return FIXED | {"objective": objective, "arch": arch, "l2": penalty / BATCH, "seed": seed}


def run(lab):
    """Train a model for each beta and lambda, and write the page."""
    keys = [(2, b, lam, 0) for lam in LAMBDAS for b in BETAS]
    keys += [(2, BETAS[0], lam, seed) for lam in SEEDED_LAMBDAS for seed in SEEDS[1:]]
    keys += [(1, b, 0.0, 0) for b in ONE_LATENT_BETAS]
    settings_by_key = {key: build_settings(*key) for key in keys}
    ramp = FIXED["epochs"] * (9000 // BATCH) // 2
    settings_by_key["annealed"] = build_settings(2, 1, 0.0, more=f",warmup={ramp}")
    runs = lab.train_runs({name_cell(key): value for key, value in settings_by_key.items()})
    cells = {key: measure_run(runs[name_cell(key)]) for key in settings_by_key}
    add_table(lab, "two", cells, [(2, b, lam, 0) for lam in LAMBDAS for b in BETAS], "Two latent variables (figure 2)")
    add_table(
        lab,
        "seeds",
        cells,
        [(2, BETAS[0], lam, s) for lam in SEEDED_LAMBDAS for s in SEEDS],
        "The smallest beta, three seeds",
    )
    add_table(lab, "one", cells, [key for key in cells if key[0] == 1], "One latent variable (figure 3)")
    lab.add_text(LEGEND)
    add_pictures(lab, cells)
    add_verdicts(lab, cells)
    lab.write_page("The uniform square", __doc__)


def name_cell(key):
    """Return the label of a run."""
    return key if isinstance(key, str) else "latent {} beta {:g} lambda {:g} seed {}".format(*key)


def add_table(lab, name, cells, keys, title):
    """Add the numbers of some cells as a table."""
    rows = [
        {"lambda": lam, "beta": beta, "seed": seed, **cells[_, beta, lam, seed]["numbers"]}
        for _, beta, lam, seed in keys
    ]
    lab.add_table(name, rows, title)


def add_pictures(lab, cells):
    """Add the boards of two latent variables, their samples, and one latent variable."""
    by_lambda = {f"lambda {lam:g}": {b: cells[2, b, lam, 0] for b in BETAS} for lam in LAMBDAS}
    columns = {}
    for beta in BETAS:
        columns |= {
            f"codes, beta {beta:g}": build_codes_column(beta),
            f"g(z), beta {beta:g}": build_square_column(beta, "reconstructions"),
        }
    path = draw_board(lab.build_path("two.png"), by_lambda, columns)
    lab.add_picture(path, "Two latent variables: codes z ~ q(z|x) and reconstructions of the test points, by quadrant")
    columns = {f"samples, beta {b:g}": build_square_column(b, "samples") for b in BETAS}
    path = draw_board(lab.build_path("samples.png"), by_lambda, columns)
    lab.add_picture(path, "Two latent variables: decoded draws of the prior")
    narrow = {b: cells[1, b, 0.0, 0] for b in ONE_LATENT_BETAS}
    rows = {
        "codes": {b: build_codes_column(b)(narrow) for b in ONE_LATENT_BETAS},
        "g(z)": {b: build_square_column(b, "reconstructions")(narrow) for b in ONE_LATENT_BETAS},
    }
    path = draw_board(
        lab.build_path("one.png"), rows, {f"beta {b:g}": lambda row, b=b: row[b] for b in ONE_LATENT_BETAS}
    )
    lab.add_picture(
        path,
        "One latent variable, lambda 0: codes z ~ q(z|x), their heights drawn at random, and the line "
        "g(z), |z| <= 3, with the reconstructions",
    )


def format_values(values, form="{:.3f}"):
    """Return numbers as one text."""
    return ", ".join(form.format(value) for value in values)


def add_verdicts(lab, cells):
    """Add all verdicts."""

    def read_numbers(latent, beta, lam=0.0, seed=0):
        """Return the numbers of a cell."""
        return cells[latent, beta, lam, seed]["numbers"]

    add_neighbour_verdicts(lab, cells, read_numbers)
    add_weight_verdicts(lab, read_numbers)
    lengths = {b: read_numbers(1, b)["length"] for b in ONE_LATENT_BETAS}
    lab.add_verdict(
        "Idler: one latent",
        "one latent variable snakes through the square at a low beta, and collapses at a high one",
        lengths[ONE_LATENT_BETAS[0]] > 2 * 2**0.5 and lengths[ONE_LATENT_BETAS[-1]] < 0.1,
        f"length of g(z) {format_values(lengths.values())} sides of the square at beta "
        f"{format_values(ONE_LATENT_BETAS, '{:g}')}",
    )
    annealed = cells["annealed"]["numbers"]
    lab.add_verdict(
        "Idler: loss",
        "annealing the KL weight from 0 to 1 does not help",
        annealed["error"] > 0.9 * POINT_VARIANCE,
        f"error {annealed['error']:.4f}, of a decoder that knows nothing {POINT_VARIANCE:.4f}; KL {annealed['KL']:.3f}",
    )


def add_neighbour_verdicts(lab, cells, read_numbers):
    """Add the verdicts on neighbours and edges."""
    low, high = BETAS[:2]
    fine, strong, cell = read_numbers(2, low), read_numbers(2, high), cells[2, low, 0.0, 0]
    best = measure_neighbours(cell["points"], cell["labels"])
    lab.add_verdict(
        "Idler: uniform square; Idler: network; Idler: neighbourhoods",
        "neighbourhoods and quadrants survive, up to a rotation or a reflection",
        min(fine["neighbours"], fine["trustworthiness"], fine["likeness"]) > 0.9,
        f"beta {low:g}, lambda 0: of the nearest codes {fine['neighbours']:.1%} are of the same quadrant, of the "
        f"nearest points {best:.1%}; trustworthiness {fine['trustworthiness']:.4f}, likeness "
        f"{fine['likeness']:.3f}",
    )
    by_beta = {b: read_numbers(2, b) for b in BETAS}
    boxes = "; ".join(f"{numbers['lowest']:.3f} to {numbers['highest']:.3f} at {b:g}" for b, numbers in by_beta.items())
    lab.add_verdict(
        "Idler: lambda and beta",
        "ten times beta loses the edges",
        strong["lowest"] > EDGE_MARGIN
        and strong["highest"] < 1 - EDGE_MARGIN
        and fine["lowest"] < EDGE_MARGIN
        and fine["highest"] > 1 - EDGE_MARGIN,
        f"coordinates of g(z) by beta: {boxes}",
    )


def add_weight_verdicts(lab, read_numbers):
    """Add the verdicts on lambda."""
    low = BETAS[0]
    turns = {lam: [read_numbers(2, low, lam, seed)["turn"] for seed in SEEDS] for lam in SEEDED_LAMBDAS}
    text = "; ".join(f"{format_values(values, '{:.0f}')} at lambda {lam:g}" for lam, values in turns.items())
    lab.add_verdict(
        "Idler: lambda and beta",
        "lambda turns the codes' square into a diamond",
        min(turns[SEEDED_LAMBDAS[-1]]) > 30,
        f"turn in degrees, three seeds: {text}",
    )
    by_lambda = {lam: read_numbers(2, low, lam) for lam in LAMBDAS}
    edge = [lam for lam in LAMBDAS[1:] if by_lambda[lam]["lowest"] > EDGE_MARGIN]
    text = [f"{numbers['lowest']:.3f} to {numbers['highest']:.3f} at {lam:g}" for lam, numbers in by_lambda.items()]
    lab.add_verdict(
        "Idler: lambda and beta",
        f"from lambda {LAMBDAS[-1]:g} on no reconstruction comes near zero",
        edge == [LAMBDAS[-1]],
        f"coordinates of g(z) by lambda at beta {low:g}: {'; '.join(text)}",
    )
    broken = [f"({b:g}, {lam:g})" for lam in LAMBDAS for b in BETAS if read_numbers(2, b, lam)["active"] < 2]
    lab.add_verdict(
        "Idler: lambda and beta",
        "a large beta with a large lambda breaks down: fewer than two latents are left",
        bool(broken) and read_numbers(2, low)["active"] == 2,
        f"so at (beta, lambda) {', '.join(broken) or 'none'}",
    )
