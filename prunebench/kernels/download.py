"""Fetch a publisher's file: mirrors in turn, taken up where one broke off, bounded, checked, put in place last."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import url2pathname

from prunebench.api.downloads import Download
from prunebench.api.errors import PrunebenchError
from prunebench.kernels.bounded_http import allower, opened
from prunebench.kernels.locks import is_locked, left_behind

BLOCK = 1 << 16
ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
SCHEMES = ("http", "https", "file")
ROUNDS = 5
"""How often the mirrors that broke off are asked for the rest."""
PAUSE = 1.0
"""Seconds before they are asked the first time; twice as long before each further time."""
WINDOW, LEAST = 60.0, 1 << 16
"""Within so many seconds so many bytes must arrive: a server that sends a byte a minute keeps a connection alive."""
SPARE = 1 << 24
"""Bytes that are left free on the disk."""


@dataclass(frozen=True)
class Limits:
    """How long a file may take, in seconds.

    Args:
        answer: for a mirror to answer, and between two pieces of an answer.
        whole: all mirrors together.
    """

    answer: float = 30.0
    whole: float = 6 * 3_600.0


def is_there(download: Download) -> bool:
    """Whether the file is in place and has the published checksum.

    Raises:
        PrunebenchError: its checksum is of no kind that is known, or it cannot be read.
    """
    if not download.path.is_file():
        return False
    algorithm, wanted = _checksum(download)
    try:
        return _digest(download.path, algorithm) == wanted
    except OSError as error:
        raise PrunebenchError(f"{download.path}: it cannot be read ({error.strerror})") from error


def fetch(download: Download, told: Callable[[int], None] = lambda count: None, limits: Limits | None = None) -> None:
    """Download a file unless it is in place.

    A mirror that breaks off is followed by the next, which is asked for the rest; so is a later call, if the mirror can
    give parts of files.

    Args:
        told: called with the number of bytes of each piece; a negative number takes back what did not count.
    Raises:
        PrunebenchError: no mirror gave the file (says what to put where by hand), or it cannot be written.
    """
    if is_there(download):
        return
    try:
        download.path.parent.mkdir(parents=True, exist_ok=True)
        part = _Part.of(download)
    except OSError as error:
        raise _unwritable(download, error) from error
    try:
        _fetch(download, part, told, limits or Limits())
    finally:
        part.leave()


@dataclass
class _Part:
    """What has arrived of a file.

    It lies under a name that no other process uses, and not in a folder for temporary files: a data root is often
    shared, and those cannot be read by others. Between two calls it lies at `rest`, from where one process takes it.
    It is locked as long as its process lives: what a killed one left is the next one's to go on with.
    """

    path: Path
    rest: Path
    resumable: bool = False
    """Whether a mirror said that it gives parts of the file."""
    pieces: int = 0
    """From how many answers it was put together."""
    handle: int = -1
    """Open as long as the lock is held."""

    @classmethod
    def of(cls, download: Download) -> _Part:
        name = f"{download.path.name}.{download.checksum.rpartition(':')[2][:8]}"
        rest = download.path.with_name(f"{name}.part")
        for left in download.path.parent.glob(f"{glob.escape(name)}.*.part"):
            _give_back(left, rest)
        while True:
            part = cls(download.path.with_name(f"{name}.{secrets.token_hex(4)}.part"), rest)
            with suppress(FileNotFoundError):
                os.replace(rest, part.path)
                part.resumable, part.pieces = True, 1
            if part._lock():
                return part

    def _lock(self) -> bool:
        """Whether it is this process's: another one may have taken it for left between its making and its locking."""
        self.handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if is_locked(self.handle, self.path):
            return True
        os.close(self.handle)
        return False

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def leave(self) -> None:
        """Keep it for the next call if that can go on with it."""
        with suppress(OSError):
            if self.resumable and self.size:
                os.replace(self.path, self.rest)
            else:
                self.path.unlink()
        os.close(self.handle)


def _give_back(left: Path, rest: Path) -> None:
    """Put the part of a process that was killed where the next finds it, unless more of the file is there already."""
    with suppress(OSError), left_behind(left, os.O_RDWR | os.O_NOFOLLOW) as handle:
        size = os.fstat(handle).st_size
        if size and not (rest.is_file() and rest.stat().st_size >= size):
            os.replace(left, rest)
        else:
            left.unlink()


class _BrokenOffError(Exception):
    """A mirror gave a beginning; the rest may still be had."""


def _fetch(download: Download, part: _Part, told: Callable[[int], None], limits: Limits) -> None:
    problems: dict[str, str] = {}
    ends = time.monotonic() + limits.whole
    told(part.size)
    urls, most = list(download.urls), 0
    for again in range(ROUNDS):
        broken = []
        for url in urls:
            try:
                _fetch_from(url, download, part, told, limits.answer, ends)
                os.replace(part.path, download.path)
                return
            except _BrokenOffError as error:
                problems[url] = str(error)
                if part.size > most:  # else asking again brings nothing
                    broken.append(url)
                    most = part.size
            except (OSError, HTTPException, ValueError) as error:  # a URLError is an OSError
                problems[url] = str(getattr(error, "reason", None) or error)
        if not broken:
            break
        urls = broken
        time.sleep(min(PAUSE * 2**again, max(0.0, ends - time.monotonic())))
    raise PrunebenchError(
        f"could not fetch {download.path.name}:\n    "
        + "\n    ".join(f"{url}: {problem}" for url, problem in problems.items())
        + f"\n  Get the file by other means and put it at {download.path} ({download.checksum})."
    )


