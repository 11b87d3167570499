"""From the raw entries of a file to resolved ones: grids, `extends`, what they are laid over, another's tickets."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import ValidationError

from prunebench.api.component import Binder
from prunebench.api.errors import ConfigError, nearest
from prunebench.api.problems import Path, Problem, problems, shortened
from prunebench.benchmark import bounds
from prunebench.benchmark.checks import incomplete
from prunebench.benchmark.choices import DataChoice, ModelChoice, with_default
from prunebench.benchmark.densities import CHAIN_KEYS
from prunebench.benchmark.entries import Entry
from prunebench.benchmark.errors import Errors
from prunebench.benchmark.grids import expand_grid
from prunebench.benchmark.layers import Layer, laid, located
from prunebench.benchmark.merging import CHOICES, LAID_OVER_RECIPES, RECIPES, merge
from prunebench.benchmark.order import in_order
from prunebench.benchmark.tables import TopTable
from prunebench.benchmark.toml import Table

LAID_UNDER = {*CHAIN_KEYS, *CHOICES, *RECIPES, "task"}
"""Keys of the file that entries are laid over."""

OF_RUNS = ("find", "evaluate")
"""The recipes that runs are trained by."""

TASK = "classification"
"""What networks are trained for where a file does not say."""

OF_THE_SOURCE = (
    "task",
    "schedule",
    "score",
    "select",
    "prune",
    "units",
    "find",
    "model",
    "data",
    "cut",
    "rounds",
    "density_of",
)
"""What comes with another entry's tickets, so that an entry that takes them cannot state it."""


@dataclass(frozen=True)
class StatedEntry:
    """An entry after grids and `extends`. `whole`: whether all that it extends is there; if not, much is missing."""

    name: str
    table: Table
    whole: bool = True


def stated_entries(tables: Sequence[Mapping[str, Any]], errors: Errors) -> dict[str, StatedEntry]:
    """The entries of a file by name, in its order; what is wrong with one joins the errors."""
    raw: dict[str, Table] = {}
    for index, table in enumerate(tables):
        name = table.get("name")
        if not isinstance(name, str):
            wrong = "missing" if name is None else f"must be a string, not {shortened(name)}"
            errors.append(f"entry {index + 1}: name: {wrong}")
            continue
        try:
            expanded = expand_grid(dict(table))
        except ConfigError as error:
            errors.extend(f'entry "{name}": {message}' for message in error.errors)
            continue
        errors.extend(f'entry "{one["name"]}": the name is given twice' for one in expanded if one["name"] in raw)
        raw.update((one["name"], one) for one in expanded)
        if len(raw) > bounds.ENTRIES:
            errors.append(f"entry: the file has more than {bounds.ENTRIES:,} entries")
            raise ConfigError(errors.lines())
    bases = {name: base for name, table in raw.items() if (base := _base_of(name, table, raw, errors)) is not None}
    done: dict[str, StatedEntry] = {}
    for name in in_order({name: [bases[name]] if name in bases else [] for name in raw}, errors):
        done[name] = _over_base(name, raw[name], done.get(bases.get(name, "")), errors)
    # An entry without its place in that order is looked at by itself.
    return {name: done[name] if name in done else _over_base(name, raw[name], None, errors) for name in raw}


def _base_of(name: str, table: Table, known: Collection[str], errors: Errors) -> str | None:
    """The entry that one lies over. One that takes another's tickets is judged as that one is."""
    key = "extends" if "extends" in table else "tickets"
    base = table.get(key)
    if base is not None and not isinstance(base, str):
        errors.append(f'entry "{name}": {key}: must be the name of an entry, not {shortened(base)}')
    elif base is not None and base not in known:
        errors.append(f'entry "{name}": {key}: no entry "{base}".{nearest(base, known)}')
    return base if isinstance(base, str) and base in known else None


def _over_base(name: str, stated: Table, below: StatedEntry | None, errors: Errors) -> StatedEntry:
    """An entry over what it extends."""
    own = {key: value for key, value in stated.items() if key != "extends"}
    twice = sorted(own.keys() & set(OF_THE_SOURCE)) if "tickets" in own else []
    if twice:
        takes = f'tickets = "{own["tickets"]}" takes that entry\'s {twice[0]}'
        errors.append(f'entry "{name}": {twice[0]}: {takes}; leave one of the two out')
        own = {key: value for key, value in own.items() if key not in twice}
    if below is None:
        return StatedEntry(name, own, not twice and not stated.keys() & {"extends", "tickets"})
    # Only what is extended in so many words brings its edits and analyses.
    unasked = () if "extends" in stated else ("ticket", "analyse")
    base = {key: value for key, value in below.table.items() if key not in unasked}
    return StatedEntry(name, merge(base, own), not twice and below.whole)


