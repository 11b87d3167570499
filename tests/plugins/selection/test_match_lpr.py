from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Workshop, rows, run

from prunebench import EntryRef
from prunebench.api.component import BoundComponent
from prunebench.api.errors import ConfigError
from prunebench.api.info import DataInfo, ModelInfo
from prunebench.api.masks import Mask, Scores
from prunebench.api.tickets import Inputs, Optimum
from prunebench.benchmark.choices import ModelChoice
from prunebench.plan.compile import make_plan
from prunebench.plan.trial import Plan
from prunebench.testing import (
    SelectContract,
    ToyProbe,
    some_mask,
    state,
    toy_benchmark,
    toy_plan,
    two_layer_net,
    weight_units,
)
from prunebench_plugins.selection.match_lpr import MatchLpr, MatchLprConfig

NET = two_layer_net()
UNITS = weight_units(NET)
OTHER = {"name": "other", "extends": "imp", "train": {"optimizer": {"lr": 0.5}}}
MATCHED = {"name": "matched", "extends": "imp", "select": {"use": "match-lpr", "of": "other"}}


def theirs(*counts: int) -> Inputs:
    keep = tuple(torch.arange(layer.count) < count for layer, count in zip(UNITS.layers, counts, strict=True))
    return {"theirs": (Optimum(state(NET), Mask(keep), 1),)}


class TestMatchLpr(SelectContract):
    component = {"use": "match-lpr", "of": "other"}

    def inputs(self) -> Inputs:
        return {"theirs": (Optimum(state(NET), some_mask(UNITS, 30), 1),)}


class TestMatchLprOfATicketWithoutOneOfItsLayers(SelectContract):
    component = {"use": "match-lpr", "of": "other"}

    def inputs(self) -> Inputs:
        return theirs(0, 12)


def select(count: int, inputs: Inputs, mask: Mask | None = None) -> Mask:
    scores = Scores((torch.arange(48.0), 1_000 + torch.arange(18.0)))
    selection = MatchLpr(MatchLprConfig(of=EntryRef("other")))
    return selection.prunebench_select(scores, mask or Mask.full(UNITS.layers), count, inputs)


def test_every_layer_keeps_as_many_units_as_theirs_but_its_own_best() -> None:
    chosen = select(12, theirs(10, 2))
    assert chosen.counts == (10, 2)
    assert chosen.keep[0].nonzero().flatten().tolist() == list(range(38, 48))
    assert chosen.keep[1].nonzero().flatten().tolist() == [16, 17]


def test_another_total_is_shared_in_their_proportion() -> None:
    assert select(14, theirs(10, 2)).counts == (12, 2)
    assert select(60, theirs(10, 10)).counts == (42, 18)  # full


def plan(other: dict[str, Any] | None = None, of: str = "other", **more: Any) -> Plan:
    matched = {**MATCHED, "select": {"use": "match-lpr", "of": of}}
    return toy_plan(entry=[{**OTHER, **(other or {})}, matched], **more)


def test_each_round_reads_their_ticket_of_that_round_and_ones_own_state() -> None:
    planned = plan(rounds=3)
    of = {trial.entry: trial for trial in planned.trials}
    for ours, other in zip(of["matched"].evaluations, of["other"].evaluations, strict=True):
        assert ours.mask is not None
        assert other.mask is not None
        spec = planned.phases[ours.mask.key].spec
        ((ticket,),) = spec.select.inputs.values()
        assert (ticket.round, ticket.mask) == (other.round, other.mask)
        assert spec.weights.key not in of["other"].finds
    assert of["matched"].finds > of["other"].finds
    assert len(of["matched"].finds - of["other"].finds) == 3


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"other": {"rounds": 1}}, 'entry "matched": .*"other" has no ticket of round 2: it prunes in 1 rounds'),
        ({"of": "dense"}, '"dense" has no ticket of round 1: it prunes in 0'),
        (
            {"other": {"cut": 0.5, "rounds": 3}},
            'round 1 of entry "other" keeps 33 units and this entry 53 units; give both',
        ),
        ({"of": "nobody"}, 'no entry "nobody"'),
        ({"of": "matched"}, "matched"),
    ],
)
def test_a_round_that_cannot_be_matched_is_refused_while_planning(changes: dict[str, Any], error: str) -> None:
    with pytest.raises(ConfigError, match=error):
        plan(rounds=3, **changes)


def test_a_count_that_is_off_by_the_rounding_of_layers_is_matched() -> None:
    planned = plan({"select": "layerwise"}, rounds=8)
    counts = [
        tuple(planned.phases[e.mask.key].spec.count for e in trial.evaluations if e.mask is not None)
        for trial in planned.trials
        if trial.entry in ("other", "matched")
    ]
    assert counts[0] != counts[1]
    assert counts[1] == tuple(round(0.8**r * 66) for r in range(1, 9))


class OtherLayers(ToyProbe):
    """A probe for which entries with units "weights" prune the first layer alone."""

    def model(self, chosen: ModelChoice, data: DataInfo, units: BoundComponent, task: BoundComponent) -> ModelInfo:
        info = super().model(chosen, data, units, task)
        return info if units.name == "toy-units" else replace(info, layers=info.layers[:1])


def test_an_entry_that_prunes_other_layers_cannot_be_matched() -> None:
    at_equal_size = {"axis": "density_all", "at": [0.5]}
    benchmark = toy_benchmark(entry=[{**OTHER, "units": "weights"}, MATCHED], report=at_equal_size)
    with pytest.raises(ConfigError, match='"other" prunes other layers'):
        make_plan(benchmark, OtherLayers())


def test_the_engine_gives_every_layer_their_count(tmp_path: Path) -> None:
    changes = {"entry": [{**OTHER, "select": {"use": "layerwise", "rates": {"3*": 0.97}}}, MATCHED]}
    outcome = run(tmp_path, changes, rounds=3)
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    chains = {name: Workshop(tmp_path, changes, rounds=3, entry=name) for name in ("imp", "other", "matched")}
    masks = {
        name: [shop.mask(ticket.mask) for ticket in shop.chain.tickets[1:] if ticket.mask is not None]
        for name, shop in chains.items()
    }
    for ours, other in zip(masks["matched"], masks["other"], strict=True):
        assert abs(ours.count - other.count) <= 2
        assert all(abs(a - b) <= 1 for a, b in zip(ours.counts, other.counts, strict=True))
        assert not torch.equal(ours.flat(), other.flat())
    assert [mask.count for mask in masks["matched"]] == [mask.count for mask in masks["imp"]] == [53, 42, 34]
    assert [mask.counts for mask in masks["matched"]] != [mask.counts for mask in masks["imp"]]
