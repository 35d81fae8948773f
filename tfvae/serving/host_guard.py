"""A guard before a local server: only requests that name this machine, and none from pages of other sites, reach it.

A page of another site whose name resolves to 127.0.0.1 (DNS rebinding) is of the same origin as the server, to a
browser. What it cannot forge is the Host header, which names the site. A page of another origin can post without a
question beforehand. What it cannot forge is the Origin header.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable
from typing import Any

from tfvae.errors import UsageError

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
AUTHORITY = re.compile(r"(?:([a-z0-9._-]+)|\[([0-9a-f:.]+)\])(?::([0-9]{1,5}))?", re.ASCII)


def is_loopback(address: str) -> bool:
    """Return whether an address to listen on is one of this machine alone."""
    try:
        number = ipaddress.ip_address(address)
    except ValueError:
        return address.lower() == "localhost"
    return (getattr(number, "ipv4_mapped", None) or number).is_loopback


def split_authority(text: str) -> tuple[str, str]:
    """Return (host, port) of ``host:port`` in one form; ('', '') for any other text, such as that of two headers."""
    match = AUTHORITY.fullmatch(text.lower())
    if match is None:
        return "", ""
    name, address, port = match.groups(default="")
    return (normalize_address(address) if address else name.removesuffix(".")), port


def normalize_address(address: str) -> str:
    """Return an IPv6 address in its short form; '' if it is none."""
    try:
        return str(ipaddress.IPv6Address(address))
    except ValueError:
        return ""


def parse_name(name: str) -> str:
    """Return the name or address of a host in the form of `split_authority`.

    Raises:
        UsageError: a URL, a port or a pattern, which no header would ever equal.
    """
    host, port = split_authority(f"[{name.strip('[]')}]" if ":" in name else name)
    if not host or port:
        raise UsageError(f"Expected the name of a host, without scheme and port. Received: {name!r}.")
    return host


class HostGuard:
    """A WSGI app that passes on what comes from here or from no page at all, and answers 403 to the rest.

        HostGuard(app, "127.0.0.1")

    Args:
        app: the WSGI app behind it.
        host: the address to listen on, as the user names it.
        allowed: further names, such as that of a proxy.
        address: the number of the address, if `host` is a name. If it is one of this machine alone, only loopback
            names, `host` and `allowed` are answered; otherwise every name is, unless `allowed` has some.

    Raises:
        UsageError: an allowed name is none.
    """

    def __init__(self, app: Any, host: str, allowed: Iterable[str] = (), address: str = "") -> None:
        self.app = app
        self.allowed = frozenset(map(parse_name, allowed))
        self.own = LOOPBACK_NAMES | {normalize_address(host) or host.lower().removesuffix(".")}
        self.is_open = not is_loopback(address or host) and not self.allowed

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request, as WSGI has it."""
        wrong = self.find_wrong_header(environ)
        if wrong is None:
            return self.app(environ, start_response)
        text = f"Expected a {wrong} header that names this machine. Received: another; see --allow-host."
        body = json.dumps({"error": text}).encode()
        start_response("403 Forbidden", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def find_wrong_header(self, environ: dict[str, Any]) -> str | None:
        """Return the name of the header for which a request is refused; None if there is none."""
        host, port = split_authority(environ.get("HTTP_HOST", ""))
        target = re.match(r"[a-z][a-z0-9+.-]*://([^/?#]*)", environ.get("REQUEST_URI", ""), re.IGNORECASE)
        if target and split_authority(target[1]) != (host, port):  # GET http://name/path: that name counts as well
            return "Host"
        if not host or not (self.is_open or host in self.own | self.allowed):
            return "Host"
        if "HTTP_ORIGIN" in environ and not self.is_own_origin(environ["HTTP_ORIGIN"], host, port):
            return "Origin"
        # A picture or script of another site's page has no Origin; a link that is followed is welcome.
        is_link = environ.get("HTTP_SEC_FETCH_MODE") == "navigate" and environ.get("REQUEST_METHOD") in ("GET", "HEAD")
        is_elsewhere = environ.get("HTTP_SEC_FETCH_SITE") in ("cross-site", "same-site")
        return "Sec-Fetch-Site" if is_elsewhere and not is_link else None

    def is_own_origin(self, origin: str, host: str, port: str) -> bool:
        """Return whether an Origin header is that of a page which this server gave, under whatever name it is asked."""
        scheme, _, authority = origin.partition("://")
        name, origin_port = split_authority(authority)
        if scheme.lower() not in ("http", "https") or not name:  # "null" is what a sandboxed frame of any site sends
            return False
        return name in self.allowed or (origin_port == port and (name == host or {name, host} <= self.own))
