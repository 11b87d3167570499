"""The tables of a benchmark file, one model each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator, ValidationError, field_validator, model_validator

from prunebench.api.positions import Position
from prunebench.api.recipe import Stretch
from prunebench.benchmark.expectations import Expect
from prunebench.benchmark.strict import StrictTable
from prunebench.components.explain import explain


class Measure(StrictTable):
    """When and on what runs are measured. Part of the identity of curves, never of the runs."""

    every: Position | None = None
    at: tuple[Position, ...] = ()
    splits: tuple[Literal["train", "valid", "test"], ...] = ("train", "valid", "test")
    train_sample: int = Field(10_000, gt=0)
    """Images of the fixed, un-augmented, evenly spaced sample of train that is measured."""


class Report(StrictTable):
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


class Execution(StrictTable):
    """How a run is carried out. Never part of a key."""

    workers: int | None = Field(None, ge=0)
    """Processes; by default one for each core. 0 runs in the calling process."""
    threads: int = Field(1, ge=1)
    """Threads of each worker. Part of the environment fingerprint: sums may round differently."""
    device: str = "auto"
    checkpoint_seconds: float = Field(60.0, ge=0)
    restarts: int = Field(2, ge=0)
    """How often a phase whose worker died starts again, from its checkpoint."""
    executor: dict[str, Any] | str | None = None
    """What carries the work out; its keys are those of the executor."""
    track: tuple[dict[str, Any], ...] = ()


def _horizon(value: object) -> Position | Stretch:
    """A position, or the table of a stretched one. One error, where a union would give one for each choice."""
    if not isinstance(value, Mapping):
        return Position.parse(value)
    try:
        return Stretch.model_validate(value)
    except ValidationError as error:
        raise ValueError("; ".join(explain(error, Stretch.model_fields, ""))) from None


class RecipeTable(StrictTable):
    """`[train]`, `[find]` and `[evaluate]`, merged."""

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


class TopTable(StrictTable):
    """The keys of the file itself."""

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


class EntryTable(StrictTable):
    """One `[[entry]]`, after grids and `extends`."""

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
