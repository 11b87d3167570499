"""A benchmark file -> frozen, fully resolved entries. All errors of a file come at once. No torch."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationError, field_validator, model_validator

from prunebench import merging
from prunebench.catalogue import Catalogue, Use, explain, run_manager
from prunebench.errors import ConfigError, ContractError, nearest
from prunebench.merging import Printed, Table
from prunebench.types import ComponentConfig, EntryRef, Position


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)


class Measure(_Strict):
    """When and on what runs are measured. Part of the identity of curves, never of the runs."""

    every: Position | None = None
    at: tuple[Position, ...] = ()
    splits: tuple[Literal["train", "valid", "test"], ...] = ("train", "valid", "test")
    train_sample: int = Field(10_000, gt=0)
    """Images of the fixed, un-augmented, evenly spaced sample of train that is measured."""


class Report(_Strict):
    """What the leaderboard ranks by."""

    metric: str = "test/accuracy"
    against: str | None = None
    alpha: float = Field(0.05, gt=0, lt=1)
    axis: Literal["density", "density_all", "density_macs"] = "density"
    """What entries are compared at: density of the units, or a cost that entries with other units share."""
    at: tuple[float, ...] = ()
    """Places on the axis, where it is not density."""
    also: tuple[dict[str, Any], ...] = ()

    @model_validator(mode="after")
    def _places(self) -> Report:
        if (self.axis == "density") != (not self.at):
            raise ValueError(
                "`axis` and `at` belong together: density is compared where tickets lie, every other axis at stated "
                'places, such as axis = "density_macs", at = [0.5, 0.25]'
            )
        if not all(0 < place < 1 for place in self.at) or len(set(self.at)) < len(self.at):
            raise ValueError(f"`at` has distinct shares between 0 and 1, not {list(self.at)}")
        return self

    @field_validator("metric")
    @classmethod
    def _split_and_metric(cls, metric: str) -> str:
        split, slash, name = metric.partition("/")
        if split not in ("train", "valid", "test") or not slash or not name:
            raise ValueError('write SPLIT/METRIC, such as "test/accuracy" or "test/early_stop_accuracy"')
        return metric


class Execution(_Strict):
    """How a run is carried out. Never part of a key."""

    workers: int | None = Field(None, ge=0)
    """Processes; by default one for each core. 0 runs in the calling process."""
    threads: int = Field(1, ge=1)
    """Threads of each worker. Part of the environment fingerprint: sums may round differently."""
    device: str = "auto"
    checkpoint_seconds: float = Field(60.0, ge=0)
    track: tuple[dict[str, Any], ...] = ()


class Than(_Strict):
    """What differs on the losing side of an expectation; what is not stated is as on the winning side."""

    metric: str | None = None
    density: float | None = None
    round: int | None = Field(None, ge=0)
    position: str | None = None
    value: float | None = None
    """A fixed number takes the place of the losing side."""

    @field_validator("position")
    @classmethod
    def _known_position(cls, position: str | None) -> str | None:
        return _expected_position(position)

    @model_validator(mode="after")
    def _something_differs(self) -> Than:
        stated = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if not stated:
            raise ValueError("state what differs: metric, density, round, position, or a fixed value")
        if "value" in stated and len(stated) > 1:
            raise ValueError("a fixed value has no metric, density, round or position")
        return self


class Expect(_Strict):
    """A published result that the file is held against."""

    source: str
    claim: str
    better: str
    worse: str = ""
    """The better entry itself where only `than` says what differs."""
    metric: str = "test/accuracy"
    density: float | None = None
    round: int | None = Field(None, ge=0)
    position: str | None = None
    than: Than | None = None
    published: dict[str, float] = Field(default_factory=dict)
    judge: bool = True
    """False where the file's recipe is not the paper's: the difference is shown, not judged."""

    @field_validator("position")
    @classmethod
    def _known_position(cls, position: str | None) -> str | None:
        return _expected_position(position)

    @model_validator(mode="before")
    @classmethod
    def _worse_is_better_itself(cls, stated: Any) -> Any:
        if isinstance(stated, Mapping) and "than" in stated and "worse" not in stated and "better" in stated:
            return {**stated, "worse": stated["better"]}
        return stated

    @model_validator(mode="after")
    def _two_sides(self) -> Expect:
        if not self.worse:
            raise ValueError("worse: missing; name an entry, or say with `than` what differs")
        if self.than is None and self.worse == self.better:
            raise ValueError(f'"{self.better}" is compared with itself; say with `than` what differs')
        if self.than is not None and self.than.value is not None and self.worse != self.better:
            raise ValueError(f'worse: "{self.worse}" and a fixed value; leave one of the two out')
        for side in (self, self.than):
            if side is not None and side.density is not None and side.round is not None:
                raise ValueError("density and round: state one of the two")
        return self

    def sides(self) -> list[tuple[str, str, str, str | None]]:
        """What is read of the results: (key of the file, entry, metric, position) of each side that is measured."""
        sides = [("metric", self.better, self.metric, self.position)]
        if self.than is None or self.than.value is None:
            than = self.than or Than.model_construct()
            key = "metric" if than.metric is None else "than.metric"
            sides.append((key, self.worse, than.metric or self.metric, than.position or self.position))
        return sides


def _expected_position(position: str | None) -> str | None:
    if position not in (None, "start", "end"):
        Position.parse(position)
    return position


class Stretch(_Strict):
    """A horizon that a ticket's mask decides: `of`, times what training a step of it saves.

    "macs-ratio" is the dense network's multiply-accumulates over the masked one's, so that both get the same work;
    `at_most` caps it, as Liu et al. 2019 (Scratch-B) do at 2.
    """

    of: Position
    times: Literal["macs-ratio"]
    at_most: float | None = Field(None, ge=1)


def _horizon(value: object) -> Position | Stretch:
    """A position, or the table of a stretched one. One error, where a union would give one for each choice."""
    if not isinstance(value, Mapping):
        return Position.parse(value)
    try:
        return Stretch.model_validate(value)
    except ValidationError as error:
        raise ValueError("; ".join(explain(error, Stretch.model_fields, ""))) from None


class _RecipeTable(_Strict):
    horizon: Annotated[Position | Stretch, PlainValidator(_horizon, json_schema_input_type=Position | Stretch)]
    stop: Position | None = None
    batch: int = Field(gt=0)
    optimizer: dict[str, Any]
    lr: tuple[dict[str, Any], ...] = ({"use": "constant"},)
    loss: tuple[dict[str, Any], ...] = ()
    mask_updates: tuple[dict[str, Any], ...] = ()
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    max_gradient_norm: float | None = Field(None, gt=0)
    optimizer_state: Literal["fresh", "with-weights"] = "fresh"
    shrunk: bool = False

    @field_validator("horizon")
    @classmethod
    def _absolute(cls, horizon: Position | Stretch) -> Position | Stretch:
        position = horizon.of if isinstance(horizon, Stretch) else horizon
        if position.unit == "%":
            raise ValueError(f'"{position}" would be a share of itself: write iterations or epochs')
        return horizon

    @field_validator("stop")
    @classmethod
    def _not_past_the_horizon(cls, stop: Position | None) -> Position | None:
        if stop is not None and stop.unit == "%" and stop.amount > 100:
            raise ValueError(f'"{stop}" is past the horizon')
        return stop


class _TopTable(_Strict):
    schema_: Literal[1] = Field(alias="schema")
    claim: str = ""
    seeds: tuple[int, ...] = Field(min_length=1)
    cut: float | None = Field(None, gt=0, lt=1)
    rounds: int | None = Field(None, ge=0)
    densities: tuple[Any, ...] | None = None
    data: tuple[dict[str, Any], ...] = Field(min_length=1)
    model: tuple[dict[str, Any], ...] = Field(min_length=1)
    train: dict[str, Any]
    find: dict[str, Any] = Field(default_factory=dict)
    evaluate: dict[str, Any] = Field(default_factory=dict)
    measure: Measure = Measure()
    report: Report = Report()
    execution: Execution = Execution()
    expect: tuple[Expect, ...] = ()
    entry: tuple[dict[str, Any], ...] = Field(min_length=1)
    entries: tuple[str, ...] | None = None
    note: str = ""

    @field_validator("seeds")
    @classmethod
    def _distinct(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        twice = sorted({s for s in seeds if seeds.count(s) > 1})
        if twice:
            raise ValueError(f"seed {twice[0]} is given twice; n counts seeds, so each must be distinct")
        return seeds


class _EntryTable(_Strict):
    name: str = Field(min_length=1)
    schedule: dict[str, Any] | None = None
    score: dict[str, Any] | None = None
    select: dict[str, Any] | None = None
    units: dict[str, Any] = Field(default_factory=lambda: {"use": "weights"})
    tickets: str | None = None
    ticket: tuple[dict[str, Any], ...] = ()
    analyse: tuple[dict[str, Any], ...] = ()
    loss: tuple[dict[str, Any], ...] | None = None
    mask_updates: tuple[dict[str, Any], ...] | None = None
    train: dict[str, Any] = Field(default_factory=dict)
    find: dict[str, Any] = Field(default_factory=dict)
    evaluate: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    cut: float | None = Field(None, gt=0, lt=1)
    rounds: int | None = Field(None, ge=0)
    densities: tuple[Any, ...] | None = None
    draws: int = Field(1, ge=1)


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
class Recipe:
    """How one kind of run trains."""

    horizon: Position
    stop: Position | None
    batch: int
    optimizer: Use
    lr: tuple[Use, ...]
    loss: tuple[Use, ...]
    mask_updates: tuple[Use, ...]
    label_smoothing: float
    max_gradient_norm: float | None
    optimizer_state: Literal["fresh", "with-weights"]
    stretch: Stretch | None = None
    """How the mask that is trained lengthens the horizon; None where it does not."""
    shrunk: bool = False
    """Whether what is pruned is taken out before training, instead of held at zero."""

    def replace(self, **changes: Any) -> Recipe:
        """This recipe with some fields changed; for schedules that retrain differently."""
        return replace(self, **changes)


@dataclass(frozen=True, eq=False)
class Chosen:
    """A model or a data set of the file: a label for the results, and its component."""

    label: str
    use: Use
    init: Use | None = None
    weights: str | None = None
    """Of a model: the file below the data root that its first weights are read from, instead of drawn."""


@dataclass(frozen=True, eq=False)
class Entry:
    """One named configuration, resolved."""

    name: str
    schedule: Use | None
    score: Use | None
    select: Use | None
    units: Use
    tickets: str | None
    edits: tuple[Use, ...]
    analyses: tuple[Use, ...]
    find: Recipe
    evaluate: Recipe
    models: tuple[Chosen, ...]
    data: tuple[Chosen, ...]
    cut: float | None
    rounds: int | None
    densities: tuple[Density, ...] | None
    draws: int

    def uses(self) -> Iterator[Use]:
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
    also: tuple[Use, ...]
    execution: Execution
    track: tuple[Use, ...]
    expect: tuple[Expect, ...]
    profile: str | None
    catalogue: Catalogue

    def uses(self) -> dict[str, Use]:
        """Every component that is active, by name."""
        found = {use.name: use for entry in self.entries for use in entry.uses()}
        found.update((use.name, use) for use in (*self.also, *self.track))
        return dict(sorted(found.items()))


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
        self._uses: dict[str, Use] = {}

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

    def _top(self) -> _TopTable:
        """The file's own keys. A wrong one is told and then left out, so that errors further on are found too."""
        raw = dict(self.raw)
        while True:
            try:
                return _TopTable.model_validate(raw)
            except ValidationError as error:
                self.errors += _top_errors(error)
                wrong = {str(item["loc"][0]) for item in error.errors()}
                self._wrong |= wrong
                required = {f.alias or n for n, f in _TopTable.model_fields.items() if f.is_required()}
                if wrong & required - _STAND_INS.keys() or not wrong & raw.keys():
                    raise ConfigError(dict.fromkeys(self.errors)) from None
                raw = {k: v for k, v in raw.items() if k not in wrong}
                raw.update({k: v for k, v in _STAND_INS.items() if k in wrong})

    # Entries: grids first, then `extends`, then validation.

    def _entry_tables(self, top: _TopTable) -> dict[str, Table]:
        raw: dict[str, Table] = {}
        for index, entry in enumerate(top.entry):
            where = f'entry "{entry["name"]}"' if isinstance(entry.get("name"), str) else f"entry {index + 1}"
            if not isinstance(entry.get("name"), str):
                self.errors.append(f"{where}: name: missing")
                continue
            try:
                expanded = merging.expand_grid(dict(entry))
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

    def _entry(self, table: Table, top: _TopTable) -> Entry | None:
        where = f'entry "{table["name"]}"'
        before = len(self.errors)
        try:
            parsed = _EntryTable.model_validate(table)
        except ValidationError as error:
            known = [*_EntryTable.model_fields, "extends", "grid"]
            self.errors += explain(error, known, f"{where}: ")
            rest = _known_of(table, error)
            return self._entry(rest, top) if len(rest) < len(table) else None
        single: dict[str, Use | None] = {}
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
        self, parsed: _EntryTable, top: _TopTable, where: str
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
            parsed = _RecipeTable.model_validate(table)
        except ValidationError as error:
            # A key that is wrong in [train] is wrong in every entry: name it once, where it stands.
            for line in explain(error, _RecipeTable.model_fields, ""):
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

    def _wrong_rates(self, optimizer: Use, pieces: Sequence[Use]) -> str:
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

    def _use(self, table: Table, slot: str, where: str) -> Use | None:
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

    def _list(self, tables: Sequence[Table], slot: str, where: str) -> tuple[Use, ...]:
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

    def _chosen(self, top: _TopTable, entries: Mapping[str, Entry], only: tuple[str, ...]) -> list[str]:
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
        self, top: _TopTable, entries: Mapping[str, Entry], chosen: Sequence[str], also: Sequence[Use]
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
                if (wrong := _unmeasured(metric, position, entries[entry], top.measure))
            ]


