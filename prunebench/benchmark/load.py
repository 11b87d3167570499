"""A benchmark file -> frozen, fully resolved entries. All errors of a file come at once. No torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from prunebench.api.component import BoundComponent
from prunebench.api.errors import ConfigError, ContractError, nearest
from prunebench.api.recipe import Recipe, Stretch
from prunebench.benchmark import merging
from prunebench.benchmark.checks import unmeasured
from prunebench.benchmark.entries import Benchmark, Chosen, Density, Entry, entry_refs
from prunebench.benchmark.expectations import Expect
from prunebench.benchmark.grids import expand_grid
from prunebench.benchmark.tables import EntryTable, Execution, Measure, RecipeTable, Report, TopTable
from prunebench.benchmark.toml import Printed, Table
from prunebench.components.catalogue import Catalogue
from prunebench.components.explain import explain
from prunebench.components.managers import run_manager


def load(
    path: Path,
    catalogue: Catalogue,
    *,
    profile: str | None = None,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
) -> Benchmark:
    """Read, merge and resolve a benchmark file.

    Args:
        profile: the `[profile.NAME]` to lay over the file.
        seeds, only, settings: what the command line changes.
    Raises:
        ConfigError: with every error of the file, each naming the file and the key.
    """
    try:
        return resolve(merging.read_file(path), catalogue, path, profile, seeds, only, settings)
    except ConfigError as error:
        where = os.path.relpath(path)
        raise ConfigError([f"{where}: {message}" for message in error.errors]) from None


def resolve(
    raw: Table,
    catalogue: Catalogue,
    path: Path,
    profile: str | None = None,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] = (),
    settings: Sequence[str] = (),
) -> Benchmark:
    """Resolve the table of a benchmark file, read and normalised by `merging`. `path` names it.

    Raises:
        ConfigError: with every error of the table.
    """
    return _Loader(path, catalogue, _laid_out(raw, profile, seeds, settings), profile).load(tuple(only))


def _laid_out(raw: Table, profile: str | None, seeds: Sequence[int] | None, settings: Sequence[str]) -> Table:
    raw = dict(raw)
    profiles = raw.pop("profile", {})
    if profile is not None:
        if profile not in profiles:
            known = nearest(profile, profiles) or " The file has no profiles."
            raise ConfigError([f'no profile "{profile}".{known}'])
        if not isinstance(profiles[profile], Mapping):
            raise ConfigError([f"profile.{profile}: must be a table, not {profiles[profile]!r}"])
        raw = merging.merge(raw, profiles[profile])
    for setting in settings:
        raw = merging.apply_setting(raw, setting)
    if seeds is not None:
        raw["seeds"] = list(seeds)
    return raw


class _Loader:
    """Collects errors while it resolves, so that a person mends a file in one go."""

    def __init__(self, path: Path, catalogue: Catalogue, raw: Table, profile: str | None) -> None:
        self.path, self.catalogue, self.raw, self.profile = path, catalogue, raw, profile
        self.errors: list[str] = []
        self._wrong: set[str] = set()
        """The file's own keys that were wrong and left out: nothing is said to be missing for want of them."""
        self._uses: dict[str, BoundComponent] = {}

    def load(self, only: tuple[str, ...]) -> Benchmark:
        top = self._top()
        tables = self._entry_tables(top)
        entries: dict[str, Entry] = {}
        for name, table in tables.items():
            entry = self._entry(table, top)
            if entry is not None:
                entries[name] = entry
        if not self.errors:
            self._check_references(entries)
        if not self.errors:
            entries = self._with_tickets(entries)
        also = self._list(top.report.also, "report", "report.also")
        track = self._list(top.execution.track, "track", "execution.track")
        chosen = self._chosen(top, entries, only)
        self._check_report(top, entries, chosen, also)
        if self.errors:
            raise ConfigError(_gathered(self.errors))
        return Benchmark(
            name=self.path.stem,
            file=str(self.path),
            claim=top.claim,
            note=top.note,
            seeds=top.seeds,
            entries=tuple(entries[name] for name in chosen),
            all_entries=entries,
            measure=top.measure,
            report=top.report,
            also=also,
            execution=top.execution,
            track=track,
            expect=tuple(e for e in top.expect if e.better in chosen and e.worse in chosen),
            profile=self.profile,
            catalogue=self.catalogue,
        )

    def _top(self) -> TopTable:
        """The file's own keys. A wrong one is told and then left out, so that errors further on are found too."""
        raw = dict(self.raw)
        while True:
            try:
                return TopTable.model_validate(raw)
            except ValidationError as error:
                self.errors += _top_errors(error)
                wrong = {str(item["loc"][0]) for item in error.errors()}
                self._wrong |= wrong
                required = {f.alias or n for n, f in TopTable.model_fields.items() if f.is_required()}
                if wrong & required - _STAND_INS.keys() or not wrong & raw.keys():
                    raise ConfigError(dict.fromkeys(self.errors)) from None
                raw = {k: v for k, v in raw.items() if k not in wrong}
                raw.update({k: v for k, v in _STAND_INS.items() if k in wrong})

    # Entries: grids first, then `extends`, then validation.

    def _entry_tables(self, top: TopTable) -> dict[str, Table]:
        raw: dict[str, Table] = {}
        for index, entry in enumerate(top.entry):
            where = f'entry "{entry["name"]}"' if isinstance(entry.get("name"), str) else f"entry {index + 1}"
            if not isinstance(entry.get("name"), str):
                self.errors.append(f"{where}: name: missing")
                continue
            try:
                expanded = expand_grid(dict(entry))
            except ConfigError as error:
                self.errors += [f"{where}: {message}" for message in error.errors]
                continue
            for one in expanded:
                if one["name"] in raw:
                    self.errors.append(f'entry "{one["name"]}": the name is given twice')
                raw[one["name"]] = one
        resolved: dict[str, Table] = {}
        for name in raw:
            try:
                resolved[name] = self._extended(name, raw, ())
            except ConfigError as error:
                self.errors += error.errors
        return resolved

    def _extended(self, name: str, raw: Mapping[str, Table], seen: tuple[str, ...]) -> Table:
        if name in seen:
            # Told from the entry that comes first in the file, so that one circle is one error.
            round = seen[seen.index(name) :]
            first = min(round, key=list(raw).index)
            turned = round[round.index(first) :] + round[: round.index(first)]
            circle = " -> ".join([*turned, first])
            raise ConfigError([f'entry "{first}": the entries refer to one another in a circle: {circle}'])
        own = dict(raw[name])
        # An entry that takes another's tickets is judged as that one is, unless it says otherwise.
        base = own.pop("extends", own.get("tickets"))
        if base is None:
            return own
        if base not in raw:
            key = "extends" if "extends" in raw[name] else "tickets"
            raise ConfigError([f'entry "{name}": {key}: no entry "{base}".{nearest(str(base), raw)}'])
        below = self._extended(base, raw, (*seen, name))
        if own.get("tickets") is not None:
            stated = sorted(
                set(own) & {"schedule", "score", "select", "units", "find", "model", "data", "cut", "rounds"}
            )
            if stated:
                raise ConfigError(
                    [
                        f'entry "{name}": {stated[0]}: tickets = "{own["tickets"]}" takes that entry\'s '
                        f"{stated[0]}; leave one of the two out"
                    ]
                )
            if "extends" not in raw[name]:
                # Only what is extended in so many words brings its edits and analyses.
                below = {k: v for k, v in below.items() if k not in ("ticket", "analyse")}
        return merging.merge(below, own)

    def _entry(self, table: Table, top: TopTable) -> Entry | None:
        where = f'entry "{table["name"]}"'
        before = len(self.errors)
        try:
            parsed = EntryTable.model_validate(table)
        except ValidationError as error:
            known = [*EntryTable.model_fields, "extends", "grid"]
            self.errors += explain(error, known, f"{where}: ")
            rest = _known_of(table, error)
            return self._entry(rest, top) if len(rest) < len(table) else None
        single: dict[str, BoundComponent | None] = {}
        for slot in ("schedule", "score", "select", "units"):
            value = getattr(parsed, slot)
            single[slot] = None if value is None else self._use(value, slot, f"{where}: {slot}")
        if parsed.schedule is not None and parsed.tickets is None:
            for slot in ("score", "select"):
                if getattr(parsed, slot) is None:
                    self.errors.append(f"{where}: {slot}: missing; a schedule prunes, so it needs a score and a select")
        for slot in ("score", "select"):
            if getattr(parsed, slot) is not None and parsed.schedule is None and parsed.tickets is None:
                self.errors.append(f"{where}: schedule: missing; without one the entry is dense and its {slot} is idle")
        shared = {k: v for k in ("loss", "mask_updates") if (v := getattr(parsed, k)) is not None}
        recipes = {}
        for kind, file_over, entry_over in (
            ("find", top.find, parsed.find),
            ("evaluate", top.evaluate, parsed.evaluate),
        ):
            merged: Table = top.train
            for layer in (file_over, parsed.train, shared, entry_over):
                merged = merging.merge(merged, layer)
            recipes[kind] = self._recipe(merged, where, kind)
        models = self._choices(top.model, parsed.model, "model", f"{where}: ", label="name")
        data = self._choices(top.data, parsed.data, "data", f"{where}: ", label="use")
        group = self._chain(parsed, top, where)
        edits = self._list(parsed.ticket, "ticket", f"{where}: ticket")
        analyses = self._list(parsed.analyse, "analyse", f"{where}: analyse")
        find, evaluate, units = recipes["find"], recipes["evaluate"], single["units"]
        if find is None or evaluate is None or units is None or len(self.errors) > before:
            return None
        return Entry(
            name=parsed.name,
            schedule=single["schedule"],
            score=single["score"],
            select=single["select"],
            units=units,
            tickets=parsed.tickets,
            edits=edits,
            analyses=analyses,
            find=find,
            evaluate=evaluate,
            models=models,
            data=data,
            cut=group[0],
            rounds=group[1],
            densities=group[2],
            draws=parsed.draws,
        )

    def _chain(
        self, parsed: EntryTable, top: TopTable, where: str
    ) -> tuple[float | None, int | None, tuple[Density, ...] | None]:
        """cut, rounds and densities of an entry: its own laid over the file's."""
        own = {k: v for k in ("cut", "rounds", "densities") if (v := getattr(parsed, k)) is not None}
        file = {k: v for k in ("cut", "rounds", "densities") if (v := getattr(top, k)) is not None}
        if "densities" in own and "cut" not in own and "rounds" not in own:
            group = {**file, **own}
        else:
            group = merging.merge(file, own)
        densities = None
        if group.get("densities") is not None:
            densities = self._densities(group["densities"], where if "densities" in own else "", parsed.name)
        if parsed.schedule is None and parsed.tickets is None:
            return None, 0, None
        if self._wrong & {"cut", "rounds", "densities"}:
            return None, None, None
        if group.get("cut") is None and group.get("rounds") is not None:
            self.errors.append(f"{where}: cut: missing; what share of the survivors does a round remove?")
        elif group.get("cut") is None and densities is None:
            self.errors.append(f"{where}: cut: missing; state `cut` and `rounds`, or `densities` alone")
        elif group.get("cut") is not None and group.get("rounds") is None:
            self.errors.append(f"{where}: rounds: missing; how many times is {group['cut']} cut?")
        elif group.get("rounds") == 0 and densities is None:
            self.errors.append(f"{where}: rounds: after 0 rounds there is no ticket to judge")
        return group.get("cut"), group.get("rounds"), densities

    def _densities(self, values: Sequence[Any], where: str, entry: str) -> tuple[Density, ...]:
        at = f"{where}: densities" if where else "densities"
        found = []
        for value in values:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
                self.errors.append(f"{at}: {value!s} is not a density: a fraction kept, above 0 and at most 1")
                continue
            found.append(Density(float(value), value.text if isinstance(value, Printed) else str(value)))
        if len({d.value for d in found}) < len(found):
            self.errors.append(f"{at}: a density is given twice")
        if not values:
            self.errors.append(f"{at}: the list is empty; leave it out to evaluate every round")
        return tuple(found)

    def _recipe(self, table: Table, where: str, kind: str) -> Recipe | None:
        at = f"{where}: {kind}"
        try:
            parsed = RecipeTable.model_validate(table)
        except ValidationError as error:
            # A key that is wrong in [train] is wrong in every entry: name it once, where it stands.
            for line in explain(error, RecipeTable.model_fields, ""):
                key = line.split(":")[0].split(".")[0]
                stated = key in table and self.raw.get("train", {}).get(key) == table[key]
                self.errors.append(f"train.{line}" if stated or line.endswith("missing") else f"{at}.{line}")
            rest = _known_of(table, error)
            return self._recipe(rest, where, kind) if len(rest) < len(table) else None
        before = len(self.errors)
        optimizer = self._use(parsed.optimizer, "optimizer", f"{at}.optimizer")
        lists = {k: self._list(getattr(parsed, k), k, f"{at}.{k}") for k in merging.RECIPE_LISTS}
        if optimizer is None or len(self.errors) > before:
            return None
        wrong = self._wrong_rates(optimizer, lists["lr"])
        if wrong:
            shared = table["lr"] == self.raw.get("train", {}).get("lr") if "lr" in table else False
            self.errors.append(f"{'train' if shared else at}.lr: {wrong}")
            return None
        return Recipe(
            horizon=parsed.horizon.of if isinstance(parsed.horizon, Stretch) else parsed.horizon,
            stretch=parsed.horizon if isinstance(parsed.horizon, Stretch) else None,
            stop=parsed.stop,
            batch=parsed.batch,
            optimizer=optimizer,
            label_smoothing=parsed.label_smoothing,
            max_gradient_norm=parsed.max_gradient_norm,
            optimizer_state=parsed.optimizer_state,
            shrunk=parsed.shrunk,
            **lists,
        )

    def _wrong_rates(self, optimizer: BoundComponent, pieces: Sequence[BoundComponent]) -> str:
        """What is wrong with the pieces of a learning rate together: one gives it, the others wrap it."""
        try:
            rates = run_manager([optimizer, *pieces]).hook.prunebench_lr.get_hookimpls()
        except ContractError as error:
            return str(error)
        if all(rate.wrapper or rate.hookwrapper for rate in rates):
            named = " and ".join(f'"{use.name}"' for use in pieces)
            return f'{named or "the list"} gives no learning rate of its own; begin the list with one, like "constant"'
        return ""

    def _choices(
        self, tables: Sequence[Table], over: Table, slot: str, where: str, *, label: str
    ) -> tuple[Chosen, ...]:
        chosen = []
        for index, table in enumerate(tables):
            # As anywhere else, another component does not inherit the keys of the one that it replaces.
            replaced = "use" in over and over["use"] != table.get("use", "timm" if slot == "model" else None)
            merged = dict(over) if replaced else merging.merge(table, over)
            merged.setdefault("use", "timm" if slot == "model" else None)
            at = f"{where if over else ''}{slot}" + (f"[{index}]" if len(tables) > 1 else "")
            init = merged.pop("init", None)
            weights = merged.pop("weights", None) if slot == "model" else None
            if not isinstance(weights, str | None):
                self.errors.append(f"{at}.weights: must be the path of a safetensors file below the data root")
            shown = merged.pop("label", None) or merged.get(label) or merged.get("use")
            init_use = None
            if init is not None:
                init_use = self._use({"use": init} if isinstance(init, str) else init, "init", f"{at}.init")
            use = self._use(merged, slot, at)
            if use is not None:
                chosen.append(Chosen(str(shown), use, init_use, weights))
        labels = [c.label for c in chosen]
        if len(set(labels)) < len(labels):
            self.errors.append(f'{slot}: two of them would be called alike; give each a `label = "..."`')
        return tuple(chosen)

    def _use(self, table: Table, slot: str, where: str) -> BoundComponent | None:
        known = repr((slot, table))
        if known not in self._uses:
            try:
                self._uses[known] = self.catalogue.use(table, slot=slot, where=where)
            except ConfigError as error:
                # An error in a table that all entries share is told once, without the entry.
                shared = self._is_shared(table, slot)
                self.errors += [m.replace(where, shared, 1) if shared else m for m in error.errors]
                return None
        return self._uses[known]

    def _is_shared(self, table: Table, slot: str) -> str:
        train = self.raw.get("train", {})
        if slot in train and (train[slot] == table or (isinstance(train[slot], list) and table in train[slot])):
            return f"train.{slot}"
        return ""

    def _list(self, tables: Sequence[Table], slot: str, where: str) -> tuple[BoundComponent, ...]:
        single = len(tables) == 1
        uses = (self._use(t, slot, where if single else f"{where}[{i}]") for i, t in enumerate(tables))
        return tuple(use for use in uses if use is not None)

    def _with_tickets(self, entries: dict[str, Entry]) -> dict[str, Entry]:
        """Entries that take another's tickets get its chain: schedule, score, selection, units and find recipe."""
        resolved: dict[str, Entry] = {}

        def chain_of(name: str) -> Entry:
            entry = entries[name]
            if entry.tickets not in entries:
                return entry  # an unknown entry is told with the other references
            if name not in resolved:
                source = chain_of(entry.tickets)
                resolved[name] = replace(
                    entry,
                    models=source.models,
                    data=source.data,
                    schedule=source.schedule,
                    score=source.score,
                    select=source.select,
                    units=source.units,
                    find=source.find,
                    cut=source.cut,
                    rounds=source.rounds,
                )
            return resolved[name]

        done = {}
        for name in entries:
            done[name] = chain_of(name)
            if done[name].tickets in entries and done[name].schedule is None:
                self.errors.append(
                    f'entry "{name}": tickets: entry "{done[name].tickets}" has no schedule, so it makes no tickets'
                )
        return done

    def _check_references(self, entries: Mapping[str, Entry]) -> None:
        for entry in entries.values():
            for key, name in entry.references():
                if name not in entries:
                    self.errors.append(f'entry "{entry.name}": {key}: no entry "{name}".{nearest(name, entries)}')
        state: dict[str, int] = {}

        def visit(name: str, path: tuple[str, ...]) -> None:
            if state.get(name) == 1:
                circle = " -> ".join([*path[path.index(name) :], name])
                self.errors.append(f'entry "{name}": the entries refer to one another in a circle: {circle}')
            elif name in entries and name not in state:
                state[name] = 1
                for _, other in entries[name].references():
                    visit(other, (*path, name))
                state[name] = 2

        for name in entries:
            visit(name, ())

    def _chosen(self, top: TopTable, entries: Mapping[str, Entry], only: tuple[str, ...]) -> list[str]:
        names = list(entries)
        for key, wanted in (("entries", top.entries), ("--only", only or None)):
            if wanted is None:
                continue
            unknown = [w for w in wanted if w not in entries]
            if not self.errors:
                self.errors += [f'{key}: no entry "{w}".{nearest(w, entries)}' for w in unknown]
            names = [n for n in names if n in wanted]
        return names

    def _check_report(
        self, top: TopTable, entries: Mapping[str, Entry], chosen: Sequence[str], also: Sequence[BoundComponent]
    ) -> None:
        if self.errors:
            return
        split = top.report.metric.partition("/")[0]
        if split not in top.measure.splits:
            self.errors.append(f'report.metric: "{top.report.metric}" is not measured; add "{split}" to measure.splits')
        scored = (entries[name] for name in chosen)
        units = {entry.units.name: entry for entry in scored if entry.schedule is not None}
        if len(units) > 1 and top.report.axis == "density":
            told = " and ".join(f'"{entry.name}" ({entry.units})' for entry in list(units.values())[:2])
            self.errors.append(
                f"report.axis: {told} prune different units, whose densities mean different things; compare them at "
                'equal cost: axis = "density_macs" (or "density_all"), at = [0.5, 0.25]'
            )
        if top.report.axis != "density":
            for index, expect in enumerate(top.expect):
                if expect.metric.partition("/")[0] not in ("train", "valid", "test") or expect.metric.count("/") > 1:
                    continue
                if expect.round is not None or (expect.density is not None and expect.density not in top.report.at):
                    self.errors.append(
                        f"expect[{index}]: evaluations are compared on axis = {top.report.axis!r} here, at "
                        f"{list(top.report.at)}; state one of these as density, and no round"
                    )
        named: list[tuple[str, str | None]] = [("report.against", top.report.against)]
        named += [
            (f'report.also: component "{use.name}": {key}', name)
            for use in also
            for key, name in entry_refs(use.config)
        ]
        for index, expect in enumerate(top.expect):
            named += [(f"expect[{index}].better", expect.better), (f"expect[{index}].worse", expect.worse)]
        self.errors += [
            f'{key}: no entry "{name}".{nearest(name, entries)}'
            for key, name in named
            if name is not None and name not in entries
        ]
        if not self.errors:
            self.errors += [
                f"expect[{index}].{key}: {wrong}"
                for index, expect in enumerate(top.expect)
                for key, entry, metric, position in expect.sides()
                if (wrong := unmeasured(metric, position, entries[entry], top.measure))
            ]


