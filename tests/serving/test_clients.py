"""Clients and configurations of export/: REST, gRPC and C clients get the numbers that Python gets."""

# ruff: noqa: E402
import concurrent.futures
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

for package in ("orjson", "waitress", "werkzeug"):
    pytest.importorskip(package, reason="needs tfvae[serve]")

from tfvae.zoo import load

CLIENTS = pathlib.Path(__file__).parents[2] / "export" / "clients"
SERVING = CLIENTS.parent / "serving"
SHAPE, MLP = (8, 8, 1), "mlp:widths=12,latent=3"


def load_client(name):
    """A client as a module, though it is no package's."""
    spec = importlib.util.spec_from_file_location(name, CLIENTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_rest_client(url, calls, tmp_path, monkeypatch, capsys):
    """Status, metadata, sample and decode; the PNG files are those of the signatures."""
    client = load_client("rest_client")
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
    process = subprocess.run([sys.executable, "-I", "-S", CLIENTS / "rest_client.py", "--help"], capture_output=True)
    assert process.returncode == 0 and b"--model" in process.stdout


def test_grpc_client(calls):
    """A real gRPC server of TensorFlow Serving's service, whose answers are the SavedModel's."""
    grpc = pytest.importorskip("grpc")
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    client, seen = load_client("grpc_client"), []

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
        request = client.make_sample_request("told", 3, seed=9, temperature=0.5, condition=[2], version=4)
        result = client.call(f"127.0.0.1:{port}", request)
        assert (seen[0].model_spec.version.value, seen[0].model_spec.signature_name) == (4, "sample_png")
        drawn = {"n": 3, "seed": [9, 0], "temperature": 0.5, "condition": [2]}
        truth = calls["told"]["sample_png"](**{key: tf.constant(value) for key, value in drawn.items()})["png_bytes"]
        assert result["png_bytes"].tolist() == truth.numpy().tolist()
        request = client.make_predict_request("plain", "decode", {"z": np.zeros((2000, 3), np.float32)})
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
        result = run(root / name / "1", 5, 7, 0.5, *words)
        assert result.returncode == 0, result.stderr
        for line, (signature, image) in zip(result.stdout.splitlines(), truth.items(), strict=True):
            words = line.split()
            assert words[:5] == [signature, "5", "8", "8", "1"]
            numbers = [float(word) for word in words[6:12:2]]
            # nine digits are all of a float32; its mean is of doubles, NumPy's of float32
            np.testing.assert_allclose(numbers, [image.min(), image.mean(), image.max()], rtol=1e-6)
            assert words[-1] == fnv1a(image.tobytes())
    assert "needs one" in run(root / "told" / "1").stderr and run(root / "told" / "1").returncode == 1
    assert run(root / "nothing").returncode == 1


def test_the_live_model_and_the_server_agree(url, root):
    """`tfvae.exporting.loading` and the REST client draw the same images."""
    images = load_client("rest_client").Client(url, "plain").sample(4, seed=2)
    np.testing.assert_array_equal(np.array(images, np.float32), load.load(root / "plain").sample(4, 2))


# --- the configurations ------------------------------------------------------------------------------------------


def test_models_config_is_a_message_of_tensorflow_serving():
    from google.protobuf import text_format
    from tensorflow_serving.config import model_server_config_pb2

    text = (SERVING / "models.config").read_text()
    result = text_format.Parse(text, model_server_config_pb2.ModelServerConfig()).model_config_list.config
    assert [config.name for config in result] == ["decoder", "digits"]
    assert dict(result[0].version_labels) == {"stable": 1, "canary": 2}
    assert set(result[0].model_version_policy.specific.versions) == {1, 2}


def test_compose_names_files_that_are_there():
    text = (SERVING / "docker-compose.yml").read_text()
    for name in re.findall(r"\./([\w.]+):/etc|/config/([\w.]+)", text):
        assert (SERVING / "".join(name)).is_file()
