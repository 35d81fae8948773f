"""WSGI apps on ports of their own, and one that notes what comes: helpers of the tests of the page."""

import contextlib
import threading

from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    def log_request(self, *_):
        pass


@contextlib.contextmanager
def listening(app):
    """The URL of a WSGI app on a port of its own."""
    with make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.port}"
        finally:
            server.shutdown()
            thread.join()


class Recorder:
    """A WSGI app that notes what comes and says one thing."""

    def __init__(self, status="200 OK", body=b'{"ok": 1}', **headers):
        self.seen, self.status, self.body, self.headers = [], status, body, headers

    def __call__(self, environ, start_response):
        headers = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        self.seen.append((environ["REQUEST_METHOD"], environ["PATH_INFO"], body, headers))
        start_response(self.status, [("Content-Type", "text/html"), *self.headers.items()])
        return [self.body]
