"""The measures of the recipes: answers by hand, or by a slow loop."""

import math
import re
import types

import numpy as np
import pytest

from tfvae.experiments import (
    gamma,
    geco_kappa,
    holes_and_blur,
    information_plane_models,
    kl_constrained,
    kl_weights,
    latent_sizes,
    rate_distortion,
    square_measures,
    surgery,
    tuning,
)
from tfvae.experiments.theory import fixed_point as fp
from tfvae.experiments.theory import partition_recipe, toy_data
from tfvae.models.latent_statistics import split_elbo


@pytest.fixture
def points(generator):
    return generator.random((400, 2))


def quadrants(points):
    return (points >= 0.5) @ [1, 2]


def test_neighbours_alike_against_a_loop(points):
    """Sorting all distances, one point at a time."""
    labels, shares = quadrants(points), []
    for n, point in enumerate(points):
        order = np.argsort(((points - point) ** 2).sum(1), kind="stable")
        shares.append(np.mean(labels[[m for m in order if m != n][:10]] == labels[n]))
    assert square_measures.measure_neighbours(points, labels) == pytest.approx(np.mean(shares), abs=1e-12)


def test_neighbours_alike_of_codes_that_tell_nothing(generator, points):
    """1/4 for independent codes: 400 points in four classes; 4 sigma of the share, so 6 in 100,000 alarms."""
    share = square_measures.measure_neighbours(generator.standard_normal((400, 2)), quadrants(points))
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 400)


