import pytest

from prunebench.testing import ScheduleContract, toy_chain, toy_plan


class TestSmallNetwork(ScheduleContract):
    component = {"use": "small-network"}


SMALL = {"name": "small", "schedule": "small-network", "score": "random", "select": "global", "units": "toy-units"}
DROPS = {"lr": [{"use": "milestones", "at": ["12it"], "factor": 0.1}]}


def judged(**entry):
    plan = toy_plan(train=DROPS, entry=[{**SMALL, **entry}])
    (trial,) = (t for t in plan.trials if t.entry == "small")
    return [(e.run.stop, plan.phases[e.run.key].spec) for e in trial.evaluations], trial


def test_a_round_trains_as_long_as_the_pruned_network_did_in_all():
    found, trial = judged()
    assert [stop for stop, _ in found] == [48, 72]
    assert trial.finds == frozenset()


def test_the_number_of_trainings_may_be_stated():
    assert [stop for stop, _ in judged(schedule={"use": "small-network", "trainings": 2})[0]] == [48, 48]


def test_the_whole_schedule_of_the_learning_rate_is_repeated():
    chain, recipes = toy_chain(entry="small", changes={"train": DROPS, "entry": [SMALL]})
    ticket = chain.tickets[2]
    rates = chain.rates(recipes.evaluate.replace(**ticket.changes))
    assert [rates[at] for at in (0, 11, 12, 23, 24, 36, 48, 60)] == pytest.approx([1, 1, 0.1, 0.1, 1, 0.1, 1, 0.1])


def test_every_density_is_cut_from_the_initial_weights():
    found, _ = judged()
    assert len({spec.weights.key for _, spec in found}) == 1
    assert len({spec.mask.key for _, spec in found}) == 2
