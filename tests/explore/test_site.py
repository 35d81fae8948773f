"""The page without a browser: its files, the condition, and the verb."""

# ruff: noqa: E402
import contextlib
import json
import pathlib
import re
import signal
import subprocess
import sys

import numpy as np
import pytest

from tfvae.cli.command_line import main
from tfvae.errors import UsageError
from tfvae.exporting import savedmodel

for package in ("orjson", "waitress", "werkzeug"):
    pytest.importorskip(package, reason="needs tfvae[serve]")

from explore_doubles import listening
from werkzeug.test import Client
from werkzeug.wrappers import Response

from tfvae.cli import explore_verb, serving_verbs
from tfvae.explore import site
from tfvae.explore.site import Site
from tfvae.explore.upstream import Upstream

SHAPE = (8, 8, 1)
CONDITIONS = {
    "labels": {"name": "labels", "low": -1, "high": 2},
    "kappa": {"name": "kappa", "low": 3.1, "high": 5.3},
    "picture": {"name": "inpaint", "low": -1, "high": 1},
    "plain": None,
    "points": None,
}


def test_every_file_of_the_page(apps):
    """With its type, and a policy that lets nothing in from elsewhere and no code stand in HTML."""
    client = Client(Site(apps["plain"], "plain"))
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
    setup = (pathlib.Path(__file__).parents[2] / "setup.cfg").read_text()
    assert "tfvae.explore = page/*" in setup and all(file.is_file() for file in site.PAGE_FOLDER.iterdir())


@pytest.mark.parametrize(
    "path", ["/nothing", "/page/app.js", "/../site.py", "/..%2fsite.py", "/app.js/x", "//etc/passwd"]
)
def test_other_paths_are_a_404_in_json(path, apps):
    with listening(apps["plain"]) as url:
        for backend in (apps["plain"], Upstream(f"{url}/v1/models/plain")):
            answer = Client(Site(backend, "plain")).get(path)
            assert answer.status_code == 404 and "Expected" in json.loads(answer.data)["error"]


def test_the_rest_api_lies_beside_the_page(apps):
    client = Client(Site(apps["plain"], "plain"))
    assert client.get("/healthz").data == Client(apps["plain"]).get("/healthz").data
    for path in ("/v1/models/plain", "/v1/models/plain/metadata"):
        assert client.get(path).data == Client(apps["plain"]).get(path).data
    body = {"signature_name": "decode", "inputs": {"z": [[0.5, -1.0]]}}
    answer = client.post("/v1/models/plain:predict", json=body)
    assert np.shape(json.loads(answer.data)["outputs"]) == (1, 8, 8, 3)
    assert client.post("/app.js").status_code == 404  # what only GET reads


@pytest.mark.parametrize("name", CONDITIONS)
def test_the_condition_is_that_of_the_manifest(name, apps):
    """Name and range, which the server adds to the metadata; no request is made only to be refused."""
    result = json.loads(Client(Site(apps[name], name, "words")).get("/model.json").data)
    assert result == {"name": name, "about": "words", "condition": CONDITIONS[name]}


class WithoutCondition:
    """A server as TensorFlow Serving is: its metadata have signatures, and nothing on the condition's range."""

    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        if not environ["PATH_INFO"].endswith("/metadata"):
            return self.app(environ, start_response)
        content = json.loads(Client(self.app).get(environ["PATH_INFO"]).data)
        content["metadata"].pop("condition", None)
        return Response(json.dumps(content), mimetype="application/json")(environ, start_response)


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_server_that_says_nothing_of_the_condition(name, apps):
    """A manifest beside it says the range; a picture needs none; without either the way out is named."""
    backend = WithoutCondition(apps[name])
    entry = site.read_condition_entry(apps[name].model.path)
    assert json.loads(Client(Site(backend, name, "", entry)).get("/model.json").data)["condition"] == CONDITIONS[name]
    if name in ("labels", "kappa"):
        with pytest.raises(UsageError, match="tfvae explore SAVEDMODEL --server URL"):
            Site(backend, name)
    else:
        alone = json.loads(Client(Site(backend, name)).get("/model.json").data)["condition"]
        assert alone == ({"name": "picture", "low": -1, "high": 1} if name == "picture" else None)


