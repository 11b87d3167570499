from itertools import pairwise

import pytest
from engine.toy_runs import Workshop
from hypothesis import given
from hypothesis import strategies as st

from prunebench.testing import ScheduleContract, toy_chain, toy_plan
from prunebench_plugins.schedules.at_init import exponential


class TestAtInit(ScheduleContract):
    component = {"use": "at-init"}


class TestIterativeAtInit(ScheduleContract):
    component = {"use": "at-init", "iterative": True}


class TestAtInitInSteps(ScheduleContract):
    component = {"use": "at-init", "steps": 5}


def test_nothing_trains_before_the_tickets_are_judged():
    plan = toy_plan(entries=["imp"], entry=[{"name": "imp", "schedule": "at-init", "score": "random"}])
    (trial,) = plan.trials
    assert trial.finds == frozenset()
    assert len(plan.runs) == len(trial.evaluations) == 2


def test_iterative_pruning_cuts_the_survivors_of_the_round_before():
    for iterative in (False, True):
        schedule = {"use": "at-init", "iterative": iterative}
        chain, _ = toy_chain(2, changes={"entry": [{"name": "imp", "schedule": schedule}]})
        spec = chain.phases.by_key[chain.tickets[2].mask.key].spec
        assert (spec.mask is not None) == iterative


def prunings(steps, iterative, rounds=2):
    """The descriptions of the prunings that lead to the last ticket, last first."""
    schedule = {"use": "at-init", "iterative": iterative, "steps": steps}
    chain, _ = toy_chain(rounds, changes={"entry": [{"name": "imp", "schedule": schedule}]})
    key, found = chain.tickets[-1].mask.key, []
    while key is not None:
        spec = chain.phases.by_key[key].spec
        found.append(spec)
        key = None if spec.mask is None else spec.mask.key
    return chain, found


@pytest.mark.parametrize("iterative", [False, True])
@pytest.mark.parametrize("steps", [1, 2, 7])
def test_a_density_is_reached_in_that_many_prunings_of_the_initial_weights(steps, iterative):
    chain, found = prunings(steps, iterative)
    assert len(found) == steps * (2 if iterative else 1)
    assert {spec.weights.key for spec in found} == {chain.dense.weights.key}
    counts = [spec.count for spec in found]
    assert counts == sorted(counts)
    assert counts[0] == chain.counts[2]
    if iterative:
        assert counts[steps] == chain.counts[1]


def test_one_step_is_what_it_was_before_there_were_steps():
    one, without = ({"use": "at-init", "steps": 1}, "at-init")
    keys = [
        [t.mask.key for t in toy_chain(2, changes={"entry": [{"name": "imp", "schedule": s}]})[0].tickets[1:]]
        for s in (one, without)
    ]
    assert keys[0] == keys[1]


def test_the_counts_of_a_known_case_fall_by_one_factor():
    assert exponential(10_000, 1, 4) == [1_000, 100, 10, 1]
    assert exponential(66, 53, 1) == [53]


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(1, 100))
def test_counts_never_rise_never_pass_the_last_and_end_there_exactly(a, b, steps):
    start, stop = max(a, b), min(a, b)
    counts = [start, *exponential(start, stop, steps)]
    assert len(counts) == steps + 1
    assert counts[-1] == stop
    assert all(later <= earlier for earlier, later in pairwise(counts))


def test_the_masks_of_the_steps_are_nested_and_have_their_counts(tmp_path):
    schedule = {"use": "at-init", "steps": 4, "iterative": True}
    workshop = Workshop(tmp_path, {"entry": [{"name": "imp", "schedule": schedule, "score": "snip"}]})
    masks, ref = [], workshop.chain.tickets[-1].mask
    workshop.make(ref)
    while ref is not None:
        spec = workshop.chain.phases.by_key[ref.key].spec
        masks.append(workshop.mask(ref))
        assert masks[-1].count == spec.count
        ref = spec.mask
    assert len(masks) == 8
    assert all(smaller.issubset(larger) for smaller, larger in pairwise(masks))
