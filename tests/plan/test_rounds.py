"""A law over all schedules: what says a round is of the ticket that is trained; random streams alone count one more."""

from __future__ import annotations

from typing import Any

import pytest

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.planning import Needs, Request
from prunebench.components.managers import slots_of
from prunebench.plan.compile import chain_of, make_plan
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan
from prunebench.testing import ToyProbe, toy_benchmark, toy_catalogue, toy_plan

MORE: dict[str, dict[str, Any]] = {
    "fine-tune": {"schedule": {"use": "fine-tune", "over": "6it", "optimizer": {"use": "sgd", "lr": 0.01}}},
    "during-training": {"evaluate": {"mask_updates": ["gradual-magnitude"]}},
}
"""What a schedule needs that cannot do with its defaults."""

SCHEDULES = [
    name
    for name, provider in toy_catalogue().providers.items()
    if "schedule" in slots_of(provider.component) or name in MORE
]


def entry(schedule: str) -> list[dict[str, Any]]:
    return [{"name": "imp", "schedule": schedule, "ticket": ["shuffle-within-layer"], **MORE.get(schedule, {})}]


def streams(plan: Plan, key: str) -> Any:
    spec = plan.phases[key].spec
    assert isinstance(spec, TrainSpec)
    return spec.streams


def test_every_built_in_schedule_is_tried() -> None:
    assert {"rewind", "lr-rewind", "continue", "one-shot", "fine-tune", "at-init", *MORE} <= set(SCHEDULES)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_run_that_judges_the_ticket_of_round_r_ends_in_an_optimum_of_round_r(schedule: str) -> None:
    ticket = ["shuffle-within-layer"] if schedule != "during-training" else []
    plan = toy_plan(entry=[{**entry(schedule)[0], "ticket": ticket}], rounds=3)
    (trial,) = [trial for trial in plan.trials if trial.entry == "imp"]
    assert [evaluation.round for evaluation in trial.evaluations] == [1, 2, 3]
    for evaluation in trial.evaluations:
        assert evaluation.run.round == evaluation.run.optimum.round == evaluation.run.ticket.round == evaluation.round
        assert streams(plan, evaluation.run.key).round == evaluation.round + 1


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_run_that_finds_the_ticket_of_round_r_ends_in_an_optimum_of_round_r_minus_1(schedule: str) -> None:
    chain = chain_of(toy_benchmark(entry=entry(schedule), rounds=3), ToyProbe(), "imp", 0)
    assert [ticket.round for ticket in chain.tickets] == [0, 1, 2, 3]
    for optimum in chain.optima:
        spec = chain.phases.by_key[optimum.weights.key].spec
        assert isinstance(spec, TrainSpec)
        assert spec.streams.round == optimum.round + 1
        assert (optimum.mask is None) == (optimum.round == 0)


class Asked:
    """A loss term that remembers what it was asked with, and stays out."""

    requests: list[Request] = []

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        Asked.requests.append(request)
        return Needs(active=False)

    @hookimpl
    def prunebench_loss_terms(self) -> list[Any]:
        raise AssertionError("planning trains nothing")


def test_a_component_is_asked_with_the_round_of_the_ticket_that_is_trained() -> None:
    Asked.requests.clear()
    catalogue = toy_catalogue().with_components([Component("asked", ComponentConfig, Asked, version=1)], "tests")
    benchmark = toy_benchmark(entry=[{"name": "imp", "loss": ["asked"]}], rounds=3, catalogue=catalogue)
    make_plan(benchmark, ToyProbe())
    assert {request.round for request in Asked.requests} == {0, 1, 2, 3}
    for request in Asked.requests:
        assert request.ticket is not None
        assert request.round == request.ticket.round
        assert len(request.optima) == request.round
