"""The verb serve: TensorFlow Serving where it is installed, else the server of `tfvae.serving.http_server`."""

import gc
import importlib.util
import json
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile

from tfvae.errors import UsageError
from tfvae.export import loading, savedmodel
from tfvae.runtime.environment import import_tensorflow
from tfvae.zoo import index, resolve

BINARY = "tensorflow_model_server"
PACKAGES = ("werkzeug", "waitress", "orjson")
THREADS = 4  # TensorFlow uses all cores for each of them


def serve(args):
    """``tfvae serve RUN|SAVEDMODEL|zoo:NAME``."""
    place, is_run, name = resolve_target(args)
    check_port(args.port)
    binary = find_binary(args.backend)
    with tempfile.TemporaryDirectory(prefix="tfvae-serve-") as scratch, StopSignals() as stop:
        base = pathlib.Path(scratch) / name
        import_tensorflow()
        place = prepare_savedmodel(place, is_run, base, args.trust)
        if binary:
            run_tensorflow_serving(binary, make_base_folder(place, args.run, base), name, args.port)
        else:
            run_own_server(place, name, args.host, args.port)
    return stop.code


def resolve_target(args):
    """What is asked for: (its folder, whether it is a run, its name in URLs)."""
    place = resolve.resolve_model_folder(args.run)
    is_run = savedmodel.find_savedmodel(place) != place
    name = args.name or ("model" if is_run else derive_model_name(args.run, place))
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise UsageError(f"Expected a name of letters, digits, '_', '-' and '.'. Received: {name!r}. Use --name.")
    return place, is_run, name


def check_port(port):
    if port > 65535:
        raise UsageError(f"Expected --port up to 65535. Received: {port}.")


def prepare_savedmodel(place, is_run, base, trust):
    """The folder of a SavedModel that may be loaded: a run is exported below `base`, another is checked."""
    if is_run:
        from tfvae.export.exporter import export_run

        return export_run(place, base, say=lambda line: print(line, file=sys.stderr))
    if not trust:
        loading.check_trusted(place)
    return place


def derive_model_name(given, folder):
    """The name of a zoo entry, or of a SavedModel's folder; that of a version is its parent's."""
    if given.startswith(index.PREFIX):
        return given.removeprefix(index.PREFIX)
    folder = folder.resolve()
    return folder.parent.name if folder.name.isdigit() else folder.name


def parse_version(folder):
    return int(folder.name) if folder.name.isascii() and folder.name.isdigit() else 1


def find_binary(backend):
    """The path of TensorFlow Serving, or None: then the packages of the other server are there."""
    found = shutil.which(BINARY) if backend != "python" else None
    if backend == BINARY and not found:
        raise UsageError(f"Expected {BINARY} on the PATH. Received: none. Use --backend python.")
    if not found:
        check_packages(f"{BINARY}, or ")
    return found


def check_packages(instead=""):
    """UsageError unless what a server of our own needs is installed."""
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(
            f"Expected {instead}the packages {', '.join(PACKAGES)}. Received: no {', '.join(missing)}. "
            "Run  pip install tfvae[serve]"
        )


class StopSignals:
    """Ctrl-C and SIGTERM leave in good order; `code` is then 130 or 143."""

    code = 0

    def __enter__(self):
        self.before = {number: signal.signal(number, self.leave) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def leave(self, number, frame):
        self.code = 128 + number
        raise SystemExit(self.code)

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)


# --- TensorFlow Serving ------------------------------------------------------------------------------------------


def make_base_folder(folder, given, scratch):
    """The folder of versions that TensorFlow Serving watches: the one given, or `scratch` with this version alone."""
    if scratch.exists():  # a run has been exported there
        return scratch
    if folder != pathlib.Path(given) and not given.startswith(index.PREFIX):
        return pathlib.Path(given).resolve()
    scratch.mkdir()
    (scratch / str(parse_version(folder))).symlink_to(folder.resolve())
    return scratch


def run_tensorflow_serving(binary, base, name, port):
    """TensorFlow Serving, until one of us is stopped. It has no flag for the address, so it listens on all."""
    print(f"{BINARY} on port {port} of all addresses, without its gRPC port", file=sys.stderr, flush=True)
    flags = [f"--rest_api_port={port}", "--port=0", f"--model_name={name}", f"--model_base_path={base}"]
    with subprocess.Popen([binary, *flags]) as child:
        try:
            code = child.wait()
        finally:
            child.terminate()
    raise SystemExit(code)


# --- our own -----------------------------------------------------------------------------------------------------


def open_listener(host, port):
    """A socket that listens; port 0 is any free one."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"Expected a free port. Received: {host}:{port}, {reason}. Choose with --host, --port."
        ) from None


def format_url(host, door):
    """The URL of a socket that listens."""
    return f"http://{f'[{host}]' if ':' in host else host}:{door.getsockname()[1]}"


def run_own_server(folder, name, host, port):
    """`tfvae.serving.http_server`, until it is stopped."""
    from tfvae.serving.http_server import ModelServer

    with open_listener(host, port) as door:
        app = ModelServer(folder, name, parse_version(folder))
        print_example_request(app, format_url(host, door))
        serve_app(app, door)


def serve_app(app, door):
    """A WSGI app on waitress, until it is stopped."""
    import waitress

    from tfvae.serving.rest import MAX_BODY

    gc.collect()
    gc.freeze()  # TensorFlow's million objects are not searched again whenever a request makes many lists
    # Bodies a little too large are read and answered in JSON; waitress turns away larger ones at their headers.
    limits = {"max_request_body_size": 4 * MAX_BODY, "channel_timeout": 30, "connection_limit": 100}
    waitress.create_server(app, sockets=[door], threads=THREADS, ident="tfvae", **limits).run()


def print_example_request(app, url):
    """Where it is, and a request that works as pasted."""
    inputs = {"n": 4, "seed": [1, 0], "temperature": 1.0}
    inputs |= {key: value.tolist() for key, value in app.model.given(None, 1).items()}
    if "sample" in app.signatures:
        request = shlex.quote(json.dumps({"signature_name": "sample", "inputs": inputs}))
        print(f"try:  curl -d {request} {url}/v1/models/{app.name}:predict")
    print(f"serving {app.name}, version {app.version}, at {url}  (Ctrl-C stops)", flush=True)
