"""Posterior collapse, ELBO surgery, the registry of metrics and the text of `tfvae evaluate`."""

import pathlib
import re

import numpy as np
import pytest
from linear_gaussian import LATENT, P_X, POSTERIOR_VARIANCE, as_images, build_linear_model, draw_data

import tfvae
from tfvae.distributions.densities import compute_gaussian_distortion
from tfvae.errors import UsageError
from tfvae.evaluation import (
    evaluate,
    hole_metrics,
    latent_metrics,
    metric_tables,
    metric_types,
    metrics,
    reconstruction_quality,
)
from tfvae.evaluation.bounds import score_images
from tfvae.evaluation.marginal_kl import estimate_marginal_kl
from tfvae.models import latent_statistics


def test_collapse_report_of_units_that_are_known():
    """One unit carries x, one only narrows q (KL without variance), one is the prior for every image."""
    mean = np.stack([np.linspace(-1, 1, 50), np.zeros(50), np.zeros(50)], axis=1)
    log_stddev = np.log(np.tile([0.5, 0.5, 1.0], (50, 1)))
    kl = latent_statistics.compute_kl_per_dimension(mean, log_stddev)
    own = 0.5 * ((mean[:, 0] ** 2).mean() + 0.25 - 1) - np.log(0.5)
    np.testing.assert_allclose(kl, [own, 0.5 * (0.25 - 1) - np.log(0.5), 0.0], atol=1e-12)
    results = latent_statistics.report_collapse(mean, kl, 1.0, 10.0)
    assert (
        results["active_units_kl"] == 2
        and results["collapsed_units"] == 1
        and latent_statistics.count_active_units(mean) == 1
    )
    assert results["collapse"] == "1 of 3 latent dimensions is in use"
    assert results["kl_per_dimension"] == sorted(kl, reverse=True)


@pytest.mark.parametrize(
    ("used", "rate", "sq_err", "words"),
    [
        (16, 12.0, 5.0, "none: every latent dimension is in use"),
        (9, 12.0, 5.0, "9 of 16 latent dimensions are in use"),
        (9, 12.0, 49.9, "complete in what is decoded: .* mean picture; 9 of 16 .*are in use"),
        (16, 12.0, 50.0, "complete in what is decoded: .* mean picture; 16 of 16 .*are in use"),
        (16, 0.05, 5.0, "complete: codes hold 0.05 nats"),
        (0, 12.0, 50.0, "complete: no latent dimension says anything of x"),
    ],
)
def test_collapse_in_words_follows_from_the_figures_beside_it(used, rate, sq_err, words):
    """Means of `used` dimensions differ between images; all have an equal share of the rate, also the others."""
    means = np.linspace(-1, 1, 20)[:, None] * (np.arange(16) < used)
    results = latent_statistics.report_collapse(means, np.full(16, rate / 16), sq_err, mean_picture_error=50.0)
    assert re.fullmatch(words + ".*", results["collapse"])
    assert latent_statistics.count_active_units(means) == used


def test_the_error_of_the_mean_picture_is_the_variance_of_the_images(tiny, images):
    x = images(700)  # more than are prepared at once
    error = reconstruction_quality.measure_mean_picture_error(tiny(), x)
    assert error == pytest.approx((x / 255.0).var(axis=0).sum(), rel=1e-5)


def test_the_four_terms_are_the_elbo_and_two_of_them_the_rate():
    """1 - 2 - 3 - 4 = ELBO + log n and 2 + 4 = rate, whatever the numbers."""
    results = latent_statistics.split_elbo(distortion=70.0, rate=12.0, nll=80.0, marginal_kl=7.0, count=100)
    terms = [results[name] for name in ("log_px_ratio", "mutual_information", "kl_data", "marginal_kl")]
    assert terms[0] - sum(terms[1:]) == pytest.approx(-82.0 + np.log(100)) and results["log_n"] == np.log(100)
    assert terms[1] + terms[3] == pytest.approx(12.0)


