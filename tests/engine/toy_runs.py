"""Small real runs: the toy benchmark, carried out in this process, in workers, or phase by phase."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from engine import parts
from prunebench import runner
from prunebench.api.events import Event
from prunebench.api.masks import Mask
from prunebench.api.planning import Ref, Run
from prunebench.components.catalogue import Catalogue
from prunebench.engine.environment import fingerprint
from prunebench.engine.executors.origins import origins_of
from prunebench.engine.executors.worker import WorkerConfig
from prunebench.engine.loop import Training
from prunebench.engine.phases import perform
from prunebench.engine.probe import StoreProbe
from prunebench.engine.trajectory import Trajectory
from prunebench.engine.work import Channel, Silent, Work
from prunebench.engine.workbench import Workbench, unpack_mask
from prunebench.plan.chain import Chain
from prunebench.plan.compile import chain_of, make_plan
from prunebench.plan.curves import CurveSpec
from prunebench.plan.demand import demanded
from prunebench.plan.specs import ComponentSpec
from prunebench.plan.trial import Plan
from prunebench.results.rows import rows_text
from prunebench.runner.preparing import Options, Prepared
from prunebench.runner.running import Outcome
from prunebench.store.environment import Environment
from prunebench.store.store import Store
from prunebench.store.tensors import load_tensors
from prunebench.testing import toy_benchmark, toy_catalogue

TESTS = Path(__file__).parents[1]

INLINE = {"execution": {"workers": 0, "device": "cpu"}}
"""The part of a file that keeps the work in the calling process."""


@cache
def catalogue() -> Catalogue:
    """What is installed, the toys, and the parts of these tests."""
    return toy_catalogue().with_components(parts.prunebench_components(), "parts 1.0")


def here() -> Environment:
    return fingerprint("cpu", 1)


def open_store(path: Path, environment: Environment | None = None, reuse: Literal["same", "any"] = "same") -> Store:
    return Store(path, environment=environment or here(), reuse=reuse)


def prepared(
    store: Path,
    *changes: Mapping[str, Any],
    reuse: Literal["same", "any"] = "same",
    root: Path = Path(),
    parts: Catalogue | None = None,
    **more: Any,
) -> Prepared:
    """The toy benchmark with tables laid over it, planned on a store."""
    benchmark = toy_benchmark(INLINE, *changes, catalogue=parts or catalogue(), **more)
    probe = StoreProbe(open_store(store), root)
    return Prepared(
        Options(Path("toy.toml"), store=store, reuse=reuse), benchmark, make_plan(benchmark, probe), root, store
    )


def ignore(event: Event) -> None:
    """Observe nothing."""


def run(
    store: Path,
    *changes: Mapping[str, Any],
    observe: Callable[[Event], None] = ignore,
    folder: Path | None = None,
    parts: Catalogue | None = None,
    **more: Any,
) -> Outcome:
    """Carry the toy benchmark out, in this process; `parts` are other components than the usual ones."""
    return runner.run(prepared(store, *changes, parts=parts, **more), observe, parts or catalogue(), folder=folder)


def text(outcome: Outcome) -> bytes:
    """The rows as results.jsonl holds them."""
    return rows_text(outcome.rows).encode()


def rows(outcome: Outcome, **fields: Any) -> list[dict[str, Any]]:
    """The rows with these fields."""
    rows = [row.to_json() for row in outcome.rows]
    return [row for row in rows if all(row[name] == value for name, value in fields.items())]


def worker_config(store: Path, **changes: Any) -> WorkerConfig:
    """What workers of the toy benchmark must know, which find all its components by import."""
    needed = {"toy-net": 1, "toy-data": 1, "toy-units": 1, "sgd": 1}
    return WorkerConfig(
        **{
            "store": str(store),
            "data_root": ".",
            "device": "cpu",
            "threads": 1,
            "reuse": "same",
            "checkpoint_seconds": 60.0,
            "environment": dict(here().fields),
            "origins": origins_of(catalogue(), needed),
            "needed": needed,
            **changes,
        }
    )


class Trained:
    """Collects which training runs did steps, from a run's events."""

    def __init__(self) -> None:
        self.keys: set[str] = set()

    def __call__(self, event: Event) -> None:
        if event.kind == "progress":
            self.keys.add(event.fields["key"])