class EntryResolver:
    """Lays entries over what the file says of all of them, and binds their components."""

    def __init__(self, top: TopTable, wrong: set[str], binder: Binder) -> None:
        """`wrong` are keys of the file that could not be read: nothing is missing for want of them."""
        self._top, self._wrong, self._binder = top, wrong, binder

    def resolve(self, stated: StatedEntry, errors: Errors) -> Entry | None:
        """The entry; None where it has errors, which join the others."""
        own, place = stated.table, f'entry "{stated.name}": '
        wrong = [
            f"{place}{key}: must be a table, not {shortened(own[key])}"
            for key in (*RECIPES, *CHOICES)
            if not isinstance(own.get(key, {}), Mapping)
        ]
        layers = self._layers(own, place)
        table = {key: value for key, value in own.items() if key not in ("train", *LAID_OVER_RECIPES)}
        table |= merge(self._chain_keys(), {key: own[key] for key in CHAIN_KEYS if key in own})
        table |= {key: laid(layers[key,]) for key in OF_RUNS}
        table |= {key: [laid(layers[key, i]) for i in range(len(getattr(self._top, key)))] for key in CHOICES}
        for index, model in enumerate(table["model"]):
            model |= {key: laid(layers["model", index, key]) for key in OF_RUNS if ("model", index, key) in layers}
        if ("task",) in layers:
            table["task"] = laid(layers["task",])
        entry = None
        try:
            entry = Entry.model_validate(table, context=self._binder)
        except ValidationError as error:
            wrong += [self._located(one, layers, place) for one in problems(error) if self._counts(one, stated)]
        if stated.whole:
            wrong += [f"{place}{message}" for message in incomplete(table, self._wrong)]
        for key, choices in (("data", entry.data), ("model", entry.models)) if entry is not None else ():
            if len({choice.label for choice in choices}) < len(choices):
                wrong.append(f'{key}: two of them would be called alike; give each a `label = "..."`')
        errors.extend(wrong)
        if entry is None or wrong or not stated.whole or self._wrong & LAID_UNDER:
            return None
        dense = entry.schedule is None and entry.tickets is None
        return entry.model_copy(update={"cut": None, "rounds": 0, "densities": None}) if dense else entry

    def _layers(self, own: Table, place: str) -> dict[Path, list[Layer]]:
        """What lies over what, for each table of an entry that the file states for all of them."""

        def over(key: str) -> Layer:
            stated = own.get(key)
            return Layer(f"{place}{key}.", stated if isinstance(stated, Mapping) else {})

        top = self._top
        of_both = Layer(place, {key: own[key] for key in LAID_OVER_RECIPES if key in own})
        layers: dict[Path, list[Layer]] = {}
        for key, choice in (("data", DataChoice), ("model", ModelChoice)):
            tables: tuple[Table, ...] = getattr(top, key)
            for index, table in enumerate(tables):
                at = f"{key}[{index}]." if len(tables) > 1 else f"{key}."
                layers[key, index] = [Layer(at, with_default(table, choice.default)), over(key)]
        of_models = [{key: _of_recipe(layers["model", i], key) for key in RECIPES} for i in range(len(top.model))]
        differ = any(layer.table for one in of_models for key in RECIPES for layer in one[key])
        for index, own_of in enumerate(of_models):
            layers["model", index] = [Layer(one.place, _without_recipes(one.table)) for one in layers["model", index]]
            for key in OF_RUNS:
                below = [Layer("train.", top.train), Layer(f"{key}.", getattr(top, key))]
                whole = [*below, *own_of["train"], *own_of[key], over("train"), of_both, over(key)]
                if differ:
                    layers["model", index, key] = whole
                if index == 0:
                    layers[key,] = whole
        layers["task",] = [Layer("task.", {"use": TASK}), Layer("task.", top.task), over("task")]
        return layers

    def _chain_keys(self) -> Table:
        stated = {key: getattr(self._top, key) for key in CHAIN_KEYS}
        return {key: value for key, value in stated.items() if value is not None}

    def _counts(self, problem: Problem, stated: StatedEntry) -> bool:
        """Whether something is wrong with the entry, and not only for want of what is wrong already."""
        key = problem.path[0] if problem.path else None
        if key in self._wrong or ({key, *problem.path[2:3]} & {*OF_RUNS} and "train" in self._wrong):
            return False
        return stated.whole or not problem.missing

    @staticmethod
    def _located(problem: Problem, layers: Mapping[Path, list[Layer]], place: str) -> str:
        for length in (3, 2, 1):
            if problem.path[:length] in layers:
                return located(replace(problem, path=problem.path[length:]), layers[problem.path[:length]])
        return problem.at(place)


def _of_recipe(model: Sequence[Layer], key: str) -> list[Layer]:
    """What the tables of a model say of one recipe."""
    stated = ((layer.place, layer.table.get(key)) for layer in model)
    return [Layer(f"{place}{key}.", table) for place, table in stated if isinstance(table, Mapping)]


def _without_recipes(model: Mapping[str, Any]) -> Table:
    """A model's table without the recipes in it; what stands in their place and is no table stays, to be refused."""
    return {key: value for key, value in model.items() if key not in RECIPES or not isinstance(value, Mapping)}


def linked(entries: Mapping[str, Entry], errors: Errors) -> dict[str, Entry]:
    """The entries whose references are all there, in the order of the file; with another's tickets comes its chain."""
    needs = {name: [other for _, other in entry.references()] for name, entry in entries.items()}
    done: dict[str, Entry] = {}
    for name in in_order(needs, errors):
        entry = entries[name]
        if any(other not in done for other in needs[name]):
            continue  # the other has an error of its own
        if entry.tickets is not None:
            source = done[entry.tickets]
            fields = ["models" if key == "model" else key for key in OF_THE_SOURCE]
            taken = {field: getattr(source, field) for field in fields}
            if len(source.models) == len(entry.models):  # found as the source says, judged as this entry does
                pairs = zip(source.models, entry.models, strict=True)
                taken["models"] = tuple(of.model_copy(update={"evaluate": own.evaluate}) for of, own in pairs)
            entry = entry.model_copy(update=taken)
            if entry.schedule is None:
                errors.append(f'entry "{name}": tickets: entry "{source.name}" has no schedule, so it makes no tickets')
                continue
        done[name] = entry
    return {name: done[name] for name in entries if name in done}