@pytest.mark.parametrize("degrees, expected", [(0, 0), (30, 30), (45, 45), (70, 20), (180, 0), (225, 45)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_squares(points, degrees, expected, mirrored):
    """A turned, mirrored, scaled and moved square is all alike, and its tilt is known."""
    a = math.radians(degrees)
    turned = (points * [1, -1 if mirrored else 1]) @ [[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]
    codes = 3.0 * turned + [5.0, -2.0]
    assert square_measures.measure_likeness(points, codes) == pytest.approx(1.0, abs=1e-9)
    assert square_measures.measure_turn(points, codes) == pytest.approx(expected, abs=1e-6)


def test_likeness_of_codes_with_a_lost_dimension(points):
    """A square pressed flat keeps half of a square's variance (but for sampling); collapsed codes are like nothing."""
    flat = points * [1.0, 1e-9]
    assert square_measures.measure_likeness(points, flat) == pytest.approx(
        0.5, abs=0.06
    )  # 400 points: shares of variance err by 3%
    assert square_measures.measure_likeness(points, np.zeros_like(points)) == 0.0


def test_length_of_a_circle():
    """2 pi r, less (pi / n)^2 / 6 of it for n chords."""
    angle = np.linspace(0, 2 * math.pi, 1001)
    circle = 0.3 * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert square_measures.measure_length(circle) == pytest.approx(0.6 * math.pi, rel=2e-6)


@pytest.mark.parametrize(
    "heights, expected",
    [
        ([3, 1, 2], [1]),
        ([1, 2, 3], []),
        ([3, 2, 1], []),
        ([3, 1, 2, 0, 4], [1, 3]),
        ([3, 1, 1, 2], [1]),
        ([3, 1, 1, 0, 2], [3]),
        ([2, 1, 1], []),
    ],
)
def test_minima_by_hand(heights, expected):
    assert gamma.find_minima(np.array(heights, float)) == expected


def test_a_large_gamma_melts_two_wells_into_one():
    """Error 50 (t^2 - 1)^2 and KL t^2 / 2: wells apart while 50 (t^2 - 1)^2 / (2 gamma) + t^2 / 2 has f''(0) < 0.

    f''(0) = -100 / gamma + 1: the wells melt at gamma = 100.
    """
    t = np.linspace(-2, 2, 801)
    counts = {
        g: len(gamma.find_minima(gamma.compute_loss(50 * (t**2 - 1) ** 2, t**2 / 2, g, 1))) for g in (1.0, 90.0, 110.0)
    }
    assert counts == {1.0: 2, 90.0: 2, 110.0: 1}


def test_loss_is_half_of_the_published_objective():
    """1/gamma |x - mu|^2 + d log gamma + |s|^2 - log |diag s|^2 + |m|^2 is 2 loss - d log 2 pi + L."""
    x, mu, s, m, variance = np.array([0.2, 0.9]), np.array([0.4, 0.6]), np.array([0.5, 0.8, 1.1]), np.ones(3), 0.3
    published = (
        ((x - mu) ** 2).sum() / variance + 2 * np.log(variance) + (s**2).sum() - np.log(s**2).sum() + (m**2).sum()
    )
    kl = 0.5 * (s**2 + m**2 - np.log(s**2) - 1).sum()
    ours = gamma.compute_loss(((x - mu) ** 2).sum(), kl, variance, 2)
    assert 2 * ours - 2 * math.log(2 * math.pi) + 3 == pytest.approx(published, rel=1e-12)


def test_settled_is_a_geometric_mean_of_the_end():
    rows = [{"lambda": value} for value in (100.0, 1.0, 2.0, 4.0, 8.0, 16.0)]
    assert kl_constrained.average_last_epochs(rows) == pytest.approx(4.0, rel=1e-12)


def test_greyness_by_hand():
    assert latent_sizes.measure_greyness(np.array([0.0, 1.0, 0.5, 0.25])) == pytest.approx((0 + 0 + 1 + 0.75) / 4)


def test_detail_by_hand():
    """An edge between columns, or rows, 1 and 2 of 4: one of three steps across, or down; flat images have none."""
    edge = np.zeros((3, 4, 4, 1))
    edge[0, :, 2:], edge[1, 2:] = 0.6, 0.3
    np.testing.assert_allclose(holes_and_blur.measure_detail(edge), [0.2, 0.1, 0.0], atol=1e-12)


def test_chosen_draws():
    """Lowest density first, largest overlap first, and lone ones only where there is density."""
    log_ratio, overlap = np.array([-9.0, 0.0, 1.0, 2.0]), np.array([1.0, 50.0, 3.0, 2.0])
    chosen = {name: rows.tolist() for name, rows in holes_and_blur.choose_draws(log_ratio, overlap, 1).items()}
    assert chosen == {"holes": [0], "blur": [1], "alone": [3]}


def test_four_terms_leave_nothing_of_the_elbo():
    """`split_elbo` of any numbers sums up to ELBO + log n; a wrong term shows in full."""
    terms = split_elbo(distortion=200.0, rate=20.0, nll=215.0, marginal_kl=5.0, count=1000)
    row = {surgery.TERMS[name]: value for name, value in terms.items() if name != "log_n"}
    row |= {"ELBO": -220.0, "log n": math.log(1000)}
    assert surgery.compute_remainder(row) == pytest.approx(0.0, abs=1e-9)
    assert surgery.compute_remainder(row | {surgery.TERMS["marginal_kl"]: 6.0}) == pytest.approx(1.0, abs=1e-9)


def test_codes_that_are_all_the_same_have_no_likeness():
    """Equal float32 codes, whose variance is not 0 for the rounding of their mean."""
    points = np.random.default_rng(0).random((1000, 2))
    codes = np.full((1000, 2), 0.1, np.float32)
    assert codes.var(0).min() > 0
    assert square_measures.measure_likeness(points, codes) == 0.0


@pytest.mark.parametrize(("at_four", "outcome"), [((0.4, 0.5), True), ((0.2, 0.6), False)])
def test_seeds_that_overlap_decide_nothing(at_four, outcome):
    """MIG at weight 1 is 0.1 and 0.3: the best weight's seeds have to be above both of it, and of the largest."""
    mig = [(0.1, 0.3), at_four, (0.2, 0.25), (0.0, 0.05)]
    scores = [{"MIG": value, "DCI disentanglement": 0.5, "error": i} for i, pair in enumerate(mig) for value in pair]
    outcomes = {}
    lab = types.SimpleNamespace(
        add_verdict=lambda claims, statement, outcome, because: outcomes.update({statement: outcome})
    )
    kl_weights.add_sprite_verdicts(lab, scores)
    assert outcomes["a weight above 1 disentangles"] is outcome
    assert outcomes["too large a weight entangles again"] is True


class Landscape:
    """Replaces a lab: error = 16 beta^(1/2), KL = 8 / beta; without a warm-up it collapses above beta = `edge`."""

    def __init__(self, edge=math.inf):
        self.edge, self.objectives = edge, []

    def train_run(self, objective, **settings):
        self.objectives.append(objective)
        beta = float(re.search(r"beta=([\d.e-]+)", objective)[1])
        collapsed = beta > self.edge and "warmup" not in objective
        row = {"sq_err": 60.0 if collapsed else 16 * beta**0.5, "rate": 0.0 if collapsed else 8 / beta}
        return types.SimpleNamespace(rows=[row])


@pytest.mark.parametrize("start", [0.3, 0.9, 3.0])
def test_a_tuned_beta_comes_near_the_error_and_its_kl_is_read_off(start):
    """On a landscape with known KL: at error 16 beta is 1 and KL 8, and a line in logarithms is exact there."""
    runs, has_warm_up = tuning.tune_beta(Landscape(), {}, 16.0, start)
    errors = [one.rows[-1]["sq_err"] for _, one in runs]
    assert not has_warm_up and abs(math.log(errors[1] / 16)) < abs(math.log(errors[0] / 16))
    assert math.isclose(tuning.interpolate_kl(16.0, *(one.rows[-1] for _, one in runs)), 8.0, rel_tol=1e-9)


def test_a_beta_vae_that_collapses_gets_a_warm_up():
    landscape = Landscape(edge=0.5)
    runs, has_warm_up = tuning.tune_beta(landscape, {"batch_size": 100}, 16.0, 0.9)
    assert has_warm_up and len(runs) == 2 and ["warmup" in one for one in landscape.objectives] == [False, True, True]
    assert "warmup=6000" in landscape.objectives[-1]  # ten epochs of 600 steps


def test_sharpness_hull_and_alignment_by_hand(generator):
    """Total variation of a checkerboard; heights on a hull of three points; aligned, mirrored and idle codes."""

    board = np.indices((4, 4)).sum(0)[None, ..., None] % 2
    assert information_plane_models.compute_total_variation(board) == 2 * 4 * 3  # every neighbouring pair differs by 1
    assert information_plane_models.compute_total_variation(np.full((2, 4, 4, 1), 0.3)) == 0
    points = [(0.0, 10.0), (1.0, 9.0), (2.0, 2.0), (4.0, 1.0)]  # the second is above the line of its neighbours
    assert rate_distortion.interpolate_hull(points, 1.0) == 6.0 and rate_distortion.interpolate_hull(points, 9.0) == 1.0
    curve = [{"rate": rate, "error": error} for rate, error in points]
    assert math.isclose(rate_distortion.measure_bulge(curve), 9.0 / 6.0 - 1)
    codes = generator.normal(size=(500, 3)) * [1, 1, 0.01]
    assert math.isclose(rate_distortion.measure_alignment(codes, 2 * codes), 1)
    assert math.isclose(rate_distortion.measure_alignment(codes, codes * [1, -1, 1]), 0, abs_tol=1e-12)
    assert rate_distortion.measure_alignment(codes, 0 * codes) == 0


def test_any_partition_hardly_moves_and_a_soft_posterior_does():
    """`moved` of the theory recipe: 0 for cells, and not for cells whose data lie closer than sigma."""

    _, log_prior = fp.build_normal_grid(40, reach=toy_data.REACH)
    labels = np.arange(1600) % 9
    assert partition_recipe.measure_movement(labels, toy_data.draw_plane_points(), log_prior) < 1e-9
    assert partition_recipe.measure_movement(labels, 1e-3 * toy_data.draw_plane_points(), log_prior) > 0.1


def test_the_first_epochs_of_a_long_run_are_a_row_of_their_own():
    """Peak, end and the epoch of the last entry into the 1% band, read off by hand."""

    rows = [
        {"epoch": n + 1, "sq_err": 16 + c, "rate": 8.0 - n, "lambda": lam, "constraint": c}
        for n, (c, lam) in enumerate([(4.0, 1.0), (0.1, 3.0), (-1.0, 2.0), (0.1, 1.5), (-0.1, 1.0)])
    ]
    summary = geco_kappa.build_row("x", rows, 4)
    assert (summary["epoch"], summary["error"], summary["KL"]) == (5, 15.9, 4.0)
    assert (summary["lambda peak"], summary["peak / end"], summary["within 1% from epoch"]) == (3.0, 3.0, 4)
    assert geco_kappa.build_row("x", rows[:3], 4)["within 1% from epoch"] is None
