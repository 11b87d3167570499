"""The lines of `details.jsonl`, behind the rows: an evaluated ticket or an analysis each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prunebench.api.errors import PrunebenchError
from prunebench.api.keys import canonical

DETAILS = "details.jsonl"
DETAIL_IDENTITY = ("entry", "model", "data", "seed", "kind", "round", "draw", "analysis", "key")
"""What a line is of: two lines that agree in these are of the same evaluation or analysis."""


def write_details(folder: Path, details: Iterable[Mapping[str, Any]]) -> None:
    """Write one line each, in the order given."""
    text = "".join(canonical(dict(line)) + "\n" for line in details)
    (folder / DETAILS).write_text(text, encoding="utf-8", newline="\n")


def read_details(folder: Path) -> list[dict[str, Any]]:
    """The details of a leaderboard, in file order. Raises PrunebenchError, with file and line, if one is damaged."""
    path = Path(folder) / DETAILS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PrunebenchError(f"{folder}: {DETAILS} cannot be read ({error.strerror}); is it a leaderboard?") from error
    lines: list[dict[str, Any]] = []
    for number, text in enumerate(content.split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text.decode("utf-8"))
        except ValueError as error:
            raise PrunebenchError(f"{path}:{number}: damaged: not a line of JSON ({error})") from error
        if not isinstance(line, dict) or line.get("kind") not in ("evaluation", "analysis"):
            raise PrunebenchError(f"{path}:{number}: damaged: neither an evaluation nor an analysis")
        lines.append(line)
    return lines
