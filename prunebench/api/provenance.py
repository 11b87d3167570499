"""`provenance.json`: where the numbers of a leaderboard come from, and what its page is to say of them. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import Field

from prunebench.api.rows import Number, Record, Whole

Scalar = str | Whole | Number | bool | None


class ComponentOrigin(Record):
    """A component that took part.

    Attributes:
        version: of its numbers: it rises when they change.
        distribution: the Python distribution that brought it, with its version.
        paper: its source; empty where there is none.
    """

    version: Whole
    distribution: str
    paper: str


class RunCounts(Record):
    """Training runs.

    Attributes:
        naive: as many as the file asks for.
        distinct: those that differ.
        cached: of the distinct ones, those that were in the store before.
    """

    naive: Whole
    distinct: Whole
    cached: Whole = 0


class MetricInfo(Record):
    """How a metric of the task reads.

    Attributes:
        unit: of the stored value, such as "fraction" or "nats".
        higher: whether more is better.
        low, high: the ends of the metric's range; null where it has none.
    """

    unit: str
    higher: bool
    low: Number | None = None
    high: Number | None = None


class ReportSettings(Record):
    """What the page ranks by and says.

    Attributes:
        name: of the benchmark.
        claim: what the benchmark is to show, in a sentence.
        metric: what entries are ranked by, "SPLIT/METRIC".
        against: the entry that the others are compared with; null where there is none.
        alpha: the level of tests, between 0 and 1; intervals cover 1 - alpha.
        axis: what entries are compared at: "density", "density_all", "density_macs", "latency".
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
    at: tuple[Number, ...] = ()
    notes: tuple[str, ...] = ()
    expectations: tuple[Mapping[str, Any], ...] = ()


class Registered(Record):
    """How far a value may move in another environment, as it was registered with the results.

    Attributes:
        metric: that it is of, "SPLIT/METRIC".
        deviation: the standard deviation over seeds, pooled over cells; null if no cell has two seeds.
        values: how many values the leaderboard has of the metric.
        floor: what one image of the test set is worth.
        allowed: the largest difference that passes; null where seeds say nothing.
    """

    metric: str
    deviation: Number | None
    values: Whole
    floor: Number
    allowed: Number | None


class VerificationRecord(Record):
    """What the author of `verification.json` claims of a second run. Nothing in a folder can prove it.

    Attributes:
        tier: what earlier versions called it.
        when: the day, as in "2026-01-31", in UTC.
        prunebench: the version that ran again; empty where it was not noted.
        hardware: of the second run, as in the provenance.
        environment: of the second run, as in the provenance.
        bit_equal: whether the environment was the recorded one, so that every bit was compared; else values were held
            against the tolerance.
        entries, seeds: those that were run again.
        cells: the seeds of each entry, where not every entry ran with every seed.
        drawn: whether entries and seeds were drawn at random for the verification.
        numbers: how many rows were compared.
        results, details: the sha256 of `results.jsonl` and of `details.jsonl`; that of the details may be missing.
    """

    tier: str = ""
    when: str
    prunebench: str = ""
    hardware: Mapping[str, Scalar]
    environment: Mapping[str, Scalar]
    bit_equal: bool
    entries: tuple[str, ...]
    seeds: tuple[Whole, ...]
    cells: Mapping[str, tuple[Whole, ...]] = Field(default_factory=dict)
    drawn: bool = False
    numbers: Whole
    results: str
    details: str = ""

    @property
    def covered(self) -> frozenset[tuple[str, int]]:
        """The (entry, seed) that were run again."""
        if self.cells:
            return frozenset((entry, seed) for entry, seeds in self.cells.items() for seed in seeds)
        return frozenset((entry, seed) for entry in self.entries for seed in self.seeds)


class Origin(Record):
    """One of the runs whose results were laid together: what it says of itself, as in the provenance.

    Attributes:
        finished: the day on which it ended.
        hardware: the machine.
        environment, environments: where it computed.
        seeds, entries: those that it ran.
        wall_seconds: seconds that it took.
        runs: training runs.
        steps: training examples processed.
    """

    finished: str
    hardware: Mapping[str, Scalar]
    environment: Mapping[str, Scalar]
    environments: Mapping[str, Mapping[str, Scalar]] = Field(default_factory=dict)
    seeds: tuple[Whole, ...]
    entries: tuple[str, ...] = ()
    wall_seconds: Number = 0.0
    runs: RunCounts = RunCounts(naive=0, distinct=0)
    steps: Whole = 0


class Provenance(Record):
    """Where numbers come from.

    Attributes:
        schema_version: of the folder; "schema" in the file.
        prunebench: the version that made them.
        file: the benchmark file.
        profile: the profile of the file that was run; null for the whole file.
        settings: what the command line changed, as in "train.batch=60".
        seeds, entries: those that were run, in the order of the file.
        missing_seeds: of the seeds that the file asks for, those that were not run; stated where there are any.
        environment: the fingerprint's fields; bits are promised where all of them are equal.
        environments: where the run computed in several, the fields of each by its id; rows that were not made in
            `environment` name theirs.
        hardware: the machine: "cpu", "cores", "memory_gib" (GiB), "device".
        wall_seconds: seconds that the run took, without what was in the store before.
        finished: the day on which the run ended, as in "2026-01-31", in UTC.
        runs: training runs.
        steps: training examples processed.
        components: those that took part, by name.
        report: what the page ranks by and says.
        also: components that report beside the page, as JSON.
        metrics: how the task's metrics read, by name without the split.
        primary: of these, the one that a network is judged by unless the file says otherwise; where single examples are
            right or wrong it is their mean. Empty in folders of earlier versions.
        tolerance: how far a value may move in another environment, as it was registered with the results.
        verification: the record of a second run, where it is of these very results.
        merged: of results that were laid together, the origin of each; their counts and times are the sums.
    Invariants:
        Every row is of one of `entries` and one of `seeds`.
    """

    schema_version: Whole = Field(default=1, alias="schema")
    prunebench: str
    file: str
    profile: str | None
    settings: tuple[str, ...] = ()
    seeds: tuple[Whole, ...]
    entries: tuple[str, ...]
    missing_seeds: tuple[Whole, ...] = ()
    environment: Mapping[str, Scalar]
    environments: Mapping[str, Mapping[str, Scalar]] = Field(default_factory=dict)
    hardware: Mapping[str, Scalar]
    wall_seconds: Number
    finished: str
    runs: RunCounts
    steps: Whole = 0
    components: Mapping[str, ComponentOrigin]
    report: ReportSettings
    also: tuple[Mapping[str, Any], ...] = ()
    metrics: Mapping[str, MetricInfo] = Field(default_factory=dict)
    primary: str = ""
    tolerance: Registered | None = None
    verification: VerificationRecord | None = None
    merged: tuple[Origin, ...] = ()

    @property
    def judged_by(self) -> str:
        """The primary metric on the test split; where a folder does not say which it is, what its page ranks by."""
        return f"test/{self.primary}" if self.primary else self.report.metric
