"""The JSON Schema of benchmark files, with every installed component: for completion and checks in editors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prunebench.api.hookspecs import SLOTS
from prunebench.api.recipe import Recipe
from prunebench.api.strict import StrictTable
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.benchmark.entries import Entry
from prunebench.benchmark.merging import CHOICES, LAID_OVER_RECIPES, RECIPES, slots
from prunebench.benchmark.tables import TopTable
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of

Json = dict[str, Any]

CHANGES: Mapping[str, Any] = {"type": "object", "not": {"required": ["use"]}}
"""A table without `use` changes some keys of the component that it is laid over."""

RECIPE: Mapping[str, Any] = {"$ref": "#/$defs/recipe"}


def json_schema(catalogue: Catalogue) -> Json:
    """A JSON Schema (draft 2020-12) for what `prunebench check` accepts before entries are resolved.

    Recipes may be partial, since they are laid over one another; the rest is as strict as the file format.
    """
    definitions: Json = {}
    for slot in SLOTS:
        definitions[f"slot-{slot}"] = _slot(catalogue, slot, definitions)
        definitions[f"slots-{slot}"] = {"anyOf": [_one(slot), {"type": "array", "items": _one(slot)}]}
    recipe = _properties(Recipe, definitions)
    recipe["optimizer"] = {"anyOf": [recipe["optimizer"], CHANGES]}
    recipe["horizon"] = {"anyOf": [recipe["horizon"], CHANGES]}
    definitions["recipe"] = _table(recipe)
    definitions["entry"] = {**_table(_entry(recipe, definitions)), "required": ["name"]}
    top = _properties(TopTable, definitions)
    top |= {key: {**_said(top[key]), **RECIPE} for key in RECIPES}
    top["task"] = {**_said(top["task"]), "anyOf": [_one("task"), CHANGES]}
    top["entry"] = {**_said(top["entry"]), "type": "array", "items": {"$ref": "#/$defs/entry"}}
    top["extends"] = {**_early(TopTable, "extends"), "type": "string"}
    whole = {key: {"$ref": f"#/$defs/slots-{key}"} for key in CHOICES}
    over = {key: {**_said(top[key]), "anyOf": [whole[key], CHANGES]} for key in CHOICES}
    profile = _table({**top, **over})
    top["profile"] = {**_early(TopTable, "profile"), "type": "object", "additionalProperties": profile}
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


def _said(schema: Json) -> Json:
    """What a schema says to a person."""
    return {key: schema[key] for key in ("description", "examples") if key in schema}


def _early(table: type[StrictTable], key: str) -> Json:
    return {"description": table.more_keys[key].meaning}


def _one(slot: str) -> Json:
    return {"$ref": f"#/$defs/slot-{slot}"}


def _table(properties: Json) -> Json:
    """A table in which single keys of nested tables may be written with dots: "optimizer.lr" = 0.1."""
    return {
        "type": "object",
        "properties": properties,
        "patternProperties": {r"\.": True},
        "additionalProperties": False,
    }


def _slot(catalogue: Catalogue, slot: str, definitions: Json) -> Json:
    """What may stand in one place of a file: a component's name, or a table with its keys."""
    choices: dict[str, type[DataChoice] | type[ModelChoice]] = {"data": DataChoice, "model": ModelChoice}
    choice = choices.get(slot)
    extra = {} if choice is None else _properties(choice, definitions)
    extra.pop("use", None)
    if slot == "model":
        extra |= dict.fromkeys(RECIPES, RECIPE)
    tables: list[Json] = []
    names: list[str] = []
    for name, provider in catalogue.providers.items():
        if slot not in slots_of(provider.component):
            continue
        called = name
        if catalogue.in_slot(short := name.removesuffix(f"-{slot}"), slot) == name:
            called = short  # as files call it in this place
        names += list(dict.fromkeys([name, called]))
        # two components may have tables of one name
        schema = provider.component.config.model_json_schema(ref_template=f"#/$defs/{name}.{{model}}")
        definitions.update({f"{name}.{model}": table for model, table in schema.get("$defs", {}).items()})
        use: Json = {"const": name} if called == name else {"enum": [name, called]}
        if provider.component.paper:
            use["description"] = provider.component.paper
        needs_name = choice is None or name != choice.default
        table: Json = {
            "type": "object",
            "description": schema.get("description", ""),
            "properties": {"use": use, **extra, **schema.get("properties", {})},
            "required": (["use"] if needs_name else []) + schema.get("required", []),
            "additionalProperties": False,
        }
        tables.append(table)
    return {"anyOf": [{"enum": names}, *tables]} if names else {"not": {}}


def _entry(recipe: Json, definitions: Json) -> Json:
    properties = _properties(Entry, definitions)
    for key, slot in slots(Entry).items():
        if key in properties and not slot.many:
            properties[key] = {**_said(properties[key]), "anyOf": [properties[key], CHANGES]}
    early = {key: _early(Entry, key) for key in Entry.more_keys}
    properties |= {key: {**recipe[key], **early[key]} for key in LAID_OVER_RECIPES}
    properties |= {key: {**_said(properties.get(key, {})), **early.get(key, {}), **RECIPE} for key in RECIPES}
    properties |= {key: {**_said(properties[key]), "type": "object"} for key in CHOICES}
    properties["extends"] = {**early["extends"], "type": "string"}
    properties["grid"] = {
        **early["grid"],
        "type": "object",
        "additionalProperties": {"type": "object", "additionalProperties": {"type": "array"}},
    }
    return properties


def _properties(model: type[StrictTable], definitions: Json) -> Json:
    """The keys of a table, each with what may stand there. A place that nothing can fill is no key."""
    schema = model.model_json_schema(ref_template="#/$defs/{model}")
    definitions.update({name: _placed(table) for name, table in schema.get("$defs", {}).items()})
    absent = {key for key, slot in slots(model).items() if slot.name not in SLOTS}
    properties: Json = {key: _placed(value) for key, value in schema["properties"].items() if key not in absent}
    return properties


def _placed(schema: Any) -> Any:
    """A schema in which the marks of components (`prunebench.api.component.Slot`) are what may stand there."""
    if isinstance(schema, list):
        return [_placed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "slot" in schema:
        return {**_said(schema), "$ref": f"#/$defs/slot{'s' * schema['many']}-{schema['slot']}"}
    return {key: _placed(value) for key, value in schema.items()}
