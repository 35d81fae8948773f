"""Serving: TensorFlow Serving's REST formats field by field, each error a 4xx in JSON, clients, configurations."""

import base64
import concurrent.futures
import contextlib
import http.client
import importlib.util
import json
import logging
import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.request

import numpy as np
import pytest
import tensorflow as tf
from test_export import make, write

from tfvae.cli.command_line import main
from tfvae.export import savedmodel
from tfvae.training import trainer
from tfvae.zoo import index

orjson = pytest.importorskip("orjson", reason="needs tfvae[serve]")
waitress = pytest.importorskip("waitress", reason="needs tfvae[serve]")
werkzeug = pytest.importorskip("werkzeug.test", reason="needs tfvae[serve]")

from tfvae.cli import serving_verbs
from tfvae.export import signatures
from tfvae.serving import rest
from tfvae.serving.http_server import ModelServer
from tfvae.zoo import load

CLIENTS = pathlib.Path(__file__).parents[1] / "export" / "clients"
SERVING = CLIENTS.parent / "serving"
SHAPE, MLP = (8, 8, 1), "mlp:widths=12,latent=3"
SIZED = {"dtype": "float32", "shape": [None, 3]}
ONE = {"inputs": {"z": SIZED}, "outputs": {"image": {"dtype": "float32", "shape": [None, 8, 8, 1]}}}
# The example of three named inputs in TensorFlow Serving's documentation.
NAMED = {
    "inputs": {
        "tag": {"dtype": "string", "shape": [None]},
        "signal": {"dtype": "int32", "shape": [None, 5]},
        "sensor": {"dtype": "float32", "shape": [None, 2, 2]},
    },
    "outputs": {},
}
ROWS = b"""{"instances": [{"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
                          {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]}]}"""
COLUMNS = b"""{"inputs": {"tag": ["foo", "bar"], "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
                          "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]]}}"""


def client_of(name):
    """A client as a module, though it is no package's."""
    spec = importlib.util.spec_from_file_location(name, CLIENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Words(tf.Module):
    """Another's model, with strings and scalars, and what a `loading.SavedModel` needs."""

    @tf.function(input_signature=[tf.TensorSpec([None, 2], name="z")])
    def decode(self, z):
        return {"image": tf.reshape(z, [-1, 1, 2, 1])}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def echo(self, text):
        return {"plain": text, "same_bytes": text}

    @tf.function(input_signature=[tf.TensorSpec([None], name="x")])
    def total(self, x):
        return {"sum": tf.reduce_sum(x)}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    write(make(SHAPE, likelihood="gaussian:sigma=0.5", arch=MLP), root, "plain")
    write(make(SHAPE, likelihood="gaussian:sigma=0.5", arch=MLP, condition="labels", classes=3), root, "told")
    words = Words()
    signatures = {"serving_default": words.decode, "decode": words.decode, "echo": words.echo, "total": words.total}
    tf.saved_model.save(words, str(root / "words" / "7"), signatures)
    return root


@pytest.fixture(scope="module")
def apps(root):
    return {
        name: ModelServer(savedmodel.find_savedmodel(root / name), name, 7 if name == "words" else 1)
        for name in os.listdir(root)
    }


@pytest.fixture(scope="module")
def calls(root):
    return {
        name: tf.saved_model.load(str(savedmodel.find_savedmodel(root / name))).signatures for name in os.listdir(root)
    }


@pytest.fixture(scope="module")
def url(apps):
    """A server on a port of its own."""
    door = serving_verbs.open_listener("127.0.0.1", 0)
    server = waitress.create_server(apps["plain"], sockets=[door], threads=4, max_request_body_size=4 * rest.MAX_BODY)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}"
    server.close()


