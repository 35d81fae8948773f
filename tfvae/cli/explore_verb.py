"""The verb explore: a page in the browser on a model, served here or by TensorFlow Serving elsewhere."""

from __future__ import annotations

import argparse
import pathlib
import re
import socket
import tempfile
import threading
import webbrowser
from typing import Any

from tfvae.cli.flags import LATEST
from tfvae.cli.serving_verbs import (
    StopSignals,
    check_packages,
    check_port,
    format_url,
    open_listener,
    parse_version,
    prepare_savedmodel,
    resolve_target,
    serve_app,
)
from tfvae.errors import UsageError
from tfvae.exporting import savedmodel
from tfvae.runtime.environment import import_tensorflow
from tfvae.zoo.resolve import resolve_model_folder


def explore(args: argparse.Namespace) -> int:
    """Run ``tfvae explore RUN|SAVEDMODEL|zoo:NAME`` or ``tfvae explore [SAVEDMODEL] --server URL``."""
    check_port(args.port)
    if args.server:
        return explore_server(args)
    folder, is_run, name = resolve_target(args)
    if is_run and not args.name:
        name = make_url_name(folder.resolve().name) or name
    check_packages()
    with tempfile.TemporaryDirectory(prefix="tfvae-explore-") as scratch, StopSignals() as stop:
        import_tensorflow()
        folder = prepare_savedmodel(folder, is_run, pathlib.Path(scratch) / name, args.trust)
        with open_listener(args.host, args.port) as listener:
            from tfvae.explore.site import Site, describe_model
            from tfvae.serving.http_server import ModelServer

            site = Site(ModelServer(folder, name, parse_version(folder), trusted=True), name, describe_model(folder))
            serve_page(site, name, listener, args)
    return stop.exit_code


def make_url_name(name: str) -> str:
    """Return a folder's name with '-' for what URLs of models do not take, such as the commas of older runs."""
    return re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-")


def explore_server(args: argparse.Namespace) -> int:
    """Serve the page alone for a model on a server elsewhere; TensorFlow is not even imported."""
    if args.name:
        raise UsageError("Expected --name or --server, which names its own model. Received: both.")
    if args.trust:
        raise UsageError("Expected --trust or --server, which loads its model itself. Received: both.")
    check_packages()
    from tfvae.explore.site import Site
    from tfvae.explore.upstream import Upstream

    upstream = Upstream(args.server)
    condition = None if args.run == LATEST else read_named_condition(args.run)
    with StopSignals() as stop, open_listener(args.host, args.port) as listener:
        site = Site(upstream, upstream.name, f"served by {args.server}", condition)
        serve_page(site, upstream.name, listener, args)
    return stop.exit_code


def read_named_condition(path: str) -> dict[str, Any] | None:
    """Return the condition of the SavedModel that is named beside --server, as its manifest has it."""
    from tfvae.explore.site import read_condition_entry

    folder = resolve_model_folder(path)
    if savedmodel.find_savedmodel(folder) != folder:
        raise UsageError(f"Expected a SavedModel or zoo:NAME beside --server. Received: {path}, a run.")
    return read_condition_entry(folder)


def serve_page(site: Any, name: str, listener: socket.socket, args: argparse.Namespace) -> None:
    """Answer until stopped; the browser is opened meanwhile, for some browsers block."""
    url = format_url(args.host, listener)
    print(f"exploring {name} at {url}  (Ctrl-C stops)", flush=True)
    if not args.no_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    serve_app(site, listener, args.host, args.allow_host)
