"""Servers that are sockets: what they send is no answer that a library would give."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest

from prunebench.api.downloads import Download
from prunebench.api.errors import PrunebenchError
from prunebench.kernels import download as downloading
from prunebench.kernels.download import Limits, fetch

CONTENT = b"x" * 1_000
OK = b"HTTP/1.1 200 OK\r\n"
PIECES = OK + b"Transfer-Encoding: chunked\r\n\r\n"

Answer = Callable[[socket.socket], None]
Serve = Callable[[Answer], str]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Begins a server that answers each connection in one way; its address."""
    monkeypatch.setattr(downloading, "PAUSE", 0.0)
    monkeypatch.setattr(downloading, "WINDOW", 0.3)
    listeners: list[socket.socket] = []

    def begin(answer: Answer) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def one(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                connection.recv(65_536)
                answer(connection)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}/file"

    yield begin
    for listener in listeners:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def for_ever(head: bytes, more: bytes, pause: float = 0.0) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        while True:  # until whoever asked hangs up
            connection.sendall(more)
            time.sleep(pause)

    return answer


def once(content: bytes) -> Answer:
    return lambda connection: connection.sendall(content)


def fetched(url: str, folder: Path) -> str:
    """What became of a download: its content, or the error."""
    found: list[str] = []

    def run() -> None:
        wanted = Download((url,), f"sha256:{sha256(CONTENT).hexdigest()}", folder / "file", 10**6)
        try:
            fetch(wanted, limits=Limits(answer=0.3, whole=20.0))
            found.append(wanted.path.read_text())
        except PrunebenchError as error:
            found.append(str(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    assert found, "it hangs"
    return found[0]


DRIPS = {
    "status line": for_ever(b"HTTP/1.1 200 ", b"O", 0.02),
    "headers": for_ever(OK + b"X-More: ", b"x", 0.02),
    "go on": for_ever(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "size of a piece": for_ever(PIECES, b"0", 0.02),
    "after the last piece": for_ever(PIECES + b"3e8\r\n" + CONTENT + b"\r\n0\r\n", b"X: y\r\n"),
}


@pytest.mark.parametrize("where", DRIPS)
def test_a_server_that_never_ends_is_left_wherever_it_drips(serve: Serve, tmp_path: Path, where: str) -> None:
    assert "it answers too slowly" in fetched(serve(DRIPS[where]), tmp_path)


def test_nothing_is_read_of_what_comes_with_a_redirection(serve: Serve, tmp_path: Path) -> None:
    there = serve(once(OK + b"Content-Length: 1000\r\n\r\n" + CONTENT))
    head = f"HTTP/1.1 302 Found\r\nLocation: {there}\r\n\r\n".encode()
    assert fetched(serve(for_ever(head, CONTENT)), tmp_path) == CONTENT.decode()


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1:1/file", "data:text/plain,x"])
def test_a_redirection_leads_to_http_alone(serve: Serve, tmp_path: Path, place: str) -> None:
    said = fetched(serve(once(f"HTTP/1.1 302 Found\r\nLocation: {place}\r\n\r\n".encode())), tmp_path)
    assert "is not allowed" in said or "which is not read" in said


@pytest.mark.parametrize("length", ["10", "5000", "9" * 30, "ten"])
def test_a_length_that_is_wrong_never_gives_another_file(serve: Serve, tmp_path: Path, length: str) -> None:
    said = fetched(serve(once(OK + f"Content-Length: {length}\r\n\r\n".encode() + CONTENT)), tmp_path)
    assert said == CONTENT.decode() if length == "ten" else "could not fetch file" in said


def test_a_pipe_in_the_place_of_a_local_file_keeps_nobody_waiting(serve: Serve, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "no such file" in fetched((tmp_path / "pipe").as_uri(), tmp_path)
