"""Rebinding and cross-origin requests do not reach a server on this machine alone; its own names do."""

import pytest

from tfvae.serving.host_guard import HostGuard


def app(environ, start_response):
    start_response("200 OK", [])
    return [b"answer"]


def ask(guard, host, origin=None):
    seen = []
    environ = {"HTTP_HOST": host} | ({"HTTP_ORIGIN": origin} if origin else {})
    body = b"".join(guard(environ, lambda status, headers: seen.append(status)))
    return int(seen[0][:3]), body


OWN = ["localhost", "localhost:8501", "LOCALHOST:1", "127.0.0.1:8501", "[::1]:8501", "[::1]"]
OTHERS = [
    *("attacker.example", "attacker.example:8501", "127.0.0.1.attacker.example", "localhost.attacker.example:80"),
    *("", "[::2]:8501", "localhost@attacker.example", "[", "127.0.0.2:8501", "0.0.0.0"),
]


@pytest.mark.parametrize("host", OWN)
def test_names_of_this_machine_are_answered(host):
    assert ask(HostGuard(app, "127.0.0.1"), host) == (200, b"answer")
    assert ask(HostGuard(app, "127.0.0.1"), "localhost", f"http://{host}")[0] == 200


@pytest.mark.parametrize("host", OTHERS)
def test_other_names_are_refused(host):
    status, body = ask(HostGuard(app, "127.0.0.1"), host)
    assert status == 403 and b"Host" in body
    if host:
        status, body = ask(HostGuard(app, "localhost"), "localhost", f"http://{host}")
        assert status == 403 and b"Origin" in body


def test_an_opaque_origin_is_refused():
    """``null`` is what a sandboxed frame of any site sends."""
    assert ask(HostGuard(app, "127.0.0.1"), "localhost", "null")[0] == 403


def test_a_public_address_answers_all_unless_names_are_given():
    assert ask(HostGuard(app, "0.0.0.0"), "models.example:8501")[0] == 200
    guard = HostGuard(app, "0.0.0.0", ["models.example"])
    assert ask(guard, "models.example:8501")[0] == 200 and ask(guard, "attacker.example")[0] == 403
    assert ask(HostGuard(app, "127.0.0.1", ["proxy.example"]), "proxy.example")[0] == 200


def test_the_address_itself_is_answered():
    assert ask(HostGuard(app, "127.0.0.7"), "127.0.0.7:8501")[0] == 200
