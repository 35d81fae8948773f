"""Fixed points, partitions, phase transitions, kernel PCA and energy levels, beside closed forms and slow loops."""

import numpy as np
import pytest
from scipy import optimize, stats
from scipy.special import xlogy
from sklearn.metrics.pairwise import rbf_kernel

from tfvae.distributions import densities
from tfvae.errors import UsageError
from tfvae.experiments.theory import fixed_point as fp
from tfvae.experiments.theory import kernel_pca, levels, partition, transitions

OBLIQUE = np.array([[0.9, 0.3], [-0.4, 1.1]])  # no border of a partition may run along the grid


def problem(n=12, latent=30, dims=3, seed=0):
    """Data, log prior weights and a start of the decoder, all random."""
    draw = np.random.default_rng(seed)
    return (
        draw.normal(size=(n, dims)) * [2.0, 1.0, 0.5][:dims],
        draw.normal(size=latent),
        draw.normal(size=(latent, dims)),
    )


def free_energy(x, log_prior, g, q, sigma2):
    """F by two loops and SciPy's normal density."""
    prior, total = np.exp(log_prior) / np.exp(log_prior).sum(), 0.0
    for i in range(len(x)):
        for s in range(len(g)):
            log_px = stats.norm.logpdf(x[i], g[s], np.sqrt(sigma2)).sum()
            total += (xlogy(q[i, s], q[i, s] / prior[s]) - q[i, s] * log_px) / len(x)
    return total


@pytest.mark.parametrize("sigma2", [None, 0.3])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_free_energy_never_rises(sigma2, seed):
    """Each step minimises it in one argument; 1e-12 of it for rounding. The last one is that of the slow loop."""
    x, log_prior, g = problem(seed=seed)
    result = fp.find_fixed_point(x, log_prior, g, sigma2=sigma2, least_sigma2=0.05, iterations=300, tolerance=1e-12)
    f = result.trace.free_energy
    assert (np.diff(f) <= 1e-12 * np.abs(f[1:])).all() and f[-1] < f[0] - 0.01
    truth = free_energy(x, log_prior, result.g, result.q, result.sigma2)
    assert f[-1] == pytest.approx(truth, rel=1e-10)
    assert f[-1] == result.trace.rate[-1] + result.trace.distortion[-1]


def test_where_it_rests_both_equations_of_seed_and_paper_hold():
    """g is the q-weighted mean of the data, q is pi exp(-|x - g|^2 / 2 sigma^2) normalised: loops, 1e-6."""
    x, log_prior, g = problem()
    result = fp.find_fixed_point(x, log_prior, g, sigma2=0.4, iterations=20_000, tolerance=1e-12)
    assert result.converged
    for s in range(len(g)):
        np.testing.assert_allclose(result.g[s], result.q[:, s] @ x / result.q[:, s].sum(), atol=1e-6)
    for i in range(len(x)):
        raw = np.exp(log_prior - [np.sum((x[i] - result.g[s]) ** 2) / 0.8 for s in range(len(g))])
        np.testing.assert_allclose(result.q[i], raw / raw.sum(), atol=1e-6)


def test_the_optimal_variance_is_the_error_per_dimension():
    """Beside SciPy's minimum of the distortion over sigma^2; the seed's sum over dimensions is D times too large."""

    def distortion(log_s2):
        return -stats.norm.logpdf(np.sqrt(6.3 / 3), 0.0, np.exp(0.5 * log_s2)) * 3  # three dimensions share 6.3

    best = np.exp(optimize.minimize_scalar(distortion, bounds=(-5, 5), method="bounded", options={"xatol": 1e-9}).x)
    assert fp.compute_optimal_sigma2(6.3, 3) == pytest.approx(best, rel=1e-6)
    assert densities.compute_gaussian_distortion(6.3, 2.1, 3) == pytest.approx(distortion(np.log(2.1)), rel=1e-12)


