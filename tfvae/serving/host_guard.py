"""A guard before a server on this machine alone: only requests that name this machine reach it.

A page of another site whose name resolves to 127.0.0.1 (DNS rebinding) is of the same origin as the server, to a
browser. What it cannot forge is the Host header, which names the site.
"""

from __future__ import annotations

import ipaddress
import json
import urllib.parse
from collections.abc import Iterable
from typing import Any

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Tell whether an address to listen on is one of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def split_host(header: str) -> str:
    """Return the host of ``host:port`` in lower case, without the brackets of an IPv6 address; '' if there is none."""
    try:
        return (urllib.parse.urlsplit(f"//{header}").hostname or "").lower()
    except ValueError:
        return ""


class HostGuard:
    """A WSGI app that passes on what names an allowed host, and answers 403 to the rest.

        waitress.serve(HostGuard(app, "127.0.0.1"), port=8501)

    Args:
        app: the WSGI app behind it.
        host: the address that the server listens on. If it is one of this machine alone, only loopback names, it and
            `allowed` are answered; otherwise every name is, unless `allowed` has some.
        allowed: further names, such as that of a proxy.
    """

    def __init__(self, app: Any, host: str, allowed: Iterable[str] = ()) -> None:
        names = {name.lower() for name in allowed}
        is_guarded = is_loopback(host) or bool(names)
        self.app, self.names = app, (LOOPBACK_NAMES | {host.lower()} | names if is_guarded else None)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        if self.names is not None:
            headers = {"Host": environ.get("HTTP_HOST", "")}
            if origin := environ.get("HTTP_ORIGIN"):  # what a page of another site sends with what it posts
                headers["Origin"] = origin.partition("//")[2] if "//" in origin else origin
            for name, value in headers.items():
                if split_host(value) not in self.names:
                    return self.refuse(name, start_response)
        return self.app(environ, start_response)

    @staticmethod
    def refuse(header: str, start_response: Any) -> Iterable[bytes]:
        """Answer 403, and say which header names another host."""
        sentence = f"Expected a {header} header that names this machine. Received: another; see --allow-host."
        body = json.dumps({"error": sentence}).encode()
        start_response("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]
