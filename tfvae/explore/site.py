"""The app behind the page: its files, what they cannot read off the REST API, and that API on the same origin."""

import http.client
import json
import pathlib
import re
import urllib.parse

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.test import Client
from werkzeug.wrappers import Request, Response

from tfvae.errors import DataError, TfvaeError, UsageError
from tfvae.export.safety import escape_text
from tfvae.export.savedmodel import MANIFEST
from tfvae.runtime import files
from tfvae.serving import rest

PAGE_FOLDER = pathlib.Path(__file__).parent / "page"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
POLICY += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
PATH = r"(?P<prefix>(?:/[\w.~-]+)*)/v1/models/(?P<name>[\w.-]+)(?:/versions/(?P<version>\d{1,19}))?/?"
EXPECTED = "a URL like http://localhost:8501/v1/models/NAME"
TIMEOUT, MAX_ANSWER = 60.0, 2**28  # seconds, bytes
TOO_LARGE = {"int32": 2**31 - 1, "float32": 1e38}  # values that no condition takes


class Site:
    """A WSGI app: the page, `model.json`, and all else to `backend`.

    Args:
        backend: a WSGI app with TensorFlow Serving's URLs for the one model `name`.
        about: a sentence on the model, for its readers; may be empty.

    Raises:
        UsageError, DataError: the backend does not answer, or not as TensorFlow Serving does.
    """

    def __init__(self, backend, name, about=""):
        self.backend = backend
        rule = Rule("/", endpoint="index.html", methods=["GET"])
        files = [Rule(f"/{path.name}", endpoint=path.name, methods=["GET"]) for path in sorted(PAGE_FOLDER.iterdir())]
        self.urls = Map([rule, *files, Rule("/model.json", endpoint="model.json", methods=["GET"])])
        told = find_condition(backend, name)
        self.made = {"model.json": json.dumps({"name": name, "about": about, "condition": told}).encode()}

    def __call__(self, environ, start_response):
        try:
            file, _ = self.urls.bind_to_environ(environ).match()
        except HTTPException:  # none of the page's: the backend knows, or refuses
            return self.backend(environ, start_response)
        body = self.made.get(file) or (PAGE_FOLDER / file).read_bytes()
        kind = MEDIA_TYPES.get(pathlib.Path(file).suffix, "application/json")
        return Response(body, headers=HEADERS, mimetype=kind)(environ, start_response)


# --- what a model is ---------------------------------------------------------------------------------------------


def describe_model(folder):
    """A sentence on a SavedModel, from the manifest that `tfvae export` wrote; else ''."""
    try:
        found = files.read_json(folder / MANIFEST)
        config, parts = found["config"], found["parts"]
        first = f"{config['objective']} on {config['dataset']}, {parts['arch']}"
        return f"{first}, likelihood {parts['likelihood']}, prior {parts['prior']}, epoch {found['epoch']}"
    except (TfvaeError, KeyError, TypeError):
        return ""


def find_condition(backend, name):
    """{name, low, high} of what the model is told; None without.

    Metadata gives a type and a shape alone. But a model that tfvae exported refuses a value outside of its range with
    a sentence that names both, through any server: so it is asked for one.
    """
    client = Client(backend)
    place = f"/v1/models/{name}"
    inputs = list_decode_inputs(read_json_response(client.get(f"{place}/metadata")))
    if "condition" not in inputs or "z" not in inputs:
        return None
    shape, whole = inputs["condition"]["shape"], inputs["condition"]["dtype"] == "DT_INT32"
    value = TOO_LARGE["int32" if whole else "float32"]
    for side in reversed(shape[1:]):
        value = [value] * side
    request = {"signature_name": "decode", "inputs": {"z": [[0.0] * inputs["z"]["shape"][1]], "condition": [value]}}
    said = client.post(f"{place}:predict", json=request).get_data(as_text=True)
    found = re.search(r"Expected condition (\w+) in \[([^,\]]+), ([^,\]]+)\]", said)
    return found and {"name": found[1], "low": float(found[2]), "high": float(found[3])}


def read_json_response(response):
    """The JSON of a status 200; UsageError with what came instead."""
    text = response.get_data(as_text=True)
    if response.status_code != 200:
        said = re.search(r'"error":\s*"(.*)"', text)
        raise UsageError(f"Expected a model that is served. Received: {escape_text(said[1] if said else text)}.")
    try:
        return json.loads(text)
    except ValueError:
        raise DataError("Expected metadata as TensorFlow Serving gives it. Received: no JSON.") from None


def list_decode_inputs(metadata):
    """{input: {dtype, shape}} of `decode` in an answer to a request for metadata; {} if it has none."""
    try:
        found = metadata["metadata"]["signature_def"]["signature_def"].get("decode", {"inputs": {}})["inputs"]
        return {
            key: {"dtype": info["dtype"], "shape": [int(dim["size"]) for dim in info["tensor_shape"].get("dim", ())]}
            for key, info in found.items()
        }
    except (KeyError, TypeError, AttributeError, ValueError):
        raise DataError("Expected metadata as TensorFlow Serving gives it. Received: other JSON.") from None


# --- a server elsewhere ------------------------------------------------------------------------------------------


class Upstream:
    """A WSGI app that passes requests for one model on to a server of TensorFlow Serving's REST API, and no others.

    Where requests go is fixed by `url`; the client chooses among the model's status, metadata and prediction alone.
    No header of either side is passed on.

    Args:
        url: of the model, http://HOST:PORT/v1/models/NAME, also with /versions/N.
    """

    def __init__(self, url):
        parts = urllib.parse.urlsplit(url)
        found = re.fullmatch(PATH, parts.path, re.ASCII)
        try:
            port = parts.port
        except ValueError:
            found = None
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
        if not (found and parts.scheme in ("http", "https") and parts.hostname and plain):
            raise UsageError(f"Expected --server as {EXPECTED}. Received: {url!r}.")
        self.host, self.port, self.name, self.place = parts.hostname, port, found["name"], parts.path.rstrip("/")
        self.link = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self.url = url
        here = f"/v1/models/{self.name}"
        self.known = {
            ("GET", here): "",
            ("GET", f"{here}/metadata"): "/metadata",
            ("POST", f"{here}:predict"): ":predict",
        }

    def __call__(self, environ, start_response):
        request = Request(environ)
        end = self.known.get((request.method, request.path))
        if end is None:
            status, body = (
                404,
                rest.encode_error(f"Expected the page, or the REST API of {self.name}. Received: another URL."),
            )
        elif (request.content_length or 0) > rest.MAX_BODY:
            status, body = (
                413,
                rest.encode_error(f"Expected a body of at most {rest.MAX_BODY} bytes. Received: a larger one."),
            )
        else:
            status, body = self.ask(request.method, self.place + end, request.get_data(cache=False))
        return Response(body, status, mimetype="application/json")(environ, start_response)

    def ask(self, method, path, body):
        """-> status, body of the answer; 502 where there is none."""
        link = self.link(self.host, self.port, timeout=TIMEOUT)
        try:
            link.request(method, path, body or None, {"Content-Type": "application/json"} if body else {})
            answer = link.getresponse()
            found = answer.read(MAX_ANSWER + 1)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            return 502, rest.encode_error(
                f"Expected TensorFlow Serving at {self.url}. Received: {escape_text(reason)}."
            )
        finally:
            link.close()
        if len(found) > MAX_ANSWER or 300 <= answer.status < 400:
            return 502, rest.encode_error(
                f"Expected an answer of {self.url}. Received: one too long, or a way elsewhere."
            )
        return answer.status, found
