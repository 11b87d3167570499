"""HTTP whose answers are bounded in time wherever they drip: in the status line, in headers, between two pieces.

A socket's own timeout is begun anew with every byte, and `http.client` reads a whole line, all headers, or all that
follows the last piece in one call. So whoever sends a byte now and then could hold such a call for days.
"""

from __future__ import annotations

import io
import socket
import time
import urllib.request
from collections.abc import Callable
from http.client import HTTPConnection, HTTPMessage, HTTPResponse
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

SILENT = 30.0
"""Seconds that a server may take to begin its answer."""


class _BoundedReader(io.RawIOBase):
    """What a socket gives, until a point in time."""

    def __init__(self, inner: io.RawIOBase, until: float) -> None:
        self._inner, self.until = inner, until

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any, /) -> int | None:
        """One receipt. Raises TimeoutError after the time that is allowed."""
        count = self._inner.readinto(buffer)
        if time.monotonic() > self.until:
            raise TimeoutError("it answers too slowly")
        return count

    def close(self) -> None:
        """Close the socket's end too."""
        self._inner.close()
        super().close()


class _BoundedResponse(HTTPResponse):
    """An answer; its status and headers must arrive within the time that a socket may be silent."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        inner = self.fp.detach()
        self._reader = _BoundedReader(inner, time.monotonic() + (sock.gettimeout() or float("inf")))
        self.fp = io.BufferedReader(self._reader)

    def allow(self, seconds: float) -> None:
        """From now on no call may take longer."""
        self._reader.until = time.monotonic() + seconds


class _Bounded(urllib.request.AbstractHTTPHandler):
    def do_open(self, http_class: Any, req: urllib.request.Request, **options: Any) -> HTTPResponse:
        """See the base class."""

        def connection(*args: Any, **keywords: Any) -> HTTPConnection:
            made: HTTPConnection = http_class(*args, **keywords)
            made.response_class = _BoundedResponse
            return made

        return super().do_open(connection, req, **options)


class _Http(_Bounded, urllib.request.HTTPHandler):
    pass


class _Https(_Bounded, urllib.request.HTTPSHandler):
    pass


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to http and https alone, and reads nothing of what comes with a redirection."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> urllib.request.Request | None:
        """See the base class."""
        fp.close()
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise HTTPError(req.full_url, code, f"it leads to {newurl}, which is not read", headers, None)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def opened(url: str, headers: dict[str, str], timeout: float) -> Any:
    """The answer of a server, or a file of this machine. Raises OSError or HTTPException.

    Args:
        timeout: seconds for status and headers, once connected, and for the server to be silent.
    """
    opener = urllib.request.build_opener(_Http, _Https, _Redirects)
    return opener.open(urllib.request.Request(url, headers=headers), timeout=timeout)


def content_at(url: str, most: int, seconds: float) -> bytes:
    """What lies at an address of http or https.

    Args:
        most: bytes that are taken.
        seconds: for the whole of it.
    Raises:
        OSError, HTTPException: the server does not give it, or not in time.
        ValueError: it is larger, or the address is of another scheme.
    """
    if urlsplit(url).scheme.lower() not in ("http", "https"):
        raise ValueError("only http and https are read")
    ends = time.monotonic() + seconds
    content = bytearray()
    with opened(url, {"User-Agent": "prunebench"}, min(SILENT, seconds)) as answer:
        allow = allower(answer)
        allow(seconds)
        # One receipt at a time: `read` would wait for all of it.
        while block := answer.read1(1 << 16):
            content += block
            if len(content) > most:
                raise ValueError(f"it has more than {most:,} bytes")
            if time.monotonic() > ends:
                raise TimeoutError("it takes too long")
        stated = answer.headers.get("Content-Length")
    if stated is not None and stated.isdigit() and len(content) < int(stated):
        raise OSError(f"it ended after {len(content):,} of {stated} bytes")
    return bytes(content)


def allower(answer: Any) -> Callable[[float], None]:
    """What says of an answer how many seconds the next call on it may take."""
    if isinstance(answer, _BoundedResponse):
        return answer.allow
    return lambda seconds: None
