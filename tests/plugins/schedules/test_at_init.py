from prunebench.testing import ScheduleContract, toy_chain, toy_plan


class TestAtInit(ScheduleContract):
    component = {"use": "at-init"}


class TestIterativeAtInit(ScheduleContract):
    component = {"use": "at-init", "iterative": True}


def test_nothing_trains_before_the_tickets_are_judged():
    plan = toy_plan(entries=["imp"], entry=[{"name": "imp", "schedule": "at-init", "score": "random"}])
    (trial,) = plan.trials
    assert trial.finds == frozenset()
    assert len(plan.runs) == len(trial.evaluations) == 2


def test_iterative_pruning_cuts_the_survivors_of_the_round_before():
    for iterative in (False, True):
        schedule = {"use": "at-init", "iterative": iterative}
        chain, _ = toy_chain(2, changes={"entry": [{"name": "imp", "schedule": schedule}]})
        spec = chain._phases.by_key[chain.tickets[2].mask.key].spec
        assert (spec["mask"] is not None) == iterative
