"""Files of a leaderboard's folder, read as what they are: data of a stranger.

Nothing but regular files inside the folder is opened, no more of one is read than its kind may hold, and whatever
stands in them becomes a typed value or a sentence with file, line and field.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

from pydantic import ValidationError

from prunebench.api.errors import PrunebenchError
from prunebench.api.keys import canonical
from prunebench.api.rows import Record

T = TypeVar("T", covariant=True)

MIB = 2**20
LARGEST = {
    "results.jsonl": 2048 * MIB,
    "details.jsonl": 4096 * MIB,
    "provenance.json": 16 * MIB,
    "manifest.json": 16 * MIB,
    "verification.json": 16 * MIB,
}
"""Bytes of each file that is read; another file of the folder is at most as large as `details.jsonl`."""

LONGEST_LINE = 256 * MIB
"""Bytes of one line: the figures of one analysis."""

_SHOWN = 60
"""Characters of a value that an error shows."""


class Parse(Protocol[T]):
    """A typed value from JSON, such as `Row.model_validate_json`."""

    def __call__(self, data: bytes, /) -> T:
        """Raises ValidationError."""


def content_of(path: Path) -> bytes:
    """The bytes of a regular file.

    Raises:
        FileNotFoundError: there is none.
        PrunebenchError: it is a link, a folder or a device, too large, or cannot be read.
    """
    return b"".join(_chunks(path, LARGEST.get(path.name, LARGEST["details.jsonl"])))


def content_in(folder: Path, name: str) -> bytes:
    """The bytes of a file that every leaderboard has. Raises PrunebenchError, also where this folder has none."""
    try:
        return content_of(folder / name)
    except FileNotFoundError as error:
        raise PrunebenchError(
            f"{folder}: not a leaderboard: it has no {name}. "
            "Give a folder that `prunebench run` or `prunebench report` wrote."
        ) from error


def lines_text(lines: Iterable[Record]) -> str:
    """The content of a file of one JSON object a line, each written canonically."""
    return "".join(canonical(line.to_json()) + "\n" for line in lines)


def sha256_of(path: Path) -> str:
    """The sha256 of a regular file, in hex. Raises as `content_of` does."""
    digest = hashlib.sha256()
    for chunk in _chunks(path, LARGEST.get(path.name, LARGEST["details.jsonl"])):
        digest.update(chunk)
    return digest.hexdigest()


def _chunks(path: Path, most: int) -> Iterator[bytes]:
    try:
        # Without waiting: to open a FIFO would block until somebody writes into it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise PrunebenchError(f"{path}: cannot be read: {_kind(path) or reason(error)}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise PrunebenchError(f"{path}: cannot be read: {_kind(path) or 'it is not a regular file'}")
    with os.fdopen(descriptor, "rb") as file:
        size = 0
        try:
            while chunk := file.read(MIB):
                size += len(chunk)
                if size > most:
                    raise PrunebenchError(f"{path}: larger than {most // MIB} MiB, which no {path.name} is")
                yield chunk
        except OSError as error:
            raise PrunebenchError(f"{path}: cannot be read: {reason(error)}") from error


def _kind(path: Path) -> str | None:
    """What a path is, if it is no regular file."""
    try:
        mode = path.lstat().st_mode
    except (OSError, ValueError):
        return None
    if stat.S_ISLNK(mode):
        return "it is a symbolic link, which is not followed"
    if stat.S_ISDIR(mode):
        return "it is a folder"
    return None if stat.S_ISREG(mode) else "it is not a regular file"


def reason(error: BaseException) -> str:
    """Why something failed, in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__


def lines_of(content: bytes, parse: Parse[T], where: str) -> Iterator[T]:
    """The values of a file with one on each line; empty lines are none.

    Args:
        where: the file, for errors.
    Raises:
        PrunebenchError: a line is damaged; names file, line and field.
    """
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip():
            yield parsed(line, parse, f"{where}:{number}", "a line of JSON")


def parsed(content: bytes, parse: Parse[T], where: str, form: str = "JSON") -> T:
    """A typed value. Raises PrunebenchError, with the place and all that is wrong in a sentence."""
    if len(content) > LONGEST_LINE:
        raise PrunebenchError(f"{where}: damaged: longer than {LONGEST_LINE // MIB} MiB")
    try:
        return parse(content)
    except ValidationError as error:
        raise PrunebenchError(f"{where}: damaged: {sentence(error, form)}") from error


def sentence(error: ValidationError, form: str = "JSON") -> str:
    """What is wrong with a value: the fields that it lacks, or else the first fault; and how many more there are."""
    # Of a misspelt field the one that is missing says more than the one that is too many.
    first, *others = sorted(error.errors(include_url=False), key=lambda fault: fault["type"] != "missing")
    field = ".".join(str(part) for part in first["loc"]) or "it"
    kind, value, context = first["type"], _shown(first["input"]), first.get("ctx", {})
    expected = {
        "int_type": "a whole number",
        "int_from_float": "a whole number",
        "float_type": "a number",
        "string_type": "text",
        "bool_type": "true or false",
        "finite_number": "a finite number; what has no number has null, and says so in its outcome",
        "tuple_type": "a list",
        "mapping_type": "an object",
        "dict_type": "an object",
        "model_type": "an object",
        "model_attributes_type": "an object",
        "none_required": "null",
    }
    if kind == "json_invalid":
        text = f"not {form} ({context.get('error')})"
    elif kind == "missing":
        text = f"no field {field}"
    elif kind == "extra_forbidden":
        text = f"unknown field {field}"
    elif kind == "literal_error":
        text = f"{field} is {value}; known: {context.get('expected')}"
    elif kind == "union_tag_not_found":
        text = "no field kind"
    elif kind == "union_tag_invalid":
        text = f"kind is {_shown(context.get('tag'))}; known: {context.get('expected_tags')}"
    elif kind in expected:
        text = f"not {expected[kind]}" if not first["loc"] else f"{field} is {value}, not {expected[kind]}"
    elif kind == "value_error":
        text = str(context.get("error"))
    else:
        text = f"{field} is {value}: {first['msg']}"
    return text + (f" (and {len(others)} more)" if others else "")


def _shown(value: object) -> str:
    """A value on one line, cut to a readable length."""
    text = repr(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
