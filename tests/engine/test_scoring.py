"""What a score refuses of a network is known while planning; what else it does there is no fault of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from engine.test_first_step import INFO, Toy, built, component, step, toy_model
from prunebench import CannotTakePart, Component, ComponentConfig, hookimpl
from prunebench.api.component import BoundComponent, Provider
from prunebench.components.time_limit import watched
from prunebench.engine.first_step import why_it_fails
from prunebench.engine.probe import StoreProbe
from prunebench.engine.scoring import ask
from prunebench.plan.scoring import Scoring
from prunebench.store.environment import Environment
from prunebench.store.store import Store


class NormedInside(Toy):
    """A norm layer behind the layer that is pruned."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(6)

    def forward(self, images: Tensor) -> Any:
        return self.head(self.norm(self.body(images.flatten(1))).relu())


def scoring(score: str | BoundComponent, units: str = "channels") -> Scoring:
    bound = component(score, "score") if isinstance(score, str) else score
    return Scoring(INFO, step().task, component(units, "units"), bound)


def test_a_score_that_does_not_apply_to_the_network_is_told() -> None:
    with pytest.raises(CannotTakePart, match=r'bn-gamma: layer "body\.\w+": its channels have no scale'):
        ask(scoring("bn-gamma"), built(Toy))
    ask(scoring("bn-gamma"), built(NormedInside))
    ask(scoring("filter-l1"), built(Toy))


def test_a_score_that_fails_for_want_of_data_says_nothing_of_the_network() -> None:
    ask(scoring("hrank"), built(Toy))


class Careless:
    """A score that does something with the network, and then needs its values."""

    def __init__(self, act: Callable[[nn.Module], object]) -> None:
        self._act = act

    @hookimpl
    def prunebench_score(self, model: nn.Module) -> Any:
        self._act(model)
        return next(model.parameters()).sum().item()


def careless(act: Callable[[nn.Module], object]) -> BoundComponent:
    provider = Provider(Component("careless", ComponentConfig, lambda config: Careless(act), 1), "lab 0.3")
    return BoundComponent(provider, ComponentConfig())


def endlessly(model: nn.Module) -> None:
    while True:
        pass


@pytest.mark.parametrize("act", [nn.Module.double, lambda model: model.requires_grad_(False), endlessly])
def test_what_a_score_does_to_its_network_or_how_long_it_takes_is_no_fault_of_the_recipe(
    act: Callable[[nn.Module], object],
) -> None:
    asked = []

    def acts(model: nn.Module) -> None:
        asked.append(1)
        act(model)

    with watched(0.2):
        ask(scoring(careless(acts)), built(Toy))
        assert asked
        assert why_it_fails(step(), built(Toy)) == ""


def test_a_score_of_single_weights_is_not_asked() -> None:
    asked: list[nn.Module] = []
    ask(scoring(careless(asked.append), units="weights"), built(Toy))
    assert not asked


def test_a_score_that_applies_is_asked_once_and_one_that_does_not_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probe, chosen = StoreProbe(Store(tmp_path, environment=Environment({"for": "planning"})), tmp_path), toy_model()
    refusals: list[bool] = [True, False]

    def refuses_first(*_: Any) -> None:
        if refusals.pop(0):
            raise CannotTakePart("no scale")

    monkeypatch.setattr("prunebench.engine.probe.ask", refuses_first)
    with pytest.raises(CannotTakePart):
        probe.ask_score(chosen, scoring("bn-gamma"))
    probe.ask_score(chosen, scoring("bn-gamma"))
    probe.ask_score(chosen, scoring("bn-gamma"))
    assert refusals == []


def test_what_is_asked_is_told_apart_by_all_that_matters() -> None:
    asked = [scoring("bn-gamma"), scoring("filter-l1"), scoring("filter-l1", units="weights")]
    assert len({str(one.identity) for one in asked}) == len(asked)
