"""How much work a plan is, and how much of it the store has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from prunebench.engine.missing import missing, samples
from prunebench.runner.judged_weights import Disk, disk
from prunebench.runner.preparing import Prepared
from prunebench.store.store import Record, Store


@dataclass(frozen=True)
class Status:
    """How much work a plan is, and how much of it the store has."""

    trials: int
    phases: int
    phases_missing: int
    runs_naive: int
    runs_distinct: int
    runs_cached: int
    sample_steps: int
    """Training examples still to be processed, with repetition: steps x batch over the runs that are missing."""
    work: Mapping[str, int] = field(default_factory=dict, repr=False)  # of a large file, thousands
    """The same of each training run that is missing, by its key."""
    disk: Disk = field(default_factory=lambda: Disk(0, 0, 0))
    """About what is still to be written."""
    records: Mapping[str, Record] = field(default_factory=dict, repr=False)
    """What the store says of the outputs that it has, by address, where that was asked for."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "trials": self.trials,
            "phases": {"distinct": self.phases, "missing": self.phases_missing},
            "runs": {"naive": self.runs_naive, "distinct": self.runs_distinct, "cached": self.runs_cached},
            "sample_steps": self.sample_steps,
            "disk": {"bytes": self.disk.total, "judged": self.disk.judged, "unkept": self.disk.unkept},
        }


class _Noting:
    """A store whose records are kept as they are read."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.records: dict[str, Record] = {}

    def have(self, addresses: Iterable[str]) -> set[str]:
        found = self._store.records(addresses)
        self.records |= found
        return set(found)


def status(prepared: Prepared, store: Store, *, to_run: bool = False) -> Status:
    """Compare a plan with a store.

    Args:
        to_run: whether the results will be read next, which then need not read each record once more.
    """
    plan, noting = prepared.plan, _Noting(store)
    lacking = missing(plan, noting if to_run else store)
    work = {key: samples(plan.phases[key], out) for key, out in lacking.items() if plan.phases[key].kind == "train"}
    runs = len(plan.runs)
    return Status(
        trials=len(plan.trials),
        phases=len(plan.wanted),
        phases_missing=len(lacking),
        runs_naive=plan.naive_runs,
        runs_distinct=runs,
        runs_cached=runs - len(work),
        sample_steps=sum(work.values()),
        work=work,
        disk=disk(plan, lacking),
        records=noting.records,
    )
