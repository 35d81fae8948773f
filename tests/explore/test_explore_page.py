"""The page in a real browser: each canvas shows what the model itself computes."""

# ruff: noqa: E402
import contextlib
import importlib.util
import json
import re
import shutil
import time

import numpy as np
import pytest
import scipy.stats
from PIL import Image

for package in ("orjson", "waitress", "werkzeug"):
    pytest.importorskip(package, reason="needs tfvae[serve]")

from explore_doubles import Recorder, listening

from tfvae.explore.site import Site
from tfvae.explore.upstream import Upstream

SHAPE, END, HOME, UP = (8, 8, 1), "\ue010", "\ue011", "\ue013"  # keys, as WebDriver codes them
CODED = 2.0  # bytes: the page sends pixels with four digits, and these decoders' weights are large


def find_browser():
    """(browser, driver), or the reason why there is none."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not (browser and driver and importlib.util.find_spec("selenium")):
        pytest.skip("needs selenium and Debian's packages chromium and chromium-driver")
    return browser, driver


@pytest.fixture(scope="module")
def browser():
    program, driver_path = find_browser()
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1280,1000",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver_path))
    yield Page(driver)
    driver.quit()


class Page:
    """What a test does with the page, by CSS selectors."""

    def __init__(self, driver):
        self.driver = driver

    def open(self, url):
        self.driver.get_log("browser")
        self.driver.get(url)
        self.until(lambda: self.all("body[data-ready]"))
        self.until(
            lambda: self.script("return document.querySelector('#image').width") != 300
        )  # the size of an empty one

    def all(self, place):
        return self.driver.find_elements("css selector", place)

    def one(self, place):
        return self.driver.find_element("css selector", place)

    def click(self, place):
        self.script("arguments[0].scrollIntoView({block: 'center'})", self.one(place))
        self.one(place).click()

    def script(self, code, *values):
        return self.driver.execute_script(code, *values)

    def until(self, true):
        end = time.monotonic() + 60
        while not true():
            assert time.monotonic() < end, self.one("#message").text or "nothing came of it"
            time.sleep(0.02)

    def bytes(self, place):
        """The canvas at `place`, [H, W, 4]."""
        code = """const canvas = document.querySelector(arguments[0]);
            const {width, height} = canvas;
            return [height, width, [...canvas.getContext("2d").getImageData(0, 0, width, height).data]]"""
        height, width, result = self.script(code, place)
        return np.array(result).reshape(height, width, 4)

    @contextlib.contextmanager
    def changing(self, *places):
        """What the block does changes each of these canvases, sooner or later."""
        before = [self.bytes(place) for place in places]
        yield
        for place, old in zip(places, before):
            self.until(lambda: not np.array_equal(self.bytes(place), old))  # noqa: B023

    def shows(self, place, image, within=0.51):
        """Wait until a canvas shows `image` [H, W, C] in [0, 1]; `within`: half a byte of rounding, and float32's."""
        wanted = np.broadcast_to(255 * np.asarray(image), (*image.shape[:2], 3))
        self.until(lambda: self.bytes(place).shape[:2] == wanted.shape[:2])
        self.until(lambda: np.max(np.abs(self.bytes(place)[..., :3] - wanted)) <= within)

    def errors(self):
        """What the console says; the page is left, for its server goes next."""
        result = [line for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]
        self.driver.get("about:blank")
        return result


