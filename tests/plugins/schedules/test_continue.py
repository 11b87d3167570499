import itertools

from prunebench.testing import ScheduleContract, toy_chain, toy_plan


class TestContinue(ScheduleContract):
    component = {"use": "continue"}


def chain_with(schedule="continue", **changes):
    return toy_chain(3, changes={"entry": [{"name": "imp", "schedule": schedule}], **changes})[0]


def pruned(chain):
    """What each round pruned: the state and the mask before it."""
    specs = [chain.phases.by_key[ticket.mask.key].spec for ticket in chain.tickets[1:]]
    return [spec.weights for spec in specs], [spec.mask for spec in specs]


def test_judged_tickets_have_the_initial_weights_and_the_clock_at_zero():
    chain = chain_with()
    assert {ticket.weights for ticket in chain.tickets} == {chain.dense.weights}
    assert {str(ticket.start) for ticket in chain.tickets} == {"0it"}


def test_find_runs_go_on_from_the_surviving_weights_over_the_whole_clock():
    chain = chain_with()
    states, masks = pruned(chain)
    runs = [chain.phases.by_key[state.key] for state in states]
    assert [(run.spec.start, state.at) for run, state in zip(runs, states, strict=True)] == [(0, 24)] * 3
    assert runs[0].spec.weights == chain.dense.weights
    for round, (before, after) in enumerate(itertools.pairwise(states), 1):
        assert runs[round].spec.weights == before
        assert runs[round].spec.mask == masks[round] == chain.tickets[round].mask
        assert after.key == runs[round].key


def test_masks_are_those_of_learning_rate_rewinding_to_zero_and_its_find_runs_too():
    continued, rewound = chain_with(), chain_with("lr-rewind")
    assert [t.mask for t in continued.tickets] == [t.mask for t in rewound.tickets]
    assert [t.weights == r.weights for t, r in zip(continued.tickets, rewound.tickets, strict=True)] == [True] + 3 * [
        False
    ]


def test_masks_after_the_first_round_are_not_those_of_resetting():
    continued, reset = chain_with(), chain_with("rewind")
    assert [t.mask == r.mask for t, r in zip(continued.tickets, reset.tickets, strict=True)] == [
        True,
        True,
        False,
        False,
    ]


def test_no_find_run_but_the_first_judges_a_ticket():
    plan = toy_plan(rounds=3, entry=[{"name": "imp", "schedule": "continue"}])
    (trial,) = [trial for trial in plan.trials if trial.entry == "imp"]
    assert len(trial.finds) == 3
    assert not {evaluation.run.key for evaluation in trial.evaluations} & trial.finds


def test_a_carried_optimizer_goes_with_carried_weights_only():
    chain = chain_with(train={"optimizer_state": "with-weights"})
    states, _ = pruned(chain)
    second = chain.phases.by_key[states[1].key].spec
    assert (second.optimizer_state.key, second.optimizer_state.at) == (states[0].key, 24)
    judged = chain.evaluate(chain.tickets[2])
    assert chain.phases.by_key[judged.key].spec.optimizer_state is None
