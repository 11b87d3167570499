"""Typed values to JSON, to the canonical text that is hashed, and back: the one place that does any of it.

A value is a frozen dataclass: one JSON object, a field a key. It may hold plain JSON, positions, tuples, tables and
other such values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from functools import cache
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter
from typing import Any, TypeVar

from prunebench.api import keys
from prunebench.api.errors import ContractError
from prunebench.api.planning import Ref
from prunebench.api.positions import Position

T = TypeVar("T")


def to_json(value: Any) -> Any:
    """A value as plain JSON."""
    if isinstance(value, Position):
        return str(value)
    if isinstance(value, tuple | list):
        return [to_json(item) for item in value]
    if isinstance(value, Mapping):
        return {name: to_json(item) for name, item in value.items()}
    kind: Any = type(value)
    if hasattr(kind, "__dataclass_fields__"):
        return {name: to_json(item) for name, default in _fields(kind) if (item := getattr(value, name)) is not default}
    return value


def canonical(value: Any) -> str:
    """`keys.canonical(to_json(value))`, some times faster: a value with a text of its own, `canonical`, gives that."""
    kind: Any = type(value)
    return _writer(kind)(value)


def object_text(value: Any, more: Mapping[str, str] | None = None) -> str:
    """The canonical text of a dataclass, field by field, with more keys whose texts are given."""
    kind: Any = type(value)
    texts = [
        f'"{name}":{canonical(item)}'
        for name, default in _fields(kind)
        if (item := getattr(value, name)) is not default
    ]
    if more:
        # A quotation mark sorts before what names are made of, so sorted pairs are pairs sorted by their names.
        texts = sorted([*texts, *(f'"{name}":{text}' for name, text in more.items())])
    return "{" + ",".join(texts) + "}"


def from_json(kind: type[T], data: Any, what: str) -> T:
    """A value back from JSON, every field checked for its type.

    Args:
        what: how an error calls the value.
    Raises:
        ContractError: with what is wrong of it.
    """
    from pydantic import ValidationError

    try:
        key: Any = kind
        value: T = _adapter(key).validate_python(data)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors(include_url=False)]
        raise ContractError(f"{what}: {'; '.join(lines[:5])}") from None
    return value


_WRITTEN = object()
"""No value is this one: fields with it are always in the JSON."""


@cache
def _fields(kind: Any) -> tuple[tuple[str, Any], ...]:
    """A dataclass's fields in the order of canonical JSON, each with the value that keeps it out of the JSON."""
    return tuple(sorted((f.name, f.default if f.metadata.get("absent") else _WRITTEN) for f in fields(kind)))


@cache
def _adapter(kind: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


@cache
def _writer(kind: Any) -> Callable[[Any], str]:
    """What writes values of one type: to choose it anew for each value would take longer than writing."""
    if kind in _PLAIN:
        return _PLAIN[kind]
    if hasattr(kind, "canonical"):
        return attrgetter("canonical")
    if hasattr(kind, "__dataclass_fields__"):
        return object_text
    return _table if issubclass(kind, Mapping) else keys.canonical


def _list(value: tuple[Any, ...] | list[Any]) -> str:
    return "[" + ",".join([canonical(item) for item in value]) + "]"


def _ref(value: Ref) -> str:
    # Several in every phase: as fields, they would take a third of the time.
    at = "null" if value.at is None else value.at
    return f'{{"at":{at},"detail":"{value.detail}","key":"{value.key}","part":"{value.part}"}}'


def _table(value: Mapping[str, Any]) -> str:
    return "{" + ",".join([f"{quoted(name)}:{canonical(value[name])}" for name in sorted(value)]) + "}"


_PLAIN: Mapping[type, Callable[[Any], str]] = {
    str: quoted,
    int: str,
    bool: lambda value: "true" if value else "false",
    type(None): lambda value: "null",
    tuple: _list,
    list: _list,
    Position: lambda value: quoted(str(value)),
    Ref: _ref,
}
