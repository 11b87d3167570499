"""A Hugging Face hub on the loopback for tests: repositories of models that are made, committed to and read.

It answers as huggingface.co does to `create_repo`, `create_commit` and `hf_hub_download`, for small files that are no
LFS objects. It keeps every commit; a revision is a commit's id or "main".
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Hub(BaseHTTPRequestHandler):
    """`repositories` has, by name, the files of each commit, by its id and the last one as "main"."""

    repositories: dict[str, dict[str, dict[str, bytes]]] = {}
    tokens: set[str | None] = set()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.tokens.add(self.headers.get("Authorization"))
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            name = "/".join(filter(None, [asked.get("organization"), asked["name"]]))
            made = name not in self.repositories
            self.repositories.setdefault(name, {"main": {}})
            return self._json(200 if made else 409, {"url": f"http://{self.headers['Host']}/{name}"})
        if self.path == "/api/validate-yaml":
            return self._json(200, {"errors": [], "warnings": []})
        place = re.fullmatch(r"/api/models/([^/]+/[^/]+)/(preupload|commit)/main", self.path)
        if place is None or place[1] not in self.repositories:
            return self._json(404, {"error": "no such repository"})
        if place[2] == "preupload":
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self._json(200, {"files": files})
        lines = [json.loads(line) for line in body.splitlines() if line]
        added = {
            line["value"]["path"]: base64.b64decode(line["value"]["content"]) for line in lines if line["key"] == "file"
        }
        commits = self.repositories[place[1]]
        files_now = {**commits["main"], **added}
        oid = hashlib.sha1(repr(sorted(files_now.items())).encode()).hexdigest()
        commits["main"] = commits[oid] = files_now
        url = f"http://{self.headers['Host']}/{place[1]}/commit/{oid}"
        return self._json(200, {"success": True, "commitOid": oid, "commitUrl": url})

    def do_HEAD(self) -> None:
        self._file(body=False)

    def do_GET(self) -> None:
        self._file(body=True)

    def _file(self, body: bool) -> None:
        place = re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", self.path)
        commits = self.repositories.get(place[1]) if place else None
        if place is None or commits is None:
            return self._json(404, {}, "RepoNotFound")
        if place[2] not in commits:
            return self._json(404, {}, "RevisionNotFound")
        content = commits[place[2]].get(place[3])
        if content is None:
            return self._json(404, {}, "EntryNotFound")
        oid = next(oid for oid, files in commits.items() if oid != "main" and files == commits[place[2]])
        self.send_response(200)
        self.send_header("X-Repo-Commit", oid)
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def _json(self, status: int, answer: Any, code: str = "") -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


@contextmanager
def hub() -> Iterator[str]:
    """An empty hub; its address."""
    Hub.repositories, Hub.tokens = {}, set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