def post(app, body, path=":predict", **headers):
    """-> status, JSON of a POST to the model."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = werkzeug.Client(app).post(f"/v1/models/{app.name}{path}", data=body, headers=headers)
    assert answer.mimetype == "application/json"
    return answer.status_code, json.loads(answer.data)


def tensors_of(body, signature, most=4096):
    return rest.parse_tensors(rest.parse_request(body), signature, most)


# --- the formats, without a model --------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [ROWS, COLUMNS], ids=["rows", "columns"])
def test_the_documented_request(body):
    found = tensors_of(body, NAMED)
    assert found["tag"].tolist() == [b"foo", b"bar"]
    np.testing.assert_array_equal(found["signal"], np.array([[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]], np.int32), strict=True)
    sensor = np.array([[[1, 2], [3, 4]], [[4, 5], [6, 8]]], np.float32)
    np.testing.assert_array_equal(found["sensor"], sensor, strict=True)


def test_one_input_needs_no_name():
    """Bare values, bare lists, objects; a list of lists under `inputs` is the tensor itself."""
    z = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    for value in ({"instances": z.tolist()}, {"inputs": z.tolist()}, {"inputs": {"z": z.tolist()}}):
        np.testing.assert_array_equal(tensors_of(json.dumps(value).encode(), ONE)["z"], z)
    rows = json.dumps({"instances": [{"z": row} for row in z.tolist()]}).encode()
    np.testing.assert_array_equal(tensors_of(rows, ONE)["z"], z)
    scalars = {"inputs": {"x": {"dtype": "float32", "shape": [None]}}, "outputs": {}}
    assert tensors_of(b'{"instances": [1.0, 2.0, 5.0]}', scalars)["x"].tolist() == [1, 2, 5]
    assert tensors_of(b'{"inputs": true}', {"inputs": {"x": {"dtype": "bool", "shape": []}}, "outputs": {}})["x"]


def test_binary_values():
    """{"b64": ...} as a row, in an object and as a scalar; other strings are UTF-8."""
    text = {"inputs": {"text": {"dtype": "string", "shape": None}}, "outputs": {}}
    coded = {"b64": base64.b64encode(b"\x00\xff").decode()}
    for value in ({"instances": [coded, "\u00e4"]}, {"instances": [{"text": coded}, {"text": "\u00e4"}]}):
        assert tensors_of(json.dumps(value).encode(), text)["text"].tolist() == [b"\x00\xff", "\u00e4".encode()]
    assert tensors_of(json.dumps({"inputs": coded}).encode(), text)["text"].item() == b"\x00\xff"


def test_signature_names():
    assert (
        rest.parse_request(b'{"inputs": 1}').signature
        == rest.parse_request(b'{"inputs": 1, "signature_name": ""}').signature
    )
    assert rest.parse_request(b'{"inputs": 1}').signature == "serving_default"
    assert rest.parse_request(b'{"signature_name": "a", "instances": [1]}') == rest.PredictRequest("a", True, [1])


REFUSED = {
    b"": "Expected JSON",
    b"[1]": "JSON object",
    b'{"instances": [[1, 2, 3]]': "Expected JSON",
    b'{"instances": [[1, 2, NaN]]}': "Expected JSON",
    b'{"instances": [[1, 2, -Infinity]]}': "Expected JSON",
    b'{"instances": [[1, 2, 1e999]]}': "Expected JSON",
    b'{"instances": [[1, 2, "\xff"]]}': "Expected JSON",
    b'{"instances": [[1, 2, 1e39]]}': "fit into float32",
    b'{"instances": [[1, 2, ' + b"9" * 400 + b"]]}": "Expected JSON|fit into float32",
    b'{"instances": [[1, 2, true]]}': "numbers, float32",
    b'{"instances": [[1, 2, "3"]]}': "numbers, float32",
    b'{"instances": [[1, 2, null]]}': "numbers, float32",
    b'{"instances": [[1, 2, {"b64": "AA=="}]]}': "numbers, float32",
    b'{"instances": [[1, 2]]}': r"shape \[free, 3\]. Received: \[1, 2\]",
    b'{"instances": [[[1, 2, 3]]]}': r"shape \[free, 3\]. Received: \[1, 1\]",
    b'{"instances": [1, 2, 3]}': r"shape \[free, 3\]. Received: \[3\]",
    b'{"instances": [[1, 2, 3], [1, 2]]}': "equal lengths",
    b'{"instances": [[1, 2, 3], 4]}': "equal lengths",
    b'{"instances": [4, [1, 2, 3]]}': "shape",
    b'{"instances": []}': "at least one",
    b'{"instances": {"z": [[1, 2, 3]]}}': "to be a list",
    b'{"instances": [{"z": [1, 2, 3]}, [1, 2, 3]]}': "all objects or all values",
    b'{"instances": [{"y": [1, 2, 3]}]}': "Expected z. Received: y",
    b'{"inputs": {"z": [[1, 2, 3]], "y": 1}}': "Expected z. Received: z, y",
    b'{"inputs": {}}': "Expected z. Received: no inputs",
    b'{"inputs": [[1, 2, 3]], "instances": [[1, 2, 3]]}': "Received: both",
    b'{"signature_name": "decode"}': "Received: neither",
    b'{"signature_name": 3, "instances": [[1, 2, 3]]}': "signature_name to be a string",
    b'{"instances": ' + b"[" * 200_000 + b"}": "at most 32 deep",
    b'{"instances": ' + b"[" * 31 + b"[]" + b"]" * 31 + b"}": "at most 32 deep. Received: 33",
    b'{"instances": [' + b"[1, 2, 3], " * 16 + b"[1, 2, 3]]}": "at most 16 images",
}


@pytest.mark.parametrize("body", REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused(body):
    """Each with 400 and a sentence that says what was expected."""
    with pytest.raises(rest.RequestError, match=REFUSED[body]) as found:
        tensors_of(body, ONE, most=16)
    assert found.value.status == 400 and len(str(found.value)) < 300


@pytest.mark.parametrize(
    ("dtype", "value"), [("int32", 2**31), ("int32", 1.0), ("int32", True), ("uint8", -1), ("bool", 1)]
)
def test_whole_numbers_and_flags_are_exact(dtype, value):
    spec = {"inputs": {"n": {"dtype": dtype, "shape": []}}, "outputs": {}}
    with pytest.raises(rest.RequestError, match="Expected n"):
        tensors_of(json.dumps({"inputs": {"n": value}}).encode(), spec, most=2**40)


def test_longer_answers_mean_fewer_images():
    """Not more than MAX_NUMBERS in one answer, by rows and by n."""
    most = rest.MAX_NUMBERS // (64 * 64 * 3)
    big = {"image": {"dtype": "float32", "shape": [None, 64, 64, 3]}}
    drawn = {"inputs": {"n": {"dtype": "int32", "shape": []}}, "outputs": big}
    assert tensors_of(json.dumps({"inputs": {"n": most}}).encode(), drawn)["n"] == most
    rows = {"inputs": {"z": {"dtype": "float32", "shape": [None, 1]}}, "outputs": big}
    for body, signature in (({"inputs": {"n": most + 1}}, drawn), ({"instances": [[0]] * (most + 1)}, rows)):
        with pytest.raises(rest.RequestError, match=f"at most {most} images"):
            tensors_of(json.dumps(body).encode(), signature)


def test_depth_is_that_of_a_slow_reader(generator):
    """Random texts of brackets, quotes, backslashes: a loop over characters that knows when it is in a string."""

    def slow(text):
        now = most = 0
        inside = escaped = False
        for c in text:
            if escaped:
                escaped = False
            elif c == "\\":
                escaped = True
            elif c == '"':
                inside = not inside
            elif not inside and c in "[{":
                now += 1
                most = max(most, now)
            elif not inside and c in "]}":
                now -= 1
        return most

    for _ in range(500):
        text = "".join(generator.choice(list('[[[{]}"\\x,'), 40))
        if text.replace("\\\\", "").replace('\\"', "").count('"') % 2 == 0:  # an open string is no JSON anyway
            assert rest.count_nesting(text.encode()) == slow(text), text


def test_answers():
    """One output without a name, several as objects; rows are zipped; bytes by the suffix of their name."""
    x = np.array([3.5, 4.0, 5.5], np.float32)
    assert json.loads(rest.encode_response({"y": x}, rows=True)) == {"predictions": [3.5, 4.0, 5.5]}
    assert json.loads(rest.encode_response({"y": x}, rows=False)) == {"outputs": [3.5, 4.0, 5.5]}
    several = {"b": np.array([[1], [2]]), "a": np.array([True, False])}
    rows = [{"a": True, "b": [1]}, {"a": False, "b": [2]}]
    assert json.loads(rest.encode_response(several, rows=True)) == {"predictions": rows}
    assert json.loads(rest.encode_response(several, rows=False)) == {"outputs": {"a": [True, False], "b": [[1], [2]]}}
    text = np.array([b"a\xc3\xa4", b"\x00"], object)
    assert json.loads(rest.encode_response({"text": text}, rows=True)) == {"predictions": ["a\u00e4", "\x00"]}
    coded = [{"b64": base64.b64encode(value).decode()} for value in text]
    assert json.loads(rest.encode_response({"png_bytes": text}, rows=True)) == {"predictions": coded}
    assert json.loads(rest.encode_response({"y": np.float32(0.5).reshape(())}, rows=False)) == {"outputs": 0.5}
    for outputs in ({"y": x[0].reshape(())}, {"y": x, "z": x[:2]}):
        with pytest.raises(rest.RequestError, match="a row for each instance"):
            rest.encode_response(outputs, rows=True)
    with pytest.raises(rest.RequestError, match="finite"):
        rest.encode_response({"y": np.array([np.nan], np.float32)}, rows=True)


def test_float32_survives_and_is_short(generator):
    x = generator.standard_normal(1000).astype(np.float32)
    body = rest.encode_response({"x": x}, rows=True)
    np.testing.assert_array_equal(np.array(json.loads(body)["predictions"], np.float32), x)
    assert rest.encode_response({"x": np.float32([0.2, 3])}, rows=True) == b'{"predictions":[0.2,3.0]}'


# --- the app -----------------------------------------------------------------------------------------------------


def test_every_signature_in_both_formats(apps, calls):
    """The numbers and files are those of the SavedModel called from Python, bit for bit."""
    draw = np.random.default_rng(0)
    z, x = draw.standard_normal((4, 3)).astype(np.float32), draw.uniform(size=(4, *SHAPE)).astype(np.float32)
    drawn = {"n": np.int32(3), "seed": np.int32([5, -6]), "temperature": np.float32(0.5)}
    rows = {"decode": {"z": z}, "serving_default": {"z": z}, "encode": {"x": x}, "reconstruct": {"x": x}}
    rows |= {"decode_png": {"z": z}}
    whole = rows | {"sample": drawn, "sample_png": drawn, "elbo": {"x": x, "seed": drawn["seed"]}}
    for name in ("plain", "told"):
        told = {"condition": np.int32([0, 1, 2, -1])} if name == "told" else {}
        for signature, inputs in whole.items():
            inputs = inputs | ({"condition": np.int32([2])} if told and "n" in inputs else told)
            truth = {
                k: v.numpy()
                for k, v in calls[name][signature](**{k: tf.constant(v) for k, v in inputs.items()}).items()
            }
            asked = {"signature_name": signature, "inputs": {k: v.tolist() for k, v in inputs.items()}}
            status, found = post(apps[name], asked)
            assert status == 200, found
            compare(found["outputs"] if len(truth) > 1 else dict.fromkeys(truth, found["outputs"]), truth)
            if signature in rows:
                asked = {
                    "signature_name": signature,
                    "instances": [{k: v[i].tolist() for k, v in inputs.items()} for i in range(4)],
                }
                found = post(apps[name], asked)[1]["predictions"]
                compare({k: [row[k] if len(truth) > 1 else row for row in found] for k in truth}, truth)


def compare(found, truth):
    assert found.keys() == truth.keys()
    for key, value in truth.items():
        if value.dtype == object:
            assert [base64.b64decode(item["b64"]) for item in found[key]] == value.tolist()
            assert value[0].startswith(b"\x89PNG")
        else:
            np.testing.assert_array_equal(np.array(found[key], value.dtype), value)


def test_strings_both_ways(apps):
    coded = {"b64": base64.b64encode(b"\x00\xfe").decode()}
    status, found = post(apps["words"], {"signature_name": "echo", "instances": [coded, "b"]})
    assert (status, found["predictions"][1]) == (200, {"plain": "b", "same_bytes": {"b64": "Yg=="}})
    assert found["predictions"][0]["same_bytes"] == coded
    assert post(apps["words"], {"signature_name": "total", "inputs": [1, 2.5]}) == (200, {"outputs": 3.5})
    assert post(apps["words"], {"signature_name": "total", "instances": [1, 2.5]})[0] == 400  # no rows come out
    assert post(apps["words"], {"signature_name": "echo", "instances": [{"b64": "A"}]})[0] == 400
    assert post(apps["words"], {"signature_name": "echo", "instances": [{"b64": 3}]})[0] == 400


def get(app, path):
    answer = werkzeug.Client(app).get(path)
    assert answer.mimetype == "application/json"
    return answer.status_code, answer.data


def test_status_is_the_message_of_tensorflow_serving(apps):
    """Field by field, as documented; and the message itself reads it."""
    from google.protobuf import json_format
    from tensorflow_serving.apis import get_model_status_pb2

    code, body = get(apps["words"], "/v1/models/words")
    fine = {"error_code": "OK", "error_message": ""}
    assert json.loads(body) == {"model_version_status": [{"version": "7", "state": "AVAILABLE", "status": fine}]}
    message = json_format.Parse(body, get_model_status_pb2.GetModelStatusResponse())
    assert (code, message.model_version_status[0].version) == (200, 7)
    assert get(apps["words"], "/v1/models/words/versions/7") == (code, body)


def test_metadata_is_the_message_of_tensorflow_serving(apps, root):
    """Read back by the message, its signatures are those of the SavedModel; all fields are there, as documented."""
    from google.protobuf import json_format
    from tensorflow_serving.apis import get_model_metadata_pb2

    code, body = get(apps["told"], "/v1/models/told/metadata")
    found = json.loads(body)
    assert code == 200 and found.keys() == {"model_spec", "metadata"}
    assert found["model_spec"] == {"name": "told", "signature_name": "", "version": "1"}
    signatures = found["metadata"]["signature_def"]
    decode = signatures["signature_def"]["decode"]
    free = {"size": "-1", "name": ""}
    shape = {"dim": [free, {"size": "3", "name": ""}], "unknown_rank": False}
    assert decode["inputs"]["z"] == {"dtype": "DT_FLOAT", "tensor_shape": shape, "name": "decode_z:0"}
    assert decode["method_name"] == "tensorflow/serving/predict"
    message = json_format.ParseDict(signatures, get_model_metadata_pb2.SignatureDefMap())
    graph = savedmodel.parse_savedmodel(root / "told" / "1").meta_graphs[0]
    assert dict(message.signature_def) == dict(graph.signature_def)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/v1/models/other", 404),
        ("/v1/models/plain/versions/2", 404),
        ("/v1/models/plain/versions/1/metadata", 200),
        ("/v1/models/plain/versions/" + "9" * 5000, 404),
        ("/v1/models/plain/versions/one", 404),
        ("/v1/models/plain/labels/stable", 404),
        ("/v1/models/plain:predict", 405),
        ("/v1/models/plain:classify", 404),
        ("/v1/models", 404),
        ("/", 404),
        ("/v1/models/%00%ff", 404),
        ("/v1/models/../../etc/passwd", 404),
        ("/healthz", 200),
    ],
)
def test_places(apps, path, code):
    found, body = get(apps["plain"], path)
    assert found == code and isinstance(json.loads(body).get("error", ""), str)
    assert ("error" in json.loads(body)) == (code != 200)


def test_methods(apps):
    for method, path in (("POST", "/v1/models/plain"), ("PUT", "/v1/models/plain:predict"), ("DELETE", "/healthz")):
        answer = werkzeug.Client(apps["plain"]).open(path, method=method)
        assert answer.status_code == 405 and answer.headers["Allow"] and "error" in json.loads(answer.data)


def test_what_the_model_refuses(apps):
    """The sentences of the graph's own asserts, as 400."""
    drawn = {"n": 2, "seed": [1, 0], "temperature": 1.0}
    for signature, change, sentence in (
        ("sample", {"n": 10**9}, "at most 4096 images"),
        ("sample", {"n": 0}, "1 <= n <= 4096"),
        ("sample", {"n": -5}, "1 <= n <= 4096"),
        ("sample", {"temperature": -1}, "temperature >= 0"),
        ("sample", {"seed": [1, 2, 3]}, r"shape \[2\]"),
        ("sample", {"seed": [1, 2**31]}, "int32"),
        ("sample_png", {"n": 1e9}, "whole numbers"),
    ):
        status, found = post(apps["plain"], {"signature_name": signature, "inputs": drawn | change})
        assert status == 400 and re.search(sentence, found["error"]), found
    status, found = post(apps["told"], {"inputs": {"z": [[0, 0, 0]], "condition": [3]}})
    assert status == 400 and "labels in [-1, 2]" in found["error"]
    status, found = post(apps["plain"], {"signature_name": "encode", "instances": np.full((1, *SHAPE), 1.5).tolist()})
    assert status == 400 and "pixels x in [0, 1]" in found["error"]
    status, found = post(apps["plain"], {"signature_name": "decoed", "instances": [[0, 0, 0]]})
    assert status == 400 and "Did you mean 'decode'" in found["error"]


