"""The measures of the recipes: answers by hand, or by a slow loop."""

import math
import types

import numpy as np
import pytest

from tfvae.experiments import gamma, holes_and_blur, kl_constrained, kl_weights, latent_sizes, square, surgery


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
    assert square.neighbours_alike(points, labels) == pytest.approx(np.mean(shares), abs=1e-12)


def test_neighbours_alike_of_codes_that_tell_nothing(generator, points):
    """1/4 for independent codes: 400 points in four classes; 4 sigma of the share, so 6 in 100,000 alarms."""
    share = square.neighbours_alike(generator.standard_normal((400, 2)), quadrants(points))
    assert abs(share - 0.25) < 4 * math.sqrt(0.25 * 0.75 / 400)


@pytest.mark.parametrize("degrees, expected", [(0, 0), (30, 30), (45, 45), (70, 20), (180, 0), (225, 45)])
@pytest.mark.parametrize("mirrored", [False, True])
def test_turned_squares(points, degrees, expected, mirrored):
    """A turned, mirrored, scaled and moved square is all alike, and its tilt is known."""
    a = math.radians(degrees)
    turned = (points * [1, -1 if mirrored else 1]) @ [[math.cos(a), math.sin(a)], [-math.sin(a), math.cos(a)]]
    codes = 3.0 * turned + [5.0, -2.0]
    assert square.likeness(points, codes) == pytest.approx(1.0, abs=1e-9)
    assert square.turn(points, codes) == pytest.approx(expected, abs=1e-6)


def test_likeness_of_codes_with_a_lost_dimension(points):
    """A square pressed flat keeps half of a square's variance (but for sampling); collapsed codes are like nothing."""
    flat = points * [1.0, 1e-9]
    assert square.likeness(points, flat) == pytest.approx(0.5, abs=0.06)  # 400 points: shares of variance err by 3%
    assert square.likeness(points, np.zeros_like(points)) == 0.0


def test_length_of_a_circle():
    """2 pi r, less (pi / n)^2 / 6 of it for n chords."""
    angle = np.linspace(0, 2 * math.pi, 1001)
    circle = 0.3 * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert square.length(circle) == pytest.approx(0.6 * math.pi, rel=2e-6)


@pytest.mark.parametrize("heights, expected", [
    ([3, 1, 2], [1]),
    ([1, 2, 3], []),
    ([3, 2, 1], []),
    ([3, 1, 2, 0, 4], [1, 3]),
    ([3, 1, 1, 2], [1]),
    ([3, 1, 1, 0, 2], [3]),
    ([2, 1, 1], []),
])  # fmt: skip
def test_minima_by_hand(heights, expected):
    assert gamma.minima(np.array(heights, float)) == expected


def test_a_large_gamma_melts_two_wells_into_one():
    """Error 50 (t^2 - 1)^2 and KL t^2 / 2: wells apart while 50 (t^2 - 1)^2 / (2 gamma) + t^2 / 2 has f''(0) < 0.

    f''(0) = -100 / gamma + 1: the wells melt at gamma = 100.
    """
    t = np.linspace(-2, 2, 801)
    counts = {g: len(gamma.minima(gamma.loss_at(50 * (t**2 - 1) ** 2, t**2 / 2, g, 1))) for g in (1.0, 90.0, 110.0)}
    assert counts == {1.0: 2, 90.0: 2, 110.0: 1}


def test_loss_is_half_of_the_seeds_objective():
    """1/gamma |x - mu|^2 + d log gamma + |s|^2 - log |diag s|^2 + |m|^2 is 2 loss - d log 2 pi + L."""
    x, mu, s, m, variance = np.array([0.2, 0.9]), np.array([0.4, 0.6]), np.array([0.5, 0.8, 1.1]), np.ones(3), 0.3
    seed = ((x - mu) ** 2).sum() / variance + 2 * np.log(variance) + (s**2).sum() - np.log(s**2).sum() + (m**2).sum()
    kl = 0.5 * (s**2 + m**2 - np.log(s**2) - 1).sum()
    ours = gamma.loss_at(((x - mu) ** 2).sum(), kl, variance, 2)
    assert 2 * ours - 2 * math.log(2 * math.pi) + 3 == pytest.approx(seed, rel=1e-12)


def test_settled_is_a_geometric_mean_of_the_end():
    rows = [{"lambda": value} for value in (100.0, 1.0, 2.0, 4.0, 8.0, 16.0)]
    assert kl_constrained.settled(rows) == pytest.approx(4.0, rel=1e-12)


def test_greyness_by_hand():
    assert latent_sizes.greyness(np.array([0.0, 1.0, 0.5, 0.25])) == pytest.approx((0 + 0 + 1 + 0.75) / 4)


def test_detail_by_hand():
    """An edge between columns, or rows, 1 and 2 of 4: one of three steps across, or down; flat images have none."""
    edge = np.zeros((3, 4, 4, 1))
    edge[0, :, 2:], edge[1, 2:] = 0.6, 0.3
    np.testing.assert_allclose(holes_and_blur.detail(edge), [0.2, 0.1, 0.0], atol=1e-12)


def test_chosen_draws():
    """Lowest density first, largest overlap first, and lone ones only where there is density."""
    log_ratio, overlap = np.array([-9.0, 0.0, 1.0, 2.0]), np.array([1.0, 50.0, 3.0, 2.0])
    found = {name: rows.tolist() for name, rows in holes_and_blur.chosen(log_ratio, overlap, 1).items()}
    assert found == {"holes": [0], "blur": [1], "alone": [3]}


def test_four_terms_leave_nothing_of_the_elbo():
    """`split_elbo` of any numbers sums up to ELBO + log n; a wrong term shows in full."""
    from tfvae.models.latent_statistics import split_elbo

    terms = split_elbo(distortion=200.0, rate=20.0, nll=215.0, marginal_kl=5.0, count=1000)
    row = {surgery.TERMS[name]: value for name, value in terms.items() if name != "log_n"}
    row |= {"ELBO": -220.0, "log n": math.log(1000)}
    assert surgery.left_over(row) == pytest.approx(0.0, abs=1e-9)
    assert surgery.left_over(row | {surgery.TERMS["marginal_kl"]: 6.0}) == pytest.approx(1.0, abs=1e-9)


def test_codes_that_are_all_the_same_have_no_likeness():
    """Equal float32 codes, whose variance is not 0 for the rounding of their mean."""
    points = np.random.default_rng(0).random((1000, 2))
    codes = np.full((1000, 2), 0.1, np.float32)
    assert codes.var(0).min() > 0
    assert square.likeness(points, codes) == 0.0


@pytest.mark.parametrize(("at_four", "outcome"), [((0.4, 0.5), True), ((0.2, 0.6), False)])
def test_seeds_that_overlap_decide_nothing(at_four, outcome):
    """MIG at weight 1 is 0.1 and 0.3: the best weight's seeds have to be above both of it, and of the largest."""
    mig = [(0.1, 0.3), at_four, (0.2, 0.25), (0.0, 0.05)]
    scores = [{"MIG": value, "DCI disentanglement": 0.5, "error": i} for i, pair in enumerate(mig) for value in pair]
    told = {}
    lab = types.SimpleNamespace(verdict=lambda rows, claim, found, because: told.update({claim: found}))
    kl_weights.judge_shapes(lab, scores)
    assert told["a weight above 1 disentangles"] is outcome and told["too large a weight entangles again"] is True
