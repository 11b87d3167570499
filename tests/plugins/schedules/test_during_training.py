from pathlib import Path

import pytest
from engine.toy_runs import Workshop, rows, run

from prunebench.api.errors import ConfigError
from prunebench.api.planning import Recipes
from prunebench.plan.chain import Chain
from prunebench.testing import ScheduleContract, toy_chain, toy_plan

GRADUAL = {"train": {"mask_updates": [{"use": "gradual-magnitude", "every": "2it"}]}}
ENTRY = {"entry": [{"name": "imp", "schedule": "during-training"}]}


class TestDuringTraining(ScheduleContract):
    component = {"use": "during-training"}

    def chain(self, rounds: int) -> tuple[Chain, Recipes]:
        return toy_chain(rounds, changes=GRADUAL)

    def test_tickets_have_the_counts_of_the_chain(self) -> None:
        # The contract asks for masks as well; this schedule's tickets get theirs while they are judged.
        chain, tickets = self.tickets(3)
        assert [ticket.count for ticket in tickets] == list(chain.counts)
        assert {ticket.mask for ticket in tickets} == {None}


def test_every_ticket_starts_from_the_initial_weights_at_clock_zero() -> None:
    chain, _ = toy_chain(3, changes={**GRADUAL, **ENTRY})
    assert {ticket.weights for ticket in chain.tickets} == {chain.dense.weights}
    assert {str(ticket.start) for ticket in chain.tickets} == {"0it"}


def test_nothing_trains_before_the_tickets_are_judged() -> None:
    plan = toy_plan(GRADUAL, ENTRY, entries=["imp"])
    (trial,) = plan.trials
    assert trial.finds == frozenset()
    assert len(plan.runs) == len(trial.evaluations) == 2


def test_a_recipe_in_which_nothing_prunes_is_refused() -> None:
    with pytest.raises(ConfigError, match="nothing prunes in the evaluation recipe"):
        toy_plan(ENTRY, entries=["imp"])


def bare(schedule: str, **evaluate: object) -> dict[str, object]:
    """The toy's file with an entry that names no score and no selection."""
    return {"entry": [{"name": "bare", "schedule": schedule, "units": "toy-units", "evaluate": evaluate}]}


def test_where_mask_updates_alone_prune_no_score_is_needed_and_none_is_in_the_keys() -> None:
    rule = {"use": "gradual-magnitude", "every": "2it"}
    with_one = toy_plan(
        {
            "entry": [
                {
                    **bare("during-training")["entry"][0],
                    "score": "random",
                    "select": "global",
                    "evaluate": {"mask_updates": [rule]},
                }
            ]
        },
        entries=["bare"],
    )
    without = toy_plan(bare("during-training", mask_updates=[rule]), entries=["bare"])
    assert [run.key for run in without.runs] == [run.key for run in with_one.runs]
    assert len(without.runs) == 2


def test_a_schedule_that_prunes_all_the_same_asks_for_a_score() -> None:
    with pytest.raises(ConfigError, match=r"score and select: missing; the schedule rewind .* so it needs a score"):
        toy_plan(bare("rewind", mask_updates=["gradual-magnitude"]), entries=["bare"])


def test_judged_networks_have_the_exact_counts_and_zeros_off_the_mask(tmp_path: Path) -> None:
    outcome = run(tmp_path, GRADUAL, ENTRY)
    found = rows(outcome, entry="imp")
    assert {row["outcome"] for row in found} == {"ok"}
    assert {(row["round"], row["density"]) for row in found} == {(1, 53 / 66), (2, 42 / 66)}
    workshop = Workshop(tmp_path, GRADUAL, ENTRY)
    judged = workshop.chain.evaluate(workshop.chain.tickets[2])
    assert judged.end_mask is not None
    workshop.make(judged.end, judged.end_mask)
    mask, weights = workshop.mask(judged.end_mask), workshop.weights(judged.end)
    assert mask.count == 42
    for name, keep in zip(("1.weight", "3.weight"), mask.keep, strict=True):
        assert not bool(weights[name].flatten()[~keep].any())
        assert bool(weights[name].flatten()[keep].all())
