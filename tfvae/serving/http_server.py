"""The app: TensorFlow Serving's URLs for one version of one model, on werkzeug; any WSGI server runs it."""

import logging

import tensorflow as tf
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule
from werkzeug.wrappers import Request, Response

from tfvae.errors import TfvaeError
from tfvae.export import savedmodel
from tfvae.export.exporter import MAX_IMAGES, WARMUP
from tfvae.export.loading import SavedModel
from tfvae.runtime import files
from tfvae.serving import rest

LOG = logging.getLogger("tfvae.serving")
URLS = "GET /v1/models/NAME[/versions/N][/metadata], POST /v1/models/NAME[/versions/N]:predict, or GET /healthz"
EXPECTED = {
    404: f"Expected {URLS}. Received: another URL.",
    405: f"Expected {URLS}. Received: another method.",
    413: f"Expected a body of at most {rest.MAX_BODY} bytes. Received: a larger one.",
}


class Word(BaseConverter):
    """A name in a URL; ':' ends it, for what follows is a verb."""

    regex = "[^/:]+"


class Number(BaseConverter):
    regex = r"\d{1,19}"

    def to_python(self, value):
        return int(value)


def urls():
    """Each of TensorFlow Serving's URLs of a model, and of one version of it."""
    rules = [Rule("/healthz", endpoint="health", methods=["GET"])]
    for place in ("/v1/models/<word:name>", "/v1/models/<word:name>/versions/<number:version>"):
        rules += [
            Rule(place, endpoint="status", methods=["GET"]),
            Rule(f"{place}/metadata", endpoint="metadata", methods=["GET"]),
            Rule(f"{place}:predict", endpoint="predict", methods=["POST"]),
        ]
    return Map(rules, converters={"word": Word, "number": Number}, strict_slashes=False)


class Served(SavedModel):
    """A SavedModel of which all signatures can be called, whatever their inputs."""

    def signature(self, name):
        return self.signatures[name]


class Limited(Request):
    max_content_length = rest.MAX_BODY


class App:
    """A WSGI app: requests -> JSON. Whatever comes, it answers; only its own mistakes are a 500, and are logged."""

    def __init__(self, folder, name, version):
        self.name, self.version, self.urls = name, version, urls()
        graph = savedmodel.parse(folder).meta_graphs[0]
        self.signatures = savedmodel.signatures_of(graph)
        self.metadata = rest.metadata(name, version, graph)
        self.model = Served(folder)
        self.most = most_images(folder)
        warm_up(self.model, folder)

    def __call__(self, environ, start_response):
        request = Limited(environ)
        try:
            body, status, headers = self.answer(request), 200, {}
        except rest.Refused as error:
            body, status, headers = rest.error(str(error)), error.status, {}
        except HTTPException as error:  # of werkzeug: no such URL, wrong method, body too large
            kept = {key: value for key, value in error.get_headers(environ) if key == "Allow"}
            body, status, headers = rest.error(EXPECTED.get(error.code, error.description)), error.code, kept
        except TfvaeError as error:  # what the model itself refuses
            body, status, headers = rest.error(str(error)), 400, {}
        except (tf.errors.ResourceExhaustedError, MemoryError):
            body, status, headers = rest.error("Out of memory. Ask for fewer images."), 503, {"Retry-After": "1"}
        except Exception:
            LOG.exception("%s %s", request.method, request.path)
            body, status, headers = rest.error("A mistake of the server; its log says more."), 500, {}
        return Response(body, status, headers, mimetype="application/json")(environ, start_response)

    def answer(self, request):
        endpoint, place = self.urls.bind_to_environ(request.environ).match()
        if endpoint == "health":
            return b'{"status": "ok"}'
        if place["name"] != self.name or place.get("version", self.version) != self.version:
            asked = f"{place['name']}, version {place.get('version', 'any')}"
            raise rest.Refused(404, f"Expected the model {self.name}, version {self.version}. Received: {asked}.")
        if endpoint == "status":
            return rest.status(self.version)
        return self.metadata if endpoint == "metadata" else self.predict(request)

    def predict(self, request):
        coding = request.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise rest.Refused(415, "Expected a body that is not compressed. Received: a Content-Encoding.")
        asked = rest.parse(request.get_data(cache=False))
        inputs = rest.tensors(asked, rest.pick(self.signatures, asked.signature), self.most)
        outputs = self.model(asked.signature, **inputs)
        return rest.encode({name: value.numpy() for name, value in outputs.items()}, asked.rows)


def most_images(folder):
    """How many images a request may ask for: what the manifest says of `sample`, for the cost is the decoder's."""
    try:
        return int(files.read_json(folder / savedmodel.MANIFEST)["max_n"])
    except (TfvaeError, KeyError, TypeError, ValueError):
        return MAX_IMAGES  # another's model, with --trust


def warm_up(model, folder):
    """Run the requests that the SavedModel brings, as TensorFlow Serving does: the first user waits no longer."""
    from tensorflow_serving.apis.prediction_log_pb2 import PredictionLog

    path = folder / WARMUP
    for record in tf.data.TFRecordDataset(str(path)) if path.exists() else ():
        request = PredictionLog.FromString(record.numpy()).predict_log.request
        name, inputs = request.model_spec.signature_name, {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
        if name in model.signatures and inputs.keys() == model.signatures[name].structured_input_signature[1].keys():
            model(name, **inputs)
