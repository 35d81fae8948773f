"""The verb explore: a page in the browser on a model, served here or by TensorFlow Serving elsewhere."""

import pathlib
import tempfile
import threading
import webbrowser

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
from tfvae.runtime.environment import import_tensorflow


def explore(args):
    """``tfvae explore RUN|SAVEDMODEL|zoo:NAME``, or ``tfvae explore --server URL``."""
    check_port(args.port)
    if args.server and (args.run != LATEST or args.name):
        raise UsageError("Expected a model or --server, which names its own. Received: both.")
    if args.server:
        check_packages()
        return explore_server(args)
    place, is_run, name = resolve_target(args)
    check_packages()
    with tempfile.TemporaryDirectory(prefix="tfvae-explore-") as scratch, StopSignals() as stop:
        import_tensorflow()
        place = prepare_savedmodel(place, is_run, pathlib.Path(scratch) / name, args.trust)
        with open_listener(args.host, args.port) as door:
            from tfvae.explore.site import Site, describe_model
            from tfvae.serving.http_server import ModelServer

            site = Site(ModelServer(place, name, parse_version(place)), name, describe_model(place))
            serve_page(site, name, door, args)
    return stop.code


def explore_server(args):
    """The page alone; TensorFlow is not even imported."""
    from tfvae.explore.site import Site, Upstream

    upstream = Upstream(args.server)
    with StopSignals() as stop, open_listener(args.host, args.port) as door:
        serve_page(Site(upstream, upstream.name, f"served by {args.server}"), upstream.name, door, args)
    return stop.code


def serve_page(site, name, door, args):
    """Answer until stopped; the browser is opened meanwhile, for some browsers block."""
    url = format_url(args.host, door)
    print(f"exploring {name} at {url}  (Ctrl-C stops)", flush=True)
    if not args.no_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    serve_app(site, door)
