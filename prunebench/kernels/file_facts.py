"""What was once found out about files, such as a digest of 110,000 of them, kept as long as their metadata stand.

Metadata are size, inode, and the times of the last change of content and of metadata: nobody sets the latter back
without changing the clock. What is kept lies in the user's cache, one small file for each question; without a cache
that can be written, everything is found out anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

SETTLED = 2.0
"""Seconds since the last change of a file from which on its times are trusted: those of some file systems are coarse,
and a second change within one tick would not be seen."""


def folder() -> Path:
    """`$PRUNEBENCH_CACHE`, or a folder in the user's cache."""
    import platformdirs

    given = os.environ.get("PRUNEBENCH_CACHE")
    return Path(given).expanduser() if given else Path(platformdirs.user_cache_dir("prunebench")) / "facts"


def remembered(question: str, files: Iterable[str | Path], find_out: Callable[[], Any]) -> Any:
    """The answer of an earlier call if no file has changed since, else that of `find_out`, which is kept.

    Args:
        question: what is asked, with all that the answer depends on beside the files.
        files: files and folders; one that is absent counts as changed.
        find_out: gives a JSON value; what it raises is not kept.
    """
    paths = list(files)
    stamp, newest = _stamp(paths)
    place = place_of(question)
    known = read_json(place)
    if stamp is not None and isinstance(known, dict) and known.get("stamp") == stamp and "answer" in known:
        return known["answer"]
    settled = time.time() - newest >= SETTLED
    answer = find_out()
    if settled and stamp is not None and _stamp(paths)[0] == stamp:
        write_json(place, {"stamp": stamp, "answer": answer})
    return answer


def place_of(question: str) -> Path:
    """Where the answer to a question is kept."""
    return folder() / f"{hashlib.sha256(question.encode()).hexdigest()}.json"


def _stamp(paths: Iterable[str | Path]) -> tuple[str | None, float]:
    """Of all files' metadata together, and the time of the last change; None if a file is absent."""
    found, newest = hashlib.sha256(), 0
    for path in paths:
        try:
            stat = os.stat(path)
        except OSError:
            return None, time.time()
        times = f"{stat.st_mtime_ns} {stat.st_ctime_ns}"
        found.update(f"{os.fspath(path)!r} {stat.st_size} {stat.st_ino} {times}\n".encode())
        newest = max(newest, stat.st_mtime_ns, stat.st_ctime_ns)
    return found.hexdigest(), newest / 1e9


def read_json(place: Path) -> Any:
    """The value that is kept there; None where there is none, or it cannot be read."""
    try:
        return json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(place: Path, value: Any) -> None:
    """Keep a value, if that can be done."""
    temporary = place.with_name(f"{place.name}.{secrets.token_hex(4)}")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(value), encoding="utf-8")
        os.replace(temporary, place)
    except OSError:  # full or read-only: it is found out again
        with suppress(OSError):
            temporary.unlink()
