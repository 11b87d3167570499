"""An object store on the loopback for tests, with faults on demand: moto's S3, one request at a time.

One at a time, since moto looks whether a name is free and writes in two steps: with threads it would let two writers
win, which a real object store does not.

Faults are asked for by `POST /-/faults` with JSON: {"kind": "lost" | "conflict" | "busy", "count": n, "method": "PUT",
"path": part of the path}. "lost": the request is carried out and the connection is closed without an answer.
"conflict": 409 and nothing is done. "busy": 503 and nothing is done. `GET /-/faults` says how many are left.
"""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

STATUS = {"conflict": ("409 Conflict", "ConditionalRequestConflict"), "busy": ("503 Slow Down", "SlowDown")}


class LostAnswerError(Exception):
    """Ends a request after it was carried out."""


class Faulty:
    """Moto behind faults."""

    def __init__(self) -> None:
        self._inner = DomainDispatcherApplication(create_backend_app)
        self._faults: list[dict[str, Any]] = []

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/-/faults":
            if environ["REQUEST_METHOD"] == "POST":
                body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
                self._faults.append(json.loads(body))
            left = json.dumps(sum(fault["count"] for fault in self._faults)).encode()
            start("200 OK", [("Content-Length", str(len(left)))])
            return [left]
        size = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(size)
        if len(body) < size:  # its sender was killed; an object store keeps nothing of it
            raise LostAnswerError
        environ["wsgi.input"] = io.BytesIO(body)
        fault = next((fault for fault in self._faults if self._meets(fault, environ)), None)
        if fault is None:
            return self._inner(environ, start)
        fault["count"] -= 1
        if fault["kind"] == "lost":
            b"".join(self._inner(environ, lambda *_: io.BytesIO().write))
            raise LostAnswerError
        status, code = STATUS[fault["kind"]]
        answer = f"<Error><Code>{code}</Code><Message>on demand</Message></Error>".encode()
        start(status, [("Content-Type", "application/xml"), ("Content-Length", str(len(answer)))])
        return [answer]

    def _meets(self, fault: dict[str, Any], environ: dict[str, Any]) -> bool:
        return (
            fault["count"] > 0
            and environ["REQUEST_METHOD"] == fault.get("method", "PUT")
            and fault.get("path", "") in environ["PATH_INFO"]
        )


class Handler(WSGIRequestHandler):
    """Says nothing, and closes the connection where an answer is to be lost."""

    timeout = 5  # a client that was stopped in the middle of a request keeps nobody waiting

    def log(self, type: str, message: str, *args: Any) -> None:
        """Nothing."""

    def run_wsgi(self) -> None:
        """As its parent, but a lost answer is not turned into an answer."""
        environ = self.environ = self.make_environ()
        sent: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], int]:
            sent[:] = [status, headers]
            return io.BytesIO().write

        try:
            body = b"".join(self.server.app(environ, start))
        except (LostAnswerError, OSError):
            self.close_connection = True
            return
        status, headers = sent
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        names = {name.lower() for name, _ in headers}
        for name, value in headers:
            self.send_header(name, value)
        if "content-length" not in names:
            self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        if environ["REQUEST_METHOD"] != "HEAD":
            self.wfile.write(body)


def main() -> None:
    """Serve until killed; the port is told on standard output."""
    server = make_server("127.0.0.1", 0, Faulty(), threaded=False, request_handler=Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    sys.exit(main())
