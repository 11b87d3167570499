"""How fast work goes, by kind of work, and how long the rest will take at that pace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from prunebench.api import keys
from prunebench.api.planning import Ref
from prunebench.engine.missing import samples
from prunebench.plan.phases import Phase
from prunebench.plan.specs import TrainSpec


@dataclass(frozen=True)
class TimeLeft:
    """How long a plan will still take.

    Args:
        seconds: of wall time, at the measured pace and with as many slots as there are.
        known: the share of it that rests on work of the same kind, measured here; the rest goes by the mean pace.
        slots: that share the work.
    """

    seconds: float
    known: float
    slots: int

    def to_json(self) -> dict[str, Any]:
        """For an event."""
        return {"seconds": self.seconds, "known": self.known, "slots": self.slots}


def kind_of(phase: Phase) -> str:
    """What work must have in common to take alike: for training all that a step does, else what the phase is called.

    Whether a mask is on counts, its density does not: a masked weight is multiplied all the same.
    """
    spec = phase.spec
    if not isinstance(spec, TrainSpec):
        part = getattr(spec, "score", None) or getattr(spec, "analysis", None) or getattr(spec, "edit", None)
        return phase.kind if part is None else f"{phase.kind} {part.use}"
    own = tuple([one.use for one in (*spec.loss, *spec.mask_updates)]) if spec.loss or spec.mask_updates else ()
    return _named(spec.data.canonical, spec.model.canonical, spec.recipe.step, own, spec.mask is not None, spec.shrunk)


def amount(phase: Phase, outputs: Iterable[Ref]) -> tuple[str, float]:
    """Of which kind a piece of work is, and how much of it: training examples, or one where it trains nothing.

    A run of no steps, which only judges the weights that it starts from, is of a kind of its own: its time is that of
    measuring, whatever a step takes.
    """
    kind, units = kind_of(phase), samples(phase, outputs)
    if units:
        return kind, float(units)
    return (f"judge{kind.removeprefix('train')}" if kind.startswith("train") else kind), 1.0


@lru_cache(maxsize=4096)
def _named(data: str, model: str, step: tuple[str, ...], own: tuple[str, ...], masked: bool, shrunk: bool) -> str:
    return "train " + keys.digest([data, model, *step, *own, f"{masked} {shrunk}"])[:16]


@dataclass
class Pace:
    """Seconds that units of work took, by kind. A unit is a training example, or a phase that trains nothing."""

    seconds: dict[str, float] = field(default_factory=dict)
    units: dict[str, float] = field(default_factory=dict)

    def add(self, kind: str, seconds: float, units: float) -> None:
        """So many units took so long."""
        if units > 0:
            self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
            self.units[kind] = self.units.get(kind, 0.0) + units

    def of(self, kind: str) -> float | None:
        """Seconds for a unit; None if none was measured."""
        return self.seconds[kind] / self.units[kind] if kind in self.units else None

    def mean(self, like: str) -> float | None:
        """Seconds for a unit over all kinds of the same kind of phase, each of equal weight; None without any."""
        known = [self.seconds[kind] / self.units[kind] for kind in self.units if kind.split()[0] == like.split()[0]]
        return sum(known) / len(known) if known else None

    def to_json(self) -> dict[str, list[float]]:
        """For the store."""
        return {kind: [self.seconds[kind], self.units[kind]] for kind in sorted(self.units)}

    @classmethod
    def from_json(cls, data: Mapping[str, list[float]] | None) -> Pace:
        """Back from JSON; an empty one from None."""
        pace = cls()
        for kind, (seconds, units) in (data or {}).items():
            pace.add(kind, seconds, units)
        return pace


@dataclass(slots=True)
class _Progress:
    """Of a phase that is being worked on, the first and the last that was heard: when, and how many units were done."""

    kind: str
    first: tuple[float, float]
    last: tuple[float, float]


class Forecast:
    """Follows a run, and says how long the rest of it will take.

    A worker's first work takes long, since it imports and loads what all the others find: its time counts only where
    nothing else is known. Until a phase of its kind is done, a run goes by the steps of those that are under way.

    Args:
        slots: that share the work.
        earlier: paces of earlier runs, which count until a kind has been measured in this one.
    """

    def __init__(self, slots: int, earlier: Pace | None = None) -> None:
        self._slots = max(1, slots)
        self._earlier = earlier or Pace()
        self.pace = Pace()
        """Of finished work, without what each worker did first."""
        self._first = Pace()
        self._steps = Pace()
        self._left: dict[str, float] = {}
        """Units that are to be done, by kind."""
        self._running: dict[str, str] = {}
        """Of each phase that is worked on, its kind."""
        self._progress: dict[str, _Progress] = {}
        self._resumed: set[str] = set()

    def add(self, kind: str, units: float) -> None:
        """So much more of a kind is to be done."""
        self._left[kind] = self._left.get(kind, 0.0) + units

    def started(self, key: str, kind: str) -> None:
        """A phase is worked on; for a second time, if that broke off before."""
        if key in self._running:
            self._resumed.add(key)
            self._progress.pop(key, None)
        self._running[key] = kind

    def progress(self, key: str, units: float, now: float) -> None:
        """So many units of a phase are done."""
        kind = self._running.get(key)
        if kind is not None:
            self._progress.setdefault(key, _Progress(kind, (now, units), (now, units))).last = (now, units)

    def done(self, key: str, kind: str, units: float, seconds: float, first: bool) -> None:
        """A phase, so many units of a kind, is done; `first` says whether it was the first work of its worker."""
        heard = self._progress.get(key) if self._progress else None
        if heard is not None:
            self._steps.add(kind, heard.last[0] - heard.first[0], heard.last[1] - heard.first[1])
        if key not in self._resumed:
            (self._first if first else self.pace).add(kind, seconds, units)
        self.drop(key, kind, units)

    def drop(self, key: str, kind: str, units: float) -> None:
        """A phase, so many units of a kind, is not to be done any more."""
        self._left[kind] -= units
        self._running.pop(key, None)
        if self._progress:
            self._progress.pop(key, None)
        if self._resumed:
            self._resumed.discard(key)

    def left(self, longest: float = 0.0) -> TimeLeft | None:
        """How long the rest will take; None while nothing is known.

        Args:
            longest: units on the longest path of work that must be done one after another.
        """
        steps = self._steps_so_far()
        seconds = known = units = 0.0
        for kind, left in self._left.items():
            here = sum([heard.last[1] for heard in self._progress.values() if heard.kind == kind])
            left = max(0.0, left - here)
            own, guessed = self._pace_of(kind, steps)
            pace = own if own is not None else guessed
            if pace is None:
                # What makes no step takes a moment beside what trains or judges; of these something must be known.
                if kind.startswith(("train", "judge")) and left:
                    return None
                continue
            seconds += pace * left
            known += pace * left if own is not None else 0.0
            units += left if kind.startswith("train") else 0.0
        one_after_another = seconds * min(1.0, longest / units) if units else 0.0
        wall = max(seconds / self._slots, one_after_another)
        return TimeLeft(wall, known / seconds if seconds else 1.0, self._slots)

    def _pace_of(self, kind: str, steps: Pace) -> tuple[float | None, float | None]:
        """Seconds for a unit as measured of the kind, and else of work like it."""
        for pace in (self.pace, self._earlier if steps.of(kind) is None else steps, steps, self._first):
            if pace.of(kind) is not None:
                return pace.of(kind), None
        means = (pace.mean(kind) for pace in (self.pace, steps, self._earlier, self._first))
        return None, next((mean for mean in means if mean is not None), None)

    def _steps_so_far(self) -> Pace:
        """The pace of steps, of runs that are under way too."""
        found = Pace(dict(self._steps.seconds), dict(self._steps.units))
        for heard in self._progress.values():
            found.add(heard.kind, heard.last[0] - heard.first[0], heard.last[1] - heard.first[1])
        return found