def test_a_slider_moves_the_image(apps, browser):
    """Sliders, map, samples, a file, the way between two: each canvas shows what the model itself computes."""
    app = apps["plain"]
    with listening(Site(app, "plain", "words <b>bold</b>")) as url:
        browser.open(url)
        assert browser.one("h1").text == "plain" and browser.one("#about").text == "words <b>bold</b>"
        browser.click("#reset")
        browser.shows("#image", app.model.decode(np.zeros((1, 2)))[0])
        slider = browser.one("[data-latent='1']")
        with browser.changing("#image"):
            slider.send_keys(END)
        bound = float(slider.get_attribute("max"))
        browser.shows("#image", app.model.decode([[0.0, bound]])[0])
        browser.click("#plane-frame")  # its middle is the prior's, up to half a pixel of the screen
        browser.shows("#image", app.model.decode(np.zeros((1, 2)))[0], 8)
        with browser.changing("#image"):
            browser.one("#plane-frame").send_keys(UP)
        assert float(slider.get_property("value")) > 0
        browser.shows("#sample-grid button:nth-child(3) canvas", app.model.sample(36, (1, 0))[2])
        with browser.changing("#sample-grid canvas"):
            browser.click("#new-samples")
        browser.shows("#sample-grid button:nth-child(3) canvas", app.model.sample(36, (2, 0))[2])
        with browser.changing("#input-image", "#reconstruction"):
            browser.click("#sample-grid button:nth-child(3)")
        browser.shows("#input-image", app.model.sample(36, (2, 0))[2])
        with browser.changing("#middle", "#interpolation-strip button:last-child canvas"):
            browser.click("#end-b [data-from='input-image']")
        code = app.model.encode(app.model.sample(36, (2, 0))[2:3])[0]
        browser.shows("#end-b canvas", app.model.decode(code)[0], CODED)
        assert browser.one("#steps").is_displayed() is browser.one("#condition").is_displayed() is False
        assert browser.one("#message").text == "" and browser.errors() == []


def test_the_arithmetic_of_codes(apps, browser):
    """Quantiles are SciPy's to the seven digits of the series, arcs keep lengths, normals are normal."""
    code = """const [shares, done] = arguments;
        import("./pixels.js").then((p) => done([
            shares.map(p.normalQuantile), shares.map(p.normalQuantile).map(p.normalCdf),
            p.interpolate([3, 0], [0, 5], 0.25, true), p.interpolate([3, 0], [0, 5], 0.25, false),
            p.interpolate([1, 2], [1, 2], 0.5, true), p.drawNormals(10000, 1), p.drawNormals(3, 1)]));"""
    shares = np.linspace(0.005, 0.995, 34)
    with listening(Site(apps["plain"], "plain")) as url:
        browser.open(url)
        quantiles, again, arc, line, same, draws, first = browser.driver.execute_async_script(code, shares.tolist())
    np.testing.assert_allclose(quantiles, scipy.stats.norm.ppf(shares), atol=2e-5)  # 1.5e-7 over the density's 0.014
    np.testing.assert_allclose(again, shares, atol=1e-7)
    np.testing.assert_allclose(arc, 3.5 * np.array([np.cos(np.pi / 8), np.sin(np.pi / 8)]), atol=1e-12)
    np.testing.assert_allclose(line, [2.25, 1.25])
    np.testing.assert_allclose(same, [1, 2])
    assert (
        draws[:3] == first and scipy.stats.kstest(draws, "norm").pvalue > 1e-3
    )  # one seed, so it passes or it never does


def test_a_picture_is_reconstructed(apps, browser, tmp_path):
    """A file of the model's size arrives to the byte; its reconstruction and its numbers are the signatures'."""
    app = apps["plain"]
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "mine.png")
    Image.fromarray(pixels.repeat(5, 0).repeat(7, 1)).save(tmp_path / "wide.png")
    (tmp_path / "none.png").write_text("no picture")
    x = pixels[None] / np.float32(255)
    with listening(Site(app, "plain")) as url:
        browser.open(url)
        with browser.changing("#input-image", "#reconstruction"):
            browser.one("#file").send_keys(str(tmp_path / "mine.png"))
        browser.shows("#input-image", x[0])
        browser.shows("#reconstruction", app.model.reconstruct(x)[0], CODED)
        result = app.model("elbo", x=x, seed=(0, 0))
        wanted = {name: float(result[name][0]) for name in ("elbo", "rate", "distortion")}
        browser.until(lambda: f"{wanted['elbo']:.1f} nats" in browser.one("#numbers").text)
        for name, value in wanted.items():
            assert f"{name}\n{value:.1f} nats" in browser.one("#numbers").text
        with browser.changing("#input-image"):
            browser.one("#file").send_keys(str(tmp_path / "wide.png"))  # the middle of it
        before = browser.bytes("#input-image")
        browser.one("#file").send_keys(str(tmp_path / "none.png"))
        browser.until(lambda: "Expected a picture" in browser.one("#message").text)
        np.testing.assert_array_equal(browser.bytes("#input-image"), before)
        with browser.changing("#input-image", "#reconstruction"):
            browser.click("#clear")
        with browser.changing("#input-image", "#reconstruction"):
            browser.click("#input-image")  # a dot of ink
        assert browser.bytes("#input-image")[4, 4, 0] > 60 and browser.bytes("#input-image")[0, 0, 0] == 0
        assert browser.errors() == []


