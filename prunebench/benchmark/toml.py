"""TOML as a benchmark file may hold it: bounded in every way, every number one that JSON and a table can hold."""

from __future__ import annotations

import math
import os
import re
import stat
import tomllib
from pathlib import Path
from typing import Any

from prunebench.api.errors import ConfigError, close_to
from prunebench.benchmark import bounds

Table = dict[str, Any]

# Parsing a key takes the square of its parts. A string that looks like such a key is no loss.
_LONG_KEY = re.compile(
    rf"""(?<![\w-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){{{bounds.DEPTH}}}""", re.ASCII
)


class Printed(float):
    """A float that remembers how the file printed it: "0.210" asks for three decimals."""

    text: str

    def __new__(cls, text: str) -> Printed:
        """From TOML's text."""
        self = super().__new__(cls, text.replace("_", ""))
        self.text = text.replace("_", "")
        return self


class NotTomlError(ConfigError):
    """A text that is no TOML, or a file that is no text."""

    def __init__(self, why: object) -> None:
        super().__init__([f"not a TOML file: {why}"])


def read_table(path: Path) -> Table:
    """The table of a file, a byte-order mark and any line ends allowed.

    Raises:
        ConfigError: no such file, or one that is no TOML or beyond a bound.
    """
    try:
        text = _contents(path).decode("utf-8-sig")
    except FileNotFoundError:
        near = close_to(path.name, [p.name for p in path.parent.glob("*.toml")]) if path.parent.is_dir() else ""
        raise ConfigError([f"no such file.{near}"]) from None
    except (OSError, ValueError) as error:  # a path may hold NUL, and a file bytes that are no text
        raise NotTomlError(error) from None
    return parsed(text)


def parsed(text: str) -> Table:
    """The table of a text.

    Raises:
        NotTomlError: it is none.
        ConfigError: it is beyond a bound.
    """
    if _LONG_KEY.search(text) is not None:
        raise NotTomlError(f"a key has more than {bounds.DEPTH} parts")
    try:
        table = tomllib.loads(text, parse_float=Printed)
    except RecursionError:
        raise NotTomlError(f"it is nested more than {bounds.DEPTH} deep") from None
    except ValueError as error:  # also an integer of too many digits
        raise NotTomlError(error) from None
    return bounded(table)


def bounded(table: Table) -> Table:
    """The table. Raises ConfigError where it holds what no benchmark file may hold."""
    problem = _out_of_bounds(table)
    if problem:
        raise ConfigError([problem])
    return table


def _contents(path: Path) -> bytes:
    """The bytes of a file; of a regular one alone, since others may wait or go on for ever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            raise OSError("it is a folder" if stat.S_ISDIR(kind) else "it is no regular file")
        with open(descriptor, "rb", closefd=False) as file:
            contents = file.read(bounds.FILE_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(contents) > bounds.FILE_BYTES:
        raise OSError(f"it has more than {bounds.FILE_BYTES:,} bytes")
    return contents


def _out_of_bounds(table: Table) -> str:
    """What is wrong with the first value that no benchmark file may hold; empty if all may be there."""
    left = bounds.VALUES
    stack: list[tuple[str, Any, int]] = [("", table, 0)]
    while stack:
        place, value, depth = stack.pop()
        left -= 1
        if left < 0:
            return f"the file has more than {bounds.VALUES:,} keys and values"
        if depth > bounds.DEPTH:
            return f"{place}: nested more than {bounds.DEPTH} deep"
        wrong = _wrong_value(value)
        if wrong:
            return f"{place}: {wrong}"
        if isinstance(value, dict):
            for key, inner in value.items():
                if _wrong_value(key) or not key.isprintable():
                    return f"{place}: {key[:40]!r} is no key: write one of at most {bounds.TEXT:,} printable characters"
                stack.append((f"{place}.{key}".lstrip(".")[: bounds.NAME], inner, depth + 1))
        elif isinstance(value, list):
            stack += [(f"{place}[{index}]"[: bounds.NAME], inner, depth + 1) for index, inner in enumerate(value)]
    return ""


def _wrong_value(value: Any) -> str:
    if isinstance(value, str):
        if len(value) > bounds.TEXT:
            return f"the text has {len(value):,} characters; at most {bounds.TEXT:,} can be"
        try:
            value.encode()
        except UnicodeEncodeError:
            return "the text is not Unicode"
    elif isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
        return "a number of more than 64 bits"
    elif isinstance(value, Printed) and len(value.text) > bounds.DIGITS:
        return f"a number of more than {bounds.DIGITS} digits"
    elif isinstance(value, float) and not math.isfinite(value):
        return f"{value} is no number"
    return ""
