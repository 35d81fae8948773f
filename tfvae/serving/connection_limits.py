"""waitress with limits: who sends or reads slowly keeps nobody else waiting, and /healthz always answers.

waitress alone accepts nobody while its connections are all taken, takes any byte for a sign of life, and answers a
question after its health behind all requests that compute.
"""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from tfvae.serving.rest_requests import MAX_BODY
from tfvae.serving.rest_responses import encode_error

HEALTH_PATH = "/healthz"
THREADS = 4  # TensorFlow uses all cores for each of them
MAX_CONNECTIONS = 100
MAX_QUEUE = 64  # requests that wait for a thread
MAX_HEADERS = 16 * 2**10  # bytes
RECEIVE_BYTES = 4096  # at once; few, for one thread unpacks the chunks of all connections in turn
DISCARD_BYTES = 2**16
MAX_FRAMING = 4 * 2**10  # bytes that chunks need for themselves; more where it is little beside the body
# How long a connection may stay in a phase. "discard": what a client still sends after it was refused.
PHASE_SECONDS = {"idle": 30, "headers": 10, "body": 60, "answer": 60, "discard": 10}
REFUSALS = {
    413: f"Expected a body of at most {MAX_BODY} bytes. Received: a larger one.",
    431: f"Expected headers of at most {MAX_HEADERS} bytes. Received: longer ones.",
    503: f"Expected at most {MAX_QUEUE} requests that wait. Received: one more. Try again later.",
}


