"""Gradients that are added up over parts of a batch, and transforms of batches, carried out."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engine.toy_runs import Workshop, losses
from prunebench.api.errors import PrunebenchError
from prunebench.testing import same, state, toy_benchmark


def recipe(**fields: Any) -> dict[str, Any]:
    return {"train": {"optimizer": {"use": "sgd", "lr": 0.2, "momentum": 0.9}, **fields}}


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_parts_of_a_batch_train_as_the_whole_but_for_rounding(tmp_path: Path, parts: int) -> None:
    found = []
    for number, changes in enumerate((recipe(), recipe(accumulate=parts))):
        workshop = Workshop(tmp_path / str(number), changes)
        training = workshop.training(workshop.chain.evaluate(workshop.chain.tickets[0]))
        assert (training.accumulate, training.steps_per_epoch) == ((1, 12), (parts, 12))[number]
        training.model.double()
        batches = training.train.batches

        def doubled(gathers: Any, batches: Any = batches) -> Any:
            return ((images.double(), labels) for images, labels in batches(gathers))

        object.__setattr__(training, "train", type("Doubled", (), {"batches": staticmethod(doubled), "size": 96})())
        found.append((losses(training, 24), state(training.model)))
    (whole, weights), (in_parts, other) = found
    assert in_parts == pytest.approx(whole, rel=1e-12)
    for name, value in weights.items():
        torch.testing.assert_close(other[name], value, rtol=1e-11, atol=1e-13)


def test_terms_count_once_and_gradients_are_clipped_when_all_are_there(tmp_path: Path) -> None:
    found = []
    for number, more in enumerate(({}, {"accumulate": 4})):
        term = [{"use": "squares", "strength": 0.1}, {"use": "squares", "strength": 0.1, "kind": "gradient"}]
        workshop = Workshop(tmp_path / str(number), recipe(loss=term, max_gradient_norm=0.1, **more))
        training = workshop.training(workshop.chain.evaluate(workshop.chain.tickets[1]))
        training.advance(24, lambda position, loss: None)
        found.append(state(training.model))
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-4, atol=1e-6)


def test_a_batch_without_equal_parts_is_refused() -> None:
    with pytest.raises(PrunebenchError, match="a batch of 8 has no 3 equal parts"):
        toy_benchmark(recipe(accumulate=3))


TRANSFORMS = [{"use": "mixup", "each": "image"}, {"use": "random-erasing", "probability": 0.5, "most": 0.9}]


def test_a_run_with_transforms_in_parts_is_equal_to_the_bit(tmp_path: Path) -> None:
    changes = recipe(transforms=TRANSFORMS, accumulate=2, average=0.9, label_smoothing=0.1)
    at_once, resumed = Workshop(tmp_path / "a", changes), Workshop(tmp_path / "b", changes)
    judged, again = (w.chain.evaluate(w.chain.tickets[1]) for w in (at_once, resumed))
    at_once.make(judged.end)
    for place in (3, 8, 17):
        resumed.make(again.at(f"{place}it"))
    resumed.make(again.end)
    assert same(at_once.weights(judged.end), resumed.weights(again.end))


def test_transforms_change_the_batches_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = []
    for number, transforms in enumerate((TRANSFORMS, TRANSFORMS[::-1], [])):
        workshop = Workshop(tmp_path / str(number), recipe(transforms=transforms))
        training = workshop.training(workshop.chain.evaluate(workshop.chain.tickets[0]))
        assert len(training.transforms) == len(transforms)
        found.append(losses(training, 3))
    assert len({str(one) for one in found}) == 3
