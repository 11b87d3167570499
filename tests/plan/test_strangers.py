"""Schedules and analyses as somebody writes them who read one page: the obvious way is right, or it is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.errors import ConfigError
from prunebench.api.planning import Chain, Needs, PlannedTicket, Request, TrainedPoint
from prunebench.plan.compile import make_plan
from prunebench.plan.phases import spec_of
from prunebench.plan.specs import AnalyseSpec, PruneSpec
from prunebench.testing import ToyProbe, toy_benchmark, toy_catalogue

Lay = Callable[[Chain], Sequence[PlannedTicket]]


def schedule(lay: Lay) -> Any:
    class Mine:
        def __init__(self, config: ComponentConfig) -> None:
            pass

        @hookimpl
        def prunebench_schedule(self, chain: Chain) -> Sequence[PlannedTicket]:
            return lay(chain)

    return Mine


def in_order(chain: Chain) -> list[PlannedTicket]:
    tickets = [chain.dense]
    for round in range(1, chain.rounds + 1):
        run = chain.find(tickets[-1], round)
        tickets.append(chain.ticket(round, chain.prune(run, round).mask, chain.dense.weights))
    return tickets


def with_the_round_that_is_trained(chain: Chain) -> list[PlannedTicket]:
    tickets = [chain.dense]
    for round in range(1, chain.rounds + 1):
        run = chain.find(tickets[-1], round - 1)
        tickets.append(chain.ticket(round, chain.prune(run, round).mask, chain.dense.weights))
    return tickets


def with_the_mask_of_another_round(chain: Chain) -> list[PlannedTicket]:
    run = chain.find(chain.dense, 1)
    mask = chain.prune(run, 1).mask
    return [chain.dense, *(chain.ticket(round, mask, run.end) for round in range(1, chain.rounds + 1))]


def with_the_mask_that_the_run_had(chain: Chain) -> list[PlannedTicket]:
    run = chain.find(chain.dense, 1)
    mask: Any = run.end_mask
    return [chain.dense, *(chain.ticket(round, mask, run.end) for round in range(1, chain.rounds + 1))]


def plan_with(lay: Lay, analysis: Any = None) -> Any:
    parts = [Component("mine", ComponentConfig, schedule(lay), version=1)]
    more: dict[str, Any] = {}
    if analysis is not None:
        parts.append(Component("ends", ComponentConfig, analysis, version=1))
        more = {"analyse": ["ends"]}
    catalogue = toy_catalogue().with_components(parts, "tests")
    entry = [{"name": "imp", "schedule": "mine", **more}]
    return make_plan(toy_benchmark(entry=entry, rounds=3, catalogue=catalogue), ToyProbe())


def test_the_obvious_schedule_shares_the_runs_that_judge_and_find() -> None:
    plan = plan_with(in_order)
    (trial,) = [one for one in plan.trials if one.entry == "imp"]
    judging = [one.run.key for one in trial.evaluations]
    assert set(judging[:-1]) <= trial.finds  # the recipes are equal


@pytest.mark.parametrize(
    ("lay", "says"),
    [
        (with_the_round_that_is_trained, r"give the round that is found with it, such as chain\.find\(ticket, 1\)"),
        (with_the_mask_of_another_round, r"the ticket of round 2 has .* its mask is that of a pruning to"),
        (with_the_mask_that_the_run_had, "the ticket of round 1 has no mask"),
    ],
)
def test_a_schedule_that_is_off_by_a_round_is_refused(lay: Lay, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        plan_with(lay)


WAYS: dict[str, Callable[[Request], Sequence[TrainedPoint | PlannedTicket]]] = {
    "the optimum of each evaluation": lambda request: [one.run.optimum for one in request.evaluations],
    "the tickets": lambda request: request.tickets,
    "the optima": lambda request: request.optima,
    "another training of each ticket": lambda request: [
        request.evaluate(ticket, 1).optimum for ticket in request.tickets if request.evaluate is not None
    ],
}


@pytest.mark.parametrize("way", WAYS)
def test_whatever_an_analysis_asks_for_its_round_is_that_of_its_mask(way: str) -> None:
    class Ends:
        def __init__(self, config: ComponentConfig) -> None:
            pass

        @hookimpl
        def prunebench_needs(self, request: Request) -> Needs:
            return Needs({"ends": WAYS[way](request)})

        @hookimpl
        def prunebench_analyse(self) -> Any:
            raise AssertionError("planning measures nothing")

    plan = plan_with(in_order, Ends)
    (trial,) = [one for one in plan.trials if one.entry == "imp"]
    ((_, ref),) = trial.analyses
    points = spec_of(plan.phases, ref.key, AnalyseSpec).analysis.inputs["ends"]
    assert points
    rounds = {one.mask: one.round for one in trial.evaluations}
    for point in points:
        if point.mask is None:
            assert point.round == 0
            continue
        assert isinstance(plan.phases[point.mask.key].spec, PruneSpec)
        assert point.round == rounds[point.mask]
