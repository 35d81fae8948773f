"""The page on a model: its files, what it passes on and what not, and a real browser that moves a slider."""

import contextlib
import importlib.util
import json
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import scipy.stats
from PIL import Image
from test_export import write

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import DataError, UsageError
from tfvae.export import savedmodel

pytest.importorskip("waitress", reason="needs tfvae[serve]")
werkzeug = pytest.importorskip("werkzeug.test", reason="needs tfvae[serve]")
pytest.importorskip("orjson", reason="needs tfvae[serve]")

from werkzeug.serving import WSGIRequestHandler, make_server  # noqa: E402

from tfvae.cli import serving_verbs
from tfvae.explore import site
from tfvae.explore.site import Site, Upstream
from tfvae.serving import rest
from tfvae.serving.http_server import ModelServer

SHAPE, END, HOME, UP = (8, 8, 1), "\ue010", "\ue011", "\ue013"  # keys, as WebDriver codes them
CODED = 2.0  # bytes: the page sends pixels with four digits, and these decoders' weights are large
MODELS = {
    "labels": {"arch": "convdraw:steps=3,hidden=4,latent=1", "condition": "labels", "classes": 3},
    "kappa": {"arch": "mlp:widths=12,latent=3", "condition": "kappa:3.1-5.3", "objective": "geco"},
    "picture": {"arch": "mlp:widths=12,latent=3", "condition": "inpaint:right"},
    "plain": {"arch": "mlp:widths=12,latent=2", "image_shape": (8, 8, 3)},
    "points": {"arch": "mlp:widths=12,latent=2", "image_shape": (1, 2, 1)},
}
TOLD = {
    "labels": {"name": "labels", "low": -1, "high": 2},
    "kappa": {"name": "kappa", "low": 3.1, "high": 5.3},
    "picture": {"name": "inpaint", "low": -1, "high": 1},
    "plain": None,
    "points": None,
}


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    """A server of each model, whose weights are far enough from zero that what it draws is seen to change."""
    root, found = tmp_path_factory.mktemp("models"), {}
    for name, options in MODELS.items():
        model = tfvae.build(
            **{"objective": "elbo", "image_shape": SHAPE, "likelihood": "gaussian:sigma=0.5", **options}
        )
        draw = np.random.default_rng(1)
        for variable in model.arch.trainable_variables:
            variable.assign(variable + draw.normal(0, 0.4, variable.shape))
        found[name] = ModelServer(write(model, root, name), name, 1)
    return found


class Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


@contextlib.contextmanager
def listening(app):
    """The URL of a WSGI app on a port of its own."""
    with make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join()


# --- the page, without a browser ---------------------------------------------------------------------------------


def test_every_file_of_the_page(apps):
    """With its type, and a policy that lets nothing in from elsewhere and no code stand in HTML."""
    client = werkzeug.Client(Site(apps["plain"], "plain"))
    for path in ("/", *(f"/{file.name}" for file in site.PAGE_FOLDER.iterdir())):
        answer = client.get(path)
        assert answer.status_code == 200 and answer.data
        assert answer.mimetype == site.MEDIA_TYPES[pathlib.Path(path).suffix or ".html"]
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    html = client.get("/").text
    assert not re.search(r"<script(?![^>]*src=)|<style|\son\w+=|\sstyle=|https?://", html)
    for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "https://"):
        assert not any(word in file.read_text() for file in site.PAGE_FOLDER.glob("*.js")), word


def test_files_that_the_page_names_are_there_and_packaged():
    """Modules, style and icon; setup.cfg takes all that lies in the folder."""
    for file in site.PAGE_FOLDER.iterdir():
        for name in re.findall(r'(?:from "\./|href="|src=")([\w.]+)"', file.read_text()):
            assert (site.PAGE_FOLDER / name).is_file(), (file.name, name)
    setup = (pathlib.Path(__file__).parents[1] / "setup.cfg").read_text()
    assert "tfvae.explore = page/*" in setup and all(file.is_file() for file in site.PAGE_FOLDER.iterdir())


