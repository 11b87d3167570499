"""The manifest of a leaderboard: a sha256 of every committed file, so that no byte changes unseen.

It protects against accidents and careless edits. Whoever forges a result can forge the manifest too; running the
results again is what catches that (`prunebench verify`).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from prunebench.api import keys
from prunebench.api.errors import PrunebenchError

MANIFEST = "manifest.json"
UNLISTED = frozenset({MANIFEST, "verification.json", "index.html"})
"""Files beside the results that come later or are made again: the page, and the record of a verification."""


def write_manifest(folder: Path) -> dict[str, Any]:
    """List every file of a leaderboard's folder (not of folders in it) with its sha256."""
    files = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name not in UNLISTED and not path.name.startswith(".")
    }
    body: dict[str, Any] = {"schema": 1, "files": files}
    manifest = {**body, "sha256": keys.digest(body)}
    (folder / MANIFEST).write_bytes(_written(manifest))
    return manifest


def check_manifest(folder: Path) -> list[str]:
    """What differs from the manifest, a sentence each; empty if every byte is as it was written.

    Raises:
        PrunebenchError: there is no manifest.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise PrunebenchError(f"{folder}: not a leaderboard: it has no {MANIFEST}") from None
    except ValueError as error:
        return [f"{MANIFEST} is damaged: {error}"]
    if not isinstance(manifest, dict) or manifest.keys() != {"schema", "files", "sha256"}:
        return [f"{MANIFEST} is damaged: it lacks its fields"]
    body = {"schema": manifest["schema"], "files": manifest["files"]}
    if keys.digest(body) != manifest["sha256"] or path.read_bytes() != _written(manifest):
        return [f"{MANIFEST} was edited: its own sha256 does not fit"]
    wrong = []
    for name, digest in manifest["files"].items():
        file = folder / name
        if not file.is_file():
            wrong.append(f"{name} is missing")
        elif hashlib.sha256(file.read_bytes()).hexdigest() != digest:
            wrong.append(f"{name} was edited: its sha256 is not the manifest's")
    return wrong


def _written(manifest: dict[str, Any]) -> bytes:
    return (json.dumps(manifest, indent=2, sort_keys=True) + "\n").encode()
