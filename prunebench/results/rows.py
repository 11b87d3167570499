"""The rows of `results.jsonl`: written canonically, read with the place of any damage."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from prunebench.api.errors import PrunebenchError
from prunebench.api.keys import canonical

Row = Mapping[str, Any]

RESULTS = "results.jsonl"
IDENTITY = ("entry", "model", "data", "seed", "round", "draw", "twin", "role", "position", "metric", "split")
"""What a row measures: two rows that agree in these are the same measurement."""

_TEXTS = ("entry", "model", "data", "role", "position", "metric", "split", "unit", "outcome", "key")
_WHOLES = ("seed", "round", "draw", "twin")
_NUMBERS = ("density", "density_all", "value")
_ROLES = ("evaluate", "find", "analyse")
_OUTCOMES = ("ok", "diverged", "collapsed", "failed")


def damage(row: object) -> str | None:
    """What is wrong with a row, in words; None if it is whole."""
    if not isinstance(row, Mapping):
        return "not an object"
    absent = [name for name in (*_TEXTS, *_WHOLES, *_NUMBERS) if name not in row]
    if absent:
        return f"no field {', '.join(absent)}"
    for name in _TEXTS:
        if not isinstance(row[name], str):
            return f"{name} is {row[name]!r}, not text"
    for name in _WHOLES:
        if name == "round" and row[name] is None and row["role"] == "analyse":
            continue  # an analysis may be of the whole trial
        if not isinstance(row[name], int) or isinstance(row[name], bool):
            return f"{name} is {row[name]!r}, not a whole number"
    for name in _NUMBERS:
        number = row[name]
        if number is not None and (not isinstance(number, int | float) or isinstance(number, bool)):
            return f"{name} is {number!r}, not a number or null"
        if number is not None and not math.isfinite(number):
            return f"{name} is {number!r}; a trial without a number has value null and says so in its outcome"
    macs = row.get("density_macs")
    if macs is not None and (not isinstance(macs, int | float) or isinstance(macs, bool) or not math.isfinite(macs)):
        return f"density_macs is {macs!r}, not a number or null"
    if row["role"] not in _ROLES:
        return f"role is {row['role']!r}; one of {', '.join(_ROLES)} is known"
    if row["outcome"] not in _OUTCOMES:
        return f"outcome is {row['outcome']!r}; one of {', '.join(_OUTCOMES)} is known"
    if row["outcome"] == "ok" and row["density"] is None and row["role"] != "analyse":
        return "outcome is ok, but there is no density"
    return None


def write_rows(folder: Path, rows: Iterable[Row]) -> None:
    """Write one row a line, in the order given. Raises PrunebenchError on a row that could not be read back."""
    lines = []
    for number, row in enumerate(rows, start=1):
        wrong = damage(row)
        if wrong is not None:
            raise PrunebenchError(f"result {number}: {wrong}")
        lines.append(canonical(dict(row)) + "\n")
    (folder / RESULTS).write_text("".join(lines), encoding="utf-8", newline="\n")


def read_rows(folder: Path) -> list[dict[str, Any]]:
    """The rows of a leaderboard, in file order. Raises PrunebenchError, with file and line, if one is damaged."""
    path = Path(folder) / RESULTS
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PrunebenchError(
            f"{folder}: not a leaderboard: {RESULTS} cannot be read ({error.strerror}). "
            "Give a folder that `prunebench run` or `prunebench report` wrote."
        ) from error
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(content.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8"))
        except ValueError as error:
            raise PrunebenchError(f"{path}:{number}: damaged: not a line of JSON ({error})") from error
        wrong = damage(row)
        if wrong is not None:
            raise PrunebenchError(f"{path}:{number}: damaged: {wrong}")
        rows.append(row)
    if not rows:
        raise PrunebenchError(f"{path}: no results in it")
    return rows
