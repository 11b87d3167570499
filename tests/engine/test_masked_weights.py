"""No output exists of a run whose mask or whose pruned weights break a contract, and the component is named."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from engine.toy_runs import Workshop, catalogue, rows, run
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.errors import ContractError
from prunebench.api.info import Layer
from prunebench.api.masks import Mask
from prunebench.api.planning import Ref, Run
from prunebench.api.training import LossTerm
from prunebench.engine.masking import MaskedParameters, plain_mask
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


class Tampering:
    """A term of the loss that does something to the network when it is set up, or in each step."""

    def __init__(self, tamper: Callable[[nn.Module], Any]) -> None:
        self._tamper = tamper

    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module) -> Sequence[LossTerm]:
        later = self._tamper(model)
        return [LossTerm(proximal=later if callable(later) else None)]


def other_layer(model: nn.Module) -> None:
    model[1] = copy.deepcopy(model[1])  # type: ignore[operator,index]


def other_weights_in_each_step(model: nn.Module) -> Callable[[float], None]:
    def exchange(rate: float) -> None:
        layer: Any = next(module for module in model.modules() if isinstance(module, nn.Linear))
        layer.weight = nn.Parameter(layer.weight + 0.001)

    return exchange


def doubled(model: nn.Module) -> None:
    forward = model.forward
    model.forward = lambda images: forward(images) * 2  # type: ignore[method-assign]


def alive_in_evaluation(model: nn.Module) -> None:
    model.register_forward_hook(lambda module, images, outputs: outputs if module.training else outputs.roll(1, 1))


TAMPERING: dict[str, Callable[[nn.Module], Any]] = {
    "another layer": other_layer,
    "another forward": doubled,
    "one parameter more": lambda model: model.register_parameter("more", nn.Parameter(torch.ones(2))),
    "a weight that is computed": lambda model: parametrize.register_parametrization(
        next(module for module in model.modules() if isinstance(module, nn.Linear)), "weight", nn.Identity()
    ),
    "other weights in each step": other_weights_in_each_step,
}


def with_term(tamper: Callable[[nn.Module], Any]) -> Any:
    return catalogue().with_components(
        [Component("tamper", ComponentConfig, lambda c: Tampering(tamper), 1)], "here 1.0"
    )


@pytest.mark.parametrize("name", TAMPERING)
def test_who_exchanges_a_part_of_the_network_is_named(name: str, store_path: Path) -> None:
    entry = {"name": "imp", "evaluate": {"loss": ["tamper"]}}
    outcome = run(store_path, entry=[entry], parts=with_term(TAMPERING[name]))
    (error,) = set(outcome.failed.values())
    assert "loss tamper (here 1.0): it exchanged " in error
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"failed"}


def test_what_is_measured_is_what_is_stored_whatever_hooks_a_component_leaves(tmp_path: Path) -> None:
    entry = {"name": "imp", "evaluate": {"loss": ["tamper"]}}
    values = [
        [(row["metric"], row["value"]) for row in rows(run(tmp_path / name, entry=[entry], parts=with_term(tamper)))]
        for name, tamper in (("plain", lambda model: None), ("hooked", alive_in_evaluation))
    ]
    assert values[0] == values[1]


@pytest.mark.parametrize(
    "keep",
    [
        torch.tensor([2, 0, 0], dtype=torch.int16),
        torch.tensor([1, 1, 0], dtype=torch.uint8),
        torch.tensor([1.0, 1.0, 0.0]),
        torch.tensor([[True, True, False]]),
        torch.tensor([True, True]),
        torch.ones(3, dtype=torch.bool, device="meta"),
        [True, True, False],
        None,
    ],
)
def test_a_mask_is_true_or_false_for_each_unit_and_nothing_else(keep: Any) -> None:
    units: Any = SimpleNamespace(layers=(Layer("a", 0, 3),))
    with pytest.raises(ContractError, match=r"^select s: the mask"):
        plain_mask(Mask((keep,)), units, "select s")
    right = torch.tensor([True, False, True])
    plain = plain_mask(Mask((right,)), units, "select s")
    right.fill_(True)
    assert plain.count == 2
