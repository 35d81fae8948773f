"""The verb serve: TensorFlow Serving where it is installed, else the server of `tfvae.serving.http_server`."""

from __future__ import annotations

import argparse
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
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

from tfvae.cli.run_loading import check_model_folder, open_trusted_run
from tfvae.errors import UsageError, make_printable
from tfvae.exporting import savedmodel
from tfvae.runtime.environment import import_tensorflow
from tfvae.serving.host_guard import HostGuard
from tfvae.zoo import index, resolve

BINARY = "tensorflow_model_server"
PACKAGES = ("werkzeug", "waitress", "orjson")


def serve(args: argparse.Namespace) -> int:
    """Run ``tfvae serve RUN|SAVEDMODEL|zoo:NAME`` until it is stopped, and return the exit code."""
    folder, is_run, name = resolve_target(args)
    check_port(args.port)
    binary = find_binary(args.backend)
    if binary and args.allow_host:
        raise UsageError(f"Expected --allow-host with --backend python. Received: {BINARY}, which checks no names.")
    if binary and args.host not in ("127.0.0.1", "0.0.0.0", "::"):
        raise UsageError(f"Expected --host with --backend python. Received: {BINARY}, which listens on all addresses.")
    with tempfile.TemporaryDirectory(prefix="tfvae-serve-") as scratch, StopSignals() as stop:
        base = pathlib.Path(scratch) / name
        import_tensorflow()
        folder = prepare_savedmodel(folder, is_run, base, args.trust)
        if binary:
            run_tensorflow_serving(binary, make_base_folder(folder, args.run, base), name, args.port)
        else:
            run_own_server(folder, name, args.host, args.port, args.allow_host)
    return stop.exit_code


def resolve_target(args: argparse.Namespace) -> tuple[pathlib.Path, bool, str]:
    """Return what the command line names: (its folder, whether it is a run, its name in URLs)."""
    folder = resolve.resolve_model_folder(args.run)
    is_run = savedmodel.find_savedmodel(folder) != folder
    name = args.name or ("model" if is_run else derive_model_name(args.run, folder))
    if not re.fullmatch(r"[\w.-]+", name, re.ASCII):
        raise UsageError(f"Expected a name of letters, digits, '_', '-' and '.'. Received: {name!r}. Use --name.")
    return folder, is_run, name


def check_port(port: int) -> None:
    """Refuse a port above 65535."""
    if port > 65535:
        raise UsageError(f"Expected --port up to 65535. Received: {port}.")


def prepare_savedmodel(folder: pathlib.Path, is_run: bool, base: pathlib.Path, trust: bool) -> pathlib.Path:
    """Return the folder of a SavedModel that may be loaded: a run is exported below `base`.

    Of a SavedModel this is a copy, which was checked, unless the user trusts it: what is served was examined, and no
    other file or version.
    """
    if is_run:
        check_model_folder(folder, trust)
        run = open_trusted_run(folder, trust)
        from tfvae.exporting.exporter import export_run

        return export_run(run, base, on_warning=lambda line: print(make_printable(line), file=sys.stderr))
    if trust:
        return folder
    from tfvae.safety.savedmodel_check import copy_checked_savedmodel

    copy = base / str(parse_version(folder))
    copy_checked_savedmodel(folder, copy)
    return copy


def derive_model_name(path: str, folder: pathlib.Path) -> str:
    """Return the name of a zoo entry, or of a SavedModel's folder; that of a version is its parent's."""
    if path.startswith(index.PREFIX):
        return path.removeprefix(index.PREFIX)
    folder = folder.resolve()
    return folder.parent.name if folder.name.isdigit() else folder.name


def parse_version(folder: pathlib.Path) -> int:
    """Return the number of a version from the name of its folder; 1 if that is no number."""
    return int(folder.name) if folder.name.isascii() and folder.name.isdigit() else 1


def find_binary(backend: str) -> str | None:
    """Return the path of TensorFlow Serving; None if another server is to be used, whose packages are installed."""
    path = shutil.which(BINARY) if backend != "python" else None
    if backend == BINARY and not path:
        raise UsageError(f"Expected {BINARY} on the PATH. Received: none. Use --backend python.")
    if not path:
        check_packages(f"{BINARY}, or ")
    return path


