"""What the quickstart says of its time left while it is carried out, by the times that its phases took."""

from __future__ import annotations

import heapq
import random
from collections.abc import Iterable
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest

from prunebench.api.component import BoundComponent
from prunebench.api.events import Event
from prunebench.api.info import DataInfo, Layer, ModelInfo
from prunebench.benchmark import load as benchmark_files
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.components.catalogue import Catalogue
from prunebench.engine import scheduler
from prunebench.engine.executors.api import Capacity, Resources
from prunebench.engine.scheduler import execute
from prunebench.engine.work import Work
from prunebench.plan.compile import make_plan
from prunebench.plan.first_step import FirstStep
from prunebench.plan.scoring import Scoring
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan
from prunebench.store.environment import Environment
from prunebench.store.store import Store

QUICKSTART = Path(__file__).parents[2] / "benchmarks" / "quickstart.toml"
# The committed board took 138 s in two workers for 108 trainings. Medians of a run like it: seconds for a training,
# for one under a mask, for other phases, and for what a worker does before its first step.
DENSE, MASKED, OTHER, BEGINNING = 2.1, 2.4, 0.05, 5.0
STEPS = 10
"""Progress events of a training."""


class KnownSizes:
    """What a store knows of the quickstart after it was planned once."""

    def data(self, chosen: DataChoice) -> DataInfo:
        return DataInfo("mnist5k", "0" * 64, {"train": 3_500, "valid": 500, "test": 1_000}, (1, 28, 28), 10)

    def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
        layers = (
            Layer("fc1.weight", 0, 235_200),
            Layer("fc2.weight", 235_200, 30_000),
            Layer("head.weight", 265_200, 1_000),
        )
        return ModelInfo(chosen.label, 266_610, layers)

    def weights(self, chosen: ModelChoice, data: DataInfo) -> str:
        raise NotImplementedError

    def first_step(self, chosen: ModelChoice, step: FirstStep) -> str:
        return ""

    def ask_score(self, chosen: ModelChoice, scoring: Scoring) -> None:
        return None


class EmptyStore:
    environment = Environment({"for": "simulation"})

    def cached_json(self, name: str) -> None:
        return None

    def put_json(self, name: str, value: Any) -> None:
        pass

    def have(self, addresses: Iterable[str]) -> set[str]:
        return set()


class Simulated:
    """Workers on a simulated clock, which is that of the scheduler too."""

    def __init__(self, plan: Plan, workers: int, spread: float) -> None:
        self._plan, self._free = plan, list(range(workers))
        self._fresh = set(self._free)
        self._rng, self._spread = random.Random(12), spread
        self._coming: list[tuple[float, int, dict[str, Any], int | None]] = []
        self._order = count()
        self.now = 0.0

    def capacity(self) -> list[Capacity]:
        return [Capacity(EmptyStore.environment, len(self._free))]

    def has_room(self, resources: Resources) -> bool:
        return bool(self._free)

    def submit(self, work: Work, resources: Resources) -> None:
        worker, key = self._free.pop(), work.key
        first = worker in self._fresh
        self._fresh.discard(worker)
        begin = self.now + (BEGINNING if first else 0.0)
        spec = self._plan.phases[key].spec
        training = isinstance(spec, TrainSpec)
        seconds = (OTHER if not training else MASKED if spec.mask is not None else DENSE) * (
            1 + self._spread * self._rng.uniform(-1, 1)
        )
        self._tell(self.now, {"kind": "started", "key": key})
        for step in range(1, STEPS + 1) if training else ():
            told = {"kind": "progress", "key": key, "iteration": spec.start + 1_000 * step // STEPS}
            self._tell(begin + seconds * step / STEPS, told)
        done = {"kind": "done", "key": key, "seconds": begin + seconds - self.now, "first": first}
        self._tell(begin + seconds, done, worker)

    def events(self, timeout: float) -> list[dict[str, Any]]:
        until = self.now + timeout
        if not self._coming or self._coming[0][0] > until:
            self.now = until
            return []
        self.now, _, event, worker = heapq.heappop(self._coming)
        if worker is not None:
            self._free.append(worker)
        return [event]

    def cancel(self, key: str) -> None:
        raise AssertionError("nothing is cancelled")

    def shutdown(self) -> None:
        pass

    def _tell(self, at: float, event: dict[str, Any], worker: int | None = None) -> None:
        heapq.heappush(self._coming, (at, next(self._order), event, worker))


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_after_a_tenth_of_the_work_what_is_left_is_known_within_a_quarter(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = make_plan(benchmark_files.load(QUICKSTART, Catalogue.load()), KnownSizes())
    simulated = Simulated(plan, workers, spread=0.2)
    monkeypatch.setattr(scheduler.time, "monotonic", lambda: simulated.now)
    said: list[tuple[float, float]] = []

    def observe(event: Event) -> None:
        if event.kind == "time-left":
            said.append((simulated.now, float(event.fields["seconds"])))

    done = execute(plan, cast(Store, EmptyStore()), simulated, observe=observe)
    assert done.failed == {}
    whole = simulated.now
    told = [(at, seconds, whole - at) for at, seconds in said if whole / 10 <= at <= 0.9 * whole]
    assert len(told) > 10
    wrong = [(at, seconds, left) for at, seconds, left in told if abs(seconds - left) > 0.25 * left]
    assert not wrong
