"""The verb explore: a page in the browser on a model, served here or by TensorFlow Serving elsewhere."""

import pathlib
import tempfile
import threading
import webbrowser

from tfvae.cli.flags import LATEST
from tfvae.cli.serving_verbs import (
    Stop,
    answer,
    check_packages,
    check_port,
    chosen,
    listen,
    prepared,
    url_of,
    version_of,
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
        return of_server(args)
    place, is_run, name = chosen(args)
    check_packages()
    with tempfile.TemporaryDirectory(prefix="tfvae-explore-") as scratch, Stop() as stop:
        import_tensorflow()
        place = prepared(place, is_run, pathlib.Path(scratch) / name, args.trust)
        with listen(args.host, args.port) as door:
            from tfvae.explore.site import Site, about
            from tfvae.serving.http_server import App

            site = Site(App(place, name, version_of(place)), name, about(place))
            show(site, name, door, args)
    return stop.code


def of_server(args):
    """The page alone; TensorFlow is not even imported."""
    from tfvae.explore.site import Site, Upstream

    upstream = Upstream(args.server)
    with Stop() as stop, listen(args.host, args.port) as door:
        show(Site(upstream, upstream.name, f"served by {args.server}"), upstream.name, door, args)
    return stop.code


def show(site, name, door, args):
    """Answer until stopped; the browser is opened meanwhile, for some browsers block."""
    url = url_of(args.host, door)
    print(f"exploring {name} at {url}  (Ctrl-C stops)", flush=True)
    if not args.no_browser:
        threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()
    answer(site, door)