def test_without_the_division_by_dimensions_the_collapsed_state_is_stable():
    """sigma^2 = E|x - g|^2 keeps g at the mean; sigma^2 = E|x - g|^2 / D leaves it. Same start, a push of 1e-3."""
    x, log_prior, noise = problem(n=40)
    start = x.mean(0) + 1e-3 * noise
    right, g = fp.find_fixed_point(x, log_prior, start, least_sigma2=0.05), start
    for _ in range(200):
        sq_err = np.mean(((x[:, None] - g) ** 2).sum(-1))
        g = fp.find_fixed_point(x, log_prior, g, sigma2=sq_err, iterations=1).g
    variance = x.var(0).sum()
    assert np.abs(g - x.mean(0)).max() < 1e-5 and right.trace.sq_err[-1] < 0.2 * variance


@pytest.mark.slow
def test_gaussian_data_on_a_latent_grid_reach_the_rate_distortion_function():
    """x ~ N(0, 1) as 400 quantiles, z on a grid: u = beta, rate 1/2 log(1 / beta); 2% for quantiles and grid."""
    x = stats.norm.ppf((np.arange(400) + 0.5) / 400)[:, None]
    z, log_prior = fp.build_normal_grid(121, dims=1)
    result = fp.find_fixed_point(x, log_prior, 0.5 * z, sigma2=0.4, iterations=3000)
    assert result.trace.sq_err[-1] == pytest.approx(0.4, rel=0.02)
    assert result.trace.rate[-1] == pytest.approx(0.5 * np.log(1 / 0.4), rel=0.02)


def test_the_normal_grid_has_the_moments_of_the_prior():
    """Mean 0, covariance I; 2% for what lies outside the grid."""
    z, log_prior = fp.build_normal_grid(40)
    weights = np.exp(log_prior)
    assert weights.sum() == pytest.approx(1.0) and z.shape == (1600, 2)
    np.testing.assert_allclose(weights @ z, 0.0, atol=1e-12)
    np.testing.assert_allclose((weights[:, None] * z).T @ z, np.eye(2), atol=0.02)


def test_bad_arguments_are_refused():
    x, log_prior, g = problem()
    for bad in ({"sigma2": 0.0}, {"sigma2": -1.0}, {"least_sigma2": 0.0}, {"iterations": 0}):
        with pytest.raises(UsageError, match="sigma2 > 0"):
            fp.find_fixed_point(x, log_prior, g, **bad)
    with pytest.raises(UsageError, match="log_prior"):
        fp.find_fixed_point(x, log_prior[:-1], g)
    with pytest.raises(UsageError, match="falling"):
        transitions.anneal_free_decoder(x, log_prior, [1.0, 2.0])
    with pytest.raises(UsageError, match="side >= 2"):
        fp.build_normal_grid(1)


# --- the limit sigma -> 0


def test_any_partition_is_a_fixed_point_as_sigma_vanishes():
    """q(z|x_i) = pi(z) 1[z in Omega_i] / pi_i, rate -1/n sum log pi_i; a tail of exp(-d^2 / 2 sigma^2) < 1e-100."""
    x = 10.0 * np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [2.0, 2.0]])
    z, log_prior = fp.build_normal_grid(15)
    labels = np.random.default_rng(0).choice(4, len(z), p=[0.4, 0.3, 0.2, 0.1])
    result = fp.find_fixed_point(x, log_prior, x[labels], sigma2=0.1)
    assert result.converged and len(result.trace.rate) == 1
    np.testing.assert_allclose(result.q, partition.build_posteriors(labels, log_prior, 4), atol=1e-15)
    mass = partition.compute_masses(labels, log_prior, 4)
    np.testing.assert_allclose(mass, [sum(np.exp(log_prior)[labels == i]) for i in range(4)])
    assert result.trace.rate[-1] == pytest.approx(-np.mean(np.log(mass)), rel=1e-12)
    assert partition.compute_partition_rate(mass) == pytest.approx(-np.mean(np.log(mass)), rel=1e-12)
    assert (partition.assign_cells(result.q) == labels).all()


