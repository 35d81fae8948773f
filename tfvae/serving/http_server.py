"""The WSGI app: TensorFlow Serving's URLs for one version of one model, on werkzeug; any WSGI server runs it."""

from __future__ import annotations

import logging
import pathlib
from collections.abc import Iterable
from typing import Any

import tensorflow as tf
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Request, Response

from tfvae.errors import TfvaeError
from tfvae.exporting import export_manifest, savedmodel
from tfvae.exporting.exporter import WARMUP_FILE
from tfvae.exporting.loading import SavedModel
from tfvae.exporting.signatures import MAX_IMAGES
from tfvae.serving import rest_requests, rest_responses
from tfvae.serving.rest_requests import MAX_BODY, RequestError

MAX_WARMUP_REQUESTS = 100  # a foreign model may bring any number
LOG = logging.getLogger("tfvae.serving")
URLS = "GET /v1/models/NAME[/versions/N][/metadata], POST /v1/models/NAME[/versions/N]:predict, or GET /healthz"
ERROR_MESSAGES = {
    404: f"Expected {URLS}. Received: another URL.",
    405: f"Expected {URLS}. Received: another method.",
    413: f"Expected a body of at most {MAX_BODY} bytes. Received: a larger one.",
}


class NameConverter(BaseConverter):
    """A name in a URL; ':' ends it, for what follows is a verb."""

    regex = "[^/:]+"


class VersionConverter(BaseConverter):
    """The number of a version in a URL."""

    regex = r"\d{1,19}"

    def to_python(self, value: str) -> int:
        """Return the number."""
        return int(value)


def build_url_map() -> Map:
    """Return the map of TensorFlow Serving's URLs for a model, and for one version of it."""
    rules = [Rule("/healthz", endpoint="health", methods=["GET"])]
    for path in ("/v1/models/<name:name>", "/v1/models/<name:name>/versions/<version:version>"):
        rules += [
            Rule(path, endpoint="status", methods=["GET"]),
            Rule(f"{path}/metadata", endpoint="metadata", methods=["GET"]),
            Rule(f"{path}:predict", endpoint="predict", methods=["POST"]),
        ]
    return Map(rules, converters={"name": NameConverter, "version": VersionConverter}, strict_slashes=False)


class ServedModel(SavedModel):
    """A SavedModel of which all signatures can be called, whatever their inputs."""

    def get_signature(self, name: str) -> tf.types.experimental.ConcreteFunction:
        """Return the function of a signature that exists."""
        return self.signatures[name]


class LimitedRequest(Request):
    """A request whose body has at most `MAX_BODY` bytes."""

    max_content_length = MAX_BODY


class ModelServer:
    """A WSGI app that answers requests for one version of one model in JSON.

    Whatever comes, it answers; only its own mistakes are a 500, and are logged.

        app = ModelServer(pathlib.Path("export/models/digits/1"), "digits", 1)
        waitress.serve(app, port=8501)

    Attributes:
        model: the loaded `ServedModel`.
        signatures: as `savedmodel.describe_signatures` gives them.

    Args:
        folder: of the SavedModel.
        name: of the model in URLs.
        version: its number.
        trusted: load it unchecked: it was checked where nobody else writes, or the user has said so.
    """

    def __init__(self, folder: pathlib.Path, name: str, version: int, trusted: bool = False) -> None:
        self.name, self.version, self.url_map = name, version, build_url_map()
        graph = savedmodel.parse_savedmodel(folder).meta_graphs[0]
        manifest = read_manifest(folder)
        self.signatures = savedmodel.describe_signatures(graph)
        self.metadata = rest_responses.encode_metadata(name, version, graph, manifest.get("condition"))
        self.model = ServedModel(folder, trusted)
        self.max_images = read_max_images(manifest)
        run_warmup_requests(self.model, folder)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        request = LimitedRequest(environ)
        status, headers = 200, {}
        try:
            body = self.respond(request)
        except RequestError as error:
            body, status = rest_responses.encode_error(str(error)), error.status
        except HTTPException as error:  # of werkzeug: no such URL, wrong method, body too large
            status = error.code or 500
            body = rest_responses.encode_error(ERROR_MESSAGES.get(status, str(error.description)))
            headers = {key: value for key, value in error.get_headers(environ) if key == "Allow"}
        except TfvaeError as error:  # what the model itself refuses
            body, status = rest_responses.encode_error(str(error)), 400
        except (tf.errors.ResourceExhaustedError, MemoryError):
            body, status = rest_responses.encode_error("Out of memory. Ask for fewer images."), 503
            headers = {"Retry-After": "1"}
        except Exception:
            LOG.exception("%s %s", request.method, request.path)
            body, status = rest_responses.encode_error("A mistake of the server; its log says more."), 500
        return Response(body, status, headers, mimetype="application/json")(environ, start_response)

    def respond(self, request: Request) -> bytes:
        """Return the body of the answer to a request.

        Raises:
            RequestError: another model or version, or a wrong request.
            HTTPException: no such URL, or another method.
        """
        endpoint, arguments = self.url_map.bind_to_environ(request.environ).match()
        if endpoint == "health":
            return b'{"status": "ok"}'
        name, version = arguments["name"], arguments.get("version", self.version)
        if (name, version) != (self.name, self.version):
            received = f"{name}, version {arguments.get('version', 'any')}"
            raise RequestError(404, f"Expected the model {self.name}, version {self.version}. Received: {received}.")
        if endpoint == "status":
            return rest_responses.encode_status(self.version)
        return self.metadata if endpoint == "metadata" else self.predict(request)

    def predict(self, request: Request) -> bytes:
        """Return the body of the answer to a request for a prediction."""
        coding = request.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise RequestError(415, "Expected a body that is not compressed. Received: a Content-Encoding.")
        parsed = rest_requests.parse_request(request.get_data(cache=False))
        signature = rest_requests.select_signature(self.signatures, parsed.signature)
        inputs = rest_requests.parse_tensors(parsed, signature, self.max_images)
        outputs = self.model(parsed.signature, **inputs)
        arrays = {name: value.numpy() for name, value in outputs.items()}
        return rest_responses.encode_response(arrays, parsed.by_rows)


def read_manifest(folder: pathlib.Path) -> dict[str, Any]:
    """Return the manifest of a SavedModel; {} for a model of others, loaded with --trust, that has no such JSON."""
    try:
        return export_manifest.read_manifest(folder)
    except TfvaeError:
        return {}


def read_max_images(manifest: dict[str, Any]) -> int:
    """Return how many images a request may ask for: the manifest's limit of `sample`, for the decoder is what costs."""
    return min(MAX_IMAGES, manifest.get("max_n", MAX_IMAGES))


def run_warmup_requests(model: SavedModel, folder: pathlib.Path) -> None:
    """Run the requests that the SavedModel brings, as TensorFlow Serving does: the first user waits no longer."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = folder / WARMUP_FILE
    for record in tf.data.TFRecordDataset(str(path)).take(MAX_WARMUP_REQUESTS) if path.exists() else ():
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        name, inputs = request.model_spec.signature_name, {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        if name in model.signatures and inputs.keys() == model.signatures[name].structured_input_signature[1].keys():
            model(name, **inputs)
