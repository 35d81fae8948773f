"""Pictures: pixels are what was given, rows are in order, files are whole, reports stand alone."""

import base64
import html.parser
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import scipy.optimize
import scipy.spatial
from PIL import Image

from tfvae.errors import StorageError, UsageError
from tfvae.plots import curves, grids, latent_figures, planes, style
from tfvae.reports import run_report

GREYS = np.array([0, 3, 100, 101, 200, 255], np.uint8)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def tiles(values, channels=1, size=(4, 6)):
    """Constant images [N, 4, 6, C], one for each value."""
    return np.broadcast_to(np.asarray(values)[:, None, None, None], (len(values), *size, channels)).copy()


def origin(row, column, tile, gap=2):
    return gap + row * (tile[0] + gap), gap + column * (tile[1] + gap)


def metric_rows(epochs=12, validation=True, constraints=1):
    rows = []
    for e in range(1, epochs + 1):
        row = {"epoch": e, "step": 10 * e, "elbo": -300.0 + e, "rate": 10.0 + e, "distortion": 290.0 - 2 * e}
        row |= {"sq_err": 16 + 8 / e, "loss": 300.0 - e, "seconds": 1.0}
        for j in range(constraints):
            end = f"_{j + 1}" if j else ""
            row |= {"lambda" + end: 1.0 + e, "constraint" + end: 8 / e, "constraint_ma" + end: 9 / e - 0.7}
        if validation:
            row |= {"val_" + name: row[name] + 1 for name in ("elbo", "rate", "distortion", "sq_err")}
        rows.append(row)
    return rows


# ---- grids