def test_equal_cells_cost_log_n_and_leave_no_marginal_kl():
    """Equality exactly at 1/n; any other partition is dearer, and its marginal KL is what it costs above log n."""
    log_prior, equal = np.zeros(60), np.arange(60) % 5
    q = partition.build_posteriors(equal, log_prior, 5)
    assert partition.compute_partition_rate(partition.compute_masses(equal, log_prior, 5)) == pytest.approx(
        np.log(5), rel=1e-14
    )
    assert partition.compute_marginal_kl(q, log_prior) == pytest.approx(0.0, abs=1e-14)
    draw = np.random.default_rng(1)
    for _ in range(20):
        log_prior = draw.normal(size=60)
        labels = np.concatenate([np.arange(5), draw.integers(0, 5, 55)])
        above = partition.compute_partition_rate(partition.compute_masses(labels, log_prior, 5)) - np.log(5)
        assert above > 0
        q = partition.build_posteriors(labels, log_prior, 5)
        assert partition.compute_marginal_kl(q, log_prior) == pytest.approx(above, rel=1e-10)
    with pytest.raises(UsageError, match="cell 4 is empty"):
        partition.build_posteriors(np.arange(60) % 4, log_prior, 5)


def test_cells_of_equal_mass_in_a_plane():
    """Masses within two grid points' weight of 1/n, so a rate within 1e-4 of log n; one site is far out."""
    z, log_prior = fp.build_normal_grid(80)
    sites = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.0], [-1.0, -1.0], [0.3, 0.1], [3.0, 3.0], [-0.5, 2.0]])
    labels = partition.build_equal_cells(z, log_prior, sites @ OBLIQUE)
    mass = partition.compute_masses(labels, log_prior, 7)
    assert np.abs(mass - 1 / 7).max() < 2 * np.exp(log_prior).max()
    assert partition.compute_partition_rate(mass) - np.log(7) < 1e-4
    nearest = ((z[:, None] - sites @ OBLIQUE) ** 2).sum(-1).argmin(1)
    assert partition.compute_partition_rate(partition.compute_masses(nearest, log_prior, 7)) - np.log(7) > 0.1


# --- phase transitions


def test_two_points_are_the_curie_weiss_magnet():
    """x = +-a: u = a^2 (1 - m^2), m = tanh(m a^2 / beta), beta_c = a^2; SciPy's root, 1e-6 of a^2, away from beta_c."""
    a, betas = 1.7, np.geomspace(4.0, 0.5, 40)
    x = np.array([[a], [-a]])
    result = transitions.anneal_free_decoder(x, np.zeros(2), betas)
    for beta, u, g in zip(betas, result.u, result.g):
        c = a**2 / beta
        if abs(c - 1) > 0.03:
            m = optimize.brentq(lambda m: m - np.tanh(m * c), 0.1, 1.0, xtol=1e-14) if c > 1 else 0.0
            assert u == pytest.approx(a**2 * (1 - m**2), abs=1e-6 * a**2)
            np.testing.assert_allclose(np.sort(g[:, 0]), [-m * a, m * a], atol=1e-4)
    assert transitions.find_first_critical_beta(x) == pytest.approx(a**2, rel=1e-14)


def test_a_linear_model_dies_dimension_by_dimension_at_the_eigenvalues():
    """The iteration, in a rotated basis, beside water-filling and Tipping & Bishop's weights; each beta_c within 2%."""
    values = np.array([4.0, 2.0, 1.0, 0.3])
    rotation = np.linalg.qr(np.random.default_rng(0).normal(size=(4, 4)))[0]
    betas = np.geomspace(6.0, 0.15, 300)
    result = transitions.anneal_linear_decoder(rotation * values @ rotation.T, 4, betas)
    np.testing.assert_allclose(transitions.find_critical_betas(betas, result.u), values, rtol=0.02)
    away = np.abs(np.log(betas[:, None] / values)).min(1) > 0.03  # at beta_c itself the iteration takes for ever
    water = np.array([sum(min(v, beta) for v in values) for beta in betas])
    np.testing.assert_allclose(result.u[away], water[away], rtol=1e-6)
    np.testing.assert_allclose(transitions.compute_linear_error(values, betas), water, rtol=1e-14)
    shannon = np.array([sum(0.5 * np.log(v / beta) for v in values if v > beta) for beta in betas])
    np.testing.assert_allclose(result.rate[away], shannon[away], atol=1e-5)
    np.testing.assert_allclose(transitions.compute_linear_rate(values, betas), shannon, atol=1e-14)
    w = result.g[-1]
    np.testing.assert_allclose(np.linalg.eigvalsh(w @ w.T)[::-1], values - betas[-1], atol=1e-5)


