"""No output exists of a run whose mask or whose pruned weights break a contract, and the component is named."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine.toy_runs import Workshop, catalogue, rows, run
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.errors import ContractError
from prunebench.api.planning import Ref, Run
from prunebench.api.training import LossTerm
from prunebench.engine.masking import MaskedParameters
from prunebench.testing import some_mask, two_layer_net, weight_units


class Nudge:
    """A proximal step that adds a little to every weight, pruned ones too."""

    def __init__(self, amount: float) -> None:
        self._amount = amount

    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module) -> Sequence[LossTerm]:
        def step(rate: float) -> None:
            for parameter in model.parameters():
                parameter.add_(self._amount)

        return [LossTerm(proximal=step)]


class Decay:
    """A proximal step that keeps its contract: what is 0 stays 0."""

    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module) -> Sequence[LossTerm]:
        def step(rate: float) -> None:
            for parameter in model.parameters():
                parameter.mul_(1 - 0.1 * rate)

        return [LossTerm(proximal=step)]


class Jitter(torch.optim.SGD):
    """SGD that adds noise of its own to whatever it updates."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.add_(1e-3)


class JitterOptimizer:
    @hookimpl
    def prunebench_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return Jitter(model.parameters(), lr=0.1)


def known() -> Any:
    def component(name: str, build: Callable[[Any], object]) -> Component:
        return Component(name, ComponentConfig, build, version=1)

    return catalogue().with_components(
        [
            component("nudge", lambda config: Nudge(1e-3)),
            component("decay", lambda config: Decay()),
            component("jitter", lambda config: JitterOptimizer()),
        ],
        "here 1.0",
    )


@pytest.fixture
def more_components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.toy_runs.catalogue", known)


def outputs(workshop: Workshop, run: Run, at: int) -> list[Ref]:
    """A curve, a state of the weights and one of the optimizer."""
    parts = [Ref(run.key, "weights", at), Ref(run.key, "optimizer", at)]
    return [workshop.curve(run, until=at), *parts]


def assert_nothing_is_stored(workshop: Workshop, refs: Sequence[Ref]) -> None:
    assert not [ref.part for ref in refs if workshop.store.has(ref.address)]
    assert workshop.store.get_scratch(f"{refs[0].key}-{workshop.store.environment.id}") is None


@pytest.mark.parametrize(
    ("train", "who"),
    [
        ({"loss": ["nudge"]}, "loss nudge (here 1.0)"),
        ({"loss": ["decay", "nudge", {"use": "squares", "strength": 0.1}]}, "loss nudge (here 1.0)"),
        ({"optimizer": {"use": "jitter"}}, "optimizer jitter (here 1.0)"),
        ({"optimizer": {"use": "jitter"}, "loss": ["decay"]}, "optimizer jitter (here 1.0)"),
    ],
)
@pytest.mark.usefixtures("more_components")
def test_a_component_that_moves_pruned_weights_is_named_and_no_state_is_measured_or_stored(
    store_path: Path, train: dict[str, Any], who: str
) -> None:
    workshop = Workshop(store_path, evaluate=train)
    judged = workshop.chain.evaluate(workshop.chain.tickets[1])
    refs = outputs(workshop, judged, 24)
    with pytest.raises(ContractError) as error:
        workshop.make(*refs)
    moved = f"{pruned(workshop)} pruned weights of 1.weight are not 0 after 24 iterations; what is 0 must stay 0"
    assert str(error.value) == f"{who}: {moved}"
    assert_nothing_is_stored(workshop, refs)


def pruned(workshop: Workshop) -> int:
    """Pruned weights of the first layer in the ticket of round 1."""
    mask = workshop.chain.tickets[1].mask
    assert mask is not None
    return int((~workshop.mask(mask).keep[0]).sum())


@pytest.mark.usefixtures("more_components")
def test_a_proximal_step_that_keeps_zeros_trains(store_path: Path) -> None:
    outcome = run(store_path, evaluate={"loss": ["decay"]})
    assert {row.outcome for row in outcome.rows} == {"ok"}


@pytest.mark.usefixtures("more_components")
def test_a_trial_whose_pruned_weights_move_fails_and_says_who_moved_them(store_path: Path) -> None:
    outcome = run(store_path, entry=[{"name": "imp", "evaluate": {"loss": ["nudge"]}}])
    (error,) = set(outcome.failed.values())
    assert error.startswith("loss nudge (here 1.0): ")
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"failed"}
    assert {row["outcome"] for row in rows(outcome, entry="dense")} == {"ok"}


@pytest.mark.usefixtures("more_components")
def test_no_checkpoint_is_written_of_pruned_weights_that_moved(store_path: Path) -> None:
    workshop = Workshop(store_path, evaluate={"loss": ["nudge"], "horizon": "200it"})
    judged = workshop.chain.evaluate(workshop.chain.tickets[1])
    refs = [judged.end]
    with pytest.raises(ContractError, match=r"nudge .* after 50 iterations"):
        workshop.make(*refs, seconds=0.0)
    assert_nothing_is_stored(workshop, refs)


@pytest.mark.parametrize("at", ["with the curve first", "with the mask first"])
def test_a_mask_that_misses_its_count_leaves_no_output(store_path: Path, at: str) -> None:
    workshop = Workshop(store_path, evaluate={"mask_updates": [{"use": "regrow", "forget": 1}]})
    judged = workshop.chain.evaluate(workshop.chain.tickets[1])
    assert judged.end_mask is not None
    refs = [*outputs(workshop, judged, 24), judged.end_mask]
    with pytest.raises(ContractError, match=r"mask_updates regrow \(parts 1.0\): 52 units are kept at the horizon; 53"):
        workshop.make(*(refs if at == "with the curve first" else refs[::-1]))
    assert_nothing_is_stored(workshop, refs)


def test_the_count_is_due_at_the_horizon_and_not_before(store_path: Path) -> None:
    workshop = Workshop(store_path, evaluate={"mask_updates": [{"use": "regrow", "forget": 1}]})
    judged = workshop.chain.evaluate(workshop.chain.tickets[1])
    workshop.make(judged.at("12it"))
    assert workshop.store.has(judged.at("12it").address)


@pytest.mark.parametrize("value", [1e-30, -1.0, float("inf"), float("nan")])
def test_every_pruned_weight_that_is_not_zero_is_counted(value: float) -> None:
    net = two_layer_net()
    units = weight_units(net)
    masked = MaskedParameters(net, units, some_mask(units, 40))
    masked.zero_weights()
    assert masked.moved() is None
    keep = units.expand(masked.mask)["fc2.weight"]
    with torch.no_grad():
        net.get_parameter("fc1.weight")[units.expand(masked.mask)["fc1.weight"]] = float("inf")  # kept: may be anything
        net.get_parameter("fc2.weight")[~keep] = value
    assert masked.moved() == ("fc2.weight", int((~keep).sum()))
