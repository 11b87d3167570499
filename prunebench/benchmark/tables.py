"""The tables of a benchmark file beside its entries, one model each."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from prunebench.api.component import BoundComponent, Slot
from prunebench.api.positions import Position
from prunebench.api.strict import Number, StrictTable, Whole
from prunebench.benchmark import bounds
from prunebench.benchmark.densities import ChainKeys
from prunebench.benchmark.expectations import Expect

Split = Literal["train", "valid", "test"]


class Measure(StrictTable):
    """When and on what runs are measured. Part of the identity of curves, never of the runs."""

    every: Position | None = None
    at: tuple[Position, ...] = ()
    splits: tuple[Split, ...] = ("train", "valid", "test")
    train_sample: Whole = Field(10_000, gt=0)
    """Examples of the fixed, un-augmented, evenly spaced sample of train that is measured."""


class Report(StrictTable):
    """What the leaderboard ranks by."""

    metric: str = ""
    """SPLIT/METRIC; the task's primary metric on the test split where it is not stated."""
    against: str | None = None
    alpha: Number = Field(0.05, gt=0, lt=1)
    axis: Literal["density", "density_all", "density_macs", "latency"] = "density"
    """What entries are compared at: density of the units, or a cost that entries with other units share. "latency" is
    what an analysis of each entry measured as `latency_share`."""
    at: tuple[Number, ...] = ()
    """Places on the axis, where it is not density."""
    also: Annotated[tuple[BoundComponent, ...], Slot("report", many=True)] = ()

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
            raise ValueError('write SPLIT/METRIC, such as "test/loss" or "valid/early_stop_iteration"')
        return metric


class Execution(StrictTable):
    """How a run is carried out. Never part of a key."""

    workers: Whole | None = Field(None, ge=0, le=bounds.PROCESSES)
    """Processes; by default one for each core or GPU. 0 runs in the calling process."""
    threads: Whole = Field(1, ge=1, le=bounds.PROCESSES)
    """Threads of each worker. Part of the environment fingerprint: sums may round differently."""
    device: str = "auto"
    devices: tuple[str, ...] | Literal["all"] | None = Field(None, min_length=1)
    """Devices of this machine, each with workers of its own; in place of `device`."""
    slots: Whole | None = Field(None, ge=1, le=bounds.PROCESSES)
    """Workers that share a device."""
    checkpoint_seconds: Number = Field(60.0, ge=0)
    keep: Literal["none", "small", "judged"] = "small"
    """Which judged weights stay in the store, for `export`: all, or where they take little together, or none."""
    restarts: Whole = Field(2, ge=0, le=1_000)
    """How often a phase whose worker died starts again, from its checkpoint."""
    executor: dict[str, Any] | str | None = None
    """What carries the work out; its keys are those of the executor."""
    track: Annotated[tuple[BoundComponent, ...], Slot("track", many=True)] = ()

    @model_validator(mode="after")
    def _one_of(self) -> Execution:
        if self.devices is not None and self.device != "auto":
            raise ValueError("`device` and `devices` say the same; leave one of them out")
        return self


class TopTable(ChainKeys):
    """The keys of the file itself. What entries are laid over is not yet complete here."""

    more_keys = ("extends", "profile")

    schema_: Literal[1] = Field(alias="schema")
    claim: str = ""
    seeds: tuple[Annotated[Whole, Field(ge=-bounds.SEED, le=bounds.SEED)], ...] = Field(
        min_length=1, max_length=bounds.SEEDS
    )
    data: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=bounds.CHOICES)
    task: dict[str, Any] = Field(default_factory=dict)
    model: tuple[dict[str, Any], ...] = Field(min_length=1, max_length=bounds.CHOICES)
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
    def _distinct_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        twice = sorted(seed for seed, times in Counter(seeds).items() if times > 1)
        if twice:
            raise ValueError(f"seed {twice[0]} is given twice; n counts seeds, so each must be distinct")
        return seeds
