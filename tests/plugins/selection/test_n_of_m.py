from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from engine.toy_runs import rows, run
from torch import Tensor, nn

from prunebench import PlanError
from prunebench.api.errors import ConfigError, ContractError
from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores, Units
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import SelectContract, toy_plan, two_layer_net, weight_units
from prunebench_plugins.selection.n_of_m import NOfM, NOfMConfig


class TestNOfM(SelectContract):
    """On 8 and 6 inputs, 1 of 2 leaves a half."""

    component = {"use": "n-of-m", "pattern": "1:2"}
    cut = 0.5

    def alive(self, units: Units, count: int) -> Mask:
        return Mask.full(units.layers)

    def counts(self, mask: Mask) -> Iterator[int]:
        yield mask.count // 2

    def rivals(self, layer: Layer) -> Tensor:
        m = int(self.component["pattern"].partition(":")[2])
        return torch.arange(layer.count) // m if layer.shape[1] % m == 0 else torch.zeros(layer.count)

    def chain_rounds(self) -> tuple[int, ...]:
        return (1,)


class TestNOfMWithDenseLayers(TestNOfM):
    """On 8 and 6 inputs, 2 of 4 leaves 24 of 48 and all of 18."""

    component = {"use": "n-of-m", "pattern": "2:4", "rest": "dense"}
    cut = 1 - 42 / 66

    def counts(self, mask: Mask) -> Iterator[int]:
        yield 24 + 18


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8), (1, 2)])
def test_of_every_m_channels_at_each_place_of_the_kernel_the_n_highest_stay(n: int, m: int) -> None:
    model = nn.Sequential(nn.Conv2d(8, 3, (2, 3)), nn.Linear(16, 5))
    units = WeightUnits(model, {"0.weight": "conv", "1.weight": "linear"})
    scores = Scores(tuple(torch.rand(layer.count) for layer in units.layers))
    select = NOfM(NOfMConfig(pattern=f"{n}:{m}"))
    count = select.prunebench_count(units.layers, round(units.count * n / m))
    chosen = select.prunebench_select(scores, units, Mask.full(units.layers), count)
    for layer, keep, values in zip(units.layers, chosen.keep, scores.values, strict=True):
        kept, value = keep.reshape(layer.shape), values.reshape(layer.shape)
        for out, start, *place in product(
            range(layer.shape[0]), range(0, layer.shape[1], m), *map(range, layer.shape[2:])
        ):
            at = (out, slice(start, start + m), *place)
            highest = sorted(value[at].tolist())[-n:]
            assert sorted(value[at][kept[at]].tolist()) == highest


def test_a_layer_that_m_does_not_divide_is_named_before_anything_runs() -> None:
    with pytest.raises(
        ConfigError, match=r'n-of-m: layer "fc2.weight" has 6 inputs, which 4 does not divide; keep such'
    ):
        toy_plan(
            {"entry": [{"name": "imp", "schedule": "one-shot", "select": "n-of-m"}]},
            densities=[0.5],
            cut=None,
            rounds=None,
        )


def test_a_density_that_the_pattern_does_not_have_is_refused_with_the_one_that_it_has() -> None:
    layers = weight_units(two_layer_net()).layers
    with pytest.raises(
        PlanError, match=r"1:2 leaves 0.500 of the units, and 0.303 were asked for; write densities = \[0.5"
    ):
        NOfM(NOfMConfig(pattern="1:2")).prunebench_count(layers, 20)


@pytest.mark.parametrize("text", ["2", "4:2", "0:4", "2:4:8", "a:b", "2:2"])
def test_a_text_that_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no pattern such as"):
        NOfMConfig(pattern=text)


def test_it_is_not_cut_again() -> None:
    units = weight_units(two_layer_net())
    scores = Scores(tuple(torch.rand(layer.count) for layer in units.layers))
    select = NOfM(NOfMConfig(pattern="1:2"))
    once = select.prunebench_select(scores, units, Mask.full(units.layers), 33)
    with pytest.raises(ContractError, match="1:2 leaves 33 units of a mask of 33, and 20 were asked for; cut once"):
        select.prunebench_select(scores, units, once, 20)


def test_a_stated_density_is_the_patterns_and_the_rows_say_what_lives(tmp_path: Path) -> None:
    entry = {"name": "imp", "schedule": "one-shot", "select": {"use": "n-of-m", "rest": "dense"}}
    changes = {"entry": [entry], "densities": [0.5]}
    outcome = run(tmp_path, changes, cut=None, rounds=None)
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
    assert {row["density"] for row in rows(outcome, entry="imp")} == {42 / 66}