@pytest.mark.parametrize(
    "path", ["/nothing", "/page/app.js", "/../site.py", "/..%2fsite.py", "/app.js/x", "//etc/passwd"]
)
def test_other_paths_are_a_404_in_json(path, apps):
    with listening(apps["plain"]) as url:
        for backend in (apps["plain"], Upstream(f"{url}/v1/models/plain")):
            answer = werkzeug.Client(Site(backend, "plain")).get(path)
            assert answer.status_code == 404 and "Expected" in json.loads(answer.data)["error"]


def test_the_rest_api_lies_beside_the_page(apps):
    client = werkzeug.Client(Site(apps["plain"], "plain"))
    for path in ("/v1/models/plain", "/v1/models/plain/metadata"):
        assert client.get(path).data == werkzeug.Client(apps["plain"]).get(path).data
    body = {"signature_name": "decode", "inputs": {"z": [[0.5, -1.0]]}}
    answer = client.post("/v1/models/plain:predict", json=body)
    assert np.shape(json.loads(answer.data)["outputs"]) == (1, 8, 8, 3)
    assert client.post("/app.js").status_code == 404  # what only GET reads


@pytest.mark.parametrize("name", MODELS)
def test_what_a_model_is_told_is_read_off_its_own_refusal(name, apps):
    """Name and range, which metadata lacks; the manifest, which a server elsewhere does not send, says the same."""
    found = json.loads(werkzeug.Client(Site(apps[name], name, "words")).get("/model.json").data)
    assert found == {"name": name, "about": "words", "condition": TOLD[name]}


def test_a_drawing_is_of_the_class_that_was_told(apps):
    """Its last step is the sample of the same seed and class; another class is another drawing."""
    model, asked = apps["labels"].model, {"n": 2, "seed": (4, 5), "temperature": 0.7}
    frames = {label: model("draw", **asked, condition=[label])["frames"].numpy() for label in (0, 2)}
    for label, found in frames.items():
        np.testing.assert_allclose(found[:, -1], model.sample(2, (4, 5), 0.7, label), atol=1e-6)
    assert frames[0].shape == (2, 3, *SHAPE) and np.abs(frames[0] - frames[2]).max() > 0.01


def test_a_sentence_on_a_model(apps, tmp_path):
    folder = apps["plain"].model.path
    assert site.describe_model(folder) == ""  # written without a run, so without a config
    told = json.loads((folder / savedmodel.MANIFEST).read_text())
    told |= {"config": {"objective": "geco:kappa=4", "dataset": "mnist"}, "epoch": 3}
    (tmp_path / savedmodel.MANIFEST).write_text(json.dumps(told))
    assert site.describe_model(tmp_path).startswith(
        "geco:kappa=4 on mnist, mlp:widths=12,latent=2, likelihood gaussian"
    )
    assert site.describe_model(tmp_path / "nothing") == ""


# --- a server elsewhere ------------------------------------------------------------------------------------------


class Recorder:
    """A WSGI app that notes what comes and says one thing."""

    def __init__(self, status="200 OK", body=b'{"ok": 1}', **headers):
        self.seen, self.status, self.body, self.headers = [], status, body, headers

    def __call__(self, environ, start_response):
        headers = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], body, headers))
        start_response(self.status, [("Content-Type", "text/html"), *self.headers.items()])
        return [self.body]


