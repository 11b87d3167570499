"""A step that a CUDA graph can hold: nothing in it asks the device, and what cannot be recorded says why."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from engine.toy_runs import Workshop, bits
from prunebench.engine.graphed_step import WARM_UP, GraphedStep, why_eager
from prunebench.engine.loop import Training

BN: dict[str, Any] = {"model": {"use": "net", "kind": "batch-norm"}}
WAITING = ("_local_scalar_dense", "equal", "is_nonzero", "nonzero", "masked_select", "unique")
"""Kernels whose answer the host waits for."""
gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


class Asked(TorchDispatchMode):
    """Notes the kernels that would make the host wait for a device."""

    def __init__(self) -> None:
        super().__init__()
        self.kernels: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if name in WAITING:
            self.kernels.append(name)
        return func(*args, **(kwargs or {}))


def training(workshop: Workshop) -> Training:
    return workshop.training(workshop.chain.evaluate(workshop.chain.tickets[-1]))


@pytest.mark.parametrize("optimizer", [{"use": "sgd", "lr": 0.1, "momentum": 0.9}, {"use": "adam", "lr": 0.01}])
def test_a_chunk_of_steps_asks_the_device_once(store_path: Path, optimizer: dict[str, Any]) -> None:
    recipe = {"optimizer": optimizer, "max_gradient_norm": 1.0, "loss": [{"use": "squares", "strength": 0.1}]}
    run = training(Workshop(store_path, BN, {"train": {**recipe, "horizon": "100it"}}))
    run.advance(3, lambda position, loss: None)
    with Asked() as asked:
        for batch in run.train.batches(run._gathers(20)):
            run._step(*run.task.batch(*batch))
        assert asked.kernels == []
        run.advance(50, lambda position, loss: None)
    assert len(asked.kernels) <= 1


def test_a_loop_without_a_gpu_has_no_graph_and_says_so(store_path: Path) -> None:
    run = training(Workshop(store_path, BN))
    assert run.why_eager == "cpu has no graphs"
    assert not isinstance(run._compute, GraphedStep)


def optimizer(**group: Any) -> torch.optim.Optimizer:
    made = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    made.param_groups[0].update(group)
    return made


@pytest.mark.parametrize(
    ("group", "terms", "updates", "why"),
    [
        ({"fused": True}, False, False, ""),
        ({"fused": True, "capturable": True}, False, False, ""),
        ({"fused": True, "capturable": False}, False, False, "its optimizer is not fused and capturable"),
        ({"fused": False}, False, False, "its optimizer is not fused and capturable"),
        ({"fused": True}, True, False, "its loss terms may do something else in each step"),
        ({"fused": True}, False, True, "its mask changes while it trains"),
    ],
)
def test_a_step_in_which_something_changes_is_not_recorded(
    group: dict[str, Any], terms: bool, updates: bool, why: str
) -> None:
    assert why_eager(torch.device("cuda"), optimizer(**group), terms, updates) == why


class Recorder:
    """Stands in for torch.cuda where there is none: a replay computes again what was recorded."""

    def __init__(self, compute: Callable[[Tensor, Tensor], Tensor], refuse: bool = False) -> None:
        self.compute, self.refuse, self.replays = compute, refuse, 0

    def record(self, step: GraphedStep, inputs: Tensor, targets: Tensor) -> bool:
        if self.refuse:
            step.why_eager = "it cannot be recorded (no)"
            return False
        step._inputs, step._targets, step._loss = inputs.clone(), targets.clone(), torch.zeros(())
        recorder = self

        class Graph:
            def replay(self) -> None:
                recorder.replays += 1
                step._loss.copy_(recorder.compute(step._inputs, step._targets))

        step._graph = Graph()  # type: ignore[assignment]
        return True


@pytest.mark.parametrize("refuse", [False, True])
def test_the_first_steps_are_eager_and_every_step_is_done_once(
    store_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuse: bool
) -> None:
    plain, graphed = training(Workshop(store_path, BN)), training(Workshop(tmp_path / "graphed", BN))
    recorder = Recorder(graphed._on_device, refuse)
    step = GraphedStep(graphed._on_device, graphed.optimizer)
    monkeypatch.setattr(GraphedStep, "_aside", lambda self, inputs, targets: graphed._on_device(inputs, targets))
    monkeypatch.setattr(GraphedStep, "_record", lambda self, inputs, targets: recorder.record(self, inputs, targets))
    graphed._compute = step
    losses: dict[str, list[float]] = {"plain": [], "graphed": []}
    for place in range(1, 13):
        plain.advance(place, lambda position, loss: losses["plain"].append(loss))
        graphed.advance(place, lambda position, loss: losses["graphed"].append(loss))
    assert losses["plain"] == losses["graphed"]
    state = graphed.model.state_dict()
    assert all(bits(value) == bits(state[name]) for name, value in plain.model.state_dict().items())
    assert recorder.replays == (0 if refuse else 12 - WARM_UP)
    assert graphed.why_eager == ("it cannot be recorded (no)" if refuse else "")


# On a GPU.


def on_gpu(store: Path, recipe: dict[str, Any], graphed: bool) -> Training:
    workshop = Workshop(store, BN, {"train": {**recipe, "horizon": "200it"}})
    workshop.workbench.device = torch.device("cuda")
    run = training(workshop)
    if not graphed:
        run._compute = run._on_device
    return run


@gpu
@pytest.mark.parametrize("optimizer", [{"use": "sgd", "lr": 0.1, "momentum": 0.9}, {"use": "adam", "lr": 0.01}])
def test_a_graph_gives_the_bits_of_eager_steps(store_path: Path, tmp_path: Path, optimizer: dict[str, Any]) -> None:
    runs = [on_gpu(store_path, {"optimizer": optimizer}, True), on_gpu(tmp_path / "b", {"optimizer": optimizer}, False)]
    for run in runs:
        run.advance(120, lambda position, loss: None)
        assert run.masked is not None
        assert run.masked.moved() is None
    assert runs[0].why_eager == ""
    other = runs[1].model.state_dict()
    assert all(torch.equal(value, other[name]) for name, value in runs[0].model.state_dict().items())


@gpu
def test_no_step_on_a_gpu_waits_for_it(store_path: Path) -> None:
    run = on_gpu(store_path, {}, True)
    run.advance(10, lambda position, loss: None)
    batches = run.train.batches(run._gathers(40))
    mode = torch.cuda.get_sync_debug_mode()
    torch.cuda.set_sync_debug_mode("error")
    try:
        for batch in batches:
            run._step(*run.task.batch(*batch))
    finally:
        torch.cuda.set_sync_debug_mode(mode)