def test_bodies_that_are_not_read(apps):
    good = {"instances": [[0, 0, 0]]}
    assert post(apps["plain"], good, **{"Content-Encoding": "identity"})[0] == 200
    for coding in ("gzip", "deflate", "br", "gzip, identity"):
        assert post(apps["plain"], b"x", **{"Content-Encoding": coding})[0] == 415
    status, found = post(apps["plain"], b"[" * (rest.MAX_BODY + 1))
    assert status == 413 and str(rest.MAX_BODY) in found["error"]
    padded = json.dumps(good).encode() + b" " * (rest.MAX_BODY - len(json.dumps(good)))
    assert post(apps["plain"], padded)[0] == 200


def test_a_mistake_of_ours_is_a_500_without_its_traceback(apps, monkeypatch, caplog):
    def broken(*args, **inputs):
        raise RuntimeError("secret")

    monkeypatch.setattr(apps["plain"], "model", broken)
    with caplog.at_level(logging.CRITICAL + 1, "tfvae.serving"):
        status, found = post(apps["plain"], {"instances": [[0, 0, 0]]})
    assert status == 500 and "secret" not in found["error"] and "Traceback" not in found["error"]
    monkeypatch.setattr(apps["plain"], "model", lambda *args, **inputs: (_ for _ in ()).throw(MemoryError))
    assert post(apps["plain"], {"instances": [[0, 0, 0]]})[0] == 503