_STAND_INS: Mapping[str, Any] = {"schema": 1, "seeds": [0]}
"""What stands for a required key that is wrong while the rest of the file is looked at."""

_NESTED: Mapping[str, type[BaseModel]] = {
    "measure": Measure,
    "report": Report,
    "execution": Execution,
    "expect": Expect,
}


def _top_errors(error: ValidationError) -> list[str]:
    """Errors of the file's own keys; for an unknown key of a table, the nearest of that table's."""
    known = [f.alias or n for n, f in TopTable.model_fields.items()] + ["extends", "profile"]
    lines = explain(error, known, "")
    for index, item in enumerate(error.errors()):
        owner = _NESTED.get(str(item["loc"][0])) if len(item["loc"]) > 1 else None
        if item["type"] == "extra_forbidden" and owner is not None:
            lines[index] += nearest(str(item["loc"][-1]), owner.model_fields)
    return lines


def _known_of(table: Table, error: ValidationError) -> Table:
    """A table without its unknown keys: what else is wrong with it is told as well."""
    unknown = {item["loc"][0] for item in error.errors() if item["type"] == "extra_forbidden" and len(item["loc"]) == 1}
    return {key: value for key, value in table.items() if key not in unknown}


_OF_ENTRY = re.compile(r'entry "([^"]*)": (.*)', re.DOTALL)


def _gathered(errors: Sequence[str]) -> list[str]:
    """Each error once: what is wrong with an entry is wrong with those that extend it, too."""
    told: dict[str, list[str]] = {}
    for error in dict.fromkeys(errors):
        of_entry = _OF_ENTRY.fullmatch(error)
        names = told.setdefault(error if of_entry is None else of_entry[2], [])
        if of_entry is not None:
            names.append(of_entry[1])
    return [f"{entries_named(names)}: {error}" if names else error for error, names in told.items()]


def entries_named(names: Sequence[str]) -> str:
    """`entry "a"`, or `entries "a", "b", "c" and 3 more`."""
    shown = ", ".join(f'"{name}"' for name in names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
    return f"{'entry' if len(names) == 1 else 'entries'} {shown}"