SMALLEST = "smallest_matching_density"
"""The metric of an expectation that is made of another, written after it: test/accuracy/smallest_matching_density."""

_EARLY = ("early_stop_accuracy", "early_stop_iteration")

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
    known = [f.alias or n for n, f in _TopTable.model_fields.items()] + ["extends", "profile"]
    lines = explain(error, known, "")
    for index, item in enumerate(error.errors()):
        owner = _NESTED.get(str(item["loc"][0])) if len(item["loc"]) > 1 else None
        if item["type"] == "extra_forbidden" and owner is not None:
            lines[index] += nearest(str(item["loc"][-1]), owner.model_fields)
    return lines


def _unmeasured(metric: str, position: str | None, entry: Entry, measure: Measure) -> str:
    """Why an entry will have no such measurement; empty if it may have."""
    split, _, name = metric.partition("/")
    if metric == SMALLEST:
        split, name = "test", f"accuracy/{SMALLEST}"
    analyses = {use.name for use in entry.analyses}
    if split in analyses or name.partition("/")[0] in analyses:
        return ""
    if split not in ("train", "valid", "test"):
        known = f"; its analyses are {', '.join(sorted(analyses))}" if analyses else ""
        return f'"{metric}": entry "{entry.name}" does not analyse "{split}"{known}. Otherwise write SPLIT/METRIC'
    if split not in measure.splits:
        return f'"{metric}" is not measured; add "{split}" to measure.splits'
    name = name.removesuffix(f"/{SMALLEST}")
    if name.startswith("early_stop_") and (measure.every is None or "valid" not in measure.splits):
        return f'"{metric}" is not measured; it needs measure.every, and "valid" in measure.splits'
    if name not in ("accuracy", "loss", "early_stop_accuracy", "early_stop_iteration"):
        analysed = f'; entry "{entry.name}" does not analyse "{name.partition("/")[0]}"' if "/" in name else ""
        return f'"{metric}": no such metric{analysed}.{nearest(name, ("accuracy", "loss", *_EARLY))}'
    if name == "early_stop_iteration" and split != "valid":
        return f'"{metric}": it is of the validation loss; write valid/{name}'
    if name in _EARLY and position is not None:
        return f'"{metric}" has no position to choose: its own is where training would have stopped'
    return _unplaced(position, measure)


def _unplaced(position: str | None, measure: Measure) -> str:
    """Why no row of the results is at a position."""
    if position in (None, "end"):
        return ""
    at = "0it" if position == "start" else position
    if Position.parse(at).unit != "it":
        return f'position "{at}": the results have iterations; write it in them, as in "500it"'
    # epochs and shares become iterations only in the plan
    if Position.parse(at) in measure.at or any(p.unit != "it" and p.amount > 0 for p in measure.at):
        return ""
    return f'position "{position}" is not a row of the results; add "{at}" to measure.at'


def entry_refs(config: ComponentConfig) -> Iterator[tuple[str, str]]:
    """The entries that a component's configuration names, each after its field, which is of type EntryRef."""
    fields: Mapping[str, Any] = type(config).model_fields
    for name in fields:
        value = getattr(config, name)
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, EntryRef):
                yield name, str(item)


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
