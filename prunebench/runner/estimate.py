"""How long a plan will take here, and what each entry costs, before anything trains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from prunebench.api.errors import PrunebenchError
from prunebench.api.planning import Ref
from prunebench.engine.environment import device_of
from prunebench.engine.executors.places import computes_on_this, first_device, slots_here
from prunebench.engine.missing import missing, samples
from prunebench.engine.pace import Forecast, Pace, amount, kind_of
from prunebench.engine.scheduler import pace_name
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan
from prunebench.runner.preparing import Prepared, prepare
from prunebench.store.store import Store

DAY = 86_400.0
CALIBRATION_SECONDS = 5.0
"""For all kinds of training of a plan together."""


@dataclass(frozen=True)
class Estimate:
    """How long a plan will take.

    Args:
        seconds: of wall time; None where no training is known to the store and none was calibrated.
        slots: workers at the same time; for an executor of other machines as many as the file says, or one.
        device: what they compute on.
        entries: by entry, seconds of one slot for all that it needs and the store lacks, shared work included.
        known: the share of the time that rests on work of the same kind; the rest goes by the mean pace.
        basis: what paces come from.
    """

    seconds: float | None
    slots: int
    device: str
    entries: Mapping[str, float]
    known: float
    basis: Literal["earlier runs", "a short calibration", "nothing"]

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "seconds": self.seconds,
            "slots": self.slots,
            "device": self.device,
            "entries": dict(self.entries),
            "known": self.known,
            "basis": self.basis,
        }


def estimate(prepared: Prepared, store: Store, *, calibrate: bool) -> Estimate:
    """How long the rest of a plan will take, by the paces of earlier runs in the store.

    Args:
        calibrate: whether kinds of training that no run has done are tried for a few steps. What is found is kept.
    """
    plan, execution = prepared.plan, prepared.benchmark.execution
    slots = slots_here(execution)
    device = str(store.environment.fields["device"])
    lacking = missing(plan, store)
    pace = Pace.from_json(store.cached_json(pace_name(store)))
    basis: Literal["earlier runs", "a short calibration"] = "earlier runs"
    unknown = _unknown(plan, lacking, pace)
    if unknown:
        tried = Pace.from_json(store.cached_json(_trial_name(store)))
        left = {kind: spec for kind, spec in unknown.items() if tried.of(kind) is None}
        if left and calibrate and computes_on_this(execution):
            for kind, (seconds, units) in _calibrated(prepared, store, left).to_json().items():
                tried.add(kind, seconds, units)
            store.put_json(_trial_name(store), tried.to_json())
        for kind in unknown:
            if tried.of(kind) is not None:
                pace.add(kind, tried.seconds[kind], tried.units[kind])
                basis = "a short calibration"
    left_now = _forecast(plan, lacking, pace, slots)
    if left_now is None:
        return Estimate(None, slots, device, {}, 0.0, "nothing")
    entries, known = {}, _Known(lacking)
    for entry in prepared.benchmark.entries:
        own = missing(plan, known, _refs_of(plan, entry.name))
        found = _forecast(plan, own, pace, 1)
        entries[entry.name] = 0.0 if found is None else found[0]
    return Estimate(left_now[0], slots, device, entries, left_now[1], basis)


class _Known:
    """A store that is not asked again: it has all but what it was found to lack."""

    def __init__(self, lacking: Mapping[str, Iterable[Ref]]) -> None:
        self._lacking = {ref.address for refs in lacking.values() for ref in refs}

    def have(self, addresses: Iterable[str]) -> set[str]:
        """See prunebench.engine.missing.Having."""
        return {address for address in addresses if address not in self._lacking}


def shorter_profiles(prepared: Prepared, store: Store, than: float) -> dict[str, float]:
    """The file's profiles that take less time, with their seconds, the shortest first."""
    found = {}
    for name in profiles_of(prepared.options.file):
        if name == prepared.benchmark.profile:
            continue
        try:
            other = prepare(replace(prepared.options, profile=name, only=()), prepared.benchmark.catalogue)
            seconds = estimate(other, store, calibrate=True).seconds
        except PrunebenchError:
            continue  # it is no help to somebody who asked for something else
        if seconds is not None and seconds < than:
            found[name] = seconds
    return dict(sorted(found.items(), key=lambda one: one[1]))


def profiles_of(file: Path) -> list[str]:
    """The names of a file's own profiles."""
    import tomllib

    table = tomllib.loads(file.read_text(encoding="utf-8-sig")).get("profile", {})
    return sorted(table) if isinstance(table, dict) else []


def _unknown(plan: Plan, lacking: Mapping[str, Iterable[Ref]], pace: Pace) -> dict[str, TrainSpec]:
    """A training of each kind that no pace is known of, those with the most work first."""
    found: dict[str, TrainSpec] = {}
    work: dict[str, float] = {}
    for key, refs in lacking.items():
        spec = plan.phases[key].spec
        if isinstance(spec, TrainSpec) and pace.of(kind := kind_of(plan.phases[key])) is None:
            found.setdefault(kind, spec)
            work[kind] = work.get(kind, 0.0) + samples(plan.phases[key], refs)
    return {kind: found[kind] for kind in sorted(found, key=lambda kind: (-work[kind], kind))}


def _calibrated(prepared: Prepared, store: Store, kinds: Mapping[str, TrainSpec]) -> Pace:
    from prunebench.engine.calibration import calibrated
    from prunebench.engine.workbench import Workbench

    execution = prepared.benchmark.execution
    device = device_of(first_device(execution))
    workbench = Workbench(store, prepared.benchmark.catalogue, prepared.root, device)
    return calibrated(kinds, workbench, execution.threads, CALIBRATION_SECONDS)


def _trial_name(store: Store) -> str:
    return f"calibration-{store.environment.id}"


def _refs_of(plan: Plan, entry: str) -> list[Ref]:
    return list(replace(plan, trials=tuple(t for t in plan.trials if t.entry == entry), also=()).sinks)


def _forecast(plan: Plan, lacking: Mapping[str, Iterable[Ref]], pace: Pace, slots: int) -> tuple[float, float] | None:
    """Wall seconds for so many slots, and the known share; None if no training is known."""
    forecast = Forecast(slots, pace)
    amounts = {key: amount(plan.phases[key], refs) for key, refs in lacking.items()}
    # How long judging takes no step tells, so it counts once a run has measured it.
    told = [one for one in amounts.values() if not one[0].startswith("judge") or pace.of(one[0]) is not None]
    if amounts and not told:
        return None
    for kind, units in told:
        forecast.add(kind, units)
    left = forecast.left(_longest(plan, {key: units for key, (_, units) in amounts.items()}))
    return None if left is None else (left.seconds, left.known)


def _longest(plan: Plan, costs: Mapping[str, float]) -> float:
    """The cost of the most expensive chain of phases that wait for one another."""
    from prunebench.engine.task_graph import TaskGraph

    graph: TaskGraph[None] = TaskGraph()
    numbers = {key: number for number, key in enumerate(costs)}

    def parents(key: str) -> set[int]:
        return {numbers[parent.key] for parent in plan.phases[key].parents if parent.key in numbers}

    graph.extend(len(costs), ((cost, None, parents(key)) for key, cost in costs.items()))
    return max((graph.path(number) for number in numbers.values()), default=0.0)
