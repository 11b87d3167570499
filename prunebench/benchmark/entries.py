"""A benchmark file, resolved: its entries, models and data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prunebench.api.component import BoundComponent, ComponentConfig, EntryRef
from prunebench.api.recipe import Recipe
from prunebench.benchmark.expectations import Expect
from prunebench.benchmark.tables import Execution, Measure, Report
from prunebench.components.catalogue import Catalogue


@dataclass(frozen=True)
class Density:
    """A density as the file prints it."""

    value: float
    text: str

    @property
    def decimals(self) -> int:
        """Digits after the point, which a round's density must match."""
        mantissa, _, exponent = self.text.lower().partition("e")
        return max(0, len(mantissa.partition(".")[2]) - int(exponent or 0))

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, eq=False)
class Chosen:
    """A model or a data set of the file: a label for the results, and its component."""

    label: str
    use: BoundComponent
    init: BoundComponent | None = None
    weights: str | None = None
    """Of a model: the file below the data root that its first weights are read from, instead of drawn."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One named configuration, resolved."""

    name: str
    schedule: BoundComponent | None
    score: BoundComponent | None
    select: BoundComponent | None
    units: BoundComponent
    tickets: str | None
    edits: tuple[BoundComponent, ...]
    analyses: tuple[BoundComponent, ...]
    find: Recipe
    evaluate: Recipe
    models: tuple[Chosen, ...]
    data: tuple[Chosen, ...]
    cut: float | None
    rounds: int | None
    densities: tuple[Density, ...] | None
    draws: int

    def uses(self) -> Iterator[BoundComponent]:
        """Every component that the entry names."""
        for use in (self.schedule, self.score, self.select, self.units):
            if use is not None:
                yield use
        yield from self.edits
        yield from self.analyses
        for recipe in (self.find, self.evaluate):
            yield from (recipe.optimizer, *recipe.lr, *recipe.loss, *recipe.mask_updates)
        for chosen in (*self.models, *self.data):
            yield chosen.use
            if chosen.init is not None:
                yield chosen.init

    def references(self) -> Iterator[tuple[str, str]]:
        """The entries that this one needs, each after where it says so."""
        if self.tickets is not None:
            yield "tickets", self.tickets
        for use in self.uses():
            yield from ((f'component "{use.name}": {field}', name) for field, name in entry_refs(use.config))


@dataclass(frozen=True, eq=False)
class Benchmark:
    """A whole file, resolved: what the plan is made of."""

    name: str
    file: str
    claim: str
    note: str
    seeds: tuple[int, ...]
    entries: tuple[Entry, ...]
    """The entries to score, in the order of the file."""
    all_entries: Mapping[str, Entry]
    measure: Measure
    report: Report
    also: tuple[BoundComponent, ...]
    execution: Execution
    track: tuple[BoundComponent, ...]
    expect: tuple[Expect, ...]
    profile: str | None
    catalogue: Catalogue

    def uses(self) -> dict[str, BoundComponent]:
        """Every component that is active, by name."""
        found = {use.name: use for entry in self.entries for use in entry.uses()}
        found.update((use.name, use) for use in (*self.also, *self.track))
        return dict(sorted(found.items()))


def entry_refs(config: ComponentConfig) -> Iterator[tuple[str, str]]:
    """The entries that a component's configuration names, each after its field, which is of type EntryRef."""
    fields: Mapping[str, Any] = type(config).model_fields
    for name in fields:
        value = getattr(config, name)
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, EntryRef):
                yield name, str(item)