def test_a_model_without_a_manifest_is_limited_too(apps):
    assert apps["words"].most == signatures.MAX_IMAGES
    assert post(apps["words"], {"instances": [[0, 0]] * (signatures.MAX_IMAGES + 1)})[0] == 400


# --- over a socket -----------------------------------------------------------------------------------------------


def test_eight_threads_get_the_bytes_of_one(url):
    """240 requests of three kinds at once."""
    bodies = [json.dumps({"instances": [[i / 7, 0, 1]] * (1 + i % 3)}).encode() for i in range(20)]
    sampled = {"signature_name": "sample", "inputs": {"n": 5, "seed": [3, 4], "temperature": 1}}
    bodies.append(json.dumps(sampled).encode())
    bodies.append(json.dumps(sampled | {"signature_name": "sample_png"}).encode())

    def ask(body):
        with urllib.request.urlopen(f"{url}/v1/models/plain:predict", body, timeout=60) as answer:
            return answer.read()

    alone = [ask(body) for body in bodies]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, bodies * 11)) == alone * 11


def test_chunked_and_oversized_bodies(url):
    """A body without a length counts as well; far too large ones end the connection, and the server lives on."""
    place, path = url.removeprefix("http://"), "/v1/models/plain:predict"

    def ask(body, **options):
        link = http.client.HTTPConnection(place, timeout=60)
        try:
            link.request("POST", path, body, **options)
            return link.getresponse().status
        except (BrokenPipeError, ConnectionResetError):
            return "closed"
        finally:
            link.close()

    good = b'{"instances": [[0, 0, 0]]}'
    chunked = {"headers": {"Transfer-Encoding": "chunked"}, "encode_chunked": True}
    assert ask(iter([good[:9], good[9:]]), **chunked) == 200
    assert ask(iter([b"x" * 2**20] * 5), **chunked) == 413
    assert ask(b"x" * (rest.MAX_BODY + 1)) == 413
    assert ask(b"x" * 2**26) in (413, "closed")
    assert ask(good) == 200