@pytest.mark.parametrize("channels", [1, 3])
def test_grid_shows_the_exact_grey_levels_given(tmp_path, channels):
    """No tile is stretched to its own minimum and maximum: constant tiles keep their value everywhere."""
    path = grids.image_grid(tiles(GREYS, channels), tmp_path / "g.png", columns=3, scale=5)
    found = pixels(path)
    assert found.shape[:2] == (2 + 2 * (20 + 2), 2 + 3 * (30 + 2))
    assert found.ndim == (2 if channels == 1 else 3)
    for n, grey in enumerate(GREYS):
        top, left = origin(n // 3, n % 3, (20, 30))
        np.testing.assert_array_equal(found[top : top + 20, left : left + 30], grey)


def test_grid_is_the_same_map_for_a_dim_and_a_bright_image(tmp_path):
    ramp = np.linspace(0.1, 0.8, 24).reshape(1, 4, 6, 1)  # neither black nor white anywhere
    found = pixels(grids.image_grid(np.concatenate([ramp, ramp / 4]), tmp_path / "g.png", columns=2, scale=1))
    expected = np.round(np.concatenate([ramp, ramp / 4]) * 255).astype(np.uint8)[..., 0]
    for n in (0, 1):
        top, left = origin(0, n, (4, 6))
        np.testing.assert_array_equal(found[top : top + 4, left : left + 6], expected[n])


def test_float_and_uint8_agree_for_every_level(tmp_path):
    levels = np.arange(256, dtype=np.uint8).reshape(1, 16, 16, 1)
    for dtype in (np.float16, np.float32, np.float64):  # float16 holds k/255 to within 0.07 of a level
        np.testing.assert_array_equal(grids.to_uint8((levels / 255).astype(dtype)), levels)
    one = grids.image_grid(levels, tmp_path / "a.png")
    two = grids.image_grid(levels.astype(np.float32) / np.float32(255), tmp_path / "b.png")
    assert one.read_bytes() == two.read_bytes()


def test_values_outside_the_unit_interval_saturate():
    images = np.array([-0.5, 0.0, 1.0, 7.0]).reshape(1, 2, 2, 1)
    np.testing.assert_array_equal(grids.to_uint8(images).reshape(-1), [0, 0, 255, 255])


def test_pixels_that_are_not_numbers_become_magenta():
    images = np.full((1, 2, 2, 1), 0.2)
    images[0, 1, 0] = np.nan
    found = grids.to_uint8(images)
    np.testing.assert_array_equal(found[0, 1, 0], [255, 0, 255])
    np.testing.assert_array_equal(found[0, 0, 0], [51, 51, 51])


def test_enlargement_repeats_pixels(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (1, 28, 28, 3), dtype=np.uint8)
    found = pixels(grids.image_grid(image, tmp_path / "g.png"))
    assert found.shape == (28 * 3 + 4, 28 * 3 + 4, 3)
    np.testing.assert_array_equal(found[2:-2, 2:-2], np.kron(image[0], np.ones((3, 3, 1), np.uint8)))


@pytest.mark.parametrize("side, scale", [(8, 10), (28, 3), (32, 2), (64, 1), (200, 1)])
def test_default_scale_keeps_tiles_readable(side, scale):
    assert grids.default_scale(side, 8) == scale


def test_blank_end_of_the_last_row_is_white_and_labels_stay_outside_the_tiles(tmp_path):
    images = tiles(GREYS[:5], size=(28, 28))
    plain = pixels(grids.image_grid(images, tmp_path / "a.png", columns=3, scale=1))
    assert (plain[32:, 62:] == 255).all()
    named = pixels(grids.image_grid(images, tmp_path / "b.png", 3, 1, ["first", "second"], ["a", "b", "c"]))
    height, width = plain.shape
    np.testing.assert_array_equal(named[-height:, -width:], plain)
    assert (named[:, :-width] < 200).any() and (named[:-height] < 200).any()


def test_pair_grid_alternates_originals_and_reconstructions(tmp_path):
    originals, reconstructions = tiles(GREYS[:5], size=(28, 28)), tiles(GREYS[:5] // 2, size=(28, 28))
    found = pixels(grids.pair_grid(originals, reconstructions, tmp_path / "p.png", columns=3))
    found = found[:, -(3 * 86 + 2) :]
    for n in range(5):
        block, column = divmod(n, 3)
        top, left = origin(2 * block, column, (84, 84))
        top += 10 * block
        assert found[top + 42, left + 42] == GREYS[n]
        assert found[top + 86 + 42, left + 42] == GREYS[n] // 2
    top, left = origin(2, 2, (84, 84))
    assert (found[top + 14 :, left + 2 :] == 255).all()  # no sixth pair


@pytest.mark.parametrize("images", [
    np.zeros((3, 1, 2, 1)), np.zeros((3, 4, 4)), np.zeros((3, 4, 4, 2)), np.zeros((0, 4, 4, 1)),
    np.zeros((3, 4, 4, 1), np.int64),
])  # fmt: skip
def test_what_is_not_an_image_is_refused(tmp_path, images):
    with pytest.raises(UsageError, match="Expected .* Received"):
        grids.image_grid(images, tmp_path / "g.png")
    assert not any(tmp_path.iterdir())


def test_wrong_counts_are_refused(tmp_path):
    images = tiles(GREYS)
    for options in ({"columns": 0}, {"scale": 0}, {"columns": 3, "row_labels": ["one"]}, {"columns": 2.5}):
        with pytest.raises(UsageError, match="Expected"):
            grids.image_grid(images, tmp_path / "g.png", **options)
    with pytest.raises(UsageError, match="like the originals"):
        grids.pair_grid(images, images[:2], tmp_path / "g.png")


def test_is_points():
    assert grids.is_points((1, 2, 1)) and not grids.is_points((28, 28, 1)) and not grids.is_points((2, 1, 1))


def test_points_scatter_accepts_both_shapes_and_refuses_misfits(tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 2))
    points[3] = np.nan
    labels = np.arange(50) % 4
    flat = grids.points_scatter(tmp_path / "a.png", {"original": (points, labels), "latent": (points, None)})
    deep = {"original": (points.reshape(50, 1, 2, 1), labels), "latent": (points, None)}
    assert flat.read_bytes() == grids.points_scatter(tmp_path / "b.png", deep).read_bytes()
    assert pixels(flat).shape[1] == 1400
    grids.points_scatter(tmp_path / "many.png", {"codes": (points, np.arange(50))})
    for panels in ({}, {"a": (points[:, :1], None)}, {"a": (points, labels[:3])}):
        with pytest.raises(UsageError, match="Expected"):
            grids.points_scatter(tmp_path / "c.png", panels)


def test_points_of_one_class_share_one_colour_in_all_panels():
    clouds = {"a": (None, np.array([2, 0])), "b": (None, np.array([1, 2])), "c": (None, None)}
    colours = grids._class_colours(clouds)
    assert list(colours) == [0, 1, 2] and len(set(colours.values())) == 3
    assert grids._class_colours({"a": (None, np.arange(11))}) == {}


# ---- latent


def test_traversal_rows_are_dimensions_and_columns_are_values(tmp_path):
    values = (40 * np.arange(3)[:, None] + 10 * np.arange(4)).astype(np.uint8)  # [D, S]
    images = np.broadcast_to(values[:, :, None, None, None], (3, 4, 28, 28, 1))
    for write in (lambda p: latent_figures.traversal_grid(images, p, names=[7, 2, 5], values=[-3, -1, 1, 3],
                                                  kl=[2.0, 1.0, 0.1]),
                  lambda p: latent_figures.interpolation_grid(images, p)):  # fmt: skip
        found = pixels(write(tmp_path / "t.png"))[-(3 * 86 + 2) :, -(4 * 86 + 2) :]
        centres = found[2 + 42 :: 86, 2 + 42 :: 86]
        np.testing.assert_array_equal(centres, values)


def test_manifold_tiles_touch(tmp_path):
    values = np.arange(9, dtype=np.uint8).reshape(3, 3) * 20
    found = pixels(latent_figures.manifold_2d(np.kron(values, np.ones((1, 1))).reshape(3, 3, 1, 1, 1).astype(np.uint8)
                                      .repeat(28, 2).repeat(28, 3), tmp_path / "m.png"))  # fmt: skip
    np.testing.assert_array_equal(found, np.kron(values, np.ones((84, 84), np.uint8)))


def test_latent_plots_refuse_wrong_shapes(tmp_path):
    with pytest.raises(UsageError, match=r"\[D,S,H,W,C\]"):
        latent_figures.traversal_grid(np.zeros((3, 4, 4, 1)), tmp_path / "t.png")
    with pytest.raises(UsageError, match="one KL"):
        latent_figures.traversal_grid(np.zeros((3, 2, 4, 4, 1)), tmp_path / "t.png", kl=[1.0])
    for kl in ([], [np.nan, 1.0], [[1.0]]):
        with pytest.raises(UsageError, match="finite KLs"):
            latent_figures.kl_per_dimension(np.array(kl), tmp_path / "k.png")


def test_kl_title_counts_active_units(tmp_path, monkeypatch):
    titles = []
    monkeypatch.setattr(latent_figures, "dress", lambda ax, title, x, y: titles.append(title))
    latent_figures.kl_per_dimension([0.5, 0.01, 0.02, 0.0, 3.0], tmp_path / "k.png")
    latent_figures.kl_per_dimension(np.r_[np.zeros(197), 1.0, 2.0, 3.0], tmp_path / "k.png")
    assert titles[0] == "3 of 5 latent dimensions are active (KL > 0.01 nats); 3.5 nats in all"
    assert titles[1].startswith("3 of 200 ")


# ---- curves


@pytest.mark.parametrize("validation", [True, False])
def test_curves_with_and_without_validation(tmp_path, validation):
    rows = metric_rows(validation=validation)
    constraint = {"text": "re<=4", "target": 16.0, "metric": "sq_err"}
    for path in (curves.training_curves(rows, tmp_path / "a.png", "a $run$ name"),
                 curves.geco_trace(rows, tmp_path / "b.png", [constraint]),
                 curves.geco_trace(rows, tmp_path / "c.png"),
                 curves.compare_curves({"$one$": rows, "two": rows[:5]}, "rate", tmp_path / "d.png", True,
                                       {"published": 12.0})):  # fmt: skip
        assert pixels(path).shape[1] == 1400
        assert path.stat().st_size <= style.MAX_BYTES


def test_validation_changes_the_picture(tmp_path):
    with_val = curves.training_curves(metric_rows(), tmp_path / "a.png").read_bytes()
    assert with_val != curves.training_curves(metric_rows(validation=False), tmp_path / "b.png").read_bytes()


def test_several_constraints_read_their_own_columns(tmp_path):
    both = [{"text": "re<=4", "target": 16.0}, {"text": "kl<=20", "target": 20.0}]
    curves.geco_trace(metric_rows(constraints=2), tmp_path / "g.png", both)
    with pytest.raises(UsageError, match="'(lambda|constraint|constraint_ma)_2'.*Received columns: constraint, "):
        curves.geco_trace(metric_rows(constraints=1), tmp_path / "h.png", both)


@pytest.mark.parametrize("name", ["epoch", "elbo", "rate", "distortion", "sq_err"])
def test_a_missing_column_is_named(tmp_path, name):
    rows = [{key: value for key, value in row.items() if key != name} for row in metric_rows()]
    with pytest.raises(UsageError, match=f"Expected a column '{name}'.*Received columns: "):
        curves.training_curves(rows, tmp_path / "a.png")
    assert not any(tmp_path.iterdir())


def test_no_rows_and_no_runs_are_refused(tmp_path):
    for call in (lambda: curves.training_curves([], tmp_path / "a.png"),
                 lambda: curves.compare_curves({}, "rate", tmp_path / "a.png"),
                 lambda: curves.compare_curves({"a": metric_rows()}, "fid", tmp_path / "a.png")):  # fmt: skip
        with pytest.raises(UsageError, match="Expected"):
            call()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, ""])
