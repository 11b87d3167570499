"""One entry of a file with everything resolved: what `extends`, grids, profiles and defaults make of it."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from prunebench.api.component import BoundComponent
from prunebench.api.recipe import Recipe
from prunebench.benchmark.entries import Benchmark, Chosen, Entry


def resolved(benchmark: Benchmark, entry: Entry) -> dict[str, Any]:
    """Tables and values of an entry, every default stated; None is left out, as in TOML."""
    table: dict[str, Any] = {
        "name": entry.name,
        "seeds": list(benchmark.seeds),
        "cut": entry.cut,
        "rounds": entry.rounds,
        "densities": None if entry.densities is None else [d.value for d in entry.densities],
        "draws": entry.draws,
        "tickets": entry.tickets,
        "data": [_chosen(c) for c in entry.data],
        "model": [_chosen(c) for c in entry.models],
        "units": _use(entry.units),
        "schedule": None if entry.schedule is None else _use(entry.schedule),
        "score": None if entry.score is None else _use(entry.score),
        "select": None if entry.select is None else _use(entry.select),
        "ticket": [_use(use) for use in entry.edits],
        "analyse": [_use(use) for use in entry.analyses],
        "find": _recipe(entry.find),
        "evaluate": _recipe(entry.evaluate),
        "measure": benchmark.measure.model_dump(mode="json"),
    }
    cleaned: dict[str, Any] = _without_none(table)
    return cleaned


def _use(use: BoundComponent) -> dict[str, Any]:
    return {"use": use.name, **use.config.model_dump(mode="json")}


def _chosen(chosen: Chosen) -> dict[str, Any]:
    init = {} if chosen.init is None else {"init": _use(chosen.init)}
    return {"label": chosen.label, **_use(chosen.use), **init, "weights": chosen.weights}


def _recipe(recipe: Recipe) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for field in fields(recipe):
        value = getattr(recipe, field.name)
        if isinstance(value, BoundComponent):
            value = _use(value)
        elif isinstance(value, tuple):
            value = [_use(use) for use in value]
        elif field.name in ("horizon", "stop") and value is not None:
            value = str(value)
        table[field.name] = value
    stretch = recipe.stretch
    if stretch is not None:
        table["horizon"] = {**stretch.model_dump(mode="json"), "of": str(stretch.of)}
    del table["stretch"]
    return table


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_none(v) for v in value]
    return value
