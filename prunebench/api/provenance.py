"""`provenance.json`: where the numbers of a leaderboard come from, and what its page is to say of them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from prunebench.api.rows import Record

Scalar = str | int | float | bool | None


class ComponentOrigin(Record):
    """A component that took part: the version of its numbers, the distribution that brought it, its source."""

    version: int
    distribution: str
    paper: str


class RunCounts(Record):
    """Training runs: as many as the file names, those that are distinct, those that were in the store before."""

    naive: int
    distinct: int
    cached: int = 0


class MetricInfo(Record):
    """How a metric of the task reads.

    Attributes:
        unit: of the stored value, such as "fraction" or "nats".
        higher: whether more is better.
        low, high: the metric's range, where it has ends.
    """

    unit: str
    higher: bool
    low: float | None = None
    high: float | None = None


class ReportSettings(Record):
    """What the page ranks by and says.

    Attributes:
        metric: "SPLIT/METRIC".
        against: the entry that the others are compared with.
        alpha: the level of tests; intervals cover 1 - alpha.
        axis: what entries are compared at: "density", "density_all", "density_macs".
        at: places on the axis, where it is not density.
        notes: what a reader must know before the first number, a sentence each.
        expectations: the file's `[[expect]]` tables, resolved.
    """

    name: str
    claim: str
    metric: str
    against: str | None
    alpha: float = Field(gt=0, lt=1)
    axis: str = "density"
    at: tuple[float, ...] = ()
    notes: tuple[str, ...] = ()
    expectations: tuple[Mapping[str, Any], ...] = ()


class Provenance(Record):
    """Where numbers come from.

    Attributes:
        prunebench: the version that made them.
        file, profile, settings: the benchmark file, and what the command line changed.
        seeds, entries: those that were run, in the order of the file.
        environment: the fingerprint's fields; bits are promised where all of them are equal.
        hardware: "cpu", "cores", "memory_gib", "device".
        wall_seconds: without what was in the store before.
        steps: training examples processed.
        components: by name.
        also: components that report beside the page, as JSON.
        metrics: how the task's metrics read, by "SPLIT/METRIC" or by name.
        tolerance: how far a value may move in another environment.
        verification: the record of a second run.
        merged: of results that were laid together, the origin of each.
    """

    schema_version: int = Field(default=1, alias="schema")
    prunebench: str
    file: str
    profile: str | None
    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...]
    entries: tuple[str, ...]
    environment: Mapping[str, Scalar]
    hardware: Mapping[str, Scalar]
    wall_seconds: float
    finished: str
    runs: RunCounts
    steps: int = 0
    components: Mapping[str, ComponentOrigin]
    report: ReportSettings
    also: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, MetricInfo] = Field(default_factory=dict)
    tolerance: Mapping[str, Any] | None = None
    verification: Mapping[str, Any] | None = None
    merged: tuple[Mapping[str, Any], ...] = ()