def test_what_is_not_finite_does_not_stop_the_curves(tmp_path, bad):
    """Also all of it: a run that diverged in its first epoch still gets its report."""
    names = ("elbo", "rate", "val_rate", "lambda", "constraint", "constraint_ma")
    for where in ([3, 5], range(12)):
        rows = metric_rows()
        for n in where:
            rows[n] |= dict.fromkeys(names, bad)
        curves.training_curves(rows, tmp_path / "a.png")
        curves.geco_trace(rows, tmp_path / "b.png", [{"text": "re<=4", "target": 16.0}])
        curves.compare_curves({"a": rows}, "rate", tmp_path / "c.png", log=True)


def test_gaps_and_lone_points(tmp_path):
    figure, axes = style.new_figure(1, 1, 3)
    values = np.array([1.0, 2, np.inf, 4, np.nan, 6, 7])
    drawn = curves._draw(axes[0, 0], np.arange(7.0), values, color="#000000")
    np.testing.assert_array_equal(np.isnan(drawn), [0, 0, 1, 0, 1, 0, 0])
    line, dots = axes[0, 0].lines
    np.testing.assert_array_equal(dots.get_xdata(), [3])
    np.testing.assert_array_equal(line.get_ydata(), drawn)


@pytest.mark.parametrize("averages, since", [
    ([5, 1, 0.16, -1, 0.1], 3), ([5, -1, 0.17, -1, 0.1], 4), ([-1, -1, 0, 0, 0], 1),
    ([-1, -1, -1, -1, 0.2], None), ([-1, np.nan, -1, -1, -1], 3),
])  # fmt: skip
def test_met_since_is_the_start_of_the_last_unbroken_stretch(averages, since):
    """1 % of 16 is 0.16: an average up to there counts as met, 0.17 does not."""
    rows = [{"epoch": e + 1, "constraint": value} for e, value in enumerate(averages)]
    assert curves.met_since(rows, [16.0]) == since