def test_with_fewer_latent_dimensions_the_smallest_eigenvalues_stay_as_error():
    values, betas = np.array([4.0, 2.0, 1.0]), np.array([5.0, 3.0, 0.5])
    result = transitions.anneal_linear_decoder(np.diag(values), 2, betas)
    np.testing.assert_allclose(result.u, [7.0, 6.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(transitions.compute_linear_error(values, betas, 2), [7.0, 6.0, 2.0], rtol=1e-14)
    np.testing.assert_allclose(result.rate, transitions.compute_linear_rate(values, betas, 2), atol=1e-6)


def test_the_linear_optimum_minimises_the_lagrangian():
    """L = u / 2 + beta rate beside SciPy's minimum over all of W of -beta log p(x; W, beta), as it should: 1e-6."""
    c, beta = np.array([[2.0, 0.7], [0.7, 1.0]]), 0.6
    values = np.linalg.eigvalsh(c)

    def bound(flat):  # beta * (KL - log p + the normaliser of the Gaussian), with log p exact
        w = flat.reshape(2, 2)
        model = w @ w.T + beta * np.eye(2)
        log_p = -0.5 * (np.linalg.slogdet(2 * np.pi * model)[1] + np.trace(np.linalg.solve(model, c)))
        return -beta * log_p - beta * np.log(2 * np.pi * beta)

    best = min(optimize.minimize(bound, np.random.default_rng(i).normal(size=4), tol=1e-12).fun for i in range(5))
    u, rate = transitions.compute_linear_error(values, [beta])[0], transitions.compute_linear_rate(values, [beta])[0]
    assert 0.5 * u + beta * rate == pytest.approx(best, rel=1e-6)


def mixture(seed=0, spread=0.1, count=30):
    """Four narrow clusters, two and two: -> x [4 count, 2], left half first."""
    centres = np.array([[-4, -1.0], [-4, 1], [4, -0.7], [4, 0.7]])
    draw = np.random.default_rng(seed)
    return np.concatenate([c + spread * draw.normal(size=(count, 2)) for c in centres])


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_mixture_splits_at_the_eigenvalues_of_whole_and_halves(seed):
    """Rose: T_c = 2 lambda_max, here beta_c = lambda_max by NumPy; three transitions, each within 2%, and no other."""
    x = mixture(seed)
    known = [np.linalg.eigvalsh(np.cov(part.T, bias=True))[-1] for part in (x, x[:60], x[60:])]
    betas = np.geomspace(1.3 * known[0], 0.25, 300)
    result = transitions.anneal_free_decoder(x, np.zeros(16), betas, seed=seed)
    np.testing.assert_allclose(transitions.find_critical_betas(betas, result.u), known, rtol=0.02)
    above = betas > 1.01 * known[0]
    np.testing.assert_allclose(result.u[above], x.var(0).sum(), rtol=1e-6)
    np.testing.assert_allclose(result.rate[above], 0.0, atol=1e-6)
    assert transitions.find_first_critical_beta(x) == pytest.approx(known[0], rel=1e-12)


def test_below_the_critical_temperature_the_decoder_opens_along_the_first_principal_axis():
    """2% below beta_c, any data, skewed ones and any prior: g - mean is along the leading eigenvector."""
    draw = np.random.default_rng(4)
    x = draw.exponential(size=(50, 3)) @ draw.normal(size=(3, 3))
    beta = transitions.find_first_critical_beta(x)
    log_prior = draw.normal(size=20)
    above, below = transitions.anneal_free_decoder(x, log_prior, [1.02 * beta, 0.98 * beta], iterations=5000).g
    assert np.abs(above - x.mean(0)).max() < 1e-4 * np.sqrt(beta)
    axis = np.linalg.eigh(np.cov(x.T, bias=True))[1][:, -1]
    moved = below - x.mean(0)
    assert np.abs(moved @ axis).max() > 0.02 * np.sqrt(beta)
    assert np.linalg.norm(moved - np.outer(moved @ axis, axis)) < 0.2 * np.linalg.norm(moved)


def test_curvature_of_a_parabola_and_no_transition_in_a_smooth_curve():
    betas = np.geomspace(5.0, 0.5, 60)
    np.testing.assert_allclose(transitions.compute_curvature(betas, 3 * betas**2 + betas), 6.0, rtol=1e-8)
    assert len(transitions.find_critical_betas(betas, np.sqrt(betas))) == 0
    kinked = np.minimum(betas, 2.0)
    result = transitions.find_critical_betas(betas, kinked)
    assert len(result) == 1 and result[0] == pytest.approx(2.0, rel=0.04)  # the step of this grid


# --- kernel PCA


def clusters(spread=0.05, seed=5):
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [1.0, 7.0]])
    draw = np.random.default_rng(seed)
    return np.concatenate([c + spread * draw.normal(size=(25, 2)) for c in centres]), centres