def check_packages(alternative: str = "") -> None:
    """Raise UsageError unless the packages that tfvae's own server needs are installed."""
    missing = [package for package in PACKAGES if importlib.util.find_spec(package) is None]
    if missing:
        raise UsageError(
            f"Expected {alternative}the packages {', '.join(PACKAGES)}. Received: no {', '.join(missing)}. "
            "Run  pip install tfvae[serve]"
        )


class StopSignals:
    """A context in which Ctrl-C and SIGTERM end the program in good order; `exit_code` is then 130 or 143."""

    exit_code = 0

    def __enter__(self) -> StopSignals:
        self.handlers = {
            number: signal.signal(number, self.exit_on_signal) for number in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def exit_on_signal(self, number: int, frame: FrameType | None) -> NoReturn:
        """Set the exit code of a signal and leave by SystemExit."""
        self.exit_code = 128 + number
        raise SystemExit(self.exit_code)

    def __exit__(self, *error: object) -> None:
        for number, handler in self.handlers.items():
            signal.signal(number, handler)


# --- TensorFlow Serving ------------------------------------------------------------------------------------------


def make_base_folder(folder: pathlib.Path, path: str, scratch: pathlib.Path) -> pathlib.Path:
    """Return the folder of versions that TensorFlow Serving watches: `path`, or `scratch` with this version alone.

    Args:
        folder: of the version.
        path: as the command line names it.
        scratch: holds the version already if a run has been exported there; else it does not exist.
    """
    if scratch.exists():
        return scratch
    if folder != pathlib.Path(path) and not path.startswith(index.PREFIX):
        return pathlib.Path(path).resolve()
    scratch.mkdir()
    (scratch / str(parse_version(folder))).symlink_to(folder.resolve())
    return scratch


def run_tensorflow_serving(binary: str, base: pathlib.Path, name: str, port: int) -> NoReturn:
    """Run TensorFlow Serving until one of us is stopped. It has no flag for the address, so it listens on all."""
    print(f"{BINARY} on port {port} of all addresses, without its gRPC port", file=sys.stderr, flush=True)
    flags = [f"--rest_api_port={port}", "--port=0", f"--model_name={name}", f"--model_base_path={base}"]
    with subprocess.Popen([binary, *flags]) as child:
        try:
            code = child.wait()
        finally:
            child.terminate()
    raise SystemExit(code)


# --- tfvae's own server ------------------------------------------------------------------------------------------


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 is any free one."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server((str(address[0]), int(address[1])), family=family)
    except OSError as error:
        reason = error.strerror or error
        raise UsageError(
            f"Expected a free port. Received: {host}:{port}, {reason}. Choose with --host, --port."
        ) from None


def format_url(host: str, listener: socket.socket) -> str:
    """Return the URL of a socket that listens."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"


def run_own_server(folder: pathlib.Path, name: str, host: str, port: int, allowed_hosts: Sequence[str] = ()) -> None:
    """Run `tfvae.serving.http_server` until it is stopped; `allowed_hosts` are further names that it answers to."""
    from tfvae.serving.http_server import ModelServer

    with open_listener(host, port) as listener:
        app = ModelServer(folder, name, parse_version(folder), trusted=True)  # see `prepare_savedmodel`
        print_example_request(app, format_url(host, listener))
        serve_app(app, listener, host, allowed_hosts)


def serve_app(app: Any, listener: socket.socket, host: str, allowed_hosts: Sequence[str]) -> None:
    """Run a WSGI app until it is stopped, for the requests that a `HostGuard` lets through."""
    from tfvae.serving.connection_limits import create_server

    guard = HostGuard(app, host, allowed_hosts, listener.getsockname()[0])
    if guard.is_open:
        print("Other machines reach this server, under any name. --allow-host limits it to names.", file=sys.stderr)
    gc.collect()
    gc.freeze()  # TensorFlow's million objects are not searched again whenever a request makes many lists
    create_server(guard, listener).run()


def print_example_request(app: Any, url: str) -> None:
    """Print where a `ModelServer` listens, and a request that works as pasted."""
    inputs = {"n": 4, "seed": [1, 0], "temperature": 1.0}
    inputs |= {key: value.tolist() for key, value in app.model.make_condition_inputs(None, 1).items()}
    if "sample" in app.signatures:
        request = shlex.quote(json.dumps({"signature_name": "sample", "inputs": inputs}))
        print(f"try:  curl -d {request} {url}/v1/models/{app.name}:predict")
    print(f"serving {app.name}, version {app.version}, at {url}  (Ctrl-C stops)", flush=True)