def test_all_constraints_must_be_met_at_once():
    rows = [{"epoch": e, "constraint": 3 - e, "constraint_2": 5 - e} for e in range(8)]
    assert curves.met_since(rows, [1e-9, 1e-9]) == 5


def test_labels_are_spread_as_little_as_possible():
    """SciPy's isotonic regression is the independent answer: t = sorted - gap * rank must not fall."""
    rng = np.random.default_rng(1)
    for n in (1, 2, 7):
        heights = rng.uniform(0, 1, n)
        order = np.argsort(heights)
        ranks = 0.1 * np.arange(n)
        expected = scipy.optimize.isotonic_regression(heights[order] - ranks).x + ranks
        found = style.spread(heights, 0.1)[order]
        np.testing.assert_allclose(found, expected, atol=1e-12)  # float64 sums of 7 numbers
        assert (np.diff(found) > 0.1 - 1e-12).all()


# ---- planes


def scipy_lower_hull(points):
    """The lower part of SciPy's hull: vertices counter-clockwise from the leftmost to the rightmost."""
    vertices = scipy.spatial.ConvexHull(points).vertices
    first = np.argmin(points[vertices, 0])
    ring = np.roll(vertices, -first)
    return ring[: np.argmax(points[ring, 0]) + 1].tolist()


