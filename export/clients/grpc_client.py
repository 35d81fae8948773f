"""Ask a model behind TensorFlow Serving's gRPC API for samples, and save them as PNG files.

pip install grpcio tensorflow-serving-api
python grpc_client.py --model my_decoder -n 16 --seed 1 -o samples
"""

import argparse
import importlib
import pathlib
import sys

PREDICT = "tensorflow_serving.apis.predict_pb2"
PACKAGES = {"grpc": "grpcio", PREDICT: "tensorflow-serving-api", "tensorflow": "tensorflow"}
MAX_BYTES = 256 * 2**20  # of an answer; gRPC's own limit is 4 MiB, 1,300 images of 28x28


def needed(module):
    """A module, or a way to get it."""
    try:
        return importlib.import_module(module)
    except ImportError:
        sys.exit(f"This client needs {PACKAGES[module]}: pip install {' '.join(PACKAGES.values())}")


def predict_request(model, signature, inputs, dtypes=None, version=None):
    """A PredictRequest.

    Args:
        inputs: {name: value}.
        dtypes: {name: NumPy dtype}; of others it is whatever TensorFlow makes of the value.
        version: None is the newest.
    """
    tf, predict = needed("tensorflow"), needed(PREDICT)
    request = predict.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value, (dtypes or {}).get(name)))
    return request


def sample_request(model, n, seed=0, temperature=1.0, condition=None, signature="sample_png", version=None):
    """The request for n samples; `condition` is [label], int32, or [beta or kappa], float32."""
    inputs = {"n": n, "seed": [seed, 0], "temperature": temperature}
    inputs |= {} if condition is None else {"condition": condition}
    return predict_request(model, signature, inputs, {"n": "int32", "seed": "int32", "temperature": "float32"}, version)


def call(address, request, timeout=60.0):
    """{output: array} of a request to HOST:PORT."""
    grpc, tf = needed("grpc"), needed("tensorflow")
    service = importlib.import_module("tensorflow_serving.apis.prediction_service_pb2_grpc")
    with grpc.insecure_channel(address, [("grpc.max_receive_message_length", MAX_BYTES)]) as channel:
        answer = service.PredictionServiceStub(channel).Predict(request, timeout=timeout)
    return {name: tf.make_ndarray(value) for name, value in answer.outputs.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--address", default="localhost:8500")
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", type=int)
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=1.0)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--label", type=int, help="of a model that is told labels")
    group.add_argument("--value", type=float, help="beta or kappa of a model that is told one")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("images"), help="folder")
    args = parser.parse_args()

    told = next(([value] for value in (args.label, args.value) if value is not None), None)
    request = sample_request(args.model, args.n, args.seed, args.temperature, told, version=args.version)
    try:
        files = call(args.address, request)["png_bytes"]
    except needed("grpc").RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    args.output.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(files):
        (args.output / f"{i}.png").write_bytes(data)
        print(args.output / f"{i}.png")


if __name__ == "__main__":
    main()