class Refusal:
    """An error in JSON, in the place of one of waitress.

    Args:
        code: of HTTP.
        reason: the words of HTTP for it.
        details: what was wrong, for codes that have no sentence of their own.
    """

    def __init__(self, code: int, reason: str, details: str = "") -> None:
        self.status = f"{code} {reason}"
        self.body = encode_error(REFUSALS.get(code) or f"Expected a request of HTTP 1.1. Received: {details}.")

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Return status, headers and body, as waitress asks for them."""
        return self.status, [("Content-Type", "application/json")], self.body


class LimitedParser(HTTPRequestParser):
    """A request whose chunks are mostly body: tiny ones, and endless lines about one, cost much time and no bytes."""

    completed: bool

    def received(self, data: bytes) -> int:
        """Take what a client has sent, and return how many bytes of it belong to this request."""
        count: int = super().received(data)
        length = 0 if self.body_rcv is None else len(self.body_rcv)
        if not self.completed and self.body_bytes_received - length > max(MAX_FRAMING, length / 4):
            self.error, self.completed = Refusal(400, "Bad Request", "chunks that are too small"), True
        return count


class LimitedChannel(HTTPChannel):
    """A connection that knows for how long it has been in its phase."""

    parser_class = LimitedParser
    close_when_flushed: bool
    answer_count = 0
    is_refused = False  # whether the last answer was a refusal, so that the client may still be sending
    is_discarding = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.phase: Any = None
        self.phase_start = self.waiting_since = time.monotonic()  # the latter: since it came, or since its last answer
        super().__init__(*args, **kwargs)

    def find_phase(self) -> str:
        """Return a key of `PHASE_SECONDS`, or "work" while a thread computes for it, for which there is no limit."""
        if self.is_discarding:
            return "discard"
        if self.total_outbufs_len:
            return "answer"
        if self.requests:
            return "work"
        if self.request is None:
            return "idle"
        return "body" if self.request.headers_finished else "headers"

    def measure_phase(self, now: float) -> float:
        """Return for how many seconds it has been in its phase, of the same request."""
        phase = (self.find_phase(), self.request, self.answer_count)
        if phase != self.phase:
            self.phase, self.phase_start = phase, now
        return now - self.phase_start

    def service(self) -> None:
        """Answer one request, in a thread; what was sent behind it at once would wait here for a slow reader."""
        request = self.requests[0]
        with self.requests_lock:
            if len(self.requests) > 1:
                del self.requests[1:]
                request.headers["CONNECTION"] = "close"
        self.is_refused = request.error is not None
        if self.is_refused and not isinstance(request.error, Refusal):
            request.error = Refusal(request.error.code, request.error.reason, request.error.body)
        super().service()
        self.answer_count += 1
        self.waiting_since = time.monotonic()

    # After a refusal the client may still be sending its body. To close now would reset the connection, and the
    # client would not see why: so we end our half alone, and read on for a while.

    def handle_write(self) -> None:
        """Send what there is; after a refusal, end our half of the connection."""
        if not (self.is_refused and self.close_when_flushed) or self.will_close:
            super().handle_write()
            return
        self._flush_exception(self._flush_some)
        if self.connected and not self.total_outbufs_len:
            self.close_when_flushed, self.is_discarding = False, True
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:  # the client has gone
                self.handle_close()

    def readable(self) -> bool:
        """Return whether to read from the client."""
        return not self.will_close if self.is_discarding else super().readable()

    def handle_read(self) -> None:
        """Read from the client."""
        if not self.is_discarding:
            super().handle_read()
            return
        try:
            self.recv(DISCARD_BYTES)  # closes at the end of what is sent
        except OSError:
            self.handle_close()


class LimitedServer(TcpWSGIServer):
    """A server in which a new connection takes the place of the one that has waited longest, if there are too many.

    Requests for `HEALTH_PATH`, and refusals, have a thread of their own.
    """

    channel_class = LimitedChannel

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.quick_dispatcher = ThreadedTaskDispatcher()
        self.quick_dispatcher.set_thread_count(1)
        super().__init__(*args, **kwargs)

    def add_task(self, task: LimitedChannel) -> None:
        """Give a connection whose request is complete to a thread."""
        request = task.requests[0]
        is_quick = request.error is not None or request.path == HEALTH_PATH
        if not is_quick and len(self.task_dispatcher.queue) >= MAX_QUEUE:
            request.error, is_quick = Refusal(503, "Service Unavailable"), True
        (self.quick_dispatcher if is_quick else self.task_dispatcher).add_task(task)

    def handle_accept(self) -> None:
        """Accept a connection, and close the one that has waited longest if there are too many."""
        super().handle_accept()
        if len(self.active_channels) > MAX_CONNECTIONS:
            waiting = [channel for channel in self.active_channels.values() if channel.find_phase() != "work"]
            min(waiting, key=lambda channel: channel.waiting_since).handle_close()

    def maintenance(self, now: float) -> None:
        """Close the connections whose time is over; waitress calls this each second."""
        now = time.monotonic()
        for channel in list(self.active_channels.values()):
            seconds = channel.measure_phase(now)
            if seconds > PHASE_SECONDS.get(channel.phase[0], seconds):
                channel.handle_close()  # at once: `will_close` waits until the client reads


def create_server(app: Any, listener: socket.socket) -> LimitedServer:
    """Return a server of a WSGI app on a socket that listens; its `run` answers until it is stopped.

    create_server(app, socket.create_server(("127.0.0.1", 8501))).run()
    """
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # says each request that waits; their number is limited
    limits = {"max_request_body_size": MAX_BODY + 1, "max_request_header_size": MAX_HEADERS + 1}
    # Poll, for select fails at files beyond the 1024th. The limit of waitress would stop accepting, so it is out of
    # reach.
    loop = {"cleanup_interval": 1, "connection_limit": 2**30, "asyncore_use_poll": True, "recv_bytes": RECEIVE_BYTES}
    adjustments = Adjustments(sockets=[listener], ident="tfvae", **limits, **loop)
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(THREADS)
    place = (listener.family, listener.type, listener.proto, listener.getsockname())
    return LimitedServer(
        app, {}, _sock=listener, dispatcher=dispatcher, adj=adjustments, bind_socket=False, sockinfo=place
    )