def test_lower_hull_agrees_with_scipy():
    rng = np.random.default_rng(2)
    for n in (3, 4, 10, 300):
        points = rng.normal(size=(n, 2))  # no ties, so the hull is unique
        assert planes.lower_hull(points) == scipy_lower_hull(points)


def test_hull_of_ties_and_lines():
    assert planes.lower_hull([[0, 0], [1, 1], [2, 2]]) == [0, 2]
    assert planes.lower_hull([[0, 3], [0, 1], [2, 5], [2, 0]]) == [1, 3]
    assert planes.lower_hull(np.zeros((0, 2))) == [] and planes.lower_hull([[1, 1]]) == [0]
    with pytest.raises(UsageError, match="finite points"):
        planes.lower_hull([[0, np.nan]])


def test_frontier_is_the_falling_part():
    points = [[0, 5], [1, 2], [2, 1], [3, 4], [1.5, 3]]
    assert planes.frontier(points) == [0, 1, 2]


def plane_points():
    sweep = [{"label": f"b={b}", "group": "beta", "x": 20 / b, "y": 230 + b} for b in (0.5, 1, 2)]
    return [*sweep, {"label": "k=$4$", "group": "GECO", "x": 12.0, "y": 228.0, "size": 90}]


def test_planes_are_drawn_in_one_or_several_panels(tmp_path):
    points = plane_points()
    broken = [*points, {"label": "lost", "group": "iwae", "x": 3.0, "y": np.nan}]
    for path in (planes.information_plane(points, tmp_path / "a.png"),
                 planes.information_plane(None, tmp_path / "b.png", panels={k: points for k in "abcd"}),
                 planes.information_plane(broken, tmp_path / "c.png"),
                 planes.rate_distortion(broken, tmp_path / "d.png"),
                 planes.rate_distortion(broken[-1:], tmp_path / "e.png")):  # fmt: skip
        assert pixels(path).shape[1] == 1400
    for wrong in ((None, None), (points, {"a": points})):
        with pytest.raises(UsageError, match="either points or panels"):
            planes.information_plane(wrong[0], tmp_path / "f.png", panels=wrong[1])
    with pytest.raises(UsageError, match="without y"):
        planes.rate_distortion([{"label": "a", "group": "b", "x": 1.0}], tmp_path / "f.png")


def test_geco_stands_out_and_groups_differ():
    styles = planes.group_styles(["beta", "geco:kappa=4", "beta", "sigma", "iwae"])
    assert [name for name, style in styles.items() if style[2]] == ["geco:kappa=4"]
    assert len({style[0] for style in styles.values()}) == len({style[1] for style in styles.values()}) == 4


