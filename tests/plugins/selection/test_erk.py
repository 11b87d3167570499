from math import prod

import pytest
import torch
from engine.toy_runs import rows, run
from torch import nn

from prunebench.api.masks import Mask, Scores
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import SelectContract
from prunebench_plugins.selection.erk import Erk, ErkConfig


class TestErk(SelectContract):
    component = {"use": "erk"}


def published(shapes: list[tuple[int, ...]], density: float) -> list[float]:
    """The densities as google-research/rigl computes them: layers that are full leave the sum, until none is."""
    dense: set[int] = set()
    while True:
        raw = [sum(shape) / prod(shape) for shape in shapes]
        total = sum(prod(shape) for shape in shapes) * density - sum(prod(shapes[i]) for i in dense)
        scale = total / sum(raw[i] * prod(s) for i, s in enumerate(shapes) if i not in dense)
        full = {i for i in range(len(shapes)) if i not in dense and scale * raw[i] > 1}
        if not full:
            return [1.0 if i in dense else scale * raw[i] for i in range(len(shapes))]
        dense |= {max(full, key=lambda i: raw[i])}


@pytest.mark.parametrize("density", [0.9, 0.5, 0.2, 0.05])
def test_layers_have_the_published_densities(density: float) -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3),
        nn.Conv2d(16, 16, 3, groups=16),
        nn.Conv2d(16, 64, 1),
        nn.Conv2d(64, 64, 5),
        nn.Linear(64, 9),
    )
    units = WeightUnits(model, {f"{i}.weight": "conv" for i in range(5)})
    scores = Scores(tuple(torch.rand(layer.count) for layer in units.layers))
    count = round(density * units.count)
    chosen = Erk(ErkConfig()).prunebench_select(scores, units, Mask.full(units.layers), count)
    wanted = published([layer.shape for layer in units.layers], density)
    assert chosen.count == count
    for layer, kept, share in zip(units.layers, chosen.counts, wanted, strict=True):
        assert abs(kept - share * layer.count) <= 1


def test_set_starts_from_it(tmp_path) -> None:
    entry = {"name": "imp", "schedule": "at-init", "score": "random", "select": "erk", "mask_updates": None}
    entry.pop("mask_updates")
    outcome = run(tmp_path, {"entry": [{**entry, "evaluate": {"mask_updates": {"use": "set", "every": "2it"}}}]})
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
