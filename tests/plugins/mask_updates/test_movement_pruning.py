from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Workshop, rows, run
from pydantic import ValidationError
from torch import nn

from prunebench.api.masks import Mask, Units
from prunebench.testing import MaskUpdateContract, same
from prunebench_plugins.mask_updates._exchange import cubic
from prunebench_plugins.mask_updates.movement_pruning import MovementPruningConfig

RULE = {"use": "movement-pruning", "every": "2it"}


class TestMovementPruning(MaskUpdateContract):
    component = {"use": "movement-pruning", "every": "7it"}

    def start(self, units: Units) -> Mask:
        return Mask.full(units.layers)

    def test_weights_come_back(self) -> None:
        _, masks = self.run()
        flat = [mask.flat() for mask in masks[1:]]
        assert any(bool((later & ~earlier).any()) for earlier, later in pairwise(flat))


class TestMovementPruningWithinLayers(MaskUpdateContract):
    component = {"use": "movement-pruning", "every": "7it", "among": "layer"}

    def start(self, units: Units) -> Mask:
        return Mask.full(units.layers)

    def test_layers_keep_equal_shares(self) -> None:
        _, masks = self.run()
        assert masks[-1].counts == (22, 8)


def changes(**rule: Any) -> dict[str, Any]:
    return {
        "entry": [{"name": "imp", "schedule": "during-training", "mask_updates": [{**RULE, **rule}]}],
        "train": {"optimizer": {"use": "sgd", "lr": 0.2, "momentum": 0.0}},
    }


def test_a_run_is_that_of_the_papers_equations_by_hand(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, changes())
    judged = workshop.chain.evaluate(workshop.chain.tickets[2])
    training = workshop.training(judged)
    weights = {name: p.detach().clone() for name, p in training.model.named_parameters()}
    scores = {name: torch.zeros_like(p) for name, p in weights.items() if p.ndim == 2}
    keep = {name: torch.ones_like(p, dtype=torch.bool) for name, p in weights.items()}
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    came_back = 0
    for step, (images, labels) in enumerate(training.train.batches(list(training._gathers(24)))):
        net.load_state_dict({name: p * keep[name] for name, p in weights.items()})
        net.zero_grad()
        torch.autograd.backward(nn.functional.cross_entropy(net(images), labels))
        gradients = {name: p.grad for name, p in net.named_parameters()}
        for name in scores:
            # Equation 2: dL/dS = dL/dW' * W, through all weights; S goes down along it.
            scores[name] -= gradients[name] * weights[name]
        if step % 2 == 0:
            order = sorted(
                ((name, i, float(s)) for name in scores for i, s in enumerate(scores[name].flatten())),
                key=lambda one: -one[2],
            )
            kept = {(name, i) for name, i, _ in order[: cubic(66, 42, 0, 12, step)]}
            for name in scores:
                new = torch.tensor([(name, i) in kept for i in range(scores[name].numel())]).reshape(keep[name].shape)
                came_back += int((new & ~keep[name]).sum())
                keep[name] = new
        for name, gradient in gradients.items():
            assert gradient is not None
            weights[name] = torch.where(keep[name], weights[name] - 0.2 * gradient, weights[name])
        training.advance(step + 1, lambda position, loss: None)
        for name, p in training.model.named_parameters():
            torch.testing.assert_close(p.detach(), weights[name] * keep[name], rtol=1e-4, atol=1e-6)
    assert came_back > 0


def test_a_run_in_parts_is_equal_to_the_bit(tmp_path: Path) -> None:
    at_once, in_parts = Workshop(tmp_path / "a", changes()), Workshop(tmp_path / "b", changes())
    judged, again = (w.chain.evaluate(w.chain.tickets[2]) for w in (at_once, in_parts))
    assert judged.key == again.key
    assert judged.end_mask is not None
    at_once.make(judged.end, judged.end_mask)
    for place in (3, 8, 17):
        in_parts.make(judged.at(f"{place}it"))
    in_parts.make(judged.end, judged.end_mask)
    assert same(at_once.weights(judged.end), in_parts.weights(judged.end))
    assert torch.equal(at_once.mask(judged.end_mask).flat(), in_parts.mask(judged.end_mask).flat())


def test_rounds_have_their_exact_densities(tmp_path: Path) -> None:
    outcome = run(tmp_path, changes(among="layer"))
    assert {(row["outcome"], row["density"]) for row in rows(outcome, entry="imp")} == {
        ("ok", 53 / 66),
        ("ok", 42 / 66),
    }


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(ValidationError, match=r'`end` \("5it"\) comes before `start` \("9it"\)'):
        MovementPruningConfig.model_validate({"start": "9it", "end": "5it"})
