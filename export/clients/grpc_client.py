"""Request samples from a model behind TensorFlow Serving's gRPC API, and save them as PNG files.

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


def import_or_exit(module):
    """Import a module and return it; without it the program ends and names the package."""
    try:
        return importlib.import_module(module)
    except ImportError:
        sys.exit(f"This client needs {PACKAGES[module]}: pip install {' '.join(PACKAGES.values())}")


def make_predict_request(model, signature, inputs, dtypes=None, version=None):
    """Return a PredictRequest.

    Args:
        inputs: {name: value}.
        dtypes: {name: NumPy dtype}; TensorFlow chooses that of other inputs.
        version: None is the newest.
    """
    tf, predict = import_or_exit("tensorflow"), import_or_exit(PREDICT)
    request = predict.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value, (dtypes or {}).get(name)))
    return request


def make_sample_request(model, n, seed=0, temperature=1.0, condition=None, signature="sample_png", version=None):
    """Return the request for n samples; `condition` is [label], int32, or [beta or kappa], float32."""
    inputs = {"n": n, "seed": [seed, 0], "temperature": temperature}
    inputs |= {} if condition is None else {"condition": condition}
    return make_predict_request(
        model, signature, inputs, {"n": "int32", "seed": "int32", "temperature": "float32"}, version
    )


def call(address, request, timeout=60.0):
    """Send a request to HOST:PORT; return {output: array}."""
    grpc, tf = import_or_exit("grpc"), import_or_exit("tensorflow")
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
    group.add_argument("--label", type=int, help="of a model with the condition labels")
    group.add_argument("--value", type=float, help="beta or kappa, of a model with that condition")
    parser.add_argument("-o", "--output", type=pathlib.Path, default=pathlib.Path("images"), help="folder")
    args = parser.parse_args()

    condition = next(([value] for value in (args.label, args.value) if value is not None), None)
    request = make_sample_request(args.model, args.n, args.seed, args.temperature, condition, version=args.version)
    try:
        files = call(args.address, request)["png_bytes"]
    except import_or_exit("grpc").RpcError as error:
        sys.exit(f"{error.code().name}: {error.details()}")
    args.output.mkdir(parents=True, exist_ok=True)
    for i, data in enumerate(files):
        (args.output / f"{i}.png").write_bytes(data)
        print(args.output / f"{i}.png")


if __name__ == "__main__":
    main()
