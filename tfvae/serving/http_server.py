"""The app: TensorFlow Serving's URLs for one version of one model, on werkzeug; any WSGI server runs it."""

import logging

import tensorflow as tf
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Request, Response

from tfvae.errors import TfvaeError
from tfvae.export import savedmodel
from tfvae.export.exporter import WARMUP_FILE
from tfvae.export.loading import SavedModel
from tfvae.export.signatures import MAX_IMAGES
from tfvae.runtime import files
from tfvae.serving import rest

LOG = logging.getLogger("tfvae.serving")
URLS = "GET /v1/models/NAME[/versions/N][/metadata], POST /v1/models/NAME[/versions/N]:predict, or GET /healthz"
EXPECTED = {
    404: f"Expected {URLS}. Received: another URL.",
    405: f"Expected {URLS}. Received: another method.",
    413: f"Expected a body of at most {rest.MAX_BODY} bytes. Received: a larger one.",
}


class NameConverter(BaseConverter):
    """A name in a URL; ':' ends it, for what follows is a verb."""

    regex = "[^/:]+"


class VersionConverter(BaseConverter):
    regex = r"\d{1,19}"

    def to_python(self, value):
        return int(value)


def build_url_map():
    """Each of TensorFlow Serving's URLs of a model, and of one version of it."""
    rules = [Rule("/healthz", endpoint="health", methods=["GET"])]
    for place in ("/v1/models/<word:name>", "/v1/models/<word:name>/versions/<number:version>"):
        rules += [
            Rule(place, endpoint="status", methods=["GET"]),
            Rule(f"{place}/metadata", endpoint="metadata", methods=["GET"]),
            Rule(f"{place}:predict", endpoint="predict", methods=["POST"]),
        ]
    return Map(rules, converters={"word": NameConverter, "number": VersionConverter}, strict_slashes=False)


class ServedModel(SavedModel):
    """A SavedModel of which all signatures can be called, whatever their inputs."""

    def signature(self, name):
        return self.signatures[name]


class LimitedRequest(Request):
    max_content_length = rest.MAX_BODY


class ModelServer:
    """A WSGI app: requests -> JSON. Whatever comes, it answers; only its own mistakes are a 500, and are logged."""

    def __init__(self, folder, name, version):
        self.name, self.version, self.urls = name, version, build_url_map()
        graph = savedmodel.parse_savedmodel(folder).meta_graphs[0]
        self.signatures = savedmodel.describe_signatures(graph)
        self.metadata = rest.encode_metadata(name, version, graph)
        self.model = ServedModel(folder)
        self.most = read_max_images(folder)
        run_warmup_requests(self.model, folder)

    def __call__(self, environ, start_response):
        request = LimitedRequest(environ)
        try:
            body, status, headers = self.answer(request), 200, {}
        except rest.RequestError as error:
            body, status, headers = rest.encode_error(str(error)), error.status, {}
        except HTTPException as error:  # of werkzeug: no such URL, wrong method, body too large
            kept = {key: value for key, value in error.get_headers(environ) if key == "Allow"}
            body, status, headers = rest.encode_error(EXPECTED.get(error.code, error.description)), error.code, kept
        except TfvaeError as error:  # what the model itself refuses
            body, status, headers = rest.encode_error(str(error)), 400, {}
        except (tf.errors.ResourceExhaustedError, MemoryError):
            body, status, headers = rest.encode_error("Out of memory. Ask for fewer images."), 503, {"Retry-After": "1"}
        except Exception:
            LOG.exception("%s %s", request.method, request.path)
            body, status, headers = rest.encode_error("A mistake of the server; its log says more."), 500, {}
        return Response(body, status, headers, mimetype="application/json")(environ, start_response)

    def answer(self, request):
        endpoint, place = self.urls.bind_to_environ(request.environ).match()
        if endpoint == "health":
            return b'{"status": "ok"}'
        if place["name"] != self.name or place.get("version", self.version) != self.version:
            asked = f"{place['name']}, version {place.get('version', 'any')}"
            raise rest.RequestError(404, f"Expected the model {self.name}, version {self.version}. Received: {asked}.")
        if endpoint == "status":
            return rest.encode_status(self.version)
        return self.metadata if endpoint == "metadata" else self.predict(request)

    def predict(self, request):
        coding = request.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise rest.RequestError(415, "Expected a body that is not compressed. Received: a Content-Encoding.")
        asked = rest.parse_request(request.get_data(cache=False))
        inputs = rest.parse_tensors(asked, rest.select_signature(self.signatures, asked.signature), self.most)
        outputs = self.model(asked.signature, **inputs)
        return rest.encode_response({name: value.numpy() for name, value in outputs.items()}, asked.rows)


def read_max_images(folder):
    """How many images a request may ask for: what the manifest says of `sample`, for the cost is the decoder's."""
    try:
        return int(files.read_json(folder / savedmodel.MANIFEST)["max_n"])
    except (TfvaeError, KeyError, TypeError, ValueError):
        return MAX_IMAGES  # another's model, with --trust


def run_warmup_requests(model, folder):
    """Run the requests that the SavedModel brings, as TensorFlow Serving does: the first user waits no longer."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = folder / WARMUP_FILE
    for record in tf.data.TFRecordDataset(str(path)) if path.exists() else ():
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        name, inputs = request.model_spec.signature_name, {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        if name in model.signatures and inputs.keys() == model.signatures[name].structured_input_signature[1].keys():
            model(name, **inputs)