def test_only_the_model_is_reached():
    """Three URLs of one model, below the one prefix; no other method, name, host, query or header gets through."""
    upstream = Recorder(**{"Set-Cookie": "a=b"})
    with listening(upstream) as url:
        client = werkzeug.Client(Upstream(f"{url}/behind/v1/models/a.b/versions/3/"))
        place = "/behind/v1/models/a.b/versions/3"
        for path, there in (("", ""), ("/metadata", "/metadata"), ("?q=1", "")):
            answer = client.get(f"/v1/models/a.b{path}", headers={"Cookie": "secret", "Authorization": "secret"})
            assert (answer.status_code, answer.mimetype, answer.data) == (200, "application/json", b'{"ok": 1}')
            assert "Set-Cookie" not in answer.headers
            method, path, body, headers = upstream.seen.pop()
            assert (method, path, body) == ("GET", place + there, b"")
            assert "secret" not in str(headers)
        assert client.post("/v1/models/a.b:predict", data=b"{}").status_code == 200
        assert upstream.seen.pop()[:3] == ("POST", f"{place}:predict", b"{}")
        others = [("GET", "/v1/models/a"), ("GET", "/v1/models/axb"), ("GET", "/v1/models/a.b/../c"),
                  ("GET", "/healthz"), ("POST", "/v1/models/a.b"), ("PUT", "/v1/models/a.b:predict"),
                  ("DELETE", "/v1/models/a.b"),
                  ("GET", "/http://example.org/v1/models/a.b"), ("GET", "/v1/models/a.b/versions/4"),
                  ("POST", "/v1/models/a.b:classify")]  # fmt: skip
        for method, path in others:
            assert client.open(path, method=method).status_code == 404, path
        large = client.post("/v1/models/a.b:predict", data=b"x" * (rest.MAX_BODY + 1))
        assert large.status_code == 413 and upstream.seen == []


def test_errors_of_the_other_server():
    """Its own 4xx as they are; no answer, and a way elsewhere, which is not followed, are a 502 in JSON."""
    refusing = Recorder("400 Bad Request", b'{"error": "no"}')
    moved = Recorder("302 Found", b"", Location="http://127.0.0.1:9/")
    for app, status, text in ((refusing, 400, "no"), (moved, 502, "a way elsewhere")):
        with listening(app) as url:
            answer = werkzeug.Client(Upstream(f"{url}/v1/models/m")).get("/v1/models/m")
            assert answer.status_code == status and text in json.loads(answer.data)["error"]
    answer = werkzeug.Client(Upstream(f"{url}/v1/models/m")).get("/v1/models/m")  # which listens no more
    assert answer.status_code == 502 and "Expected TensorFlow Serving at" in json.loads(answer.data)["error"]


@pytest.mark.parametrize("url", [
    "", "localhost", "localhost:8501/v1/models/m", "ftp://h/v1/models/m", "http://h", "http://h/v1/models/",
    "http://h:x/v1/models/m", "http://h:99999/v1/models/m", "http://u:p@h/v1/models/m", "http://h/v1/models/m?a=b",
    "http://h/v1/models/m:predict", "http://h/v1/models/m/versions/x", "http:///v1/models/m", "http://h/v1/models/\u00e4",
])  # fmt: skip
def test_urls_of_no_model(url):
    with pytest.raises(UsageError, match="--server as a URL like"):
        Upstream(url)


def test_a_server_that_is_none_of_tensorflows():
    with listening(Recorder(body=b'{"metadata": 3}')) as url, pytest.raises(DataError, match="other JSON"):
        Site(Upstream(f"{url}/v1/models/m"), "m")
    with listening(Recorder("404 Not Found", b'{"error": "who?"}')) as url, pytest.raises(UsageError, match="who"):
        Site(Upstream(f"{url}/v1/models/m"), "m")


# --- the verb ----------------------------------------------------------------------------------------------------


def test_wrong_usage(apps, tmp_path, monkeypatch, capsys):
    """One line and the exit code of the fault, before anything listens or opens."""
    monkeypatch.setattr("webbrowser.open", lambda *_: pytest.fail("a browser was opened"))
    place = str(apps["plain"].model.path)
    with serving_verbs.open_listener("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        for words, code, text in (
            ([str(tmp_path)], 2, "run folder or a SavedModel"),
            (["zoo:nothing"], 2, "in the zoo"),
            ([place, "--name", "a/b"], 2, "--name"),
            ([place, "--port", "70000"], 2, "65535"),
            ([place, "--port", port], 2, "free port"),
            ([place, "--server", "http://127.0.0.1:9/v1/models/m"], 2, "or --server"),
            (["--server", "http://127.0.0.1:9"], 2, "v1/models/NAME"),
            (["--server", "http://127.0.0.1:9/v1/models/m", "--port", "0"], 2, "Expected a model that is served"),
            (["--no-browsers"], 2, "--no-browser"),
        ):
            assert main(["explore", *words]) == code, words
            error = capsys.readouterr().err.strip().splitlines()
            assert len(error) == 1 and text in error[0], error