def test_the_terms_of_the_exact_linear_model():
    """Exact posteriors of 4,000 draws of p(x): KL(q(z) || p) tends to 0, I(x; z) to the model's, term 1 to it, too.

    I = H(z) - H(z|x) = -1/2 log det of the posterior variances. KL(q(x) || p(x)) = -log n - E log p(x), from SciPy.
    0.1: of 4,000 posteriors the aggregate is still off by about prod(1 / variance) / 2n; draws of x do the rest.
    """
    count = 4000
    x, model = draw_data(count), build_linear_model()
    images = as_images(x).numpy()
    results = score_images(model, images, samples=20)
    mean, log_stddev = latent_statistics.encode_images(model, images)
    rows = {name: results[name].mean() for name in ("rate", "distortion")} | {"nll": -results["bound"].mean()}
    kl = estimate_marginal_kl(mean, log_stddev, None, rate=rows["rate"]).kl
    surgery = latent_statistics.split_elbo(rows["distortion"], rows["rate"], rows["nll"], kl, count)
    truth = -0.5 * np.log(POSTERIOR_VARIANCE).sum()
    assert len(POSTERIOR_VARIANCE) == LATENT and 1 < truth < np.log(count) - 3
    assert abs(surgery["marginal_kl"]) < 0.1
    assert surgery["mutual_information"] == pytest.approx(truth, abs=0.1)
    assert surgery["log_px_ratio"] == pytest.approx(truth, abs=0.1)
    assert surgery["kl_data"] == pytest.approx(-np.log(count) - P_X.logpdf(x).mean(), abs=1e-3)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Two epochs of GECO on 300 of scikit-learn's digits."""
    folder = str(tmp_path_factory.mktemp("evaluate"))
    parts = {"arch": "mlp:widths=16,latent=4", "likelihood": "gaussian:sigma=0.5"}
    return tfvae.train(
        figures=False,
        objective="geco:kappa=2",
        dataset="digits",
        epochs=2,
        limit=300,
        run_dir=folder + "/run",
        root=folder,
        **parts,
    )


@pytest.fixture(scope="module")
def results(run):
    return evaluate(run.path, samples=5)


def test_every_number_has_its_interval(results):
    means = "elbo nll bits_per_dim rate distortion distortion_optimal_sigma distortion_unit_sigma sq_err psnr"
    latents = "marginal_kl mutual_information mmd probe[labels]"
    holes = "hole_mass reverse_kl overlap_prior overlap_posterior decoder_gap_prior decoder_gap_posterior"
    for name in f"{means} {latents} {holes}".split():
        assert results[f"{name}_low"] <= results[name] <= results[f"{name}_high"], name
    assert "ssim" not in results  # of 8 x 8 pixels
    assert results["hole_posteriors"] == 300 and results["marginal_posteriors"] == results["images"]
    half = 1.959964 * results["nll_standard_error"]
    assert results["nll_high"] == pytest.approx(results["nll"] + half)


@pytest.mark.parametrize(("steps", "known"), [(1, True), (2, False)])
def test_the_marginal_kl_is_measured_where_q_is_one_normal(steps, known):
    """ConvDraw of one step is: its conditionals are one; of more, the aggregate is no mixture of normals."""
    arch = f"convdraw:steps={steps},hidden=4,latent=1"
    model = tfvae.build("elbo", arch=arch, image_shape=(8, 8, 1))
    images = np.random.default_rng(0).random((12, 8, 8, 1), np.float32)
    assert model.arch.has_normal_posterior is known
    mean, log_stddev = latent_statistics.encode_images(model, images) if known else (None, None)
    rate = float(latent_statistics.compute_kl_per_dimension(mean, log_stddev).sum()) if known else 0.0
    rows = latent_metrics.measure_marginal_kl(model, mean, log_stddev, {"rate": rate, "distortion": 3.0, "nll": 3.0}, 0)
    assert ("marginal_kl" in rows) is known