@pytest.mark.parametrize("entry", [3, [], "classes", {}, {"name": "kappa"}, {"name": "kappa", "low": "x", "high": 1}])
def test_a_strange_entry_of_a_manifest_is_none(entry):
    assert site.describe_range(entry) is None


def test_a_drawing_is_of_the_class_that_is_its_condition(apps):
    """Its last step is the sample of the same seed and class; another class is another drawing."""
    model, inputs = apps["labels"].model, {"n": 2, "seed": (4, 5), "temperature": 0.7}
    frames = {label: model("draw", **inputs, condition=[label])["frames"].numpy() for label in (0, 2)}
    for label, result in frames.items():
        np.testing.assert_allclose(result[:, -1], model.sample(2, (4, 5), 0.7, label), atol=1e-6)
    assert frames[0].shape == (2, 3, *SHAPE) and np.abs(frames[0] - frames[2]).max() > 0.01


def test_the_page_on_a_server_elsewhere_has_a_health_of_its_own(apps):
    with listening(apps["plain"]) as url:
        client = Client(Site(Upstream(f"{url}/v1/models/plain"), "plain"))
    assert client.get("/healthz").json == {"status": "ok"}  # also when the other has gone


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("my-run", "my-run"),
        ("digits_2026.1", "digits_2026.1"),
        ("geco,kappa=4 b", "geco-kappa-4-b"),
        ("\u00e4", "model"),
    ],
)
def test_a_run_is_called_by_its_name(folder, name, tmp_path, monkeypatch):
    """Up to what URLs do not take; also by way of a link, such as runs/latest. --name comes first."""
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "config.json").write_text("{}")
    (tmp_path / "latest").symlink_to(tmp_path / folder)
    names = []
    monkeypatch.setattr(explore_verb, "prepare_savedmodel", lambda folder, is_run, base, trust: names.append(base.name))
    monkeypatch.setattr(explore_verb, "open_listener", lambda *_: (_ for _ in ()).throw(UsageError("that is all")))
    for path, flags in ((folder, []), ("latest", []), (folder, ["--name", "own"])):
        assert main(["explore", str(tmp_path / path), *flags]) == 2
    assert names == [name, name, "own"]


def test_a_sentence_on_a_model(apps, tmp_path):
    folder = apps["plain"].model.path
    assert site.describe_model(folder) == ""  # written without a run, so without a config
    manifest = json.loads((folder / savedmodel.MANIFEST).read_text())
    manifest |= {"config": {"objective": "geco:kappa=4", "dataset": "mnist"}, "epoch": 3}
    (tmp_path / savedmodel.MANIFEST).write_text(json.dumps(manifest))
    assert site.describe_model(tmp_path).startswith(
        "geco:kappa=4 on mnist, mlp:widths=12,latent=2, likelihood gaussian"
    )
    assert site.describe_model(tmp_path / "nothing") == ""


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
            ([place, "--server", "http://127.0.0.1:9/v1/models/m"], 2, "Expected a model that is served"),
            (["--name", "m", "--server", "http://127.0.0.1:9/v1/models/m"], 2, "or --server"),
            ([str(tmp_path), "--server", "http://127.0.0.1:9/v1/models/m"], 2, "run folder or a SavedModel"),
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


@pytest.mark.slow
def test_the_verb_and_a_server_elsewhere(apps):
    """The page of a SavedModel, and one on a server of its REST API; SIGTERM ends both with 143."""
    import urllib.request

    folder = apps["kappa"].model.path
    with exploring(folder) as (here, url):
        with exploring("--server", f"{url}/v1/models/kappa") as (there, other):
            for place, about in ((url, ""), (other, f"served by {url}/v1/models/kappa")):
                with urllib.request.urlopen(f"{place}/model.json", timeout=60) as answer:
                    assert json.load(answer) == {"name": "kappa", "about": about, "condition": CONDITIONS["kappa"]}
            there.send_signal(signal.SIGTERM)
            assert there.wait(60) == 143
        here.send_signal(signal.SIGTERM)
        assert here.wait(60) == 143 and here.stderr.read() == ""
