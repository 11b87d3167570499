"""Starts the object store of object_server.py and opens stores in it, for other processes too."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from prunebench.store.objects import ObjectBackend

LEASE = "PRUNEBENCH_TEST_LEASE_SECONDS"


def opened(place: str) -> ObjectBackend:
    """The backend of a URL, with the leases that the test asks for."""
    return ObjectBackend(place, lease_seconds=float(os.environ[LEASE]))


class Server:
    """A running one."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._buckets = 0

    def bucket(self) -> str:
        """The URL of a place in a new bucket."""
        self._buckets += 1
        name = f"bucket-{self._buckets}"
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT")).close()
        return f"s3://{name}/some/place"

    def fault(self, kind: str, count: int = 1, method: str = "PUT", path: str = "") -> None:
        """The next requests of this kind meet this fault."""
        asked = json.dumps({"kind": kind, "count": count, "method": method, "path": path}).encode()
        urllib.request.urlopen(f"{self.url}/-/faults", data=asked).close()

    def faults_left(self) -> int:
        """How many were asked for and not yet met."""
        with urllib.request.urlopen(f"{self.url}/-/faults") as answer:
            return int(answer.read())


@contextmanager
def serving(home: Path) -> Iterator[Server]:
    """A server on a free port of the loopback, its files below `home`; this process and its children speak with it."""
    script = Path(__file__).with_name("object_server.py")
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(home)}
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", str(script)], stdout=subprocess.PIPE, text=True, env=environment, cwd=home
    )
    try:
        assert process.stdout is not None
        server = Server(int(process.stdout.readline()))
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith(("AWS_", "PRUNEBENCH_STORE"))]:
                patch.delenv(name)
            patch.setenv("AWS_ENDPOINT_URL", server.url)
            patch.setenv("AWS_ACCESS_KEY_ID", "none")
            patch.setenv("AWS_SECRET_ACCESS_KEY", "none")
            patch.setenv("AWS_REGION", "us-east-1")
            patch.setenv("PRUNEBENCH_STORE_CACHE", str(home / "payloads"))
            patch.setenv(LEASE, "30")
            yield server
    finally:
        process.kill()
        process.communicate()