def test_rest_client(url, calls, tmp_path, monkeypatch, capsys):
    """Status, metadata, sample and decode; the PNG files are those of the signatures."""
    client = client_of("rest_client")
    base = ["--url", url, "--model", "plain"]
    assert client.main(["status", *base]) == 0 and json.loads(capsys.readouterr().out)[0]["state"] == "AVAILABLE"
    assert client.main(["metadata", *base]) == 0 and "sample_png" in json.loads(capsys.readouterr().out)
    assert client.main(["sample", *base, "-n", "3", "--seed", "9", "-o", str(tmp_path / "a")]) == 0
    drawn = {"n": tf.constant(3), "seed": tf.constant([9, 0]), "temperature": tf.constant(1.0)}
    truth = calls["plain"]["sample_png"](**drawn)["png_bytes"].numpy().tolist()
    assert [(tmp_path / "a" / f"{i}.png").read_bytes() for i in range(3)] == truth
    z = tmp_path / "z.json"
    z.write_text("[[0.5, -1, 2]]")
    with open(z) as stream:
        monkeypatch.setattr(sys, "stdin", stream)
        assert client.main(["decode", *base, "--version", "1", "-o", str(tmp_path / "b")]) == 0
    decoded = calls["plain"]["decode_png"](z=tf.constant([[0.5, -1, 2]]))["png_bytes"].numpy()
    assert (tmp_path / "b" / "0.png").read_bytes() == decoded[0]
    images = np.array(client.Client(url, "plain").sample(3, seed=9), np.float32)
    np.testing.assert_array_equal(images, calls["plain"]["sample"](**drawn)["image"])
    capsys.readouterr()
    assert client.main(["sample", *base, "-n", "0", "-o", str(tmp_path / "c")]) == 1
    assert "400: Expected 1 <= n" in capsys.readouterr().err and not (tmp_path / "c").exists()
    assert client.main(["status", "--url", "http://127.0.0.1:1", "--model", "plain"]) == 1
    assert client.main(["status", "--url", url, "--model", "other"]) == 1


