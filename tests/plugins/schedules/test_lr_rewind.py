import itertools

import pytest

from prunebench import PlanError
from prunebench.testing import ScheduleContract, toy_chain


class TestLrRewind(ScheduleContract):
    component = {"use": "lr-rewind"}


class TestLateLrRewind(ScheduleContract):
    component = {"use": "lr-rewind", "to": "8it"}


def chain_with(rounds=3, schedule="lr-rewind", entry=None, **changes):
    table = {"name": "imp", "schedule": schedule, **(entry or {})}
    return toy_chain(rounds, changes={"entry": [table], **changes})[0]


LATE = {"use": "lr-rewind", "to": "8it"}


def test_every_ticket_carries_the_weights_of_the_run_before_and_starts_late_on_the_clock():
    chain = chain_with(schedule=LATE)
    runs = [chain.find(ticket, round) for round, ticket in enumerate(chain.tickets[:-1], 1)]
    assert [(run.start, run.stop) for run in runs] == [(0, 24), (8, 24), (8, 24)]
    assert [ticket.weights for ticket in chain.tickets[1:]] == [run.end for run in runs]
    assert {str(ticket.start) for ticket in chain.tickets[1:]} == {"8it"}


def test_each_round_prunes_the_survivors_of_the_round_before():
    chain = chain_with(schedule=LATE)
    for before, after in itertools.pairwise(chain.tickets[1:]):
        assert chain.phases.by_key[after.mask.key].spec.mask == before.mask


def test_its_first_run_is_that_of_every_schedule_that_trains_first():
    keys = {c.find(c.dense, 1).key for c in (chain_with(schedule=LATE), chain_with(schedule="rewind"))}
    assert len(keys) == 1


def test_one_round_is_one_shot_pruning_that_carries_its_weights():
    one_shot = chain_with(1, {"use": "one-shot", "weights": "carry", "to": "8it"})
    (ticket,), (other,) = chain_with(1, LATE).tickets[1:], one_shot.tickets[1:]
    assert (ticket.weights, ticket.mask, ticket.start) == (other.weights, other.mask, other.start)


def test_find_runs_may_stop_early_and_judging_still_goes_to_the_horizon():
    chain = chain_with(schedule=LATE, entry={"find": {"stop": "12it"}})
    assert [ticket.weights.at for ticket in chain.tickets[1:]] == [12, 12, 12]
    judged = chain.evaluate(chain.tickets[1])
    assert (judged.start, judged.stop) == (8, 24)


def test_the_optimizers_state_is_that_of_the_weights():
    chain = chain_with(schedule=LATE, train={"optimizer_state": "with-weights"})
    run = chain.find(chain.tickets[1], 2)
    state = chain.phases.by_key[run.key].spec.optimizer_state
    assert (state.key, state.at, state.part) == (chain.tickets[1].weights.key, 24, "optimizer")


@pytest.mark.parametrize("to", ["24it", "3ep"])
def test_a_clock_that_goes_back_to_the_horizon_or_past_it_is_refused(to):
    with pytest.raises(PlanError, match="nothing to train"):
        chain_with(2, {"use": "lr-rewind", "to": to}).tickets  # noqa: B018
