from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Workshop, rows, run
from torch import Tensor, nn

from prunebench.api.errors import PrunebenchError
from prunebench.api.masks import Mask, Units
from prunebench.testing import MaskUpdateContract, same, toy_plan
from prunebench_plugins.mask_updates.sr_ste import SrSteConfig

PATTERN = {"use": "sr-ste", "pattern": "1:2"}


def changes(**rule: Any) -> dict[str, Any]:
    optimizer = {"use": "sgd", "lr": 0.2, "momentum": 0.9, "weight_decay": 0.01}
    return {
        "cut": 0.5,
        "rounds": 1,
        "entry": [{"name": "imp", "schedule": "during-training", "mask_updates": [{**PATTERN, "decay": 0.05, **rule}]}],
        "train": {"optimizer": optimizer},
    }


class TestSrSte(MaskUpdateContract):
    component = PATTERN
    count = 33

    def start(self, units: Units) -> Mask:
        return Mask.full(units.layers)

    def test_weights_come_back(self) -> None:
        _, masks = self.run()
        flat = [mask.flat() for mask in masks[1:]]
        assert any(bool((later & ~earlier).any()) for earlier, later in pairwise(flat))


def one_of_two(weight: Tensor) -> Tensor:
    """The larger of every two neighbouring inputs, the first of two equal ones: by hand."""
    keep = torch.zeros_like(weight, dtype=torch.bool)
    for row in range(weight.shape[0]):
        for start in range(0, weight.shape[1], 2):
            first, second = weight[row, start].abs(), weight[row, start + 1].abs()
            keep[row, start + int(second > first)] = True
    return keep


def test_a_run_is_that_of_the_papers_equation_by_hand(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, changes())
    judged = workshop.chain.evaluate(workshop.chain.tickets[1])
    training = workshop.training(judged)
    # All weights, unmasked, with the momentum of all: the reference never hides any.
    dense = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    momentum = {name: torch.zeros_like(p) for name, p in dense.items()}
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    keep = {name: torch.ones_like(p, dtype=torch.bool) for name, p in dense.items()}
    for step, (images, labels) in enumerate(training.train.batches(list(training._gathers(24)))):
        net.load_state_dict({name: p * keep[name] for name, p in dense.items()})
        net.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(net(images), labels))
        for name, p in net.named_parameters():
            assert p.grad is not None
            # The rule looks at the gradient before it takes the mask of this step anew.
            gradient = p.grad + 0.05 * dense[name] * ~keep[name] + 0.01 * dense[name]
            momentum[name] = gradient if step == 0 else 0.9 * momentum[name] + gradient
            if p.ndim == 2:
                keep[name] = one_of_two(dense[name])
        for name in dense:
            dense[name] = dense[name] - 0.2 * momentum[name]
        training.advance(step + 1, lambda position, loss: None)
        for name, p in training.model.named_parameters():
            torch.testing.assert_close(p.detach(), dense[name] * keep[name], rtol=1e-4, atol=1e-6)
            assert not bool(p[~keep[name]].any())
    assert training.mask is not None
    assert training.mask.counts == (24, 9)


def test_a_run_in_parts_is_equal_to_the_bit(tmp_path: Path) -> None:
    at_once, in_parts = Workshop(tmp_path / "a", changes()), Workshop(tmp_path / "b", changes())
    judged, again = (w.chain.evaluate(w.chain.tickets[1]) for w in (at_once, in_parts))
    assert judged.key == again.key
    assert judged.end_mask is not None
    at_once.make(judged.end, judged.end_mask)
    for place in (3, 8, 17):
        in_parts.make(judged.at(f"{place}it"))
    in_parts.make(judged.end, judged.end_mask)
    assert same(at_once.weights(judged.end), in_parts.weights(judged.end))
    assert torch.equal(at_once.mask(judged.end_mask).flat(), in_parts.mask(judged.end_mask).flat())


def test_the_dense_run_takes_no_part_and_the_ticket_has_the_pattern(tmp_path: Path) -> None:
    outcome = run(tmp_path, changes())
    assert {(row["outcome"], row["density"]) for row in rows(outcome, entry="imp")} == {("ok", 0.5)}


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"pattern": "2:4"}, 'layer "fc2.weight" has 6 inputs, which 4 does not divide'),
        ({"pattern": "2:3", "rest": "dense"}, "2:3 leaves"),
    ],
)
def test_what_does_not_fit_is_named_while_planning(rule: dict[str, Any], message: str) -> None:
    with pytest.raises(PrunebenchError, match=message):
        toy_plan(changes(**rule))


@pytest.mark.parametrize("pattern", ["4:2", "2", "0:4", "a:b"])
def test_other_patterns_are_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is no pattern"):
        SrSteConfig(pattern=pattern)
