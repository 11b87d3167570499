from __future__ import annotations

import hashlib
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from prunebench.api.downloads import Download
from prunebench.api.errors import PrunebenchError
from prunebench.kernels import download as downloading
from prunebench.kernels.download import Limits, fetch, is_there

CONTENT = bytes(range(256)) * 1_000
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


@dataclass
class Mirror:
    """A server of this machine, and what was asked of it."""

    url: str
    asked: list[str] = field(default_factory=list)
    ranges: list[int] = field(default_factory=list)
    """Where the parts began that were asked for."""


@pytest.fixture(autouse=True)
def _without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "PAUSE", 0.0)


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    asked: list[str] = []
    ranges: list[int] = []
    stopped = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            if self.path == "/gone":
                self.send_error(404)
                return
            if self.path == "/nonsense":
                self.wfile.write(b"this is not HTTP\r\n\r\n")
                return
            if self.path.startswith("/parts"):
                self._give_parts()
                return
            if self.path in ("/endless", "/drip"):
                self.send_response(200)
                self.end_headers()
                with suppress(OSError):
                    while not stopped.wait(0.05 if self.path == "/drip" else 0.0):
                        self.wfile.write(CONTENT[:1] if self.path == "/drip" else CONTENT)
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

        def _give_parts(self) -> None:
            """A third of the file at most; the part that was asked for, but from "/parts-never" no part ever.

            "/parts-other" gives parts of another file.
            """
            size, start = len(CONTENT), 0
            if self.path == "/parts-never" and "Range" in self.headers:
                self.send_error(503)
                return
            if "Range" in self.headers:
                start = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                ranges.append(start)
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{size - 1}/{size}")
            else:
                self.send_response(200)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(size - start))
            self.end_headers()
            content = CONTENT[::-1] if self.path == "/parts-other" else CONTENT
            self.wfile.write(content[start : start + size // 3 + 1])

        def log_message(self, *arguments: object) -> None:
            """Stay quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Mirror(f"http://127.0.0.1:{server.server_port}", asked, ranges)
    stopped.set()
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


# Taken up where it broke off.


def test_what_broke_off_is_taken_up_there(mirror: Mirror, tmp_path: Path) -> None:
    wanted, told = download(tmp_path / "file.gz", f"{mirror.url}/parts"), list[int]()
    fetch(wanted, told.append)
    third = len(CONTENT) // 3 + 1
    assert mirror.ranges == [third, 2 * third]
    assert wanted.path.read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)
    assert files(tmp_path) == ["file.gz"]


def test_the_next_mirror_is_asked_for_the_rest(mirror: Mirror, tmp_path: Path) -> None:
    wanted = download(tmp_path / "file.gz", f"{mirror.url}/parts-never", f"{mirror.url}/parts")
    fetch(wanted)
    assert mirror.asked == ["/parts-never", "/parts", "/parts-never", "/parts"]
    assert mirror.ranges == [len(CONTENT) // 3 + 1, 2 * (len(CONTENT) // 3 + 1)]
    assert wanted.path.read_bytes() == CONTENT


def test_a_mirror_that_gives_no_parts_gives_the_whole(mirror: Mirror, tmp_path: Path) -> None:
    wanted, told = download(tmp_path / "file.gz", f"{mirror.url}/parts-never", f"{mirror.url}/good"), list[int]()
    fetch(wanted, told.append)
    assert wanted.path.read_bytes() == CONTENT
    assert sum(told) == len(CONTENT)


def test_a_later_call_goes_on_where_an_earlier_one_failed(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="Service Unavailable"):
        fetch(download(tmp_path / "file.gz", f"{mirror.url}/parts-never"))
    (part,) = files(tmp_path)
    assert part.endswith(".part")
    wanted = download(tmp_path / "file.gz", f"{mirror.url}/parts")
    fetch(wanted)
    assert mirror.ranges[0] == len(CONTENT) // 3 + 1
    assert wanted.path.read_bytes() == CONTENT
    assert files(tmp_path) == ["file.gz"]


def test_an_interrupted_fetch_is_taken_up_too(mirror: Mirror, tmp_path: Path) -> None:
    def interrupt(count: int) -> None:
        if count:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(download(tmp_path / "file.gz", f"{mirror.url}/parts"), interrupt)
    fetch(download(tmp_path / "file.gz", f"{mirror.url}/parts"))
    assert mirror.ranges[0] > 0
    assert files(tmp_path) == ["file.gz"]


def test_pieces_that_do_not_fit_together_are_dropped(mirror: Mirror, tmp_path: Path) -> None:
    wanted = download(tmp_path / "file.gz", f"{mirror.url}/parts-other", f"{mirror.url}/parts", f"{mirror.url}/good")
    fetch(wanted)
    assert wanted.path.read_bytes() == CONTENT
    other = download(tmp_path / "other.gz", f"{mirror.url}/parts-other")
    with pytest.raises(PrunebenchError, match=f"not the published {SHA256.partition(':')[2]}|do not fit together"):
        fetch(other)
    assert not other.path.exists()


# Bounds.


def test_an_endless_answer_is_cut_off(mirror: Mirror, tmp_path: Path) -> None:
    wanted = Download((f"{mirror.url}/endless", f"{mirror.url}/good"), SHA256, tmp_path / "file.gz", 10**6)
    fetch(wanted)
    assert wanted.path.read_bytes() == CONTENT
    alone = Download((f"{mirror.url}/endless",), SHA256, tmp_path / "alone.gz", 10**6)
    with pytest.raises(PrunebenchError, match="more than 1,000,000 bytes"):
        fetch(alone)
    assert files(tmp_path) == ["file.gz"]


def test_a_file_that_is_said_to_be_too_large_is_not_taken(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="256,000 bytes; at most 1,000 are taken"):
        fetch(Download((f"{mirror.url}/good",), SHA256, tmp_path / "file.gz", 1_000))


def test_a_server_that_drips_is_left(mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloading, "WINDOW", 0.2)
    wanted = download(tmp_path / "file.gz", f"{mirror.url}/drip", f"{mirror.url}/good")
    fetch(wanted)
    assert wanted.path.read_bytes() == CONTENT


def test_all_mirrors_together_have_a_time(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="it takes too long"):
        fetch(download(tmp_path / "file.gz", f"{mirror.url}/drip"), limits=Limits(whole=0.2))


def test_a_full_disk_is_told_before_anything_is_written(
    mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloading.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1_000}))
    with pytest.raises(PrunebenchError, match=r"256,000 bytes are needed, and 1,000 are free"):
        fetch(download(tmp_path / "file.gz", f"{mirror.url}/good", f"{mirror.url}/parts"))
    assert mirror.asked == ["/good"]
    assert files(tmp_path) == []


def test_a_place_that_cannot_be_written_is_named(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(PrunebenchError, match=r"file/below\.gz: it cannot be written"):
        fetch(download(tmp_path / "file" / "below.gz", f"{mirror.url}/good"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/file", "data:text/plain,x", "file.gz", "gopher://x"])
def test_other_kinds_of_addresses_are_not_read(url: str, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="only http, https, file are"):
        fetch(download(tmp_path / "file.gz", url))


def test_an_unknown_kind_of_checksum_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="of no kind that is known"):
        fetch(download(tmp_path / "file.gz", (tmp_path / "x").as_uri(), checksum="crc32:1234"))
