"""A server elsewhere, on the page's origin: requests for one model are passed on to it, and no others."""

from __future__ import annotations

import http.client
import re
import urllib.parse
from collections.abc import Iterable
from typing import Any

from werkzeug.wrappers import Request, Response

from tfvae.errors import UsageError
from tfvae.safety.foreign_text import escape_text
from tfvae.serving.rest_requests import MAX_BODY
from tfvae.serving.rest_responses import encode_error

PATH = r"(?P<prefix>(?:/[\w.~-]+)*)/v1/models/(?P<name>[\w.-]+)(?:/versions/(?P<version>\d{1,19}))?/?"
EXAMPLE_URL = "http://localhost:8501/v1/models/NAME"
TIMEOUT = 60.0  # seconds for an answer
MAX_ANSWER = 2**28  # bytes


class Upstream:
    """A WSGI app that passes requests for one model on to a server of TensorFlow Serving's REST API, and no others.

    Where requests go is fixed by `url`; the client chooses among the model's status, metadata and prediction alone.
    No header of either side is passed on.

        app = Upstream("http://localhost:8501/v1/models/digits")

    Attributes:
        name: of the model.

    Args:
        url: of the model, http://HOST:PORT/v1/models/NAME, also with /versions/N.

    Raises:
        UsageError: another URL.
    """

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url)
        path = re.fullmatch(PATH, parts.path, re.ASCII)
        try:
            port = parts.port
        except ValueError:
            path = None
        is_plain = not (parts.username or parts.password or parts.query or parts.fragment)
        if not (path and parts.scheme in ("http", "https") and parts.hostname and is_plain):
            raise UsageError(f"Expected --server as a URL like {EXAMPLE_URL}. Received: {url!r}.")
        self.url, self.host, self.port, self.name = url, parts.hostname, port, path["name"]
        self.path = parts.path.rstrip("/")
        self.connection_class = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        own_path = f"/v1/models/{self.name}"
        self.suffixes = {
            ("GET", own_path): "",
            ("GET", f"{own_path}/metadata"): "/metadata",
            ("POST", f"{own_path}:predict"): ":predict",
        }

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        request = Request(environ)
        suffix = self.suffixes.get((request.method, request.path))
        if suffix is None:
            body = encode_error(f"Expected the page, or the REST API of {self.name}. Received: another URL.")
            status = 404
        elif (request.content_length or 0) > MAX_BODY:
            status, body = 413, encode_error(f"Expected a body of at most {MAX_BODY} bytes. Received: a larger one.")
        else:
            status, body = self.forward(request.method, self.path + suffix, request.get_data(cache=False))
        return Response(body, status, mimetype="application/json")(environ, start_response)

    def forward(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Send a request to the server; return status and body of its answer, or 502 where there is none."""
        connection = self.connection_class(self.host, self.port, timeout=TIMEOUT)
        try:
            connection.request(method, path, body or None, {"Content-Type": "application/json"} if body else {})
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return 502, encode_error(f"Expected TensorFlow Serving at {self.url}. Received: {escape_text(reason)}.")
        finally:
            connection.close()
        if len(content) > MAX_ANSWER or 300 <= answer.status < 400:
            received = "an answer that is too long, or a redirect"
            return 502, encode_error(f"Expected an answer of {self.url}. Received: {received}.")
        return answer.status, content