class Workshop:
    """The phases of one entry, made one output at a time."""

    def __init__(self, root: Path, *changes: Mapping[str, Any], entry: str = "imp", **more: Any) -> None:
        benchmark = toy_benchmark(*changes, catalogue=catalogue(), **more)
        self.store = open_store(root)
        self.workbench = Workbench(self.store, catalogue(), root, "cpu")
        self.chain: Chain = chain_of(benchmark, StoreProbe(self.store, root), entry, benchmark.seeds[0])
        self.recipes = self.chain.recipes
        self.curves: dict[str, CurveSpec] = {}

    def curve(self, run: Run, **how: Any) -> Ref:
        """A curve of a run, up to its stop unless `until` says otherwise."""
        until = how.pop("until", run.stop)
        task = ComponentSpec.of(self.chain.context.task)
        how = {"every": None, "at": (), "splits": ("test", "valid"), "train_sample": None, **how}
        spec = CurveSpec(**{"task": task, **how, "at": tuple(how["at"]), "splits": tuple(how["splits"])})
        self.curves[spec.digest] = spec
        return Ref(run.key, "curve", until, spec.digest)

    def work(self, key: str, outputs: frozenset[Ref]) -> Work:
        plan = Plan(self.chain.phases.by_key, (), self.curves, {}, 0)
        return Work.of(plan, plan.phases[key], outputs)

    def make(self, *refs: Ref, channel: Channel | None = None, seconds: float = 1e9) -> list[str]:
        """Make what is missing of these outputs; the kinds of the phases that were worked on."""
        wanted = demanded(self.chain.phases.by_key, list(refs), lambda ref: self.store.has(ref.address))
        for key, outputs in wanted.items():
            perform(self.work(key, outputs), self.workbench, channel or Silent(), seconds)
        return [self.chain.phases.by_key[key].kind for key in wanted]

    def weights(self, ref: Ref) -> dict[str, Tensor]:
        return load_tensors(self.store.get(ref.address).files["weights.safetensors"])

    def mask(self, ref: Ref) -> Mask:
        return unpack_mask(load_tensors(self.store.get(ref.address).files["mask.safetensors"]))

    def points(self, ref: Ref) -> list[dict[str, Any]]:
        points: list[dict[str, Any]] = json.loads(self.store.get(ref.address).files["curve.json"])["points"]
        return points

    def training(self, run: Run, stop: int | None = None) -> Training:
        """The engine's loop for a run, ready for its first step."""
        outputs = frozenset([Ref(run.key, "weights", run.stop if stop is None else stop)])
        work = self.work(run.key, outputs)
        self.make(*work.phase.parents)
        return Trajectory(work, work.spec, tuple(outputs), self.workbench, Silent(), 1e9).run.training


class Steps(Silent):
    """Counts how far training went."""

    def __init__(self) -> None:
        self.at: list[int] = []

    def progress(self, fields: Mapping[str, Any]) -> None:
        self.at.append(fields["iteration"])


def losses(training: Training, stop: int) -> list[float]:
    """The loss of each step up to `stop`."""
    found: list[float] = []
    for place in range(training.position + 1, stop + 1):
        training.advance(place, lambda position, loss: found.append(loss))
    return found


def bits(tensor: Tensor) -> bytes:
    """The tensor's bytes: tells -0.0 from 0.0, and NaN is equal to itself."""
    return tensor.detach().contiguous().numpy().tobytes()


def install(folder: Path) -> Path:
    """Make a distribution of the toys and the parts, as pip would; the folder belongs on the path."""
    info = folder / "parts-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parts\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[prunebench]\ntoy = prunebench.testing.toy\nparts = engine.parts\n")
    return folder


def environment(installed: Path, **more: str) -> dict[str, str]:
    """Environment variables for a process of its own that finds all of this."""
    places = [str(installed), str(TESTS), *(p for p in sys.path if p)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(places), **more}


FILE = """
schema = 1
seeds = [0]
cut = 0.2
rounds = 2
data = "toy-data"
model = { use = "toy-net" }
train = { horizon = "24it", batch = 8, optimizer = { use = "sgd", lr = 0.1, momentum = 0.9 } }
measure = { every = "8it" }
execution = { workers = 0, device = "cpu" }

[[entry]]
name = "dense"
units = "toy-units"

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
units = "toy-units"
"""
"""The toy benchmark as a file."""
