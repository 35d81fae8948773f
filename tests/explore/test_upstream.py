"""What is passed on to a server elsewhere, and what not."""

# ruff: noqa: E402
import json

import pytest

from tfvae.errors import DataError, UsageError

for package in ("orjson", "waitress", "werkzeug"):
    pytest.importorskip(package, reason="needs tfvae[serve]")

from explore_doubles import Recorder, listening
from werkzeug.test import Client

from tfvae.explore.site import Site
from tfvae.explore.upstream import Upstream
from tfvae.serving import rest_requests


def test_only_the_model_is_reached():
    """Three URLs of one model, below the one prefix; no other method, name, host, query or header gets through."""
    upstream = Recorder(**{"Set-Cookie": "a=b"})
    with listening(upstream) as url:
        client = Client(Upstream(f"{url}/behind/v1/models/a.b/versions/3/"))
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
        others = [
            ("GET", "/v1/models/a"),
            ("GET", "/v1/models/axb"),
            ("GET", "/v1/models/a.b/../c"),
            ("GET", "/healthz"),
            ("POST", "/v1/models/a.b"),
            ("PUT", "/v1/models/a.b:predict"),
            ("DELETE", "/v1/models/a.b"),
            ("GET", "/http://example.org/v1/models/a.b"),
            ("GET", "/v1/models/a.b/versions/4"),
            ("POST", "/v1/models/a.b:classify"),
        ]
        for method, path in others:
            assert client.open(path, method=method).status_code == 404, path
        large = client.post("/v1/models/a.b:predict", data=b"x" * (rest_requests.MAX_BODY + 1))
        assert large.status_code == 413 and upstream.seen == []


def test_errors_of_the_other_server():
    """Its own 4xx as they are; no answer, and a redirect, which is not followed, are a 502 in JSON."""
    refusing = Recorder("400 Bad Request", b'{"error": "no"}')
    moved = Recorder("302 Found", b"", Location="http://127.0.0.1:9/")
    for app, status, text in ((refusing, 400, "no"), (moved, 502, "a redirect")):
        with listening(app) as url:
            answer = Client(Upstream(f"{url}/v1/models/m")).get("/v1/models/m")
            assert answer.status_code == status and text in json.loads(answer.data)["error"]
    answer = Client(Upstream(f"{url}/v1/models/m")).get("/v1/models/m")  # which listens no more
    assert answer.status_code == 502 and "Expected TensorFlow Serving at" in json.loads(answer.data)["error"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "localhost",
        "localhost:8501/v1/models/m",
        "ftp://h/v1/models/m",
        "http://h",
        "http://h/v1/models/",
        "http://h:x/v1/models/m",
        "http://h:99999/v1/models/m",
        "http://u:p@h/v1/models/m",
        "http://h/v1/models/m?a=b",
        "http://h/v1/models/m:predict",
        "http://h/v1/models/m/versions/x",
        "http:///v1/models/m",
        "http://h/v1/models/\u00e4",
    ],
)
def test_urls_of_no_model(url):
    with pytest.raises(UsageError, match="--server as a URL like"):
        Upstream(url)


def test_a_server_that_is_none_of_tensorflows():
    with listening(Recorder(body=b'{"metadata": 3}')) as url, pytest.raises(DataError, match="other JSON"):
        Site(Upstream(f"{url}/v1/models/m"), "m")
    with listening(Recorder("404 Not Found", b'{"error": "who?"}')) as url, pytest.raises(UsageError, match="who"):
        Site(Upstream(f"{url}/v1/models/m"), "m")
