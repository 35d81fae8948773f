"""The server: its answers are the SavedModel's, each error is a 4xx in JSON, and it lives on."""

# ruff: noqa: E402
import base64
import concurrent.futures
import http.client
import json
import logging
import re
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from tfvae.exporting import savedmodel

for package in ("orjson", "waitress", "werkzeug"):
    pytest.importorskip(package, reason="needs tfvae[serve]")

from werkzeug.test import Client

from tfvae.exporting import signatures
from tfvae.serving import rest_requests

SHAPE, MLP = (8, 8, 1), "mlp:widths=12,latent=3"


def post(app, body, path=":predict", **headers):
    """-> status, JSON of a POST to the model."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = Client(app).post(f"/v1/models/{app.name}{path}", data=body, headers=headers)
    assert answer.mimetype == "application/json"
    return answer.status_code, json.loads(answer.data)


def test_every_signature_in_both_formats(apps, calls):
    """The numbers and files are those of the SavedModel called from Python, bit for bit."""
    draw = np.random.default_rng(0)
    z, x = draw.standard_normal((4, 3)).astype(np.float32), draw.uniform(size=(4, *SHAPE)).astype(np.float32)
    drawn = {"n": np.int32(3), "seed": np.int32([5, -6]), "temperature": np.float32(0.5)}
    rows = {"decode": {"z": z}, "serving_default": {"z": z}, "encode": {"x": x}, "reconstruct": {"x": x}}
    rows |= {"decode_png": {"z": z}}
    whole = rows | {"sample": drawn, "sample_png": drawn, "elbo": {"x": x, "seed": drawn["seed"]}}
    whole["score"] = whole["elbo"]
    for name in ("plain", "told"):
        told = {"condition": np.int32([0, 1, 2, -1])} if name == "told" else {}
        for signature, inputs in whole.items():
            inputs = inputs | ({"condition": np.int32([2])} if told and "n" in inputs else told)
            truth = {
                k: v.numpy()
                for k, v in calls[name][signature](**{k: tf.constant(v) for k, v in inputs.items()}).items()
            }
            request = {"signature_name": signature, "inputs": {k: v.tolist() for k, v in inputs.items()}}
            status, answer = post(apps[name], request)
            assert status == 200, answer
            compare(answer["outputs"] if len(truth) > 1 else dict.fromkeys(truth, answer["outputs"]), truth)
            if signature in rows:
                request = {
                    "signature_name": signature,
                    "instances": [{k: v[i].tolist() for k, v in inputs.items()} for i in range(4)],
                }
                answer = post(apps[name], request)[1]["predictions"]
                compare({k: [row[k] if len(truth) > 1 else row for row in answer] for k in truth}, truth)


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
    status, answer = post(apps["words"], {"signature_name": "echo", "instances": [coded, "b"]})
    assert (status, answer["predictions"][1]) == (200, {"plain": "b", "same_bytes": {"b64": "Yg=="}})
    assert answer["predictions"][0]["same_bytes"] == coded
    assert post(apps["words"], {"signature_name": "total", "inputs": [1, 2.5]}) == (200, {"outputs": 3.5})
    assert post(apps["words"], {"signature_name": "total", "instances": [1, 2.5]})[0] == 400  # no rows come out
    assert post(apps["words"], {"signature_name": "echo", "instances": [{"b64": "A"}]})[0] == 400
    assert post(apps["words"], {"signature_name": "echo", "instances": [{"b64": 3}]})[0] == 400


def get(app, path):
    answer = Client(app).get(path)
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
    answer = json.loads(body)
    assert code == 200 and answer.keys() == {"model_spec", "metadata"}
    assert answer["model_spec"] == {"name": "told", "signature_name": "", "version": "1"}
    signatures = answer["metadata"]["signature_def"]
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
    answer, body = get(apps["plain"], path)
    assert answer == code and isinstance(json.loads(body).get("error", ""), str)
    assert ("error" in json.loads(body)) == (code != 200)


def test_methods(apps):
    for method, path in (("POST", "/v1/models/plain"), ("PUT", "/v1/models/plain:predict"), ("DELETE", "/healthz")):
        answer = Client(apps["plain"]).open(path, method=method)
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
        status, answer = post(apps["plain"], {"signature_name": signature, "inputs": drawn | change})
        assert status == 400 and re.search(sentence, answer["error"]), answer
    status, answer = post(apps["told"], {"inputs": {"z": [[0, 0, 0]], "condition": [3]}})
    assert status == 400 and "labels in [-1, 2]" in answer["error"]
    status, answer = post(apps["plain"], {"signature_name": "encode", "instances": np.full((1, *SHAPE), 1.5).tolist()})
    assert status == 400 and "pixels x in [0, 1]" in answer["error"]
    status, answer = post(apps["plain"], {"signature_name": "decoed", "instances": [[0, 0, 0]]})
    assert status == 400 and "Did you mean 'decode'" in answer["error"]


def test_bodies_that_are_not_read(apps):
    good = {"instances": [[0, 0, 0]]}
    assert post(apps["plain"], good, **{"Content-Encoding": "identity"})[0] == 200
    for coding in ("gzip", "deflate", "br", "gzip, identity"):
        assert post(apps["plain"], b"x", **{"Content-Encoding": coding})[0] == 415
    status, answer = post(apps["plain"], b"[" * (rest_requests.MAX_BODY + 1))
    assert status == 413 and str(rest_requests.MAX_BODY) in answer["error"]
    padded = json.dumps(good).encode() + b" " * (rest_requests.MAX_BODY - len(json.dumps(good)))
    assert post(apps["plain"], padded)[0] == 200


def test_a_mistake_of_ours_is_a_500_without_its_traceback(apps, monkeypatch, caplog):
    def broken(*args, **inputs):
        raise RuntimeError("secret")

    monkeypatch.setattr(apps["plain"], "model", broken)
    with caplog.at_level(logging.CRITICAL + 1, "tfvae.serving"):
        status, answer = post(apps["plain"], {"instances": [[0, 0, 0]]})
    assert status == 500 and "secret" not in answer["error"] and "Traceback" not in answer["error"]
    monkeypatch.setattr(apps["plain"], "model", lambda *args, **inputs: (_ for _ in ()).throw(MemoryError))
    assert post(apps["plain"], {"instances": [[0, 0, 0]]})[0] == 503


def test_a_model_without_a_manifest_is_limited_too(apps):
    assert apps["words"].max_images == signatures.MAX_IMAGES
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
    """A body without a length counts as well; each client hears why, and the server lives on."""
    place, path = url.removeprefix("http://"), "/v1/models/plain:predict"

    def ask(body, **options):
        link = http.client.HTTPConnection(place, timeout=60)
        try:
            link.request("POST", path, body, **options)
            return link.getresponse().status
        finally:
            link.close()

    good = b'{"instances": [[0, 0, 0]]}'
    chunked = {"headers": {"Transfer-Encoding": "chunked"}, "encode_chunked": True}
    assert ask(iter([good[:9], good[9:]]), **chunked) == 200
    assert ask(iter([b"x" * 2**20] * 5), **chunked) == 413
    assert ask(b"x" * (rest_requests.MAX_BODY + 1)) == 413
    assert ask(b"x" * 2**26) == 413
    assert ask(good) == 200
