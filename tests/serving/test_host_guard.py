"""Rebinding and cross-origin requests do not reach a server on this machine alone; its own names and pages do."""

import pytest

from tfvae.cli.command_line import main
from tfvae.errors import UsageError
from tfvae.serving.host_guard import HostGuard, is_loopback, parse_name


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"answer"]


def ask(guard, host="localhost:8501", method="POST", target="/v1/models/m:predict", **headers):
    """-> status, body; a header None is not sent."""
    seen = []
    environ = {"REQUEST_METHOD": method, "REQUEST_URI": target, "HTTP_HOST": host}
    environ |= {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    environ = {name: value for name, value in environ.items() if value is not None}
    body = b"".join(guard(environ, lambda status, headers: seen.append(status)))
    return int(seen[0][:3]), body


LOCAL = HostGuard(app, "127.0.0.1")
OWN = ["localhost", "localhost:8501", "LOCALHOST:1", "localhost.", "127.0.0.1:8501", "[::1]:8501", "[::1]", "[0:0::1]"]
OTHERS = [
    *("attacker.example", "attacker.example:8501", "127.0.0.1.attacker.example", "localhost.attacker.example:80"),
    *("", "[::2]:8501", "localhost@attacker.example", "attacker.example@localhost", "[", "[]", "127.0.0.2:8501"),
    *("0.0.0.0", "localhost..", "localhost/attacker.example", "localhost?", "localhost#", "localhost\\", "[localhost]"),
    *("localhost, attacker.example", "localhost:80, attacker.example", "localhost, localhost", "localhost:80:80"),
    *("localhost:", "localhost:x", " localhost", "localhost\x00", "l\u00f6calhost", "\uff4cocalhost", "2130706433"),
]


@pytest.mark.parametrize("host", OWN)
def test_names_of_this_machine_are_answered(host):
    assert ask(LOCAL, host) == (200, b"answer")
    assert ask(LOCAL, host, origin=f"http://{host}")[0] == 200


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST", "PUT"])
def test_other_names_are_refused(host, method):
    status, body = ask(LOCAL, host, method)
    assert status == 403 and (b"Host" in body or method == "HEAD" and body == b"")
    status, body = ask(HostGuard(app, "localhost"), method=method, origin=f"http://{host}")
    assert status == 403 and (b"Origin" in body or method == "HEAD" and body == b"")


def test_a_request_without_a_host_is_refused():
    assert ask(LOCAL, None)[0] == 403 and ask(HostGuard(app, "0.0.0.0"), None)[0] == 403


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("http://attacker.example/v1/models/m", 403),
        ("HTTP://attacker.example:8501", 403),
        ("http://localhost:8501@attacker.example/", 403),
        ("http://localhost:8501/v1/models/m", 200),
        ("//attacker.example/v1", 200),  # a path, for a server
        ("/?q=http://attacker.example/", 200),
    ],
)
def test_the_name_in_the_request_line_counts_as_well(target, status):
    assert ask(LOCAL, target=target)[0] == status


@pytest.mark.parametrize(
    "origin",
    [
        "null",  # of a sandboxed frame of any site
        *("", "localhost:8501", "file://", "ftp://localhost:8501", "chrome-extension://localhost:8501"),
        *("http://localhost:3000", "http://localhost", "http://127.0.0.1:3000"),  # another server of this machine
        *("http://localhost:8501, http://attacker.example", "http://localhost:8501/", "http://u@localhost:8501"),
    ],
)
@pytest.mark.parametrize("guard", [LOCAL, HostGuard(app, "0.0.0.0")])
def test_pages_of_other_origins_are_refused(guard, origin):
    assert ask(guard, origin=origin)[0] == 403


@pytest.mark.parametrize(
    ("site", "mode", "method", "status"),
    [
        ("cross-site", "no-cors", "GET", 403),  # a picture or a script in a page of another site
        ("same-site", "cors", "GET", 403),
        ("cross-site", "navigate", "POST", 403),  # a form
        ("cross-site", "navigate", "GET", 200),  # a link
        ("same-origin", "cors", "POST", 200),
        ("none", "navigate", "GET", 200),  # typed by the user
    ],
)
def test_requests_of_other_sites_without_an_origin(site, mode, method, status):
    assert ask(LOCAL, method=method, sec_fetch_site=site, sec_fetch_mode=mode)[0] == status


def test_a_public_address_answers_all_names_unless_some_are_given():
    """Pages of other sites are refused all the same."""
    public = HostGuard(app, "0.0.0.0")
    assert public.is_open and ask(public, "models.example:8501")[0] == 200
    assert ask(public, "models.example:8501", origin="http://models.example:8501")[0] == 200
    assert ask(public, "models.example:8501", origin="http://attacker.example:8501")[0] == 403
    guard = HostGuard(app, "0.0.0.0", ["Models.Example."])
    assert not guard.is_open
    assert ask(guard, "models.example:8501")[0] == 200 and ask(guard, "attacker.example")[0] == 403


def test_a_proxy_is_answered_under_its_name():
    """Also where it passes on another Host, and the page's own Origin."""
    guard = HostGuard(app, "127.0.0.1", ["proxy.example", "2001:DB8:0::1"])
    assert ask(guard, "proxy.example", origin="https://proxy.example")[0] == 200
    assert ask(guard, "127.0.0.1:8501", origin="https://proxy.example")[0] == 200
    assert ask(guard, "[2001:db8::1]:8501")[0] == 200


def test_the_address_itself_is_answered():
    assert ask(HostGuard(app, "127.0.0.7"), "127.0.0.7:8501")[0] == 200
    assert ask(HostGuard(app, "myhost", address="127.0.1.1"), "MyHost:8501")[0] == 200


@pytest.mark.parametrize(
    ("host", "address"),
    [("LocalHost", ""), ("127.1", "127.0.0.1"), ("myhost", "127.0.1.1"), ("::ffff:127.0.0.1", ""), ("0:0::1", "")],
)
def test_other_spellings_of_this_machine_are_guarded(host, address):
    guard = HostGuard(app, host, address=address)
    assert is_loopback(address or host) and ask(guard, "attacker.example")[0] == 403
    assert ask(guard, "localhost:8501")[0] == 200


@pytest.mark.parametrize(
    "name", ["", "*", "*.example", "http://a.example", "a.example:80", "127.0.0.1:80", "a/b", "a b"]
)
def test_allowed_names_that_no_header_has_are_refused(name, capsys):
    with pytest.raises(UsageError, match="without scheme and port"):
        parse_name(name)
    assert main(["serve", "model", "--allow-host", name]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "--allow-host" in line and "without scheme and port" in line
