from __future__ import annotations

import hashlib
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from prunebench.api.downloads import Download
from prunebench.api.errors import PrunebenchError
from prunebench.kernels.download import fetch, is_there

CONTENT = bytes(range(256)) * 1_000
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@dataclass
class Mirror:
    """A server of this machine, and what was asked of it."""

    url: str
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/gone":
                self.send_error(404)
                return
            if self.path == "/nonsense":
                self.wfile.write(b"this is not HTTP\r\n\r\n")
                return
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/good")
                self.end_headers()
                return
            body = CONTENT[::-1] if self.path == "/other" else CONTENT
            self.send_response(200)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(body[:1_000] if self.path == "/cut" else body)

        def log_message(self, *arguments: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Mirror(f"http://127.0.0.1:{server.server_port}", asked)
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed() -> str:
    """An address where nobody answers."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/good"


def download(path: Path, *urls: str, checksum: str = SHA256) -> Download:
    return Download(urls, checksum, path)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("checksum", [SHA256, MD5])
@pytest.mark.parametrize("place", ["/good", "/moved"])
def test_a_file_is_fetched_checked_and_put_in_place(mirror: Mirror, tmp_path: Path, checksum: str, place: str) -> None:
    wanted = download(tmp_path / "deep" / "down" / "file.gz", mirror.url + place, checksum=checksum)
    assert not is_there(wanted)
    told: list[int] = []
    fetch(wanted, told.append)
    assert wanted.path.read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)
    assert is_there(wanted)
    assert files(tmp_path) == ["file.gz"]


def test_a_local_file_is_a_mirror_too(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(CONTENT)
    wanted = download(tmp_path / "root" / "file.gz", (tmp_path / "source").as_uri())
    fetch(wanted)
    assert wanted.path.read_bytes() == CONTENT


def test_what_is_in_place_is_not_fetched_again(mirror: Mirror, tmp_path: Path) -> None:
    wanted = download(tmp_path / "file.gz", f"{mirror.url}/good")
    fetch(wanted)
    fetch(wanted)
    assert mirror.asked == ["/good"]


def test_a_file_with_another_checksum_is_replaced(mirror: Mirror, tmp_path: Path) -> None:
    wanted = download(tmp_path / "file.gz", f"{mirror.url}/good")
    wanted.path.write_bytes(CONTENT[:-1])
    assert not is_there(wanted)
    fetch(wanted)
    assert wanted.path.read_bytes() == CONTENT


@pytest.mark.parametrize("bad", ["/gone", "/other", "/cut", "/nonsense"])
def test_a_bad_mirror_is_followed_by_the_next(mirror: Mirror, tmp_path: Path, bad: str) -> None:
    wanted = download(tmp_path / "file.gz", mirror.url + bad, f"{mirror.url}/good")
    fetch(wanted)
    assert mirror.asked == [bad, "/good"]
    assert wanted.path.read_bytes() == CONTENT
    assert files(tmp_path) == ["file.gz"]


def test_a_dead_mirror_is_followed_by_the_next(mirror: Mirror, closed: str, tmp_path: Path) -> None:
    wanted = download(tmp_path / "file.gz", closed, (tmp_path / "nowhere").as_uri(), f"{mirror.url}/good")
    fetch(wanted)
    assert is_there(wanted)


@pytest.mark.parametrize("bad", ["/gone", "/other", "/cut", "/nonsense"])
def test_where_no_mirror_is_left_the_error_says_what_to_put_where(mirror: Mirror, tmp_path: Path, bad: str) -> None:
    wanted = download(tmp_path / "file.gz", mirror.url + bad)
    with pytest.raises(PrunebenchError) as failed:
        fetch(wanted)
    message = str(failed.value)
    assert message.startswith("could not fetch file.gz:\n")
    assert mirror.url + bad in message
    assert f"put it at {wanted.path} ({SHA256})" in message
    if bad in ("/other", "/cut"):
        assert f"not the published {SHA256.partition(':')[2]}" in message
    assert files(tmp_path) == []


def test_every_mirror_that_failed_is_named(mirror: Mirror, closed: str, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError) as failed:
        fetch(download(tmp_path / "file.gz", f"{mirror.url}/gone", closed, f"{mirror.url}/other"))
    assert [line.strip().split(": ")[0] for line in str(failed.value).splitlines()[1:-1]] == [
        f"{mirror.url}/gone",
        closed,
        f"{mirror.url}/other",
    ]


def test_an_interrupted_fetch_leaves_no_part_of_a_file(mirror: Mirror, tmp_path: Path) -> None:
    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(download(tmp_path / "file.gz", f"{mirror.url}/good"), interrupt)
    assert files(tmp_path) == []


def test_others_may_read_a_file_that_one_user_fetched(mirror: Mirror, tmp_path: Path) -> None:
    wanted = download(tmp_path / "file.gz", f"{mirror.url}/good")
    (tmp_path / "plain").write_bytes(b"")
    fetch(wanted)
    assert stat.S_IMODE(wanted.path.stat().st_mode) == stat.S_IMODE((tmp_path / "plain").stat().st_mode)
