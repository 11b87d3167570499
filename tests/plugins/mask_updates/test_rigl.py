import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Workshop, rows, run
from torch import Tensor

from prunebench.api.masks import Mask, Units
from prunebench.api.training import MaskUpdate
from prunebench.testing import MaskUpdateContract, same, some_mask, two_layer_net, weight_units
from prunebench_plugins.mask_updates.rigl import Rigl, RiglConfig, decayed

NAMES = ("fc1.weight", "fc2.weight")
RIGL = {"use": "rigl", "every": "2it"}
ENTRY = {"entry": [{"name": "imp", "schedule": "at-init", "score": "random", "mask_updates": [RIGL]}]}


class TestRigl(MaskUpdateContract):
    component = {"use": "rigl", "every": "10it"}

    def test_each_layer_keeps_its_count_while_its_units_change(self) -> None:
        _, masks = self.run()
        assert len({mask.counts for mask in masks}) == 1
        assert len({str(mask.flat().tolist()) for mask in masks}) > 5


def made(units: Units, **fields: Any) -> MaskUpdate:
    config = RiglConfig.model_validate({"every": "10it", **fields})
    (update,) = Rigl(config).prunebench_mask_updates(units, 100)
    return update


def slopes() -> Mapping[str, Tensor]:
    generator = torch.Generator().manual_seed(5)
    model = two_layer_net()
    return {name: torch.randn(p.shape, generator=generator) for name, p in model.named_parameters()}


def test_exchanges_start_with_the_run_and_end_before_the_last_quarter() -> None:
    update = made(weight_units(two_layer_net()))
    assert [step for step in range(100) if update.due(step)] == [0, 10, 20, 30, 40, 50, 60, 70]


def test_the_share_falls_along_a_cosine() -> None:
    assert decayed(0.3, 0, 80) == 0.3
    assert decayed(0.3, 40, 80) == pytest.approx(0.15)
    assert decayed(0.3, 20, 80) == pytest.approx(0.15 * (1 + math.sqrt(0.5)))
    assert 0 < decayed(0.3, 79, 80) < 0.001


@pytest.mark.parametrize("step", [0, 20, 40])
def test_growth_picks_the_largest_unmasked_gradients(step: int) -> None:
    model = two_layer_net()
    units = weight_units(model)
    old, gradients = some_mask(units, 33), slopes()
    new = made(units, share=0.5).update(step, old, gradients)
    for name, before, after in zip(NAMES, old.keep, new.keep, strict=True):
        size, slope = model.get_parameter(name).detach().flatten().abs().tolist(), gradients[name].flatten().abs()
        living = before.nonzero()[:, 0].tolist()
        exchanged = int(0.25 * (1 + math.cos(math.pi * step / 75)) * len(living))
        stays = sorted(living, key=lambda unit, size=size: -size[unit])[: len(living) - exchanged]  # type: ignore[misc]
        others = sorted(set(range(len(size))) - set(stays), key=lambda unit, slope=slope: -slope[unit])  # type: ignore[misc]
        assert after.nonzero()[:, 0].tolist() == sorted([*stays, *others[:exchanged]])
        assert exchanged > 0


def test_a_dropped_unit_with_the_steepest_gradient_stays() -> None:
    model = two_layer_net()
    units = weight_units(model)
    old, gradients = some_mask(units, 33), {name: torch.zeros_like(p) for name, p in model.named_parameters()}
    size = model.get_parameter("fc1.weight").detach().flatten().abs()
    smallest = min(old.keep[0].nonzero()[:, 0].tolist(), key=lambda unit: float(size[unit]))
    gradients["fc1.weight"].view(-1)[smallest] = 1.0
    assert bool(made(units).update(0, old, gradients).keep[0][smallest])
    gradients["fc1.weight"].view(-1)[~old.keep[0]] = 2.0
    assert not bool(made(units).update(0, old, gradients).keep[0][smallest])


def test_the_sign_of_a_gradient_does_not_matter() -> None:
    units = weight_units(two_layer_net())
    old, gradients = some_mask(units, 33), slopes()
    flipped = {name: -gradient for name, gradient in gradients.items()}
    update = made(units)
    assert torch.equal(update.update(0, old, gradients).flat(), update.update(0, old, flipped).flat())


def test_dense_and_empty_layers_stay_as_they_are() -> None:
    units = weight_units(two_layer_net())
    mask = Mask((torch.zeros(48, dtype=torch.bool), torch.ones(18, dtype=torch.bool)))
    assert torch.equal(made(units).update(0, mask, slopes()).flat(), mask.flat())


def test_a_layer_without_a_gradient_or_with_nan_keeps_its_count() -> None:
    units = weight_units(two_layer_net())
    old = some_mask(units, 33)
    gradients = {"fc1.weight": torch.full((6, 8), torch.nan)}
    assert made(units).update(0, old, gradients).counts == old.counts


def test_a_random_ticket_trains_end_to_end_with_its_count(tmp_path: Path) -> None:
    outcome = run(tmp_path, ENTRY)
    assert {(row["outcome"], row["density"]) for row in rows(outcome, entry="imp")} == {
        ("ok", 53 / 66),
        ("ok", 42 / 66),
    }
    workshop = Workshop(tmp_path, ENTRY)
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


def test_a_run_in_parts_is_equal_to_the_bit(tmp_path: Path) -> None:
    at_once, in_parts = Workshop(tmp_path / "a", ENTRY), Workshop(tmp_path / "b", ENTRY)
    judged, again = (w.chain.evaluate(w.chain.tickets[1]) for w in (at_once, in_parts))
    assert judged.key == again.key
    assert judged.end_mask is not None
    at_once.make(judged.end, judged.end_mask)
    for place in (3, 8, 17):
        in_parts.make(judged.at(f"{place}it"))
    in_parts.make(judged.end, judged.end_mask)
    assert same(at_once.weights(judged.end), in_parts.weights(judged.end))
    assert torch.equal(at_once.mask(judged.end_mask).flat(), in_parts.mask(judged.end_mask).flat())