@contextlib.contextmanager
def exploring(*words):
    """A process of ``tfvae explore`` that answers: process, its address."""
    command = [sys.executable, "-m", "tfvae", "explore", *map(str, words), "--port", "0", "--no-browser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            line = process.stdout.readline()
            assert line.startswith("exploring"), process.communicate()
            yield process, re.search(r"http://[\w.:]+", line)[0]
        finally:
            process.kill()


# --- a browser ---------------------------------------------------------------------------------------------------


def find_browser():
    """(browser, driver), or the reason why there is none."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if not (browser and driver and importlib.util.find_spec("selenium")):
        pytest.skip("needs selenium and Debian's packages chromium and chromium-driver")
    return browser, driver


@pytest.fixture(scope="module")
def browser():
    program, driver = find_browser()
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
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield Page(found)
    found.quit()


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

    def script(self, code, *given):
        return self.driver.execute_script(code, *given)

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
        height, width, found = self.script(code, place)
        return np.array(found).reshape(height, width, 4)

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
        found = [line for line in self.driver.get_log("browser") if line["level"] == "SEVERE"]
        self.driver.get("about:blank")
        return found


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
            browser.click("#again")
        browser.shows("#sample-grid button:nth-child(3) canvas", app.model.sample(36, (2, 0))[2])
        with browser.changing("#mine", "#rebuilt"):
            browser.click("#sample-grid button:nth-child(3)")
        browser.shows("#mine", app.model.sample(36, (2, 0))[2])
        with browser.changing("#middle", "#way-strip button:last-child canvas"):
            browser.click("#end-b [data-from='mine']")
        code = app.model.encode(app.model.sample(36, (2, 0))[2:3])[0]
        browser.shows("#end-b canvas", app.model.decode(code)[0], CODED)
        assert browser.one("#steps").is_displayed() is browser.one("#told").is_displayed() is False
        assert browser.one("#message").text == "" and browser.errors() == []


def test_the_arithmetic_of_codes(apps, browser):
    """Quantiles are SciPy's to the seven digits of the series, arcs keep lengths, normals are normal."""
    code = """const [shares, done] = arguments;
        import("./pixels.js").then((p) => done([shares.map(p.quantile), shares.map(p.quantile).map(p.shareBelow),
            p.between([3, 0], [0, 5], 0.25, true), p.between([3, 0], [0, 5], 0.25, false),
            p.between([1, 2], [1, 2], 0.5, true), p.normals(10000, 1), p.normals(3, 1)]));"""
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
        with browser.changing("#mine", "#rebuilt"):
            browser.one("#file").send_keys(str(tmp_path / "mine.png"))
        browser.shows("#mine", x[0])
        browser.shows("#rebuilt", app.model.reconstruct(x)[0], CODED)
        found = app.model("elbo", x=x, seed=(0, 0))
        wanted = {name: float(found[name][0]) for name in ("elbo", "rate", "distortion")}
        browser.until(lambda: f"{wanted['elbo']:.1f} nats" in browser.one("#numbers").text)
        for name, value in wanted.items():
            assert f"{name}\n{value:.1f} nats" in browser.one("#numbers").text
        with browser.changing("#mine"):
            browser.one("#file").send_keys(str(tmp_path / "wide.png"))  # the middle of it
        before = browser.bytes("#mine")
        browser.one("#file").send_keys(str(tmp_path / "none.png"))
        browser.until(lambda: "Expected a picture" in browser.one("#message").text)
        np.testing.assert_array_equal(browser.bytes("#mine"), before)
        with browser.changing("#mine", "#rebuilt"):
            browser.click("#clear")
        with browser.changing("#mine", "#rebuilt"):
            browser.click("#mine")  # a dot of ink
        assert browser.bytes("#mine")[4, 4, 0] > 60 and browser.bytes("#mine")[0, 0, 0] == 0
        assert browser.errors() == []


def test_a_class_and_the_steps_of_a_drawing(apps, browser):
    """Through the pass-through: the class changes the image, samples are of that class, each step is shown."""
    app = apps["labels"]
    with listening(app) as there:
        upstream = Upstream(f"{there}/v1/models/labels")
        with listening(Site(upstream, "labels")) as url:
            browser.open(url)
            assert browser.one("#told").text.split()[:5] == ["Class", "any", "0", "1", "2"]
            with browser.changing("#image", "#rebuilt", "#sample-grid canvas", "#frames canvas", "#middle"):
                browser.click("#told-choices label:last-child")
            browser.shows("#sample-grid canvas", app.model.sample(36, (1, 0), condition=2)[0])
            asked = {"n": 4, "seed": (1, 0), "temperature": 1.0, "condition": [2]}
            frames = app.model("draw", **asked)["frames"][1]
            for t in range(3):
                browser.shows(f"#frames button:nth-child(2) canvas:nth-child({t + 1})", frames[t])
            browser.click("#frames button:nth-child(2)")
            browser.one("#step").send_keys(HOME)
            browser.shows("#drawn", frames[0])
            browser.click("#play")
            browser.shows("#drawn", frames[2])
            assert browser.one("#message").text == "" and browser.errors() == []


def test_kappa_a_part_of_a_picture_and_points(apps, browser):
    """The other kinds of condition and of data; nothing is left without its canvas."""
    with listening(Site(apps["kappa"], "kappa")) as url:
        browser.open(url)
        with browser.changing("#image", "#rebuilt", "#plane-map"):
            browser.one("#told-value").send_keys(HOME)
        assert browser.one("#told-choices output").text == "3.10"
        assert browser.errors() == []
    with listening(Site(apps["picture"], "picture")) as url:
        browser.open(url)
        with browser.changing("#image", "#sample-grid canvas"):
            browser.click("#told-choices label:last-child")
        with browser.changing("#image", "#sample-grid canvas"):
            browser.click("#clear")
        assert browser.errors() == []
    with listening(Site(apps["points"], "points")) as url:
        browser.open(url)
        with browser.changing("#image"):
            browser.one("[data-latent='0']").send_keys(END)
        with browser.changing("#mine", "#rebuilt"):
            browser.script("arguments[0].scrollIntoView()", browser.one("#mine"))
            browser.click("#mine")
        assert browser.errors() == []


def test_refusals_are_one_plain_line(apps, browser):
    """What the model says, without TensorFlow Serving's names of nodes; the next answer takes the line away."""
    page = Site(apps["plain"], "plain")
    said = {"error": "assertion failed: [Expected finite z.]\n\t [[{{node Assert}}]]"}
    with listening(page) as url:
        browser.open(url)
        page.backend = Recorder("400 Bad Request", json.dumps(said).encode())
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
            shown = "return [...document.querySelectorAll('input, select, button')].filter((n) => n.checkVisibility())"
            for node in browser.script(shown)[:40]:  # each control has a name; the rest are samples
                assert node.accessible_name, node.get_attribute("outerHTML")
        finally:
            send("Emulation.clearDeviceMetricsOverride", {})
            send("Emulation.setEmulatedMedia", {"features": []})


@pytest.mark.slow
def test_the_verb_and_a_server_elsewhere(apps):
    """The page of a SavedModel, and one on a server of its REST API; SIGTERM ends both with 143."""
    import urllib.request

    folder = apps["kappa"].model.path
    with exploring(folder) as (here, url):
        with exploring("--server", f"{url}/v1/models/kappa") as (there, other):
            for place, about in ((url, ""), (other, f"served by {url}/v1/models/kappa")):
                with urllib.request.urlopen(f"{place}/model.json", timeout=60) as answer:
                    assert json.load(answer) == {"name": "kappa", "about": about, "condition": TOLD["kappa"]}
            there.send_signal(signal.SIGTERM)
            assert there.wait(60) == 143
        here.send_signal(signal.SIGTERM)
        assert here.wait(60) == 143 and here.stderr.read() == ""