def test_one_cell_for_each_datum_is_the_normalised_gaussian_kernel():
    """Beside scikit-learn's rbf_kernel with gamma = 1 / 2 beta; and the soft clusters of `fixed_point` are these m."""
    x, beta = problem()[0], 0.7
    kernel = rbf_kernel(x, gamma=1 / (2 * beta))
    m = kernel_pca.compute_responsibilities(x, x, np.zeros(len(x)), beta)
    np.testing.assert_allclose(m, kernel / kernel.mean(1, keepdims=True), rtol=1e-10)
    m, psi = kernel_pca.find_soft_clusters(x, x, np.zeros(len(x)), beta, iterations=20_000, tolerance=1e-12)
    np.testing.assert_allclose(m, kernel_pca.compute_responsibilities(x, psi, np.zeros(len(x)), beta), atol=1e-8)
    np.testing.assert_allclose(psi, (m.T @ x) / m.sum(0)[:, None], atol=1e-8)


def test_each_psi_is_a_pre_image():
    """A stationary point of sum_i a_i k(x_i, psi): central differences, 1e-6 of the function, not so elsewhere."""
    x, log_prior, g = problem(latent=5)
    beta, step = 0.8, 1e-4
    _, psi = kernel_pca.find_soft_clusters(x, g, log_prior, beta, iterations=20_000, tolerance=1e-12)
    prior = np.exp(log_prior) / np.exp(log_prior).sum()
    a = 1.0 / (rbf_kernel(x, psi, gamma=1 / (2 * beta)) @ prior)

    def density(at):
        return a @ np.exp(-((x - at) ** 2).sum(1) / (2 * beta))

    def slope(at):
        return max(abs(density(at + step * e) - density(at - step * e)) / (2 * step) for e in np.eye(3))

    assert all(slope(at) < 1e-6 * density(at) for at in psi)
    assert all(slope(at + 0.3) > 1e-2 * density(at + 0.3) for at in psi)


def test_the_normalised_kernel_has_unit_sums_and_kernel_pca_its_eigenvectors():
    """Beside NumPy's eigenvectors of the kernel itself: centring must take away the constant one only."""
    x = problem(n=20)[0]
    kernel, d = kernel_pca.normalise_kernel(x, 1.5)
    np.testing.assert_allclose(kernel.sum(1), 1.0, atol=1e-11)
    np.testing.assert_allclose(kernel, np.outer(d, d) * rbf_kernel(x, gamma=1 / 3), rtol=1e-12)
    values, vectors = np.linalg.eigh(kernel)
    assert values[-1] == pytest.approx(1.0) and np.ptp(vectors[:, -1]) < 1e-9
    result = kernel_pca.compute_kernel_pca(kernel, 3)
    np.testing.assert_allclose(np.abs((result * vectors[:, -2:-5:-1]).sum(0)), 1.0, atol=1e-8)


