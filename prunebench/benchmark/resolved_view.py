"""One entry of a file with everything resolved: what `extends`, grids, profiles and defaults make of it."""

from __future__ import annotations

from typing import Any

from prunebench.benchmark.entries import Benchmark, Entry


def resolved(benchmark: Benchmark, entry: Entry) -> dict[str, Any]:
    """Tables and values of an entry, every default stated; None is left out, as in TOML."""
    table = entry.model_dump(mode="json", by_alias=True)
    seeds = {"name": table.pop("name"), "seeds": list(benchmark.seeds)}
    cleaned: dict[str, Any] = _without_none({**seeds, **table, "measure": benchmark.measure.model_dump(mode="json")})
    return cleaned


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_none(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_none(v) for v in value]
    return value
