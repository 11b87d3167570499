"""pydantic's errors as sentences: the key, what is wrong, and the nearest known names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pydantic import ValidationError

from prunebench.api.component import ComponentConfig
from prunebench.api.errors import nearest
from prunebench.api.positions import Position

PLAIN = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
}
"""pydantic's kinds of errors that TOML has other words for."""


def explain(error: ValidationError, known: Iterable[str], at: str, of: str = "") -> list[str]:
    """pydantic's errors as lines with the key, what is wrong, and the nearest known names."""
    names = list(known)
    lines = []
    wrong = [item["loc"] for item in error.errors()]
    for item in error.errors():
        path = place(item["loc"])
        if item["type"] == "too_short" and any(loc[: len(item["loc"])] == item["loc"] != loc for loc in wrong):
            continue  # it is short of the items that are wrong, which are told themselves
        if item["type"] == "extra_forbidden":
            close = nearest(str(item["loc"][-1]), names) if len(item["loc"]) == 1 else ""
            lines.append(f"{at}{path}: unknown key{of}.{close}")
        elif item["type"] == "missing":
            lines.append(f"{at}{path}: missing{of}")
        else:
            message = PLAIN.get(item["type"]) or item["msg"].removeprefix("Value error, ")
            message = message.replace("Input should be", "must be", 1)
            got = item["input"]
            if item["type"] == "too_short" and not got:
                message = "the list is empty"
            # A whole table or list says no more than its key does, unless another type is needed there.
            whole = isinstance(got, dict | ComponentConfig | Position) or (
                isinstance(got, list | tuple) and item["type"] not in PLAIN
            )
            told = repr(got) in message or f'"{got}"' in message
            shown = "" if whole or told else f", not {got!r}"
            where = f"{at}{path}".rstrip(".: ")  # what is wrong with a table as a whole has no path
            lines.append(f"{where}: {message}{shown}{of}")
    return lines


def place(path: Sequence[str | int]) -> str:
    """A path into a file as a person writes it: `train.lr[1].factor`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