def test_for_narrow_distant_clusters_kernel_pca_and_the_cells_are_the_same():
    """Spans, reconstructions and psi: what is left is of the order spread^2 / beta = 0.0025."""
    x, _ = clusters()
    kernel, d = kernel_pca.normalise_kernel(x, 1.0)
    pca = kernel_pca.compute_kernel_pca(kernel, 2)
    m, psi = kernel_pca.find_soft_clusters(x, x[[0, 30, 60]], np.zeros(3), 1.0)
    cosines = kernel_pca.measure_agreement(kernel_pca.compute_cluster_components(m, 2), pca)
    assert cosines.min() > 1 - 1e-4
    means = x.reshape(3, 25, 2).mean(1)
    np.testing.assert_allclose(psi, means, atol=1e-3)
    np.testing.assert_allclose(kernel_pca.find_pre_images(x, pca, d, 1.0), np.repeat(means, 25, axis=0), atol=1e-3)


def test_for_data_without_clusters_they_differ():
    """Points on a line segment at random: hard cells are not the smooth waves of the kernel's eigenvectors."""
    x = np.random.default_rng(6).uniform(size=(80, 1))
    pca = kernel_pca.compute_kernel_pca(kernel_pca.normalise_kernel(x, 0.002)[0], 3)
    m, _ = kernel_pca.find_soft_clusters(x, x[:4], np.zeros(4), 0.002)
    assert kernel_pca.measure_agreement(kernel_pca.compute_cluster_components(m, 3), pca).min() < 0.95


def test_agreement_of_known_planes():
    """One shared axis and one turned by 60 degrees: cosines 1 and 1/2."""
    a = np.eye(4)[:, :2]
    b = np.stack([np.eye(4)[0], 0.5 * np.eye(4)[1] + np.sqrt(0.75) * np.eye(4)[2]], axis=1)
    np.testing.assert_allclose(kernel_pca.measure_agreement(a, b), [1.0, 0.5], atol=1e-12)


# --- energy levels


def test_a_level_set_is_its_definition_and_knows_its_pieces():
    """By a loop over a grid; |x|^2 = (z_1^2 - 1)^2 + z_2^2 around its minima is two pieces."""
    side = np.linspace(-2, 2, 41)
    z = np.stack(np.meshgrid(side, side, indexing="ij"), axis=-1)
    g = np.stack([z[..., 0] ** 2, z[..., 1]], axis=-1)
    h = levels.compute_energy(np.array([1.0, 0.0]), g)
    assert h[3, 8] == pytest.approx((g[3, 8, 0] - 1) ** 2 + g[3, 8, 1] ** 2)
    at = np.unravel_index(h.argmin(), h.shape)
    labels = levels.find_level_set(h, at, 0.3)
    for i in range(0, 41, 5):
        for j in range(0, 41, 5):
            assert (labels[i, j] > 0) == (abs(h[i, j] - h[at]) <= 0.3)
    assert labels.max() == 2 and labels[at] != labels[40 - at[0], at[1]]


def test_levels_tile_the_grid_and_each_is_no_wider_than_two_epsilon():
    h = np.random.default_rng(0).exponential(size=(20, 20))
    labels = levels.label_levels(h, 0.1)
    assert labels.min() == 0
    for k in np.unique(labels):
        assert np.ptp(h[labels == k]) <= 0.2
    assert (np.argsort(h.ravel()) == np.argsort(labels.ravel() + h.ravel() / 100)).all()
    mass = levels.compute_level_masses(labels, np.zeros_like(h))
    assert mass.sum() == pytest.approx(1.0) and mass[0] == pytest.approx((labels == 0).sum() / 400)
    with pytest.raises(UsageError, match="width > 0"):
        levels.label_levels(h, 0.0)


def test_levels_are_equally_probable_on_an_equal_partition():
    """g constant on cells of mass 1/n, n distances from x_1: n levels of mass 1/n, to the weight of two grid points."""
    z, log_prior = fp.build_normal_grid(40)
    x = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0], [3.0, 0.0], [0.0, -4.0]])
    labels = partition.build_equal_cells(z, log_prior, x / 3 @ OBLIQUE)
    h = levels.compute_energy(x[0], x[labels])
    mass = levels.compute_level_masses(levels.label_levels(h, 0.25), log_prior)
    np.testing.assert_allclose(mass[mass > 0], 0.2, atol=2 * np.exp(log_prior).max())
    assert (mass > 0).sum() == 5
