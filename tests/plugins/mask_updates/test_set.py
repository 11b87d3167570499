from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Workshop, rows, run

from prunebench.api.masks import Mask, Units
from prunebench.api.random import Streams
from prunebench.api.training import MaskUpdate
from prunebench.testing import MaskUpdateContract, some_mask, two_layer_net, weight_units
from prunebench_plugins.mask_updates.set_ import Set, SetConfig


class TestSet(MaskUpdateContract):
    component = {"use": "set", "every": "10it"}

    def test_each_layer_keeps_its_count_while_its_units_change(self) -> None:
        _, masks = self.run()
        assert len({mask.counts for mask in masks}) == 1
        assert len({str(mask.flat().tolist()) for mask in masks}) == len(masks) > 15


def made(units: Units, seed: int = 0, **fields: Any) -> MaskUpdate:
    rng = Streams(seed, round=1).rng("update")
    (update,) = Set(SetConfig.model_validate({"every": "10it", **fields})).prunebench_mask_updates(units, 100, rng)
    return update


def test_exchanges_are_between_epochs_and_none_follows_the_last() -> None:
    units = weight_units(two_layer_net())
    assert [step for step in range(100) if made(units).due(step)] == [10, 20, 30, 40, 50, 60, 70, 80, 90]
    assert [step for step in range(100) if made(units, until="30%").due(step)] == [10, 20]


def test_the_smallest_of_each_layer_give_way_to_units_that_were_not_there() -> None:
    model = two_layer_net()
    units = weight_units(model)
    old = some_mask(units, 33)
    new = made(units, share=0.4).update(10, old, {})
    for name, before, after in zip(("fc1.weight", "fc2.weight"), old.keep, new.keep, strict=True):
        size = model.get_parameter(name).detach().flatten().abs()
        dropped, grown = before & ~after, after & ~before
        assert int(dropped.sum()) == int(grown.sum()) == int(0.4 * int(before.sum())) > 0
        assert float(size[dropped].max()) < float(size[before & after].min())


def test_growth_is_uniform_over_the_units_that_were_not_there() -> None:
    units = weight_units(two_layer_net())
    old = some_mask(units, 33)
    grown = torch.zeros(66)
    for seed in range(600):
        new = made(units, seed).update(10, old, {})
        grown += (new.flat() & ~old.flat()).float()
    for layer, before in zip(torch.split(grown, [48, 18]), old.keep, strict=True):
        assert not bool(layer[before].any())
        times = layer[~before]
        expected = float(times.mean())
        spread = (expected * (1 - expected / 600)) ** 0.5
        assert float((times - expected).abs().max()) < 5 * spread


def test_steps_and_layers_draw_other_units() -> None:
    units = weight_units(two_layer_net())
    old, update = some_mask(units, 33), made(units)
    assert not torch.equal(update.update(10, old, {}).flat(), update.update(20, old, {}).flat())
    twins = weight_units(torch.nn.Sequential(torch.nn.Linear(9, 9), torch.nn.Linear(9, 9)))
    half = torch.arange(81) % 2 == 0
    first, second = made(twins).update(10, Mask((half, half)), {}).keep
    assert not torch.equal(first & ~half, second & ~half)


def test_a_layer_exchanges_no_more_than_is_not_there_and_a_dense_one_nothing() -> None:
    units = weight_units(two_layer_net())
    full = Mask.full(units.layers)
    assert torch.equal(made(units, share=0.5).update(10, full, {}).flat(), full.flat())
    almost = some_mask(units, 64)
    new = made(units, share=0.9).update(10, almost, {})
    assert new.counts == almost.counts
    assert int((new.flat() & ~almost.flat()).sum()) == 2


def test_an_empty_layer_stays_empty() -> None:
    units = weight_units(two_layer_net())
    mask = Mask((torch.zeros(48, dtype=torch.bool), torch.ones(18, dtype=torch.bool)))
    assert made(units).update(10, mask, {}).counts == (0, 18)


@pytest.mark.parametrize(("share", "exchanged"), [(0.29, 29), (0.3, 30), (0.57, 57), (0.001, 0)])
def test_shares_are_those_that_are_written(share: float, exchanged: int) -> None:
    units = weight_units(torch.nn.Sequential(torch.nn.Linear(20, 20)))
    old = some_mask(units, 100)
    assert int((old.flat() & ~made(units, share=share).update(10, old, {}).flat()).sum()) == exchanged


def test_a_random_ticket_trains_end_to_end_with_its_count(tmp_path: Path) -> None:
    entry = {"name": "imp", "schedule": "at-init", "score": "random", "mask_updates": [{"use": "set", "every": "2it"}]}
    outcome = run(tmp_path, {"entry": [entry]})
    assert {(row["outcome"], row["density"]) for row in rows(outcome, entry="imp")} == {
        ("ok", 53 / 66),
        ("ok", 42 / 66),
    }
    workshop = Workshop(tmp_path, {"entry": [entry]})
    ticket = workshop.chain.tickets[2]
    judged = workshop.chain.evaluate(ticket)
    assert judged.end_mask is not None
    assert ticket.mask is not None
    workshop.make(judged.end, judged.end_mask)
    start, mask, weights = workshop.mask(ticket.mask), workshop.mask(judged.end_mask), workshop.weights(judged.end)
    assert mask.counts == start.counts
    assert not torch.equal(mask.flat(), start.flat())
    for name, keep in zip(("1.weight", "3.weight"), mask.keep, strict=True):
        assert not bool(weights[name].flatten()[~keep].any())
