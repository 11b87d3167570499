import itertools

import pytest

from prunebench import PlanError
from prunebench.api.errors import ConfigError
from prunebench.testing import ScheduleContract, toy_benchmark, toy_chain


class TestRewindToInit(ScheduleContract):
    component = {"use": "rewind"}


class TestLateRewind(ScheduleContract):
    component = {"use": "rewind", "to": "8it"}


def tickets(entry, **changes):
    chain, _ = toy_chain(3, changes={"entry": [{"name": "imp", **entry}], **changes})
    return chain, chain.tickets


def test_rewinding_to_init_starts_every_ticket_from_the_initial_weights_at_clock_zero():
    chain, found = tickets({"schedule": "rewind"})
    assert {t.weights for t in found} == {chain.dense.weights}
    assert {str(t.start) for t in found} == {"0it"}


def test_a_late_rewind_starts_every_ticket_from_one_state_of_the_first_run_and_there_on_the_clock():
    chain, found = tickets({"schedule": {"use": "rewind", "to": "8it"}})
    (weights,) = {t.weights for t in found[1:]}
    assert (weights.at, {str(t.start) for t in found[1:]}) == (8, {"8it"})
    first = chain.find(chain.dense, 1)
    assert weights == first.at("8it")


def test_a_late_rewind_shares_its_first_run_with_the_original_procedure():
    late, _ = tickets({"schedule": {"use": "rewind", "to": "8it"}})
    original, _ = tickets({"schedule": "rewind"})
    keys = {c.find(c.dense, 1).key for c in (late, original)}
    assert len(keys) == 1


def test_each_round_prunes_the_survivors_of_the_round_before():
    chain, found = tickets({"schedule": "rewind"})
    phases = chain.phases.by_key
    for before, after in itertools.pairwise(found[1:]):
        assert phases[after.mask.key].spec.mask == before.mask


def test_a_rewind_past_the_end_of_the_find_run_is_refused():
    with pytest.raises(PlanError, match="outside of the run"):
        tickets({"schedule": {"use": "rewind", "to": "25it"}})
    with pytest.raises(PlanError, match="outside of the run"):
        tickets({"schedule": {"use": "rewind", "to": "16it"}, "find": {"stop": "12it"}})


def test_a_find_horizon_may_be_cut_short_and_the_runs_stay_the_same_trajectories():
    early, found = tickets({"schedule": "rewind", "find": {"stop": "12it"}})
    full, _ = tickets({"schedule": "rewind"})
    mask = early.phases.by_key[found[1].mask.key]
    assert mask.spec.weights.at == 12
    assert mask.spec.weights.key == full.find(full.dense, 1).key


def test_the_optimizer_state_is_taken_along_only_where_the_recipe_says_so():
    for setting, taken in (("fresh", False), ("with-weights", True)):
        benchmark = toy_benchmark(entry=[{"name": "imp", "schedule": {"use": "rewind", "to": "8it"}}],
                                  train={"optimizer_state": setting})  # fmt: skip
        assert benchmark.all_entries["imp"].find.optimizer_state == setting
        chain, _ = toy_chain(2, changes={"entry": [{"name": "imp", "schedule": {"use": "rewind", "to": "8it"}}],
                                         "train": {"optimizer_state": setting}})  # fmt: skip
        run = chain.evaluate(chain.tickets[1])
        assert (chain.phases.by_key[run.key].spec.optimizer_state is not None) == taken


def test_the_early_state_may_be_that_of_the_evaluation_recipe_on_its_own_clock():
    schedule = {"use": "rewind", "to": "8it", "early": "evaluate"}
    chain, found = tickets({"schedule": schedule, "evaluate": {"optimizer": {"lr": 0.3}}})
    judged = chain.evaluate(chain.dense)
    assert {t.weights for t in found[1:]} == {judged.at("8it")}
    assert judged.key != chain.find(chain.dense, 1).key


class TestRewindToFreshWeights(ScheduleContract):
    component = {"use": "rewind", "reinit": True}


def test_reinitialised_chains_start_each_round_and_its_find_run_from_weights_of_its_own():
    chain, found = tickets({"schedule": {"use": "rewind", "reinit": True}})
    weights = [t.weights for t in found]
    assert len(set(weights)) == len(weights)
    for before, after in itertools.pairwise(found):
        run = chain.find(before, after.round)
        pruned = chain.phases.by_key[chain.phases.by_key[after.mask.key].parents[1].key]
        assert run.end.key == chain.phases.by_key[pruned.key].spec.weights.key


def test_a_reinitialised_chain_shares_its_first_pruning_with_the_original_procedure():
    def pruned(schedule):
        chain, found = tickets({"schedule": schedule})
        edited = chain.phases.by_key[found[1].mask.key]
        return edited.key if edited.kind == "prune" else edited.parents[1].key

    assert pruned({"use": "rewind", "reinit": True}) == pruned("rewind")


def test_fresh_weights_cannot_start_amid_the_clock():
    with pytest.raises(ConfigError, match="fresh weights cannot start amid the clock"):
        tickets({"schedule": {"use": "rewind", "reinit": True, "to": "8it"}})
