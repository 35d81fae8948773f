"""TensorFlow Serving's REST formats field by field, without a model: requests, answers, and what is refused."""

# ruff: noqa: E402
import base64
import json

import numpy as np
import pytest

for package in ("orjson", "waitress", "werkzeug"):
    pytest.importorskip(package, reason="needs tfvae[serve]")

from tfvae.serving import rest_requests, rest_responses

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


def tensors_of(body, signature, most=4096):
    return rest_requests.parse_tensors(rest_requests.parse_request(body), signature, most)


@pytest.mark.parametrize("body", [ROWS, COLUMNS], ids=["rows", "columns"])
def test_the_documented_request(body):
    result = tensors_of(body, NAMED)
    assert result["tag"].tolist() == [b"foo", b"bar"]
    np.testing.assert_array_equal(result["signal"], np.array([[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]], np.int32), strict=True)
    sensor = np.array([[[1, 2], [3, 4]], [[4, 5], [6, 8]]], np.float32)
    np.testing.assert_array_equal(result["sensor"], sensor, strict=True)


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
        rest_requests.parse_request(b'{"inputs": 1}').signature
        == rest_requests.parse_request(b'{"inputs": 1, "signature_name": ""}').signature
    )
    assert rest_requests.parse_request(b'{"inputs": 1}').signature == "serving_default"
    assert rest_requests.parse_request(b'{"signature_name": "a", "instances": [1]}') == rest_requests.PredictRequest(
        "a", True, [1]
    )


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
    with pytest.raises(rest_requests.RequestError, match=REFUSED[body]) as result:
        tensors_of(body, ONE, most=16)
    assert result.value.status == 400 and len(str(result.value)) < 300


@pytest.mark.parametrize(
    ("dtype", "value"), [("int32", 2**31), ("int32", 1.0), ("int32", True), ("uint8", -1), ("bool", 1)]
)
def test_whole_numbers_and_flags_are_exact(dtype, value):
    spec = {"inputs": {"n": {"dtype": dtype, "shape": []}}, "outputs": {}}
    with pytest.raises(rest_requests.RequestError, match="Expected n"):
        tensors_of(json.dumps({"inputs": {"n": value}}).encode(), spec, most=2**40)


def test_longer_answers_mean_fewer_images():
    """Not more than MAX_NUMBERS in one answer, by rows and by n."""
    most = rest_requests.MAX_NUMBERS // (64 * 64 * 3)
    big = {"image": {"dtype": "float32", "shape": [None, 64, 64, 3]}}
    drawn = {"inputs": {"n": {"dtype": "int32", "shape": []}}, "outputs": big}
    assert tensors_of(json.dumps({"inputs": {"n": most}}).encode(), drawn)["n"] == most
    rows = {"inputs": {"z": {"dtype": "float32", "shape": [None, 1]}}, "outputs": big}
    for body, signature in (({"inputs": {"n": most + 1}}, drawn), ({"instances": [[0]] * (most + 1)}, rows)):
        with pytest.raises(rest_requests.RequestError, match=f"at most {most} images"):
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
            assert rest_requests.count_nesting(text.encode()) == slow(text), text


def test_answers():
    """One output without a name, several as objects; rows are zipped; bytes by the suffix of their name."""
    x = np.array([3.5, 4.0, 5.5], np.float32)
    assert json.loads(rest_responses.encode_response({"y": x}, by_rows=True)) == {"predictions": [3.5, 4.0, 5.5]}
    assert json.loads(rest_responses.encode_response({"y": x}, by_rows=False)) == {"outputs": [3.5, 4.0, 5.5]}
    several = {"b": np.array([[1], [2]]), "a": np.array([True, False])}
    rows = [{"a": True, "b": [1]}, {"a": False, "b": [2]}]
    assert json.loads(rest_responses.encode_response(several, by_rows=True)) == {"predictions": rows}
    assert json.loads(rest_responses.encode_response(several, by_rows=False)) == {
        "outputs": {"a": [True, False], "b": [[1], [2]]}
    }
    text = np.array([b"a\xc3\xa4", b"\x00"], object)
    assert json.loads(rest_responses.encode_response({"text": text}, by_rows=True)) == {
        "predictions": ["a\u00e4", "\x00"]
    }
    coded = [{"b64": base64.b64encode(value).decode()} for value in text]
    assert json.loads(rest_responses.encode_response({"png_bytes": text}, by_rows=True)) == {"predictions": coded}
    assert json.loads(rest_responses.encode_response({"y": np.float32(0.5).reshape(())}, by_rows=False)) == {
        "outputs": 0.5
    }
    for outputs in ({"y": x[0].reshape(())}, {"y": x, "z": x[:2]}):
        with pytest.raises(rest_requests.RequestError, match="a row for each instance"):
            rest_responses.encode_response(outputs, by_rows=True)
    with pytest.raises(rest_requests.RequestError, match="finite"):
        rest_responses.encode_response({"y": np.array([np.nan], np.float32)}, by_rows=True)


def test_float32_survives_and_is_short(generator):
    x = generator.standard_normal(1000).astype(np.float32)
    body = rest_responses.encode_response({"x": x}, by_rows=True)
    np.testing.assert_array_equal(np.array(json.loads(body)["predictions"], np.float32), x)
    assert rest_responses.encode_response({"x": np.float32([0.2, 3])}, by_rows=True) == b'{"predictions":[0.2,3.0]}'
