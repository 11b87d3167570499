"""Shares of a cost in a plan: targets in place of counts, keys of their own, and what cannot be solved is refused."""

from __future__ import annotations

from typing import Any

import pytest

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.cost_share import CostShare
from prunebench.api.errors import ConfigError
from prunebench.plan.compile import make_plan
from prunebench.plan.specs import PruneSpec
from prunebench.testing import ToyProbe, toy_benchmark, toy_catalogue, toy_plan

AXIS = {"report": {"axis": "density_macs", "at": [0.5, 0.3]}}


def asking(densities: list[float] | None = None, **entry: Any) -> dict[str, Any]:
    """The toy benchmark's entry cut to shares of the multiply-accumulates."""
    own = {"density_of": "macs", **({"densities": densities} if densities else {})}
    return {"entry": [{"name": "imp", **own, **entry}], **AXIS}


def counts(plan: Any) -> list[Any]:
    specs = [plan.phases[e.run.ticket.mask.key].spec for t in plan.trials for e in t.evaluations if e.run.ticket.mask]
    assert all(isinstance(spec, PruneSpec) for spec in specs)
    return [spec.count for spec in specs]


def test_a_cut_is_one_of_the_cost() -> None:
    shares = [count.share for count in counts(toy_plan(asking()))]
    assert shares == [0.8, 0.8 * 0.8]


def test_densities_choose_the_rounds_of_a_cut_by_their_share() -> None:
    plan = toy_plan(asking([0.64]), rounds=3)
    assert [one.round for trial in plan.trials if trial.entry == "imp" for one in trial.evaluations] == [2]


def test_the_target_is_in_the_key() -> None:
    keys = [set(toy_plan(asking(), cut=cut).phases) for cut in (0.2, 0.3)]
    assert keys[0] != keys[1]
    assert set(toy_plan(asking(density_of="units"), report={"axis": "density", "at": []}).phases) == set(
        toy_plan().phases
    )


def refused(*changes: dict[str, Any], **more: Any) -> str:
    with pytest.raises(ConfigError) as error:
        toy_plan(*changes, **more)
    return str(error.value)


@pytest.mark.parametrize(
    ("entry", "why"),
    [
        ({"density_of": "latency"}, "a latency is measured, and another machine"),
        ({"select": {"use": "n-of-m", "pattern": "2:4"}}, "cannot be asked for any number of units"),
        ({"score": None, "select": None, "prune": "sparsegpt"}, "it changes the weights with the mask"),
        (
            {"schedule": "during-training", "evaluate": {"mask_updates": ["gradual-magnitude"]}},
            "brings the run to a number of units",
        ),
    ],
)
def test_what_needs_a_count_is_refused_by_name(entry: dict[str, Any], why: str) -> None:
    assert why in refused(asking(**{key: value for key, value in entry.items() if value is not None}))


def test_less_than_what_is_not_pruned_is_refused() -> None:
    said = refused(asking(density_of="parameters"), rounds=12, report={"axis": "density_all", "at": [0.5]})
    assert "of the parameters, and 0.12 of them are left when as few units" in said


def test_a_board_by_density_of_units_is_refused() -> None:
    assert 'compare at these shares: axis = "density_macs"' in refused(asking(), report={"axis": "density", "at": []})


class Halves:
    """A schedule that calculates with counts."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_schedule(self, chain: Any) -> Any:
        mask = chain.prune(chain.dense, 1, count=chain.counts[1] // 2).mask
        return [chain.dense, chain.ticket(1, mask, chain.dense.weights)]


def test_a_schedule_that_calculates_with_counts_is_named() -> None:
    parts = toy_catalogue().with_components([Component("halves", ComponentConfig, Halves, version=1)], "tests")
    with pytest.raises(ConfigError, match=r"(?s)halves.*only its pruning finds"):
        make_plan(toy_benchmark(asking(schedule="halves"), rounds=1, catalogue=parts), ToyProbe())


def test_entries_with_equal_ratios_of_layers_ask_for_the_same() -> None:
    matched = {"name": "matched", "extends": "imp", "score": "random", "select": {"use": "match-lpr", "of": "imp"}}
    entries = [{"name": "imp", "density_of": "macs"}, {**matched, "density_of": "macs"}]
    assert set(counts(toy_plan(entry=entries, **AXIS))) == {
        CostShare("macs", 0.8),
        CostShare("macs", 0.8 * 0.8),
    }
    assert "keeps 0.8 of the multiply-accumulates" in refused(
        entry=[entries[0], {**matched, "density_of": "parameters"}], **AXIS
    )