# ---- files


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = grids.image_grid(tiles(GREYS), tmp_path / "g.png")
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        for write in (lambda: grids.image_grid(tiles(GREYS[:2]), path),
                      lambda: curves.training_curves(metric_rows(), path),
                      lambda: run_report.write_report(tmp_path, {}, {}, [], [], [], [])):  # fmt: skip
            with pytest.raises(StorageError, match="No space left") as caught:
                write()
            assert caught.value.exit_code == 7
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["g.png"]
    grids.image_grid(tiles(GREYS[:2]), path)
    assert path.read_bytes() != before and os.listdir(tmp_path) == ["g.png"]


def test_folders_are_made_and_permissions_are_ordinary(tmp_path):
    path = style.replace_file(tmp_path / "a/b/c.png", b"x")
    (tmp_path / "plain").write_bytes(b"x")
    assert path.stat().st_mode == (tmp_path / "plain").stat().st_mode
    with pytest.raises(StorageError, match="writable"):
        style.replace_file(tmp_path / "plain" / "below.png", b"x")


def test_same_input_same_bytes(tmp_path):
    one, two = (curves.training_curves(metric_rows(), tmp_path / name) for name in ("a.png", "b.png"))
    assert one.read_bytes() == two.read_bytes()


# ---- report


class Page(html.parser.HTMLParser):
    """Collects tags, images and text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.images, self.text = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag == "img":
            self.images.append(dict(attributes)["src"])

    def handle_data(self, data):
        self.text.append(data)


@pytest.fixture
def page(tmp_path):
    evil = "<script>alert('x')</script>&\""
    shots = [grids.image_grid(tiles(GREYS[n:]), tmp_path / "samples" / f"{n}.png") for n in range(3)]
    curve = curves.training_curves(metric_rows(), tmp_path / "plots" / "training.png")
    config = {"objective": f"geco:{evil}", "dataset": "digits", "dequantize": True, "nested": {"a": [1, evil]}}
    rows = [*metric_rows(), metric_rows()[-1] | {"rate": float("inf")}]
    facts = [("met", False), (evil, evil), ("ELBO", -241.237123)]
    path = run_report.write_report(tmp_path, config, {"cpu": evil, evil: None}, rows, facts, [curve], shots)
    assert path == tmp_path / "run_report.html"
    return path.read_text(), [curve, *shots]


def test_report_embeds_every_image_byte_for_byte(page):
    sources = [source.removeprefix("data:image/png;base64,") for source in Page(page[0]).images]
    assert [base64.b64decode(source) for source in sources] == [path.read_bytes() for path in page[1]]


def test_report_escapes_what_it_is_given(page):
    read = Page(page[0])
    assert not [tag for tag, _ in read.tags if tag == "script"]
    assert "".join(read.text).count("<script>alert('x')</script>") >= 6


def test_report_stands_alone(page):
    text = re.sub("base64,[A-Za-z0-9+/=]*", "", page[0])
    assert "http" not in text and "url(" not in text and "@import" not in text
    for tag, attributes in Page(page[0]).tags:
        assert tag not in ("script", "link", "iframe", "object") and "href" not in attributes


def test_report_says_the_numbers(page):
    text = " ".join(Page(page[0]).text)
    for word in ("-241.24", "Last of 13 epochs", "training", "digits", "yes", "no", "inf"):
        assert word in text


def test_report_stays_small_and_names_what_is_not_in_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (1, 1300, 1300, 3), dtype=np.uint8)
    large = grids.image_grid(noise, tmp_path / "large.png")
    small = grids.image_grid(tiles(GREYS), tmp_path / "small.png")
    path = run_report.write_report(tmp_path, {}, {}, [], [], [large, small, tmp_path / "gone.png"], [])
    text = path.read_text()
    assert large.stat().st_size > 5e6 > path.stat().st_size
    assert "large: not embedded" in text and "gone.png could not be read" in text
    assert len(Page(text).images) == 1


def test_no_tensorflow_and_no_pyplot_are_imported():
    code = "import sys, tfvae.reports.run_report, tfvae.plots.planes, tfvae.plots.latent_figures, tfvae.plots.curves;"
    code += "sys.exit(bool({'tensorflow', 'keras', 'matplotlib.pyplot'} & set(sys.modules)))"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
