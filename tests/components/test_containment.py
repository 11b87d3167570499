"""A component cannot change what another's numbers rest on without being named."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.component import BoundComponent, Provider
from prunebench.api.errors import ContractError, LostArtifact, PlanError
from prunebench.components.managers import call_planning_hook, run_manager
from prunebench.components.time_limit import watched


class Acting:
    """Does something in each hook that it answers."""

    def __init__(self, act: Callable[[], object]) -> None:
        self._act = act

    @hookimpl
    def prunebench_score(self) -> object:
        return self._act()

    @hookimpl
    def prunebench_model(self) -> object:
        return self._act()

    @hookimpl
    def prunebench_needs(self) -> object:
        return self._act()


def component(act: Callable[[], object]) -> BoundComponent:
    return BoundComponent(
        Provider(Component("bad", ComponentConfig, lambda config: Acting(act), 1), "lab 0.3"), ComponentConfig()
    )


def score(act: Callable[[], object]) -> Any:
    nothing = dict.fromkeys(("model", "data", "task", "units", "mask", "inputs", "rng"))
    return run_manager([component(act)]).hook.prunebench_score(**nothing)


LEAKS: dict[str, Callable[[], object]] = {
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's default type": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(False),
    "torch's precision of float32 products": lambda: torch.set_float32_matmul_precision("medium"),
    "torch's anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "torch's random generator": lambda: torch.rand(1),
    "NumPy's random generator": lambda: np.random.rand(),
    "Python's random generator": random.random,
}


def shared_state() -> list[Any]:
    return [
        torch.get_rng_state().tolist(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        torch.get_num_threads(),
        random.getstate(),
    ]


@pytest.mark.parametrize(("what", "change"), LEAKS.items(), ids=LEAKS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_what_a_hook_leaves_changed_is_named_and_put_back(what: str, change: Callable[[], object]) -> None:
    before = shared_state()
    with pytest.raises(ContractError, match=rf"component bad \(lab 0.3\): prunebench_score changed {what}"):
        score(change)
    assert shared_state() == before
    assert score(lambda: "fine") == "fine"


def test_a_constructor_may_draw_from_generators_that_are_seeded_for_it() -> None:
    before = shared_state()
    hook = run_manager([component(lambda: float(torch.rand(1)) + random.random())]).hook
    assert isinstance(hook.prunebench_model(data_info=None), float)
    assert shared_state() == before


def raising(error: BaseException) -> Callable[[], object]:
    def act() -> object:
        torch.set_default_dtype(torch.float64)
        raise error

    return act


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), RuntimeError(), MemoryError("large")], ids=repr)
def test_what_a_hook_raises_names_the_component_and_leaves_no_trace(error: BaseException) -> None:
    with pytest.raises(ContractError, match=r"component bad \(lab 0.3\): prunebench_score failed: "):
        score(raising(error))
    assert torch.get_default_dtype() == torch.float32


@pytest.mark.parametrize("error", [LostArtifact("0" * 64, "gone"), KeyboardInterrupt()], ids=repr)
def test_errors_of_the_suite_itself_and_ctrl_c_pass_as_they_are(error: BaseException) -> None:
    with pytest.raises(type(error)):
        score(raising(error))


@pytest.mark.parametrize("error", [KeyError("no"), SystemExit(0), RecursionError()], ids=repr)
def test_a_planning_hook_that_fails_is_an_error_of_the_plan(error: BaseException) -> None:
    def act() -> object:
        raise error

    with pytest.raises(PlanError, match=r"component bad \(lab 0.3\): prunebench_needs failed: "):
        call_planning_hook(component(act), "prunebench_needs", request=None)


def test_a_component_that_cannot_be_built_is_named() -> None:
    def build(config: ComponentConfig) -> object:
        raise SystemExit(0)

    use = BoundComponent(Provider(Component("bad", ComponentConfig, build, 1), "lab 0.3"), ComponentConfig())
    with pytest.raises(ContractError, match=r"component bad \(lab 0.3\): its constructor failed: SystemExit"):
        run_manager([use])
    with pytest.raises(PlanError, match=r"component bad \(lab 0.3\)"):
        call_planning_hook(use, "prunebench_needs", request=None)


def endless() -> object:
    while True:
        try:
            time.sleep(0.01)
        except Exception:
            continue


def test_a_planning_hook_that_does_not_return_is_ended_and_named() -> None:
    match = r"component bad \(lab 0.3\): prunebench_needs failed: HookTimeout: it did not return within 0.2 s"
    with watched(call_planning_hook.__code__, 0.2), pytest.raises(PlanError, match=match):
        call_planning_hook(component(endless), "prunebench_needs", request=None)


def test_many_quick_calls_are_not_taken_for_one_that_does_not_return() -> None:
    with watched(call_planning_hook.__code__, 0.05):
        began = time.monotonic()
        while time.monotonic() - began < 0.3:
            call_planning_hook(component(lambda: time.sleep(0.001)), "prunebench_needs", request=None)
