"""The JSON Schema of benchmark files, with every installed component: for completion and checks in editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from prunebench.api.hookspecs import SLOTS
from prunebench.benchmark import tables
from prunebench.benchmark.merging import ENTRY_LISTS, ENTRY_SINGLE, RECIPE_LISTS
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of

Json = dict[str, Any]

CHANGES: Mapping[str, Any] = {"type": "object", "not": {"required": ["use"]}}
"""A table without `use` changes some keys of the component that it is laid over."""


def json_schema(catalogue: Catalogue) -> Json:
    """A JSON Schema (draft 2020-12) for what `prunebench check` accepts before entries are resolved.

    Recipes may be partial, since they are laid over one another; the rest is as strict as the file format.
    """
    definitions: Json = {}
    for slot in SLOTS:
        definitions[f"slot-{slot}"] = _slot(catalogue, slot, definitions)
        one = {"$ref": f"#/$defs/slot-{slot}"}
        definitions[f"slots-{slot}"] = {"anyOf": [one, {"type": "array", "items": one}]}
    recipe = _recipe(definitions)
    definitions["recipe"] = recipe
    definitions["entry"] = _entry(definitions)
    top = _properties(tables.TopTable, definitions)
    for key in ("train", "find", "evaluate"):
        top[key] = {"$ref": "#/$defs/recipe"}
    for key in ("data", "model"):
        top[key] = {"$ref": f"#/$defs/slots-{key}"}
    top["entry"] = {"type": "array", "items": {"$ref": "#/$defs/entry"}}
    _componentlists(definitions)
    top["extends"] = {"type": "string", "description": "Another file, below this one; seen from this file's folder."}
    whole = {key: top[key] for key in ("data", "model")}
    over = {key: {"anyOf": [top[key], CHANGES]} for key in whole}
    profile = {
        "type": "object",
        "properties": {**top, **over},
        "patternProperties": {r"\.": True},
        "additionalProperties": False,
    }
    top["profile"] = {"type": "object", "additionalProperties": profile}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "prunebench benchmark file",
        "type": "object",
        "properties": {**top, **over},
        # Only a file that lies over another may say no more of its data and model than what changes.
        "if": {"not": {"required": ["extends"]}},
        "then": {"properties": whole},
        "required": ["schema"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _slot(catalogue: Catalogue, slot: str, definitions: Json) -> Json:
    """What may stand in one place of a file: a component's name, or a table with its keys."""
    tables: list[Json] = []
    names: list[str] = []
    extra: Json = {"label": {"type": "string"}} if slot in ("data", "model") else {}
    if slot == "model":
        extra["init"] = {"$ref": "#/$defs/slot-init"}
        extra["weights"] = {"type": "string", "description": "A safetensors file below the data root to start from."}
    for name, provider in catalogue.providers.items():
        if slot not in slots_of(provider.component):
            continue
        names.append(name)
        # two components may have tables of one name
        schema = provider.component.config.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        definitions.update({f"{name}.{model}": table for model, table in schema.get("$defs", {}).items()})
        use: Json = {"const": name}
        if provider.component.paper:
            use["description"] = provider.component.paper
        table: Json = {
            "type": "object",
            "description": schema.get("description", ""),
            "properties": {"use": use, **extra, **schema.get("properties", {})},
            # A model without `use` is one of timm's.
            "required": ([] if slot == "model" and name == "timm" else ["use"]) + schema.get("required", []),
            "additionalProperties": False,
        }
        tables.append(table)
    return {"anyOf": [{"enum": names}, *tables]} if names else {"not": {}}


def _properties(model: type[BaseModel], definitions: Json) -> Json:
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update(schema.get("$defs", {}))
    properties: Json = schema["properties"]
    return properties


def _recipe(definitions: Json) -> Json:
    properties = _properties(tables.RecipeTable, definitions)
    properties["optimizer"] = {"anyOf": [{"$ref": "#/$defs/slot-optimizer"}, CHANGES]}
    properties["horizon"] = {"anyOf": [properties["horizon"], CHANGES]}
    for key in RECIPE_LISTS:
        properties[key] = {"$ref": f"#/$defs/slots-{key}"}
    # Overlays write single keys with dots: "optimizer.lr" = 0.1.
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {r"\.": True},
        "additionalProperties": False,
    }


def _entry(definitions: Json) -> Json:
    properties = _properties(tables.EntryTable, definitions)
    for key in ENTRY_SINGLE:
        properties[key] = {"anyOf": [{"$ref": f"#/$defs/slot-{key}"}, CHANGES]}
    for key in ENTRY_LISTS:
        properties[key] = {"$ref": f"#/$defs/slots-{key}"}
    for key in ("train", "find", "evaluate"):
        properties[key] = {"$ref": "#/$defs/recipe"}
    properties["extends"] = {"type": "string", "description": "An entry below this one."}
    properties["grid"] = {
        "type": "object",
        "description": "Axes, each a table of keys and equally long lists of values.",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "array"}},
    }
    return {
        "type": "object",
        "properties": properties,
        "required": ["name"],
        "patternProperties": {r"\.": True},
        "additionalProperties": False,
    }


def _componentlists(definitions: Json) -> None:
    """The lists of components in [report] and [execution]."""
    for owner, key, slot in (("Report", "also", "report"), ("Execution", "track", "track")):
        definitions[owner]["properties"][key] = {"$ref": f"#/$defs/slots-{slot}"}