def test_the_rest_client_needs_only_the_standard_library():
    """Python without any installed package runs it."""
    asked = subprocess.run([sys.executable, "-I", "-S", CLIENTS / "rest_client.py", "--help"], capture_output=True)
    assert asked.returncode == 0 and b"--model" in asked.stdout


def test_grpc_client(calls):
    """A real gRPC server of TensorFlow Serving's service, whose answers are the SavedModel's."""
    grpc = pytest.importorskip("grpc")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    client, seen = client_of("grpc_client"), []

    class Service(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            seen.append(request)
            inputs = {k: tf.constant(tf.make_ndarray(v)) for k, v in request.inputs.items()}
            answer = predict_pb2.PredictResponse()
            for key, value in calls[request.model_spec.name][request.model_spec.signature_name](**inputs).items():
                answer.outputs[key].CopyFrom(tf.make_tensor_proto(value.numpy()))
            return answer

    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Service(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        request = client.sample_request("told", 3, seed=9, temperature=0.5, condition=[2], version=4)
        found = client.call(f"127.0.0.1:{port}", request)
        assert (seen[0].model_spec.version.value, seen[0].model_spec.signature_name) == (4, "sample_png")
        drawn = {"n": 3, "seed": [9, 0], "temperature": 0.5, "condition": [2]}
        truth = calls["told"]["sample_png"](**{key: tf.constant(value) for key, value in drawn.items()})["png_bytes"]
        assert found["png_bytes"].tolist() == truth.numpy().tolist()
        request = client.predict_request("plain", "decode", {"z": np.zeros((2000, 3), np.float32)})
        assert client.call(f"127.0.0.1:{port}", request)["image"].shape == (2000, *SHAPE)
    finally:
        server.stop(0)


def fnv1a(data):
    """The 64-bit hash of Fowler, Noll and Vo."""
    value = 14695981039346656037
    for byte in data:
        value = (value ^ byte) * 1099511628211 % 2**64
    return f"{value:016x}"


@pytest.mark.skipif(not (shutil.which("cc") and shutil.which("make")), reason="needs a C compiler and make")
@pytest.mark.slow
def test_c_client(root, calls, tmp_path):
    """Compiled as its Makefile says; decode and sample give the bytes that Python gets."""
    built = ["make", "-C", str(CLIENTS), f"TO={tmp_path}", f"PYTHON={sys.executable}", "CFLAGS=-Wall -Wextra -Werror"]
    subprocess.run(built, check=True, capture_output=True)

    def run(*words):
        return subprocess.run([tmp_path / "c_client", *map(str, words)], capture_output=True, text=True)

    z = (np.arange(15) * 37 % 101).astype(np.float32) / np.float32(50) - np.float32(1)
    drawn = {"n": tf.constant(5), "seed": tf.constant([7, 0]), "temperature": tf.constant(0.5)}
    for name, words, told in (("plain", [], {}), ("told", [2], {"condition": 2})):
        call = calls[name]
        each = {key: tf.fill([5], value) for key, value in told.items()}
        truth = {
            "decode": call["decode"](z=tf.constant(z.reshape(5, 3)), **each)["image"].numpy(),
            "sample": call["sample"](**drawn, **{k: v[:1] for k, v in each.items()})["image"].numpy(),
        }
        found = run(root / name / "1", 5, 7, 0.5, *words)
        assert found.returncode == 0, found.stderr
        for line, (signature, image) in zip(found.stdout.splitlines(), truth.items(), strict=True):
            words = line.split()
            assert words[:5] == [signature, "5", "8", "8", "1"]
            shown = [float(word) for word in words[6:12:2]]
            # nine digits are all of a float32; its mean is of doubles, NumPy's of float32
            np.testing.assert_allclose(shown, [image.min(), image.mean(), image.max()], rtol=1e-6)
            assert words[-1] == fnv1a(image.tobytes())
    assert "needs one" in run(root / "told" / "1").stderr and run(root / "told" / "1").returncode == 1
    assert run(root / "nothing").returncode == 1


def test_the_live_model_and_the_server_agree(url, root):
    """`tfvae.export.loading` and the REST client draw the same images."""
    images = client_of("rest_client").Client(url, "plain").sample(4, seed=2)
    np.testing.assert_array_equal(np.array(images, np.float32), load.load(root / "plain").sample(4, 2))


# --- the verb ----------------------------------------------------------------------------------------------------


def test_wrong_usage(root, tmp_path, monkeypatch, capsys):
    """One line and the exit code of the fault, before anything listens."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with serving_verbs.open_listener("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        for words, code, text in (
            ([tmp_path], 2, "run folder or a SavedModel"),
            ([root / "plain", "--name", "a/b"], 2, "--name"),
            ([root / "plain", "--port", "70000"], 2, "65535"),
            ([root / "plain", "--backend", "tensorflow_model_server"], 2, "on the PATH"),
            ([root / "plain", "--backend", "flask"], 2, "flask"),
            ([root / "plain", "--port", port], 2, "free port"),
            ([root / "plain", "--host", "not.a.host.invalid"], 2, "--host"),
            ([root / "words"], 5, "--trust"),
        ):
            assert main(["serve", *map(str, words)]) == code
            error = capsys.readouterr().err.strip().splitlines()
            assert len(error) == 1 and text in error[0], error
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "waitress" else find(name))
    assert main(["serve", str(root / "plain")]) == 2
    assert "pip install tfvae[serve]" in capsys.readouterr().err


STAND_IN = """#!/bin/sh
echo "$@" > "$NOTE"
for flag; do case $flag in --model_base_path=*) ls "${flag#*=}" >> "$NOTE"; esac; done
exit 3
"""


def test_tensorflow_serving_is_started_where_it_is(root, tmp_path, monkeypatch):
    """A stand-in that notes its flags: what it watches holds the version; its exit code is ours."""
    binary = tmp_path / "tensorflow_model_server"
    binary.write_text(STAND_IN)
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTE", str(tmp_path / "note"))
    monkeypatch.setattr(index, "find_entry_savedmodel", lambda name: root / "plain")
    for place, name in ((root / "plain", "plain"), (root / "plain" / "1", "plain"), ("zoo:digits", "digits")):
        assert main(["serve", str(place), "--port", "8123"]) == 3
        flags, *versions = (tmp_path / "note").read_text().splitlines()
        assert versions == ["1"] and flags.startswith(f"--rest_api_port=8123 --port=0 --model_name={name} ")
        base, whole = pathlib.Path(flags.partition("--model_base_path=")[2]), place == root / "plain"
        assert (base == (root / "plain").resolve()) == whole
        assert base.exists() == whole  # what was made for it is gone


@contextlib.contextmanager
def serving(*words, **options):
    """A process of ``tfvae serve`` that answers: process, the request that it suggests, its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tfvae", "serve", *map(str, words), "--port", "0", "--backend", "python"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip
    with process:
        try:
            suggested, address = process.stdout.readline(), process.stdout.readline()
            assert address.startswith("serving"), process.communicate()
            yield process, suggested, re.search(r"http://[\w.:]+", address)[0]
        finally:
            process.kill()


@pytest.mark.slow
def test_a_run_is_served(tmp_path):
    """Exported, loaded, asked by the line that it prints; SIGTERM ends it with 143 and leaves nothing behind."""
    settings = dict(dataset="digits", arch="mlp:widths=8,latent=2", condition="labels", limit=200, epochs=1, xla="off")
    run = trainer.train(run_dir=str(tmp_path / "run"), root=str(tmp_path), **settings).path
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with serving(run, env=os.environ | {"TMPDIR": str(scratch)}) as (process, suggested, url):
        words = shlex.split(suggested.removeprefix("try:"))
        assert words[:2] == ["curl", "-d"] and words[3] == f"{url}/v1/models/model:predict"
        with urllib.request.urlopen(words[3], words[2].encode(), timeout=60) as answer:
            assert np.array(json.load(answer)["outputs"]).shape == (4, 8, 8, 1)
        assert any(path.name.startswith("tfvae-serve") for path in scratch.iterdir())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert process.stderr.read() == ""
    assert not any(path.name.startswith("tfvae-serve") for path in scratch.iterdir())


# --- the configurations ------------------------------------------------------------------------------------------


def test_models_config_is_a_message_of_tensorflow_serving():
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    text = (SERVING / "models.config").read_text()
    found = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert [config.name for config in found] == ["decoder", "digits"]
    assert dict(found[0].version_labels) == {"stable": 1, "canary": 2}
    assert set(found[0].model_version_policy.specific.versions) == {1, 2}


def test_compose_names_files_that_are_there():
    text = (SERVING / "docker-compose.yml").read_text()
    for name in re.findall(r"\./([\w.]+):/etc|/config/([\w.]+)", text):
        assert (SERVING / "".join(name)).is_file()


# --- ten thousand requests ---------------------------------------------------------------------------------------

BAD = {
    "shape": (b'{"instances": [[1, 2]]}', {}),
    "nan": (b'{"instances": [[1, 2, NaN]]}', {}),
    "n": (b'{"signature_name": "sample", "inputs": {"n": 1000000000, "seed": [1, 0], "temperature": 1}}', {}),
    "deep": (b'{"instances": ' + b"[" * 100_000, {}),
    "huge": (b'{"instances": ' + b"[" * rest.MAX_BODY, {}),
    "bomb": (b"\x1f\x8b" + b"\0" * 10_000, {"Content-Encoding": "gzip"}),
}


def ask_many(place, requests, threads=4):
    """-> [(kind, status, seconds)] of [(kind, body, headers)], from so many threads with a connection each."""

    def work(part):
        link, found = http.client.HTTPConnection(place, timeout=60), []
        for kind, body, headers in part:
            begin = time.perf_counter()
            link.request("POST", "/v1/models/plain:predict", body, headers)
            answer = link.getresponse()
            answer.read()
            found.append((kind, answer.status, time.perf_counter() - begin))
        link.close()
        return found

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, [requests[i::threads] for i in range(threads)]), [])


