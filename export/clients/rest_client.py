"""Send requests to a model behind TensorFlow Serving's REST API (or `tfvae serve`). The standard library only.

python rest_client.py --model my_decoder status
python rest_client.py --model my_decoder sample -n 16 --seed 1 -o samples    # samples/0.png, 1.png, ...
echo '[[0.1, -1.2, ...], ...]' | python rest_client.py --model my_decoder decode -o decoded
"""

import argparse
import base64
import json
import pathlib
import sys
import urllib.error
import urllib.request


class ServerError(Exception):
    """The server's answer was an error: `status` and its message."""

    def __init__(self, status, text):
        super().__init__(f"{status}: {text}")
        self.status = status


class Client:
    """One model at one server, such as http://localhost:8501; `version` None is the newest."""

    def __init__(self, url, model, version=None, timeout=60.0):
        self.url = f"{url.rstrip('/')}/v1/models/{model}" + (f"/versions/{version}" if version else "")
        self.timeout = timeout

    def request(self, path="", content=None):
        """Send a GET, or a POST of `content`; return the JSON of the answer."""
        body = None if content is None else json.dumps(content, allow_nan=False).encode()
        request = urllib.request.Request(self.url + path, body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=self.timeout) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            text = error.read().decode(errors="replace")
            try:
                text = json.loads(text)["error"]
            except (ValueError, KeyError, TypeError):
                pass  # a proxy's own page
            raise ServerError(error.code, text) from None

    def status(self):
        """Return [{version, state, status}]."""
        return self.request()["model_version_status"]

    def metadata(self):
        """Return {signature: {inputs, outputs}}."""
        return self.request("/metadata")["metadata"]["signature_def"]["signature_def"]

    def call(self, signature, **inputs):
        """Call a signature; return its outputs by columns. One output alone comes without its name."""
        return self.request(":predict", {"signature_name": signature, "inputs": inputs})["outputs"]

    def decode(self, z, signature="decode", **condition):
        """Decode codes [n][L]; return images [n][H][W][C], with decode_png the bytes of n PNG files."""
        return decode_base64(self.call(signature, z=z, **condition))

    def sample(self, n, seed=0, temperature=1.0, signature="sample", **condition):
        """Draw n images from the prior; return [n][H][W][C], with sample_png the bytes of n PNG files."""
        return decode_base64(self.call(signature, n=n, seed=[seed, 0], temperature=temperature, **condition))


def decode_base64(values):
    """Return values with {"b64": ...} as bytes."""
    return [base64.b64decode(value["b64"]) if isinstance(value, dict) else value for value in values]


def save_files(files, folder):
    """Write PNG files as folder/0.png, 1.png, ...; return their paths."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{i}.png" for i in range(len(files))]
    for path, data in zip(paths, files):
        path.write_bytes(data)
    return paths


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("action", choices=("status", "metadata", "sample", "decode"))
    parser.add_argument("--url", default="http://localhost:8501")
    parser.add_argument("--model", required=True)
    parser.add_argument("--version", type=int)
    parser.add_argument("-n", type=int, default=16)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--condition", type=json.loads, metavar="JSON", help="label, beta or kappa of all images")
    parser.add_argument("-o", "--output", default="images", help="the folder of the PNG files")
    args = parser.parse_args(argv)
    client = Client(args.url, args.model, args.version)
    try:
        if args.action in ("status", "metadata"):
            print(json.dumps(getattr(client, args.action)(), indent=1))
            return 0
        if args.action == "sample":
            condition = {} if args.condition is None else {"condition": [args.condition]}
            files = client.sample(args.n, args.seed, args.temperature, "sample_png", **condition)
        else:
            z = json.load(sys.stdin)
            condition = {} if args.condition is None else {"condition": [args.condition] * len(z)}
            files = client.decode(z, "decode_png", **condition)
    except (ServerError, OSError) as error:  # OSError: no server there
        print(error, file=sys.stderr)
        return 1
    for path in save_files(files, args.output):
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
