import pytest

from prunebench import PlanError
from prunebench.testing import ScheduleContract, toy_chain

OWN = {"use": "sgd", "lr": 0.001}


class TestFineTune(ScheduleContract):
    component = {"use": "fine-tune", "over": "10it", "optimizer": OWN}


class TestOneShotFineTune(ScheduleContract):
    component = {"use": "fine-tune", "over": "10it", "one_shot": True}


def chain_with(train=None, **schedule):
    entry = {"name": "imp", "schedule": {"use": "fine-tune", "over": "10it", **schedule}}
    return toy_chain(2, changes={"entry": [entry], "train": train or {}})[0]


def retraining(chain):
    run = chain.evaluate(chain.tickets[1])
    return run, chain.phases.by_key[run.key].spec.recipe


def test_weights_carry_on_and_the_clock_starts_at_the_horizon():
    chain = chain_with(optimizer=OWN)
    run, recipe = retraining(chain)
    assert (run.start, run.stop, recipe.horizon) == (24, 34, 24)
    assert run.ticket.weights == chain.find(chain.dense, 1).end


def test_its_own_optimizer_has_a_constant_rate():
    _, recipe = retraining(chain_with(optimizer=OWN, train={"lr": ["cosine"]}))
    assert recipe.optimizer.config["lr"] == 0.001
    assert [piece.use for piece in recipe.lr] == ["constant"]


def test_its_own_pieces_run_on_a_clock_of_their_own():
    run, recipe = retraining(chain_with(lr=["cosine"]))
    assert (run.start, run.stop, recipe.horizon) == (0, 10, 10)
    assert [piece.use for piece in recipe.lr] == ["cosine"]


def test_without_a_rate_of_its_own_it_keeps_the_last_one_of_the_recipe():
    milestones = {"lr": [{"use": "milestones", "at": ["12it"], "factor": 0.1}]}
    _, recipe = retraining(chain_with(train=milestones))
    assert [piece.use for piece in recipe.lr] == ["milestones"]


def test_a_last_rate_near_zero_is_refused_with_what_to_write_instead():
    with pytest.raises(PlanError, match=r"state one: optimizer = \{ use"):
        chain_with(train={"lr": ["cosine"]}).tickets  # noqa: B018


def test_the_next_round_goes_on_from_the_fine_tuned_weights():
    chain = chain_with(optimizer=OWN)
    second = chain.find(chain.tickets[1], 2)
    assert chain.tickets[2].weights == second.end


def test_one_shot_cuts_the_dense_run_for_each_density():
    chain = chain_with(optimizer=OWN, one_shot=True)
    assert len({t.weights for t in chain.tickets[1:]}) == 1


def test_another_optimizers_state_cannot_be_taken_along():
    changes = {"lr": 0.001, "use": "adam"}
    with pytest.raises(PlanError, match='a run with "sgd", whose state "adam" cannot use'):
        retraining(chain_with(optimizer=changes, train={"optimizer_state": "with-weights"}))