@pytest.mark.slow
def test_ten_thousand_requests_a_fifth_of_them_bad(root):
    """No crash, good ones 200, bad ones 4xx. The 99th percentiles are printed, not judged: the machine may be busy."""
    draw = np.random.default_rng(0)

    def good():
        z = draw.standard_normal((draw.integers(1, 5), 3)).round(4).tolist()
        return "good", json.dumps({"instances": z}).encode(), {}

    kinds = list(BAD)
    mixed = [(kind, *BAD[kind]) if draw.random() < 0.2 else good() for kind in draw.choice(kinds, 10_000)]
    with serving(root / "plain") as (process, _, url):
        place = url.removeprefix("http://")
        ask_many(place, [good() for _ in range(500)])
        clean = ask_many(place, [good() for _ in range(8_000)])
        found = ask_many(place, mixed)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert {status for kind, status, _ in clean + found if kind == "good"} == {200}
    codes = {kind: {status for name, status, _ in found if name == kind} for kind in BAD}
    assert codes == {"shape": {400}, "nan": {400}, "n": {400}, "deep": {400}, "huge": {413}, "bomb": {415}}
    assert len(found) == 10_000 and 0.18 < np.mean([kind != "good" for kind, _, _ in found]) < 0.22
    before, after = (1e3 * np.percentile([s for kind, _, s in part if kind == "good"], 99) for part in (clean, found))
    print(f"\np99 of good requests: {before:.2f} ms clean, {after:.2f} ms mixed, ratio {after / before:.2f}")
