"""Whether a device of this machine can train what a file asks for: known before anything trains."""

from __future__ import annotations

from prunebench.api.errors import ConfigError
from prunebench.benchmark.entries import Benchmark
from prunebench.benchmark.errors import entries_named
from prunebench.engine.numerics import unable


def refuse_recipes(benchmark: Benchmark, device: str) -> None:
    """Raises ConfigError, with the entries, if recipes ask for what a device of this machine does not have."""
    wrong: dict[str, list[str]] = {}
    for entry in benchmark.entries:
        for recipe in entry.recipes():
            why = unable(recipe.numerics, recipe.compile, device)
            if why and entry.name not in wrong.setdefault(why, []):
                wrong[why].append(entry.name)
    if wrong:
        every = len(benchmark.entries)
        raise ConfigError(
            [why if len(names) == every else f"{entries_named(names)}: {why}" for why, names in wrong.items()]
        )
