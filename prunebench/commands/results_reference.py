"""The reference of a leaderboard's files, docs/results.md, and their JSON Schema, from the types that read them.

`python -m prunebench.commands.results_reference > docs/results.md` writes it again.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter
from pydantic.fields import FieldInfo

from prunebench.api.details import AnalysisDetail, CurvePoint, Detail, EvaluationDetail, FigureDetail, LayerCount
from prunebench.api.provenance import (
    ComponentOrigin,
    MetricInfo,
    Origin,
    Provenance,
    Registered,
    ReportSettings,
    RunCounts,
    VerificationRecord,
)
from prunebench.api.rows import Record, Row

_PARTS = {
    "results.jsonl": (Row,),
    "details.jsonl": (EvaluationDetail, LayerCount, CurvePoint, AnalysisDetail, FigureDetail),
    "provenance.json": (
        Provenance,
        Origin,
        ReportSettings,
        RunCounts,
        ComponentOrigin,
        MetricInfo,
        Registered,
        VerificationRecord,
    ),
}
"""The types of each file, the one that it holds first."""

_FIELDS = re.compile(r"^(\w+(?:, \w+)*): ", re.MULTILINE)
_SECTIONS = re.compile(r"^(Attributes|Invariants):\n", re.MULTILINE)
_HEADER = """# Results

What a leaderboard's folder holds, from the types that read it (`prunebench/api/rows.py`, `details.py`,
`provenance.py`), from which this page is made (`python -m prunebench.commands.results_reference > docs/results.md`).
`prunebench schema --results` prints the same as JSON Schema.

`results.jsonl` has every number, one measurement a line; `details.jsonl` what stands behind them: curves, layers and
figures; `provenance.json` where they come from. Each line, and each key of an object, is written canonically: sorted
keys, no spaces, no NaN. A field with a default is left out where it is not stated. Every other file of the folder is
made from these three. `manifest.json` has the sha256 of each file, and `verification.json`, a
VerificationRecord, what somebody claims of a second run.

"""


def page() -> str:
    """The whole page."""
    return _HEADER + "\n".join(line for file, types in _PARTS.items() for line in _file(file, types))


def json_schemas() -> dict[str, Any]:
    """The JSON Schema of a line of results.jsonl, of a line of details.jsonl and of provenance.json, by file."""
    schemas: dict[str, Any] = {}
    held: dict[str, Any] = {"results.jsonl": Row, "details.jsonl": Detail, "provenance.json": Provenance}
    for file, type in held.items():
        schema = TypeAdapter[Any](type).json_schema()
        documented = {part.__name__: part for part in _PARTS[file]}
        for name, one in [*schema.get("$defs", {}).items(), (schema.get("title", ""), schema)]:
            if name in documented:
                _describe(one, documented[name])
        schemas[file] = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return schemas


def described(type: type[Record]) -> tuple[str, dict[str, str], list[str]]:
    """A type's docstring in parts: what it is, what each field is, what always holds."""
    first, *rest = _SECTIONS.split(inspect.cleandoc(type.__doc__ or ""))
    sections = dict(zip(rest[::2], rest[1::2], strict=True))
    names, texts = _split(sections.get("Attributes", ""))
    fields = {name: text for group, text in zip(names, texts, strict=True) for name in group.split(", ")}
    invariants = inspect.cleandoc("\n" + sections.get("Invariants", "")).splitlines()
    return first.strip(), fields, invariants


def fields() -> Iterator[tuple[str, str, str, str, str, str]]:
    """Every field: its file, its type's name, its own name, what it means, its type and default in words."""
    for file, types in _PARTS.items():
        for type in types:
            _, meanings, _ = described(type)
            for name, field in type.model_fields.items():
                key = field.alias or name
                words = re.sub(r"\[(\w+)\]\(#\w+\)", r"\1", _type(field.annotation))
                yield file.partition(".")[0], type.__name__, key, meanings[name], words, _default(field)


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"`{_json(field.get_default(call_default_factory=True))}`"


def _split(attributes: str) -> tuple[list[str], list[str]]:
    _, *rest = _FIELDS.split(inspect.cleandoc("\n" + attributes))
    return rest[::2], [" ".join(text.split()) for text in rest[1::2]]


def _describe(schema: dict[str, Any], type: type[Record]) -> None:
    about, fields, invariants = described(type)
    schema["description"] = " ".join([about, *invariants])
    for name, field in type.model_fields.items():
        schema["properties"][field.alias or name]["description"] = fields[name]


def _file(file: str, types: tuple[type[Record], ...]) -> Iterator[str]:
    yield f"## {file}\n"
    for type in types:
        about, meanings, invariants = described(type)
        yield f"### {type.__name__}\n\n{about}\n"
        yield "| field | type | default | meaning |\n|---|---|---|---|"
        for name, field in type.model_fields.items():
            default = "" if field.is_required() else _default(field)
            yield f"| `{field.alias or name}` | {_type(field.annotation)} | {default} | {meanings[name]} |"
        yield ""
        if invariants:
            yield "\n".join(f"- {invariant}" for invariant in invariants) + "\n"


def _json(value: Any) -> str:
    return TypeAdapter[Any](Any).dump_json(value).decode()


def _type(annotation: Any) -> str:
    """A type in words."""
    schema = TypeAdapter[Any](annotation).json_schema(ref_template="{model}")
    return _words(schema)


def _words(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"[{schema['$ref']}](#{schema['$ref'].lower()})"
    if "enum" in schema or "const" in schema:
        return ", ".join(f'`"{value}"`' for value in schema.get("enum", [schema.get("const")]))
    if "anyOf" in schema:
        return " or ".join(_words(one) for one in schema["anyOf"])
    kind = schema.get("type")
    if kind == "array":
        return f"list of {_grouped(schema['items'])}"
    if kind == "object" and "title" in schema:
        return f"[{schema['title']}](#{schema['title'].lower()})"
    if kind == "object":
        values = schema.get("additionalProperties")
        return f"object of {_grouped(values)}" if isinstance(values, dict) else "object"
    names = {"string": "text", "integer": "whole number", "number": "number", "boolean": "true or false"}
    return {**names, "null": "null"}.get(str(kind), "any JSON")


def _grouped(schema: dict[str, Any]) -> str:
    words = _words(schema)
    return f"({words})" if " or " in words else words


if __name__ == "__main__":
    print(page(), end="")
