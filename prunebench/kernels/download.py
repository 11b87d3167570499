"""Fetch a publisher's file: mirrors in turn, checksum checked, renamed into place when whole."""

from __future__ import annotations

import hashlib
import os
import secrets
import urllib.request
from collections.abc import Callable
from http.client import HTTPException

from prunebench.api.downloads import Download
from prunebench.api.errors import PrunebenchError

BLOCK = 1 << 16


def is_there(download: Download) -> bool:
    """Whether the file is in place and has the published checksum."""
    if not download.path.is_file():
        return False
    name, _, wanted = download.checksum.partition(":")
    with download.path.open("rb") as file:
        return hashlib.file_digest(file, name).hexdigest() == wanted


def fetch(download: Download, told: Callable[[int], None] = lambda count: None, timeout: float = 30.0) -> None:
    """Download a file unless it is in place.

    Args:
        told: called with the number of bytes of each block.
        timeout: seconds to wait for a mirror to answer.
    Raises:
        PrunebenchError: no mirror gave the file; says what to put where by hand.
    """
    if is_there(download):
        return
    problems = []
    download.path.parent.mkdir(parents=True, exist_ok=True)
    for url in download.urls:
        try:
            _fetch_from(url, download, told, timeout)
            return
        except (OSError, HTTPException, ValueError) as error:  # a URLError is an OSError
            problems.append(f"{url}: {getattr(error, 'reason', None) or error}")
    raise PrunebenchError(
        f"could not fetch {download.path.name}:\n    "
        + "\n    ".join(problems)
        + f"\n  Get the file by other means and put it at {download.path} ({download.checksum})."
    )


def _fetch_from(url: str, download: Download, told: Callable[[int], None], timeout: float) -> None:
    name, _, wanted = download.checksum.partition(":")
    digest = hashlib.new(name, usedforsecurity=False)
    request = urllib.request.Request(url, headers={"User-Agent": "prunebench"})
    # Not by tempfile, whose files nobody else may read: a data root is often shared.
    temporary = download.path.with_name(f"{download.path.name}.{secrets.token_hex(4)}.part")
    try:
        with temporary.open("xb") as file, urllib.request.urlopen(request, timeout=timeout) as answer:
            while block := answer.read(BLOCK):
                digest.update(block)
                file.write(block)
                told(len(block))
        if digest.hexdigest() != wanted:
            raise ValueError(f"the file has {name} {digest.hexdigest()}, not the published {wanted}")
        os.replace(temporary, download.path)
    finally:
        temporary.unlink(missing_ok=True)