def test_a_class_and_the_steps_of_a_drawing(apps, browser):
    """Through the pass-through: the class changes the image, samples are of that class, each step is shown."""
    app = apps["labels"]
    with listening(app) as there:
        upstream = Upstream(f"{there}/v1/models/labels")
        with listening(Site(upstream, "labels")) as url:
            browser.open(url)
            assert browser.one("#condition").text.split()[:5] == ["Class", "any", "0", "1", "2"]
            with browser.changing("#image", "#reconstruction", "#sample-grid canvas", "#frames canvas", "#middle"):
                browser.click("#condition-choices label:last-child")
            browser.shows("#sample-grid canvas", app.model.sample(36, (1, 0), condition=2)[0])
            inputs = {"n": 4, "seed": (1, 0), "temperature": 1.0, "condition": [2]}
            frames = app.model("draw", **inputs)["frames"][1]
            for t in range(3):
                browser.shows(f"#frames button:nth-child(2) canvas:nth-child({t + 1})", frames[t])
            browser.click("#frames button:nth-child(2)")
            browser.one("#step").send_keys(HOME)
            browser.shows("#chosen-drawing", frames[0])
            browser.click("#play")
            browser.shows("#chosen-drawing", frames[2])
            assert browser.one("#message").text == "" and browser.errors() == []


def test_kappa_a_part_of_a_picture_and_points(apps, browser):
    """The other kinds of condition and of data; nothing is left without its canvas."""
    with listening(Site(apps["kappa"], "kappa")) as url:
        browser.open(url)
        with browser.changing("#image", "#reconstruction", "#plane-map"):
            browser.one("#condition-value").send_keys(HOME)
        assert browser.one("#condition-choices output").text == "3.10"
        assert browser.errors() == []
    with listening(Site(apps["picture"], "picture")) as url:
        browser.open(url)
        with browser.changing("#image", "#sample-grid canvas"):
            browser.click("#condition-choices label:last-child")
        with browser.changing("#image", "#sample-grid canvas"):
            browser.click("#clear")
        assert browser.errors() == []
    with listening(Site(apps["points"], "points")) as url:
        browser.open(url)
        with browser.changing("#image"):
            browser.one("[data-latent='0']").send_keys(END)
        with browser.changing("#input-image", "#reconstruction"):
            browser.script("arguments[0].scrollIntoView()", browser.one("#input-image"))
            browser.click("#input-image")
        assert browser.errors() == []


def test_refusals_are_one_plain_line(apps, browser):
    """What the model says, without TensorFlow Serving's names of nodes; the next answer takes the line away."""
    page = Site(apps["plain"], "plain")
    message = {"error": "assertion failed: [Expected finite z.]\n\t [[{{node Assert}}]]"}
    with listening(page) as url:
        browser.open(url)
        page.backend = Recorder("400 Bad Request", json.dumps(message).encode())
        browser.click("#reset")
        browser.until(lambda: browser.one("#message").text == "Expected finite z.")
        page.backend = apps["plain"]
        browser.click("#reset")
        browser.shows("#image", apps["plain"].model.decode(np.zeros((1, 2)))[0])
        browser.until(lambda: browser.one("#message").text == "")


def test_narrow_and_dark(apps, browser):
    """Nothing sticks out at 360 pixels; in the dark the page is darker than its text."""
    send = browser.driver.execute_cdp_cmd
    with listening(Site(apps["labels"], "labels")) as url:
        try:
            size = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            send("Emulation.setDeviceMetricsOverride", size)
            send("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]})
            browser.open(url)
            assert browser.script("return document.documentElement.scrollWidth") == 360
            style = "const s = getComputedStyle(document.body); return [s.backgroundColor, s.color]"
            page, text = (sum(map(int, re.findall(r"\d+", colour))) for colour in browser.script(style))
            assert page < 150 < 500 < text
            visible = (
                "return [...document.querySelectorAll('input, select, button')].filter((n) => n.checkVisibility())"
            )
            for node in browser.script(visible)[:40]:  # each control has a name; the rest are samples
                assert node.accessible_name, node.get_attribute("outerHTML")
        finally:
            send("Emulation.clearDeviceMetricsOverride", {})
            send("Emulation.setEmulatedMedia", {"features": []})
