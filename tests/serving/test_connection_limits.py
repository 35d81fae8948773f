"""Slow, endless and many requests: others are answered meanwhile, /healthz at once, and memory stays what it was."""

# ruff: noqa: E402
import contextlib
import http.client
import json
import pathlib
import re
import socket
import threading
import time

import pytest

for package in ("orjson", "waitress", "werkzeug"):
    pytest.importorskip(package, reason="needs tfvae[serve]")

from tfvae.serving import connection_limits
from tfvae.serving.connection_limits import MAX_CONNECTIONS, MAX_HEADERS, MAX_QUEUE, THREADS, create_server
from tfvae.serving.rest_requests import MAX_BODY

HEAD = b"POST /compute HTTP/1.1\r\nHost: localhost\r\n"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
COMPUTE = HEAD + b"Content-Length: 2\r\n\r\n{}"
LARGE_ANSWER = b"x" * 2**24
# What a client sends at first, and then again and again.
SLOW = {
    "silent": (b"", b""),
    "headers": (HEAD + b"X: ", b""),
    "headers in drops": (HEAD + b"X: ", b"x"),
    "body": (HEAD + b"Content-Length: 1000\r\n\r\n{", b""),
    "body in drops": (HEAD + b"Content-Length: 1000\r\n\r\n{", b" "),
    "chunk in drops": (HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\n", b"x"),
    "idle": (HEALTH, b""),
    "answer not read": (b"GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3, b""),
}


class App:
    """A WSGI app whose POST waits until it may go on."""

    def __init__(self):
        self.go = threading.Event()

    def __call__(self, environ, start_response):
        if environ["REQUEST_METHOD"] == "POST":
            environ["wsgi.input"].read()
            assert self.go.wait(60)
        body = LARGE_ANSWER if environ["PATH_INFO"] == "/large" else b"answer"
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]


@pytest.fixture
def app():
    return App()


@pytest.fixture
def server(app):
    """A server of the app, which runs."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = create_server(app, listener)
        threading.Thread(target=server.run, daemon=True).start()
        yield server
        app.go.set()
        server.close()


@pytest.fixture
def address(server):
    """Where it listens."""
    return server.effective_host, int(server.effective_port)


@contextlib.contextmanager
def opening(address, first=b"", count=1):
    """Connections to a server that have sent their first bytes."""
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(socket.create_connection(address, timeout=60)) for _ in range(count)]
        for link in links:
            link.sendall(first)
        yield links


def read_status(link):
    """-> the code of an answer; None where the connection was closed without one."""
    try:
        line = link.recv(2**16).split(b"\r\n")[0]
    except ConnectionResetError:
        return None
    return int(line.split()[1]) if line else None


def ask_health(address):
    """-> seconds until a new connection is told that all is well."""
    begin = time.monotonic()
    with opening(address, HEALTH) as (link,):
        assert read_status(link) == 200
    return time.monotonic() - begin


def is_closed(link):
    """Whether the server has ended a connection; what it has sent is thrown away."""
    link.settimeout(0)
    try:
        while link.recv(2**20):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        pass
    finally:
        link.settimeout(60)
    return True


@pytest.mark.parametrize("kind", SLOW)
def test_many_slow_clients_keep_nobody_waiting(kind, address):
    """120 of a kind. A second is said; three allow for a busy machine."""
    first, more = SLOW[kind]
    with opening(address, first, 12 if kind == "answer not read" else 120) as links:  # those answers fill the disk
        for link in links * bool(more):
            with contextlib.suppress(OSError):  # those whose place another took
                link.sendall(more)
        assert max(ask_health(address) for _ in range(5)) < 3
        with opening(address, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n") as (link,):
            assert read_status(link) == 200


@pytest.mark.parametrize("count", [THREADS, THREADS + MAX_QUEUE])
def test_health_is_answered_while_all_threads_compute(count, app, address):
    """And what is more than may wait is refused, until there is room."""
    with opening(address, COMPUTE, count) as links:
        wait_until(lambda: ask_health(address) < 3)
        with opening(address, COMPUTE, 3) as others:
            is_full = count > THREADS
            assert [read_status(link) for link in others * is_full] == [503] * 3 * is_full
            assert ask_health(address) < 3
            app.go.set()
            assert {read_status(link) for link in links + others * (not is_full)} == {200}
    with opening(address, COMPUTE) as (link,):
        assert read_status(link) == 200


def wait_until(true):
    end = time.monotonic() + 30
    while not true():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_each_phase_has_an_end_but_computing(app, server, address, monkeypatch):
    """Also where bytes come all the time."""
    limits = dict.fromkeys(connection_limits.PHASE_SECONDS, 0.5)
    monkeypatch.setattr(connection_limits, "PHASE_SECONDS", limits)
    refused = (HEAD + b"Content-Length: 1000000000\r\n\r\n", b"x" * 100)
    with contextlib.ExitStack() as stack:
        (working,) = stack.enter_context(opening(address, COMPUTE))
        links = [(stack.enter_context(opening(address, first))[0], more) for first, more in (*SLOW.values(), refused)]

        def is_alone():
            for link, more in links:
                with contextlib.suppress(OSError):
                    link.sendall(more)
            return len(server.active_channels) == 1

        wait_until(lambda: len(server.active_channels) == 1 + len(links))
        wait_until(is_alone)
        unread = links[list(SLOW).index("answer not read")][0]
        assert 0 < read_to_end(unread) < len(LARGE_ANSWER)  # what the system's buffers took
        app.go.set()
        assert read_status(working) == 200


def read_to_end(link):
    """-> the number of bytes that come."""
    count = 0
    with contextlib.suppress(ConnectionResetError):
        while data := link.recv(2**20):
            count += len(data)
    return count


def test_the_one_that_waits_longest_gives_way(app, address):
    """Not one for which a thread works, nor a newer one."""
    with opening(address, COMPUTE) as (working,), opening(address, HEAD) as (first,):
        wait_until(lambda: ask_health(address) < 3)
        with opening(address, HEAD, MAX_CONNECTIONS - 1) as newer:
            assert read_status(first) is None
            assert ask_health(address) < 3
            assert not is_closed(newer[-1]) and not is_closed(working)
            app.go.set()
            assert read_status(working) == 200


def post(address, body, **options):
    """-> status, sentence of the answer in JSON, also to a client that reads it after all is sent."""
    link = http.client.HTTPConnection(*address, timeout=60)
    try:
        link.request("POST", "/compute", body, **options)
        answer = link.getresponse()
        assert answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(answer.read())["error"]
    finally:
        link.close()


def read_memory():
    """-> MB of this process."""
    return int(re.search(r"VmRSS:\s+(\d+)", pathlib.Path("/proc/self/status").read_text())[1]) / 1024


CHUNKED = {"headers": {"Transfer-Encoding": "chunked"}, "encode_chunked": True}


def test_what_is_too_large_is_refused_with_a_sentence(address):
    """Bodies of any length, with and without it said; headers; lines. Memory stays; each client hears why."""
    before = read_memory()
    piece = b"x" * 2**20
    for length in (MAX_BODY + 1, 2**26, 2**40):
        headers = {"Content-Length": str(length)}
        status, sentence = post(address, (piece for _ in range(min(length, 2**26) // 2**20)), headers=headers)
        assert status == 413 and str(MAX_BODY) in sentence
    assert post(address, (piece for _ in range(64)), **CHUNKED)[0] == 413
    for headers in ({"X": "x" * MAX_HEADERS}, {"X": "x" * 2**21}, {f"X-{i}": "x" for i in range(5000)}):
        status, sentence = post(address, b"{}", headers=headers)
        assert status == 431 and str(MAX_HEADERS) in sentence
    with opening(address, b"GET /" + b"x" * 2**17 + b" HTTP/1.1\r\n") as (link,):
        assert read_status(link) == 431
    assert read_memory() - before < 50


@pytest.mark.parametrize("framing", [b"1\r\nx\r\n", b"1", b"1;x=", b"0\r\nX: "])
def test_chunks_that_are_mostly_framing_are_refused(framing, address):
    """Tiny chunks, lines and trailers without an end, which cost time and bring nothing."""
    with opening(address, HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + framing * 10_000) as (link,):
        assert read_status(link) == 400


@pytest.mark.parametrize("size", [30, 100, 1000])
def test_chunks_of_an_honest_client_are_taken(size, app, address):
    app.go.set()
    link = http.client.HTTPConnection(*address, timeout=60)
    link.request("POST", "/compute", (b"x" * size for _ in range(2000)), **CHUNKED)
    assert link.getresponse().status == 200
    link.close()


@pytest.mark.parametrize("start", [b"\x16\x03\x01x\r\n\r\n", b"GET\r\n\r\n", HEAD + b"Content-Length: -1\r\n\r\n"])
def test_what_is_no_http_is_a_400_in_json(start, address):
    with opening(address, start) as (link,):
        answer = b"".join(iter(lambda: link.recv(2**16), b""))  # until the server closes: it may come in pieces
    assert b" 400 " in answer and json.loads(answer.partition(b"\r\n\r\n")[2])["error"].startswith("Expected")
