"""The rows of `results.jsonl`: one measurement each. No torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Role = Literal["evaluate", "find", "analyse"]
Outcome = Literal["ok", "diverged", "collapsed", "failed", "inapplicable"]

WORST_FIRST: tuple[Outcome, ...] = ("failed", "diverged", "collapsed", "inapplicable", "ok")
"""The outcomes in the order in which one of them stands for several."""

TrialId = tuple[str, str, str, int]
"""(entry, model, data, seed)."""

RunId = tuple[str, str, str, int, int | None, int, int]
"""A trial's id, then round, draw and twin."""

Identity = tuple[str, str, str, int, int | None, int, int, Role, str, str, str]


Whole = Annotated[int, Field(ge=-(2**63), lt=2**63)]
"""A whole number that every program reads."""

Number = Annotated[float, Field(ge=-1e300, le=1e300)]
"""A number that stays finite in percent and in a sum; float32 ends at 3.4e38."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A fraction of a whole."""


class Record(BaseModel):
    """The base of everything that a leaderboard's folder holds: frozen, strict, without unknown fields or NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file: a field that was not stated, such as one that came later, stays out."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


class Stated:
    """The sets of fields that records of one kind state, each held once however many records state it.

    pydantic gives every value a set of its own, which takes more memory than its fields do. Records are frozen, and a
    changed copy copies its set.
    """

    def __init__(self) -> None:
        self._known: dict[frozenset[str], set[str]] = {}

    def share(self, record: Record) -> None:
        """Let a record hold the set that others hold."""
        stated = record.__pydantic_fields_set__
        object.__setattr__(record, "__pydantic_fields_set__", self._known.setdefault(frozenset(stated), stated))


class Row(Record):
    """One measurement.

    Attributes:
        entry: the name of the entry, as the benchmark file has it.
        model, data: the names of the network and of the data set.
        seed: the seed of the trial. Entry, model, data and seed together name a trial.
        round: the round of the ticket, 0 being dense; null where an analysis is of the whole trial.
        draw: which of several tickets of one round, from 0; draws are averaged within a seed.
        twin: which of several trainings that differ in their random order alone, from 0.
        role: "evaluate" for runs that judge a ticket, "find" for runs that lead to one, "analyse" for analyses.
        density: the fraction kept of the units that may be pruned; null where no ticket exists.
        density_all: the fraction kept of all parameters; null where it is not known.
        density_macs: the fraction kept of the multiply-accumulates; null where it is not known.
        position: where in its run it was measured: iterations "500it", epochs "2ep" or a share of the horizon "2%";
            empty where that has no meaning.
        metric: the name of what was measured; of an analysis, "ANALYSIS/NAME".
        split: "train", "valid" or "test"; empty for measurements of no split.
        value: the number, in `unit`; null where there is no finite one.
        unit: of the value, such as "fraction" or "nats".
        outcome: "ok", or what became of the trial instead: its numbers are not finite ("diverged"), its network gives
            the same for every example ("collapsed"), a phase raised an error ("failed"), or the entry's method does not
            apply to the network, which planning found ("inapplicable").
        key: of the phase that it was read off, 64 hex digits; empty where no phase was planned.
        environments: ids of the environments that it rests on, where these are several.
        exact: false for what a clock measured, which another run does not reproduce.
        empty_layers: of a judged ticket, how many layers have no unit left; stated where there are any.
        unscored_layers: of a judged ticket, the layers of which every unit scored 0 when it was pruned, so that the
            score said nothing of them; stated where there are any.
        note: what a component had to say of the ticket, such as a layer that it had too few examples for, or why an
            entry is "inapplicable"; empty, and absent, where it said nothing.
        asked_parameters, asked_macs: of a judged ticket whose mask was cut to a share of all parameters, or of the
            multiply-accumulates, that share; density_all, or density_macs, is where it came to lie.
    Invariants:
        Numbers are finite; null stands where there is none.
        Only rows of the role "analyse" may have the round null.
        An evaluation whose outcome is "ok" has a density.
        A row whose outcome is "inapplicable" is of the role "find", has no number and no key, and a note says why.
        No two rows have the same entry, model, data, seed, round, draw, twin, role, position, metric and split.
        Of a judged run the row at its last position is what it is judged by.
    """

    entry: str
    model: str
    data: str
    seed: Whole
    round: Whole | None
    draw: Whole
    twin: Whole
    role: Role
    density: Annotated[float, Field(gt=0, le=1)] | None
    density_all: Share | None
    density_macs: Share | None = None
    position: str
    metric: str
    split: str
    value: Number | None
    unit: str
    outcome: Outcome
    key: str
    environments: tuple[str, ...] = ()
    exact: bool = True
    empty_layers: Annotated[int, Field(ge=0, lt=2**31)] = 0
    unscored_layers: tuple[str, ...] = ()
    note: str = ""
    asked_parameters: Annotated[float, Field(gt=0, lt=1)] | None = None
    asked_macs: Annotated[float, Field(gt=0, lt=1)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> Row:
        if self.round is None and self.role != "analyse":
            raise ValueError("round is null, and only an analysis may be of the whole trial")
        if self.outcome == "ok" and self.density is None and self.role != "analyse":
            raise ValueError("outcome is ok, but there is no density")
        if self.outcome == "inapplicable":
            if self.role != "find" or self.density is not None or self.value is not None or self.key:
                raise ValueError('outcome is inapplicable, but something was computed or the role is not "find"')
            if not self.note:
                raise ValueError("outcome is inapplicable, but no note says why")
        return self

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file. Its fields are plain, so nothing of pydantic is needed for some 10^5 of them."""
        stated = self.__pydantic_fields_set__
        return {
            name: list(value) if type(value) is tuple else value
            for name, value in self.__dict__.items()
            if name in stated
        }

    @property
    def name(self) -> str:
        """The metric as a benchmark file names it: "SPLIT/METRIC", or "ANALYSIS/NAME" where there is no split."""
        return f"{self.split}/{self.metric}" if self.split else self.metric

    @property
    def trial(self) -> TrialId:
        """The trial that it was measured in."""
        return self.entry, self.model, self.data, self.seed

    @property
    def run(self) -> RunId:
        """The run that it was measured in."""
        return (*self.trial, self.round, self.draw, self.twin)

    @property
    def identity(self) -> Identity:
        """What is measured: two rows that agree in this are of the same measurement."""
        return (*self.run, self.role, self.position, self.metric, self.split)
