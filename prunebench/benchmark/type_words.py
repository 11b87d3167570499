"""Types of keys in words, from their JSON Schema: `list of positions`, `0 < number < 1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prunebench.api.positions import PATTERN

Json = Mapping[str, Any]

_NAMES = {"string": "string", "integer": "integer", "number": "number", "boolean": "boolean", "null": "null"}
_BOUNDS = ("exclusiveMinimum", "minimum", "exclusiveMaximum", "maximum")


def in_words(schema: Json) -> str:
    """A type as documentation says it; literals are in backticks. What may be left out is not said to be null."""
    if "slot" in schema:
        return "list of components" if schema["many"] else "component"
    if "enum" in schema or "const" in schema:
        return _either([f"`{_literal(value)}`" for value in schema.get("enum", [schema.get("const")])])
    if "anyOf" in schema:
        return _either([in_words(one) for one in schema["anyOf"] if one.get("type") != "null"])
    if schema.get("pattern") == PATTERN:
        return "position"
    if "$ref" in schema:
        return "table"
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_plural(schema)}"
    if kind == "object":
        return "table"
    return _bounded(_NAMES.get(str(kind), "any value"), schema)


def choices(schema: Json) -> list[Any]:
    """The values that are allowed, where they can be listed."""
    if "enum" in schema or "const" in schema:
        return list(schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "boolean":
        return [True, False]
    if schema.get("type") == "array" and isinstance(schema.get("items"), dict):
        return choices(schema["items"])
    listed = [choices(one) for one in schema.get("anyOf", []) if one.get("type") != "null"]
    return listed[0] if len(listed) == 1 else []


def _plural(schema: Json) -> str:
    if "prefixItems" in schema:
        kinds = [in_words(one) for one in schema["prefixItems"]]
        same = len(set(kinds)) == 1
        return f"{len(kinds)} {_several(kinds[0])}" if same else " and ".join(kinds)
    return _several(in_words(schema.get("items", {})))


def _several(words: str) -> str:
    for name in ("string", "integer", "number", "position", "table", "component", "boolean", "value"):
        if words.endswith(name) and words in (name, f"any {name}"):
            return f"{words}s"
        if name in words and " or " not in words:
            return f"{name}s, {words}"
    return f"({words})" if " or " in words and not words.startswith("`") else words


def _either(words: list[str]) -> str:
    several = list(dict.fromkeys(words))
    return several[0] if len(several) == 1 else f"{', '.join(several[:-1])} or {several[-1]}"


def _literal(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _bounded(name: str, schema: Json) -> str:
    above, least, below, most = (schema.get(bound) for bound in _BOUNDS)
    low = f"{_digits(above)} < " if above is not None else f"{_digits(least)} <= " if least is not None else ""
    high = f" < {_digits(below)}" if below is not None else f" <= {_digits(most)}" if most is not None else ""
    if low and not high:  # read from the name on
        return f"{name} > {_digits(above)}" if above is not None else f"{name} >= {_digits(least)}"
    return f"{low}{name}{high}"


def _digits(number: float | None) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:g}"