def test_rows_agree_with_each_other(results):
    """Identities: distortion at sigma 1, bits/dim's interval, surgery and rate, collapse and KL."""
    assert results["distortion_unit_sigma"] == pytest.approx(results["sq_err"] / 2 + 32 * np.log(2 * np.pi))
    assert compute_gaussian_distortion(2.0, 0.25, 3) == pytest.approx(4 + 1.5 * np.log(np.pi / 2))
    assert results["rate"] == pytest.approx(results["marginal_kl"] + results["mutual_information"])
    assert sum(results["kl_per_dimension"]) == pytest.approx(results["rate"], rel=1e-4)
    assert len(results["marginal_kl_per_dimension"]) == 4 and results["mutual_information"] <= np.log(results["images"])
    assert results["marginal_kl_moments"] < results["marginal_kl_high"]


def test_the_text_has_every_group_with_units(results):
    text = metric_tables.format_metrics(results)
    for title in metric_types.GROUPS[:6]:
        assert f"\n{title}\n" in text
    line = next(line for line in text.splitlines() if line.startswith("  elbo "))
    assert " to " in line and line.endswith("nats per image") and f"{results['elbo']:.6g}" in line
    assert "  re<=2 " in text and "violation" in text and "of 4, by KL" in text and "300 posteriors" in text
    assert "_low" not in text and "{" not in text


def test_every_key_of_the_results_is_registered(results):
    """Each number is a metric with a definition; each metric has one; the ends of intervals belong to one."""
    circumstances = {"run", "split", "images", "samples", "constraints", "seconds", "elbo_surgery"}
    for name in results.keys() - circumstances:
        metric = metrics.find_metric(re.sub("_(low|high)$", "", name))
        assert metric.description and metric.section == ""
    for name in results["elbo_surgery"]:
        assert metrics.find_metric(name, "elbo_surgery").group == metric_types.SURGERY
    assert all(metric.group in ("", *metric_types.GROUPS) for metric in metrics.METRICS)
    assert len({(metric.section, metric.name) for metric in metrics.METRICS}) == len(metrics.METRICS)
    with pytest.raises(UsageError, match="Did you mean 'elbo'"):
        metrics.find_metric("elbow")


def test_values_of_metrics_are_read_with_their_intervals(results):
    by_name = {(value.metric.section, value.name): value for value in metric_tables.read_metric_values(results)}
    elbo, probe = by_name["", "elbo"], by_name["", "probe[labels]"]
    assert elbo.value == results["elbo"] and elbo.interval == (results["elbo_low"], results["elbo_high"])
    assert probe.metric.name == "probe" and probe.interval[1] == results["probe[labels]_high"]
    assert by_name["elbo_surgery", "log_n"].value == results["elbo_surgery"]["log_n"]
    assert by_name["", "active_units"].interval is None and "elbo_low" not in {name for _, name in by_name}


def test_the_documentations_table_is_that_of_the_registry():
    page = (pathlib.Path(__file__).parents[2] / "docs" / "guide" / "evaluation.md").read_text()
    assert metric_tables.format_metric_reference() in page


def test_groups_that_do_not_fit_are_left_out(tiny, images):
    """A sequence of latents has no closed q(z); with beta as a condition no single prior matches; neither has holes."""
    ladder = tiny(arch="ladder:levels=2,hidden=4,latent=2")
    mean, log_stddev = latent_statistics.encode_images(ladder, images(12))
    assert (
        latent_metrics.measure_marginal_kl(ladder, mean, log_stddev, {}, 0)
        == hole_metrics.measure_holes(ladder, images(12), 0)
        == {}
    )
    assert set(latent_metrics.measure_mmd(ladder, images(12), np.zeros(12, int), 0)) == {
        "mmd",
        "mmd_low",
        "mmd_high",
        "mmd_codes",
    }
    conditioned = tiny("beta", condition="beta:0.1-10")
    assert (
        latent_metrics.measure_mmd(conditioned, images(12), np.zeros(12, int), 0)
        == hole_metrics.measure_holes(conditioned, images(12), 0)
        == {}
    )
    mixture = tiny(prior="mixture:components=2")
    assert "collapse" not in latent_metrics.measure_active_units(mixture, mean, log_stddev, {})