def _fetch_from(
    url: str, download: Download, part: _Part, told: Callable[[int], None], timeout: float, ends: float
) -> None:
    """Bring `part` to the whole file, checked.

    Raises:
        _BrokenOffError: it got longer, and is not whole.
        OSError, HTTPException, ValueError: the mirror gives no such file; what it gave is dropped.
        PrunebenchError: it cannot be written.
    """
    algorithm, wanted = _checksum(download)
    if urlsplit(url).scheme not in SCHEMES:
        raise ValueError(f"is not read: only {', '.join(SCHEMES)} are")
    with _opened(url, part.size, timeout) as answer:
        start = part.size if getattr(answer, "status", None) == 206 and _begins_at(answer, part.size) else 0
        length = _number(answer.headers.get("Content-Length"))
        part.resumable = part.resumable or start > 0 or answer.headers.get("Accept-Ranges") == "bytes"
        whole = None if length is None else start + length
        if whole is not None and whole > download.most:
            raise ValueError(f"the file has {whole:,} bytes; at most {download.most:,} are taken")
        free = shutil.disk_usage(part.path.parent).free
        if length is not None and length + SPARE > free:
            raise PrunebenchError(
                f"{download.path}: {length:,} bytes are needed, and {free:,} are free. Make room, or set "
                "PRUNEBENCH_DATA to a folder on another disk."
            )
        if start < part.size:
            told(start - part.size)
            os.truncate(part.path, start)
        part.pieces = part.pieces + 1 if start else 1
        try:
            _receive(answer, download, part, told, ends)
        except ValueError:
            _drop(part, told)
            raise
        except (OSError, HTTPException) as error:
            if part.size == start:
                raise
            raise _BrokenOffError(f"broke off after {part.size:,} bytes ({error})") from error
    if whole is not None and part.size < whole:
        raise _BrokenOffError(f"ended after {part.size:,} of {whole:,} bytes, so it is not the published {wanted}")
    if (got := _digest(part.path, algorithm)) != wanted:
        _drop(part, told)
        if part.pieces > 1:
            raise _BrokenOffError("the pieces do not fit together")
        raise ValueError(f"the file has {algorithm} {got}, not the published {wanted}")


def _drop(part: _Part, told: Callable[[int], None]) -> None:
    told(-part.size)
    os.truncate(part.path, 0)


def _opened(url: str, start: int, timeout: float) -> Any:
    if urlsplit(url).scheme == "file" and not Path(url2pathname(urlsplit(url).path)).is_file():
        raise ValueError("no such file")  # a pipe would keep us waiting
    headers = {"User-Agent": "prunebench"}
    try:
        return opened(url, {**headers, "Range": f"bytes={start}-"} if start else headers, timeout)
    except HTTPError as error:
        if error.code != 416 or not start:  # 416: there is no such part of the file
            raise
        error.close()
        return opened(url, headers, timeout)


def _receive(answer: Any, download: Download, part: _Part, told: Callable[[int], None], ends: float) -> None:
    """Append what comes. Raises OSError if it comes too slowly, ValueError if it is too much."""
    size, since, then = part.size, time.monotonic(), part.size
    try:
        file = part.path.open("ab")
    except OSError as error:
        raise _unwritable(download, error) from error
    allow = allower(answer)
    allow(WINDOW)
    with file:
        # One receipt a time: `read` waits for a whole block, however slowly it comes.
        while block := answer.read1(BLOCK):
            allow(WINDOW)
            try:
                file.write(block)
            except OSError as error:
                raise _unwritable(download, error) from error
            size += len(block)
            told(len(block))
            if size > download.most:
                raise ValueError(f"the file has more than {download.most:,} bytes, which is all that is taken")
            now = time.monotonic()
            if now > ends:
                raise TimeoutError("it takes too long")
            if now - since > WINDOW:
                if size - then < LEAST:
                    raise TimeoutError(f"{size - then:,} bytes in {now - since:.0f} s are too slow")
                since, then = now, size


def _begins_at(answer: Any, start: int) -> bool:
    return str(answer.headers.get("Content-Range", "")).startswith(f"bytes {start}-")


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _checksum(download: Download) -> tuple[str, str]:
    algorithm, _, wanted = download.checksum.partition(":")
    if algorithm not in ALGORITHMS:
        raise PrunebenchError(
            f'{download.path.name}: its checksum "{download.checksum}" is of no kind that is known '
            f"({', '.join(ALGORITHMS)})"
        )
    return algorithm, wanted.lower()


def _digest(path: Path, algorithm: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def _unwritable(download: Download, error: OSError) -> PrunebenchError:
    return PrunebenchError(f"{download.path}: it cannot be written ({error.strerror or error})")
